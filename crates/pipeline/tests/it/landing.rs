//! Payloads into a real table in a directory: outcomes, counts, repeats, schema changes, failures.

use std::collections::BTreeMap;

use crate::common::{
    NOW_US, everything, files, invocation, messages, n_committed, open, quarantined, rows, settings,
};
use pipeline::{Disposition, Outcome, Pipeline, PipelineError, SourceBatch};
use tempfile::tempdir;

fn outcomes(report: &pipeline::Report) -> Vec<Outcome> {
    report
        .outcomes
        .iter()
        .map(|record| record.outcome.clone())
        .collect()
}

#[tokio::test]
async fn events_become_rows_and_refused_ones_are_quarantined_with_reason_and_offset() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let bodies = [
        r#"{"id":"a","event_time":"2025-11-20T11:00:00Z"}"#,
        "{\"id\":\"b\"}\n{oops\n{\"id\":\"c\",\"ts\":\"never\"}",
        "not an event",
        "",
    ];
    let report = pipeline
        .run(messages("m", bodies), &invocation(1))
        .await
        .unwrap();

    assert_eq!(
        outcomes(&report),
        [
            Outcome::Committed {
                n_rows: 1,
                n_refused: 0
            },
            Outcome::Committed {
                n_rows: 1,
                n_refused: 2
            },
            Outcome::Quarantined { n_refused: 1 },
            Outcome::Committed {
                n_rows: 0,
                n_refused: 0
            },
        ]
    );
    assert_eq!(
        (report.n_events, report.n_rows, report.n_refused),
        (5, 2, 3)
    );
    assert_eq!(
        (report.n_records_committed, report.n_records_quarantined),
        (3, 1)
    );
    assert_eq!(report.n_new_columns, 1);
    assert_eq!(
        rows(directory.path()),
        [("m-0".to_owned(), 0), ("m-1".to_owned(), 0)]
    );
    assert_eq!(n_committed(&pipeline).await, 2);

    let found = quarantined(directory.path());
    let places: Vec<_> = found
        .iter()
        .map(|event| {
            (
                event.source_id.as_str(),
                event.source_index,
                event.offset,
                event.kind.as_str(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("m-1", Some(1), 11, "not_json"),
            ("m-1", Some(2), 17, "unreadable_time"),
            ("m-2", Some(0), 0, "not_json"),
        ]
    );
    assert_eq!(found[0].payload(), b"{oops");
}

#[tokio::test]
async fn a_payload_that_is_delivered_again_is_committed_and_quarantined_once() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let payload = || messages("m", ["{\"a\":1}", "oops"]);
    let first = pipeline.run(payload(), &invocation(1)).await.unwrap();
    let second = pipeline.run(payload(), &invocation(2)).await.unwrap();

    assert!(!first.is_repeat && second.is_repeat);
    assert_eq!(outcomes(&first), outcomes(&second));
    assert!(first.quarantine.is_some() && second.quarantine.is_none());
    assert_eq!(n_committed(&pipeline).await, 1);
    assert_eq!(quarantined(directory.path()).len(), 1);
}

#[tokio::test]
async fn a_repeat_leaves_nothing_behind_even_when_the_first_delivery_left_columns_out() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    // Another process, which has seen the table before the first delivery and not since.
    let other = open(directory.path()).await;
    // More new keys than one batch may add: a second look at the same events would find the others.
    let keys = (0..100).map(|n| format!("\"k{n}\":{n}"));
    let event = format!("{{{}}}", keys.collect::<Vec<_>>().join(","));
    let event: &'static str = event.leak();
    let payload = || messages("m", [event, "oops"]);
    // Every change of columns or snapshots would be another metadata file.
    let left_behind = async || {
        let table = pipeline.lake().load_table(pipeline.table_name()).await;
        let metadata_location = table.unwrap().unwrap().metadata_location().to_owned();
        (metadata_location, everything(directory.path()))
    };

    let first = pipeline.run(payload(), &invocation(1)).await.unwrap();
    assert_eq!((first.n_new_columns, first.n_files), (64, 1));
    assert!(!first.is_repeat && first.quarantine.is_some());
    let before = left_behind().await;

    let cold = open(directory.path()).await;
    for (pipeline, seed) in [(&pipeline, 2), (&other, 3), (&cold, 4)] {
        let again = pipeline.run(payload(), &invocation(seed)).await.unwrap();
        assert!(again.is_repeat);
        assert_eq!(
            (again.n_new_columns, again.n_files, again.n_attempts),
            (0, 0, 0)
        );
        assert_eq!((again.snapshot_id, again.quarantine.as_ref()), (None, None));
        assert_eq!(outcomes(&first), outcomes(&again));
        assert_eq!(left_behind().await, before);
    }
    assert_eq!(n_committed(&pipeline).await, 1);

    // What they have not seen yet still lands.
    let next = || messages("n", [event, "oops"]);
    let next = other.run(next(), &invocation(5)).await.unwrap();
    assert!(!next.is_repeat);
    assert_eq!(n_committed(&pipeline).await, 2);
}

