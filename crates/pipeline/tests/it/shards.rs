//! Records of a shard that come again, cut into other deliveries than before.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow_array::{Array as _, Int64Array, StringArray};
use async_trait::async_trait;
use iceberg::spec::{FormatVersion, Manifest, ManifestList};
use lake::Lake;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::{
    Committer, Outcome, Payload, Pipeline, ReceiptAnswer, ReceiptMessage, ReceiptSink, Record,
    SendError, SourceBatch,
};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::common::{NOW_US, Place, invocation, open, quarantined, settings};

const SHARD: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/shardId-000000000003";

fn sequence(record: u32) -> String {
    format!("4959033827149025660855969253836157109592157598{record:010}")
}

fn source_id(record: u32) -> String {
    format!("clicks/shardId-000000000003/{}", sequence(record))
}

/// What the records hold in turn: nothing that is an event; one event; two; one and what is none.
const BODIES: [&str; 4] = ["oops", "{\"a\":1}", "{\"a\":1}\n{\"b\":2}", "{\"a\":1}\nno"];

fn delivery(records: Range<u32>) -> Payload {
    let record = |number: u32| Record {
        delivery_id: sequence(number),
        source_id: source_id(number),
        arrival_us: NOW_US - 1_000_000 + i64::from(number),
        body: BODIES[number as usize % 4].into(),
        is_base64: false,
    };
    Payload {
        records: records.map(record).collect(),
        source: SourceBatch::shard("kinesis", SHARD),
    }
}

/// The places of all rows, and those of all that is in the quarantine, when each of the records landed once.
fn places_of(records: &BTreeSet<u32>) -> (Vec<Place>, Vec<Place>) {
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    for record in records {
        for (index, line) in (0..).zip(BODIES[*record as usize % 4].lines()) {
            let places = if line.starts_with('{') {
                &mut rows
            } else {
                &mut refused
            };
            places.push((source_id(*record), index));
        }
    }
    (rows, refused)
}

/// The places of the rows of the current snapshot, in order.
async fn committed_rows(warehouse: &Path) -> Vec<Place> {
    let lake = Lake::embedded(warehouse).unwrap();
    let name = settings(warehouse).table_name().unwrap();
    let table = lake.load_table(&name).await.unwrap().unwrap();
    let mut places = Vec::new();
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return places;
    };
    let list = lake.storage().get(snapshot.manifest_list()).await.unwrap();
    let list = ManifestList::parse_with_version(&list, FormatVersion::V2).unwrap();
    for manifest in list.entries() {
        let bytes = lake.storage().get(&manifest.manifest_path).await.unwrap();
        let manifest = Manifest::parse_avro(&bytes).unwrap();
        for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
            let bytes = lake.storage().get(entry.file_path()).await.unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            for batch in reader.build().unwrap() {
                let batch = batch.unwrap();
                let ids = batch.column_by_name("_source_id").unwrap();
                let ids = ids.as_any().downcast_ref::<StringArray>().unwrap();
                let indices = batch.column_by_name("_source_index").unwrap();
                let indices = indices.as_any().downcast_ref::<Int64Array>().unwrap();
                let rows = 0..batch.num_rows();
                places.extend(rows.map(|row| (ids.value(row).to_owned(), indices.value(row))));
            }
        }
    }
    places.sort();
    places
}

fn quarantined_places(warehouse: &Path) -> Vec<Place> {
    let kept = quarantined(warehouse).into_iter();
    let mut places: Vec<Place> = kept
        .map(|event| (event.source_id, event.source_index.unwrap()))
        .collect();
    places.sort();
    places
}

/// A queue that keeps what it is sent.
#[derive(Debug, Default)]
struct Queue(Mutex<Vec<String>>);

#[async_trait]
impl ReceiptSink for Queue {
    async fn send(&self, messages: &[String], _seed: u64) -> Result<(), SendError> {
        self.0.lock().unwrap().extend_from_slice(messages);
        Ok(())
    }
}

