//! Law 1 over hostile payloads: every event is a row, in the quarantine, or comes again; none is in two of them.

use std::collections::BTreeSet;

use crate::common::{Place, invocation, messages, n_committed, open, quarantined, rows};
use pipeline::Outcome;
use proptest::prelude::*;
use tempfile::tempdir;

/// Lines that a sender could send: most are events, the rest is not.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..100_u32).prop_map(|n| format!("{{\"id\":{n},\"user\":{{\"name\":\"u{n}\"}}}}")),
        1 => Just("{\"id\":\"text this time\",\"tags\":[1,{\"a\":null}]}".to_owned()),
        1 => Just("{\"event_time\":\"yesterday\"}".to_owned()),
        1 => Just("{\"event_time\":\"9999-01-01T00:00:00Z\"}".to_owned()),
        1 => Just("{\"_source_id\":\"forged\",\"event_time_day\":7}".to_owned()),
        1 => Just("[1,2]".to_owned()),
        1 => Just("null".to_owned()),
        1 => Just("{\"broken\":\"".to_owned()),
        1 => "\\PC{0,12}".prop_map(|text| text.replace(['\n', '\r'], " ")),
    ]
}

/// Bodies with the number of pieces that they hold, where that is known beforehand.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let lines = || prop::collection::vec(line(), 0..6);
    prop_oneof![
        4 => lines().prop_map(|lines| lines.join("\n").into_bytes()),
        2 => lines().prop_map(|lines| format!("[{}]", lines.join(",")).into_bytes()),
        1 => lines().prop_map(|lines| format!("[{}", lines.join(",")).into_bytes()),
        1 => lines().prop_map(|lines| zstd::bulk::compress(lines.join("\n").as_bytes(), 1).unwrap()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(vec![0x1f, 0x8b, 8, 0, 1, 2, 3]),
    ]
}

/// Of these `test.sh --long` runs fewer cases than of the others.
mod costly_tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn every_event_is_in_exactly_one_place(payloads in prop::collection::vec(prop::collection::vec(body(), 1..5), 1..4)) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(conserve(payloads))?;
        }
    }
}

async fn conserve(payloads: Vec<Vec<Vec<u8>>>) -> Result<(), TestCaseError> {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let (mut n_events, mut n_rows, mut n_quarantined) = (0, 0, 0);
    for (number, bodies) in payloads.into_iter().enumerate() {
        let n_records = bodies.len() as u64;
        let payload = messages(&format!("p{number}"), bodies);
        let seed = number as u64;
        let report = pipeline
            .run(payload.clone(), &invocation(2 * seed))
            .await
            .unwrap();
        let again = pipeline
            .run(payload, &invocation(2 * seed + 1))
            .await
            .unwrap();

        prop_assert_eq!(report.n_events, report.n_rows + report.n_refused);
        prop_assert_eq!(report.n_refused, report.n_quarantined);
        prop_assert_eq!(
            report.n_refused,
            report.n_refused_by_kind.values().sum::<u64>()
        );
        prop_assert_eq!(report.outcomes.len() as u64, n_records);
        prop_assert_eq!(
            report.n_records_committed + report.n_records_quarantined,
            n_records
        );
        prop_assert_eq!(&report.outcomes, &again.outcomes);
        prop_assert_eq!(again.is_repeat, report.n_rows > 0);
        let of_records: u64 = report
            .outcomes
            .iter()
            .map(|record| match record.outcome {
                Outcome::Committed { n_rows, n_refused } => n_rows + n_refused,
                Outcome::Quarantined { n_refused } => n_refused,
                _ => 0,
            })
            .sum();
        prop_assert_eq!(of_records, report.n_events);
        n_events += report.n_events;
        n_rows += report.n_rows;
        n_quarantined += report.n_quarantined;
    }
    prop_assert_eq!(n_committed(&pipeline).await, n_rows);

    // The files of a repeat are written before it is known as one, so rows are compared as a set.
    let rows: BTreeSet<Place> = rows(directory.path()).into_iter().collect();
    prop_assert_eq!(rows.len() as u64, n_rows);
    let refused = quarantined(directory.path());
    prop_assert_eq!(refused.len() as u64, n_quarantined);
    let in_both = refused
        .iter()
        .filter_map(|event| Some((event.source_id.clone(), event.source_index?)))
        .filter(|place| rows.contains(place))
        .count();
    prop_assert_eq!(in_both, 0);
    prop_assert_eq!(
        rows.len() + refused.len(),
        usize::try_from(n_events).unwrap()
    );
    Ok(())
}