#[tokio::test]
async fn what_was_left_for_later_is_not_taken_for_known_when_it_comes_again() {
    let directory = tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.max_payload_inflated_bytes = pipeline::settings::ByteSize::new(100);
    let pipeline = Pipeline::open(settings).await.unwrap();
    let bodies = ["{\"a\":1}", "{\"b\":2}"];
    let report = pipeline
        .run(messages("m", bodies), &invocation(1))
        .await
        .unwrap();
    assert_eq!(report.retried().collect::<Vec<_>>(), ["m-1"]);

    let mut again = messages("m", bodies);
    again.records.remove(0);
    let report = pipeline.run(again, &invocation(2)).await.unwrap();
    assert!(!report.is_repeat);
    assert_eq!(n_committed(&pipeline).await, 2);
}

#[tokio::test]
async fn good_events_among_very_many_that_are_none_land_and_each_other_is_kept() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let body = format!(
        "{}{{\"a\":1}}\n{}",
        "1\n".repeat(50_000),
        "{x}\n".repeat(50_000)
    );
    let payload = messages("m", [body]);
    let report = pipeline.run(payload, &invocation(1)).await.unwrap();
    assert_eq!((report.n_rows, report.n_refused), (1, 100_000));
    assert_eq!(
        report.n_refused_by_kind,
        BTreeMap::from([("not_an_object", 50_000), ("not_json", 50_000)])
    );
    assert_eq!(rows(directory.path()), [("m-0".to_owned(), 50_000)]);
    let kept = quarantined(directory.path());
    assert_eq!(kept.len(), 100_000);
    assert_eq!(kept[0].reason, "the event is a number, not an object");
    assert_eq!(
        kept[99_999].reason,
        "not JSON: key must be a string at line 1 column 2"
    );
    assert_eq!(kept[99_999].source_index, Some(100_000));
    assert_eq!(kept[99_999].offset, 100_000 + 8 + 4 * 49_999);
    assert_eq!(report.refusals.len(), 10);
}

#[tokio::test]
async fn a_sender_who_is_answered_keeps_what_is_no_event() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let mut payload = messages("m", ["oops"]);
    payload.source = SourceBatch::answered("http", "r-1");
    let report = pipeline.run(payload, &invocation(1)).await.unwrap();
    assert_eq!(outcomes(&report), [Outcome::Refused { n_refused: 1 }]);
    assert_eq!((report.n_refused, report.n_quarantined), (1, 0));
    assert!(quarantined(directory.path()).is_empty());

    let mut payload = messages("m", ["{}\noops"]);
    payload.source = SourceBatch::answered("http", "r-2");
    let report = pipeline.run(payload, &invocation(2)).await.unwrap();
    assert_eq!(
        outcomes(&report),
        [Outcome::Committed {
            n_rows: 1,
            n_refused: 1
        }]
    );
    assert_eq!(quarantined(directory.path()).len(), 1);
}

#[tokio::test]
async fn two_pipelines_that_meet_the_same_new_keys_give_each_column_once() {
    let directory = tempdir().unwrap();
    let (left, right) = (open(directory.path()).await, open(directory.path()).await);
    let run = async |pipeline: &Pipeline, name: &str, seed| {
        let body = "{\"city\":\"Oslo\",\"n\":1}";
        let report = pipeline
            .run(messages(name, [body]), &invocation(seed))
            .await
            .unwrap();
        assert_eq!((report.n_rows, report.n_rescued), (1, 0));
    };
    // The right one has seen neither column when the left one adds them.
    run(&left, "left", 1).await;
    run(&right, "right", 2).await;

    let table = left
        .lake()
        .load_table(left.table_name())
        .await
        .unwrap()
        .unwrap();
    let names: Vec<String> = table
        .columns()
        .into_iter()
        .map(|column| column.name)
        .collect();
    assert_eq!(&names[names.len() - 2..], ["city", "n"]);
    assert_eq!(names.len(), 8);
    assert_eq!(n_committed(&left).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_runs_of_one_pipeline_lose_nothing() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let run = async |seed: u64| {
        let body = format!("{{\"k{seed}\":1,\"common\":true}}");
        let payload = messages(&format!("m{seed}"), [body]);
        pipeline.run(payload, &invocation(seed)).await.unwrap()
    };
    let reports = futures::future::join_all((0..8).map(run)).await;
    assert!(reports.iter().all(|report| report.n_rows == 1));
    assert_eq!(n_committed(&pipeline).await, 8);
}

#[tokio::test]
async fn a_table_that_is_not_to_be_created_is_missed_by_name() {
    let directory = tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.table.create = false;
    let error = Pipeline::open(settings).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the table `analytics.events` does not exist"
    );
    assert_eq!(error.disposition(), Disposition::Fatal);
    assert!(error.hint().unwrap().contains("calve table create"));
}

#[tokio::test]
async fn a_table_made_by_another_tool_gets_the_system_columns_it_lacks() {
    let directory = tempdir().unwrap();
    let settings = settings(directory.path());
    create_foreign(&settings, &[("user", arrow_schema::DataType::Utf8)]).await;

    let pipeline = Pipeline::open(settings).await.unwrap();
    let report = pipeline
        .run(messages("m", ["{\"user\":\"ann\"}"]), &invocation(1))
        .await
        .unwrap();
    assert_eq!((report.n_rows, report.n_new_columns), (1, 0));
    assert_eq!(rows(directory.path()), [("m-0".to_owned(), 0)]);
}