#[tokio::test]
async fn records_that_come_again_in_other_company_are_known_and_the_others_land() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let first = pipeline.run(delivery(0..6), &invocation(1)).await.unwrap();
    assert!(!first.is_repeat);

    // Another process, which has seen nothing of it.
    let other = open(directory.path()).await;
    let report = other.run(delivery(4..10), &invocation(2)).await.unwrap();
    assert_eq!(report.n_records_known, 2);
    let known = report.outcomes.iter();
    let known = known.filter(|record| record.outcome == Outcome::Known);
    let known: Vec<_> = known.map(|record| record.delivery_id.clone()).collect();
    assert_eq!(known, [sequence(4), sequence(5)]);
    assert_eq!(report.n_events, report.n_rows + report.n_refused);
    assert_eq!(report.n_attempts, 1);

    let (rows, refused) = places_of(&(0..10).collect());
    assert_eq!(committed_rows(directory.path()).await, rows);
    assert_eq!(quarantined_places(directory.path()), refused);

    for records in [0..10, 2..5, 5..6, 6..10] {
        let again = pipeline
            .run(delivery(records), &invocation(3))
            .await
            .unwrap();
        assert!(again.is_repeat && again.quarantine.is_none());
        assert_eq!((again.n_files, again.n_attempts), (0, 0));
    }
    assert_eq!(committed_rows(directory.path()).await, rows);
    assert_eq!(quarantined_places(directory.path()), refused);
}

#[tokio::test]
async fn a_delivery_without_any_row_is_quarantined_once_in_whatever_company_it_comes_again() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let only_refused = |n_records: u32, first: u32| {
        let mut payload = delivery(first..first + n_records);
        for record in &mut payload.records {
            record.body = "oops".into();
        }
        payload
    };
    for (n_records, first) in [(5, 0), (3, 1), (7, 0), (4, 5)] {
        let payload = only_refused(n_records, first);
        let report = pipeline.run(payload, &invocation(1)).await.unwrap();
        assert_eq!((report.n_rows, report.n_files), (0, 0));
    }
    let expected: Vec<Place> = (0..9).map(|record| (source_id(record), 0)).collect();
    assert_eq!(quarantined_places(directory.path()), expected);
}

/// Lands the deliveries, those in staged mode by receipts, which are committed in groups of this size, twice.
async fn land(deliveries: Vec<(Range<u32>, bool)>, group: usize, directory: &Path) {
    let direct = open(directory).await;
    let queue = Arc::new(Queue::default());
    let lake = Lake::embedded(directory).unwrap();
    let staged = Pipeline::with_sink(settings(directory), lake, queue.clone()).await;
    let staged = staged.unwrap();
    for (seed, (records, is_staged)) in (1..).zip(deliveries) {
        let pipeline = if is_staged { &staged } else { &direct };
        let landed = pipeline.run(delivery(records), &invocation(seed)).await;
        assert_eq!(landed.unwrap().n_records_retried, 0);
    }
    let receipts = std::mem::take(&mut *queue.0.lock().unwrap());
    for _ in 0..2 {
        let lake = Lake::embedded(directory).unwrap();
        let committer = Committer::with_lake(settings(directory), lake);
        for (seed, bodies) in (100..).zip(receipts.chunks(group)) {
            let message = |body: &String| ReceiptMessage {
                delivery_id: body.clone(),
                body: body.clone(),
                sent_us: NOW_US,
            };
            let messages = bodies.iter().map(message).collect();
            let report = committer.run(messages, &invocation(seed)).await;
            for message in report.outcomes {
                let answer = message.answer;
                let is_done = matches!(answer, ReceiptAnswer::Committed | ReceiptAnswer::Known);
                assert!(is_done, "{answer:?}");
            }
        }
    }
}

/// Of these `test.sh --long` runs fewer cases than of the others.
mod costly_tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
        #[test]
        fn every_event_of_a_shard_is_in_one_place_once_however_it_is_delivered(
            deliveries in prop::collection::vec(
                ((0..24_u32, 1..10_u32).prop_map(|(first, n)| first..first + n), any::<bool>()),
                1..8,
            ),
            group in 1..4_usize,
        ) {
            let taken: BTreeSet<u32> = deliveries.iter().flat_map(|(records, _)| records.clone()).collect();
            let directory = tempdir().unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(land(deliveries, group, directory.path()));
            let (rows, refused) = places_of(&taken);
            prop_assert_eq!(runtime.block_on(committed_rows(directory.path())), rows);
            prop_assert_eq!(quarantined_places(directory.path()), refused);
        }
    }
}