#[tokio::test]
async fn a_table_whose_system_column_has_another_type_is_refused_by_column() {
    let directory = tempdir().unwrap();
    let settings = settings(directory.path());
    create_foreign(&settings, &[("event_time", arrow_schema::DataType::Utf8)]).await;

    let error = Pipeline::open(settings).await.unwrap_err();
    assert!(matches!(error, PipelineError::Schema { .. }), "{error:?}");
    let text = pipeline::telemetry::error_chain(&error);
    assert!(
        text.contains("`analytics.events`") && text.contains("`event_time`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_warehouse_that_cannot_be_made_is_named() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = Pipeline::open(settings(&file.join("warehouse")))
        .await
        .unwrap_err();
    let text = pipeline::telemetry::error_chain(&error);
    assert!(text.contains(file.to_str().unwrap()), "{text}");
}

#[tokio::test]
async fn when_data_files_cannot_be_written_the_path_is_named_and_nothing_is_committed() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    pipeline
        .run(messages("a", ["{\"a\":1}"]), &invocation(1))
        .await
        .unwrap();
    // A file where the directory of the data should be: no data file can be written, whoever runs the test.
    let data = files(directory.path(), "parquet")[0]
        .parent()
        .unwrap()
        .to_owned();
    std::fs::rename(&data, directory.path().join("moved")).unwrap();
    std::fs::write(&data, "in the way").unwrap();

    let error = pipeline
        .run(messages("b", ["{\"a\":2}"]), &invocation(2))
        .await
        .unwrap_err();
    let text = pipeline::telemetry::error_chain(&error);
    assert!(text.contains(data.to_str().unwrap()), "{text}");

    std::fs::remove_file(&data).unwrap();
    std::fs::rename(directory.path().join("moved"), &data).unwrap();
    let report = pipeline
        .run(messages("b", ["{\"a\":2}"]), &invocation(3))
        .await
        .unwrap();
    assert!(!report.is_repeat);
    assert_eq!(n_committed(&pipeline).await, 2);
}

#[tokio::test]
async fn a_deadline_that_is_over_gives_everything_back() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let mut late = invocation(1);
    late.deadline = Some(tokio::time::Instant::now());
    let error = pipeline
        .run(messages("m", ["{}"]), &late)
        .await
        .unwrap_err();
    assert!(
        matches!(error, PipelineError::Deadline { n_records: 1, .. }),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Retry);

    let report = pipeline
        .run(messages("m", ["{}"]), &invocation(2))
        .await
        .unwrap();
    assert_eq!(report.n_rows, 1);
    assert_eq!(n_committed(&pipeline).await, 1);
}

#[tokio::test]
async fn declared_columns_are_there_from_the_start_with_their_types() {
    let directory = tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.table.shape.columns = [(
        "/price".to_owned(),
        "decimal(12,2)".to_owned().try_into().unwrap(),
    )]
    .into();
    let pipeline = Pipeline::open(settings).await.unwrap();
    let table = pipeline
        .lake()
        .load_table(pipeline.table_name())
        .await
        .unwrap()
        .unwrap();
    let price = table
        .columns()
        .into_iter()
        .find(|column| column.name == "price")
        .unwrap();
    assert_eq!(price.data_type, arrow_schema::DataType::Decimal128(12, 2));
    assert_eq!(price.doc.as_deref(), Some("/price"));

    let report = pipeline
        .run(messages("m", ["{\"price\":9.99}"]), &invocation(1))
        .await
        .unwrap();
    assert_eq!((report.n_new_columns, report.n_rescued), (0, 0));
}

#[tokio::test]
async fn events_without_a_time_are_filed_under_the_arrival_of_their_record() {
    let directory = tempdir().unwrap();
    let pipeline = open(directory.path()).await;
    let mut payload = messages("m", ["{}"]);
    payload.records[0].arrival_us = NOW_US - 3 * 86_400_000_000;
    pipeline.run(payload, &invocation(1)).await.unwrap();
    let path = files(directory.path(), "parquet").remove(0);
    assert!(
        path.to_str().unwrap().contains("event_time_day=2025-11-17"),
        "{}",
        path.display()
    );
}

async fn create_foreign(settings: &pipeline::Settings, columns: &[(&str, arrow_schema::DataType)]) {
    let column = |(name, data_type): &(&str, arrow_schema::DataType)| lake::ColumnDefinition {
        name: (*name).to_owned(),
        doc: None,
        data_type: data_type.clone(),
        required: false,
    };
    let definition = lake::TableDefinition {
        columns: columns.iter().map(column).collect(),
        partitioning: Vec::new(),
        properties: BTreeMap::new(),
    };
    let lake = lake::Lake::embedded(settings.warehouse.directory().unwrap()).unwrap();
    let name = settings.table.name.parse().unwrap();
    lake.create_table(&name, &definition).await.unwrap();
}
