//! Staged mode from payload to snapshot: a real lake in a directory, and a queue that only remembers.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use lake::{
    DEFAULT_CATALOG_NAME, Lake, Listed, LocalStorage, Put, SqliteCatalog, Storage, StorageError,
};
use pipeline::{
    Committer, CommitterReport, Disposition, Invocation, Outcome, Pipeline, QuarantinedReceipt,
    ReceiptAnswer, ReceiptMessage, ReceiptSink, SendError, Settings, SourceBatch, TableReport,
};
use tempfile::tempdir;

use crate::common::{NOW_US, files, invocation, messages, rows, settings};

/// A queue that keeps what it is sent, unless it is told to fail.
#[derive(Debug, Default)]
struct Queue {
    sent: Mutex<Vec<String>>,
    is_broken: bool,
}

#[async_trait]
impl ReceiptSink for Queue {
    async fn send(&self, messages: &[String], _seed: u64) -> Result<(), SendError> {
        if self.is_broken {
            return Err(SendError {
                queue: "queue".to_owned(),
                n_messages: messages.len(),
                unsent: (0..messages.len()).collect(),
                retryable: true,
                source: "no route".into(),
            });
        }
        self.sent.lock().unwrap().extend_from_slice(messages);
        Ok(())
    }
}

impl Queue {
    /// Takes what was sent, as the queue delivers it.
    fn take(&self) -> Vec<ReceiptMessage> {
        deliver(std::mem::take(&mut *self.sent.lock().unwrap()))
    }
}

/// Messages with these bodies, called `m0`, `m1`…
pub(crate) fn deliver(bodies: impl IntoIterator<Item = impl Into<String>>) -> Vec<ReceiptMessage> {
    let message = |(position, body): (usize, _)| ReceiptMessage {
        delivery_id: format!("m{position}"),
        body: <_ as Into<String>>::into(body),
        sent_us: NOW_US,
    };
    bodies.into_iter().enumerate().map(message).collect()
}

fn table_settings(warehouse: &Path, table: &str) -> Settings {
    let mut settings = settings(warehouse);
    table.clone_into(&mut settings.table.name);
    settings.threads = 1;
    settings
}

/// A writer in staged mode, and its queue.
async fn writer(warehouse: &Path, table: &str) -> (Pipeline, Arc<Queue>) {
    let queue = Arc::new(Queue::default());
    let lake = Lake::embedded(warehouse).unwrap();
    let settings = table_settings(warehouse, table);
    let pipeline = Pipeline::with_sink(settings, lake, queue.clone()).await;
    (pipeline.unwrap(), queue)
}

/// Sends batches of two events, and takes their receipts.
pub(crate) async fn receipts(
    warehouse: &Path,
    table: &str,
    batches: std::ops::Range<u64>,
) -> Vec<String> {
    receipts_with(warehouse, table, batches, 0).await
}

/// The same by invocations of other seeds, so that the files have other names.
async fn receipts_with(
    warehouse: &Path,
    table: &str,
    batches: std::ops::Range<u64>,
    seed: u64,
) -> Vec<String> {
    let (writer, queue) = writer(warehouse, table).await;
    for batch in batches {
        let payload = messages(&format!("{table}-{batch}"), [r#"{"a":1}"#, r#"{"a":2}"#]);
        let sent = writer.run(payload, &invocation(seed + batch * 100)).await;
        sent.unwrap();
    }
    let sent = queue.take().into_iter();
    sent.map(|message| message.body).collect()
}

pub(crate) fn committer(warehouse: &Path) -> Committer {
    Committer::with_lake(settings(warehouse), Lake::embedded(warehouse).unwrap())
}

fn answers(report: &CommitterReport) -> Vec<ReceiptAnswer> {
    let answers = report.outcomes.iter().map(|message| message.answer);
    answers.collect()
}

/// The kinds and reasons of quarantined receipts.
fn refusals(warehouse: &Path) -> Vec<(String, String)> {
    let objects = files(&warehouse.join("quarantine/receipts"), "zst").into_iter();
    let kept = objects.map(|path| {
        let object = Bytes::from(std::fs::read(path).unwrap());
        let kept = QuarantinedReceipt::read(&object).unwrap();
        assert!(kept.receipt.is_some() != kept.message.is_some());
        (kept.kind, kept.reason)
    });
    kept.collect()
}

/// Snapshots and rows of a table.
async fn table(warehouse: &Path, name: &str) -> (usize, u64) {
    let lake = Lake::embedded(warehouse).unwrap();
    let table = lake.load_table(&name.parse().unwrap()).await.unwrap();
    let table = table.unwrap();
    let metadata = table.metadata();
    let n_rows = metadata.current_snapshot().map_or(0, |snapshot| {
        let summary = &snapshot.summary().additional_properties;
        summary["total-records"].parse().unwrap()
    });
    (metadata.snapshots().len(), n_rows)
}

const EVENTS: &str = "analytics.events";

#[tokio::test]
async fn a_request_that_is_repeated_under_its_key_is_quarantined_once() {
    let directory = tempdir().unwrap();
    let (writer, queue) = writer(directory.path(), "a.events").await;
    for (n, arrival_us) in [(1, NOW_US - 2_000_000), (2, NOW_US - 1_000_000)] {
        // The second request has an id of its own.
        let mut payload = messages(&format!("request-{n}"), ["{\"a\":1}\noops"]);
        payload.records[0].arrival_us = arrival_us;
        payload.source = SourceBatch::answered("http", "key order-17");
        let report = writer.run(payload, &invocation(n)).await.unwrap();
        assert_eq!((report.n_rows, report.n_quarantined), (1, 1));
    }
    let quarantined = files(&directory.path().join("quarantine"), "zst");
    assert_eq!(quarantined.len(), 1, "{quarantined:?}");
    let committer = committer(directory.path());
    let report = committer.run(queue.take(), &invocation(3)).await;
    let once = [ReceiptAnswer::Committed, ReceiptAnswer::Known];
    assert_eq!(answers(&report), once);
    assert_eq!(table(directory.path(), "a.events").await, (1, 1));
}

#[tokio::test]
async fn rows_become_visible_when_the_receipt_is_committed_and_not_before() {
    let directory = tempdir().unwrap();
    let (writer, queue) = writer(directory.path(), EVENTS).await;
    let bodies = [r#"{"id":"a"}"#, "{\"id\":\"b\"}\n{oops", "not an event", ""];
    let report = writer
        .run(messages("m", bodies), &invocation(1))
        .await
        .unwrap();
    let outcomes: Vec<_> = report
        .outcomes
        .iter()
        .map(|record| record.outcome.clone())
        .collect();
    let staged = |n_rows, n_refused| Outcome::Staged { n_rows, n_refused };
    assert_eq!(
        outcomes,
        [
            staged(1, 0),
            staged(1, 1),
            Outcome::Quarantined { n_refused: 1 },
            staged(0, 0)
        ]
    );
    assert_eq!(
        (report.n_records_staged, report.n_records_committed),
        (3, 0)
    );
    assert_eq!((report.is_staged, report.snapshot_id), (true, None));
    assert!(report.receipt_bytes > 0);
    assert_eq!(table(directory.path(), EVENTS).await, (0, 0));

    let sent = queue.take();
    assert_eq!(sent.len(), 1);
    let report = committer(directory.path()).run(sent, &invocation(2)).await;
    assert_eq!(answers(&report), [ReceiptAnswer::Committed]);
    let [
        TableReport {
            n_rows,
            n_files,
            snapshot_id,
            ..
        },
    ] = report.tables.as_slice()
    else {
        panic!("{report:?}");
    };
    assert_eq!((*n_rows, *n_files, snapshot_id.is_some()), (2, 1, true));
    assert_eq!(table(directory.path(), EVENTS).await, (1, 2));
    assert_eq!(
        rows(directory.path()),
        [("m-0".to_owned(), 0), ("m-1".to_owned(), 0)]
    );
}

#[tokio::test]
async fn a_payload_of_refused_events_only_sends_nothing() {
    let directory = tempdir().unwrap();
    let (writer, queue) = writer(directory.path(), EVENTS).await;
    let report = writer
        .run(messages("m", ["oops"]), &invocation(1))
        .await
        .unwrap();
    assert_eq!((report.n_quarantined, report.receipt_bytes), (1, 0));
    assert!(queue.take().is_empty());
}

#[tokio::test]
async fn without_a_durable_receipt_nothing_is_acknowledged() {
    let directory = tempdir().unwrap();
    let queue = Arc::new(Queue {
        is_broken: true,
        ..Queue::default()
    });
    let lake = Lake::embedded(directory.path()).unwrap();
    let settings = table_settings(directory.path(), EVENTS);
    let writer = Pipeline::with_sink(settings, lake, queue).await.unwrap();
    let error = writer
        .run(messages("m", ["{\"a\":1}"]), &invocation(1))
        .await
        .unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry);
    assert_eq!(
        error.to_string(),
        "cannot send the receipt of 1 files of `analytics.events`"
    );
}

#[tokio::test]
async fn a_receipt_that_comes_again_is_committed_once() {
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), EVENTS, 0..2).await;
    let committer = committer(directory.path());
    let twice = deliver([&sent[0], &sent[0]]);
    let report = committer.run(twice, &invocation(1)).await;
    assert_eq!(
        answers(&report),
        [ReceiptAnswer::Committed, ReceiptAnswer::Known]
    );
    let report = committer.run(deliver(&sent), &invocation(2)).await;
    assert_eq!(
        answers(&report),
        [ReceiptAnswer::Known, ReceiptAnswer::Committed]
    );
    assert_eq!(table(directory.path(), EVENTS).await, (2, 4));
}

#[tokio::test]
async fn a_batch_that_was_delivered_again_to_its_writer_is_committed_once() {
    let directory = tempdir().unwrap();
    let mut sent = receipts(directory.path(), EVENTS, 0..1).await;
    sent.extend(receipts_with(directory.path(), EVENTS, 0..1, 1).await);
    assert_ne!(sent[0], sent[1]);
    let report = committer(directory.path())
        .run(deliver(&sent), &invocation(1))
        .await;
    assert_eq!(
        answers(&report),
        [ReceiptAnswer::Committed, ReceiptAnswer::Known]
    );
    assert_eq!(table(directory.path(), EVENTS).await, (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committers_with_the_same_receipts_at_once_commit_each_once() {
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), EVENTS, 0..20).await;
    let racers = (0..4).map(|seed| {
        let (committer, sent) = (committer(directory.path()), deliver(&sent));
        tokio::spawn(async move { committer.run(sent, &invocation(100 + seed)).await })
    });
    let mut n_committed = 0;
    for racer in racers.collect::<Vec<_>>() {
        let report = racer.await.unwrap();
        assert_eq!(report.n_committed + report.n_known, 20, "{report:?}");
        n_committed += report.n_committed;
    }
    assert_eq!(n_committed, 20);
    assert_eq!(table(directory.path(), EVENTS).await.1, 40);
}

#[tokio::test]
async fn three_hundred_receipts_of_three_tables_are_one_snapshot_each() {
    let directory = tempdir().unwrap();
    let tables = ["shop.clicks", "shop.orders", "web.views"];
    let mut sent = Vec::new();
    for table in tables {
        sent.extend(receipts(directory.path(), table, 0..100).await);
    }
    let report = committer(directory.path())
        .run(deliver(&sent), &invocation(1))
        .await;
    assert_eq!((report.n_messages, report.n_committed), (300, 300));
    let found: Vec<_> = report
        .tables
        .iter()
        .map(|table| (table.table.as_str(), table.n_files, table.n_rows))
        .collect();
    assert_eq!(found, tables.map(|table| (table, 100, 200)));
    for name in tables {
        assert_eq!(table(directory.path(), name).await, (1, 200));
    }
}

#[tokio::test]
async fn receipts_for_a_table_that_was_dropped_and_made_again_are_quarantined_and_their_files_stay()
{
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), EVENTS, 0..2).await;
    let written = files(directory.path(), "parquet");
    assert_eq!(written.len(), 2);
    forget_tables(directory.path());

    let report = committer(directory.path())
        .run(deliver(&sent[..1]), &invocation(1))
        .await;
    assert_eq!(
        answers(&report),
        [ReceiptAnswer::Quarantined { kind: "no_table" }]
    );

    let _new = writer(directory.path(), EVENTS).await;
    let committer = committer(directory.path());
    let quarantined = ReceiptAnswer::Quarantined {
        kind: "incompatible",
    };
    for seed in 2..4 {
        let report = committer.run(deliver(&sent[1..]), &invocation(seed)).await;
        assert_eq!(answers(&report), [quarantined]);
    }
    assert_eq!(files(directory.path(), "parquet"), written);
    let kept = refusals(directory.path());
    assert_eq!(kept.len(), 2, "the same receipt is kept once: {kept:?}");
    let of_kind = |kind: &str| {
        kept.iter()
            .find(|(found, _)| found == kind)
            .unwrap()
            .1
            .clone()
    };
    assert!(of_kind("no_table").contains("there is no table `analytics.events`"));
    assert!(of_kind("incompatible").contains("the table of that name now has id"));
}

/// Drops all tables as a catalog does that leaves their files.
pub(crate) fn forget_tables(warehouse: &Path) {
    for entry in std::fs::read_dir(warehouse).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("catalog.db")
        {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[tokio::test]
async fn a_receipt_beyond_the_horizon_is_quarantined() {
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), EVENTS, 0..1).await;
    let late = Invocation {
        now_us: NOW_US + 15 * 86_400_000_000,
        ..invocation(1)
    };
    let report = committer(directory.path()).run(deliver(&sent), &late).await;
    assert_eq!(
        answers(&report),
        [ReceiptAnswer::Quarantined { kind: "too_old" }]
    );
    assert_eq!(table(directory.path(), EVENTS).await, (0, 0));
}

#[tokio::test]
async fn messages_that_are_no_receipts_are_quarantined_beside_those_that_are() {
    let directory = tempdir().unwrap();
    let good = receipts(directory.path(), EVENTS, 0..1).await.remove(0);
    let pointer = |location: &str| {
        format!(r#"{{"calve_receipt":1,"table":"a.b","token":"t","location":"{location}"}}"#)
    };
    let root = directory.path().canonicalize().unwrap();
    let root = format!("file://{}", root.display());
    let sent = [
        "garbage".to_owned(),
        good,
        r#"{"calve_receipt":9,"novelty":true}"#.to_owned(),
        pointer("file:///etc/hostname"),
        pointer(&format!("{root}/receipts/../catalog.db")),
        pointer(&format!("{root}/receipts/a.b/gone.json.zst")),
        String::new(),
    ];
    let committer = committer(directory.path());
    let quarantined = |kind| ReceiptAnswer::Quarantined { kind };
    let report = committer.run(deliver(&sent), &invocation(1)).await;
    assert_eq!(
        answers(&report),
        [
            quarantined("unreadable"),
            ReceiptAnswer::Committed,
            quarantined("newer_format"),
            quarantined("not_found"),
            quarantined("not_found"),
            quarantined("not_found"),
            quarantined("unreadable"),
        ]
    );
    assert_eq!(
        (report.n_committed, report.n_quarantined, report.n_retried),
        (1, 6, 0)
    );
    let kept = refusals(directory.path());
    assert_eq!(kept.len(), 6);
    let reasons: BTreeSet<&str> = kept.iter().map(|(_, reason)| reason.as_str()).collect();
    assert!(reasons.contains("the receipt has format 9, and this version knows formats up to 1"));
}

#[tokio::test]
async fn a_receipt_too_large_for_a_message_goes_through_the_storage() {
    let directory = tempdir().unwrap();
    let mut settings = table_settings(directory.path(), EVENTS);
    settings.table.partitioning = vec!["bucket(1000, id)".to_owned()];
    settings.table.shape.columns = serde_json::from_str(r#"{"/id":"string"}"#).unwrap();
    let queue = Arc::new(Queue::default());
    let lake = Lake::embedded(directory.path()).unwrap();
    let writer = Pipeline::with_sink(settings, lake, queue.clone())
        .await
        .unwrap();
    let many: Vec<String> = (0..900_u64)
        .map(|n| {
            let noise = |field: u64| {
                n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .rotate_left(7 * u32::try_from(field).unwrap())
            };
            let fields = (0..30).map(|field| format!("\"f{field}\":\"{:016x}\"", noise(field)));
            format!(
                "{{\"id\":\"{n}\",{}}}",
                fields.collect::<Vec<_>>().join(",")
            )
        })
        .collect();
    let report = writer
        .run(messages("m", [many.join("\n")]), &invocation(1))
        .await
        .unwrap();
    assert_eq!(report.n_rows, 900);
    assert!(report.receipt_bytes > 200_000, "{}", report.receipt_bytes);

    let sent = queue.take();
    assert!(sent[0].body.len() < 500, "{}", sent[0].body);
    assert_eq!(files(&directory.path().join("receipts"), "zst").len(), 1);
    let report = committer(directory.path()).run(sent, &invocation(2)).await;
    assert_eq!(answers(&report), [ReceiptAnswer::Committed]);
    assert_eq!(table(directory.path(), EVENTS).await, (1, 900));
}

#[tokio::test]
async fn receipts_without_room_in_memory_beside_the_others_are_committed_after_them() {
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), EVENTS, 0..6).await;
    let mut tight = settings(directory.path());
    tight.max_payload_inflated_bytes = pipeline::settings::ByteSize::new(12_000);
    let committer = Committer::with_lake(tight, Lake::embedded(directory.path()).unwrap());
    let report = committer.run(deliver(&sent), &invocation(1)).await;
    assert_eq!(answers(&report), [ReceiptAnswer::Committed; 6]);
    let (n_snapshots, n_rows) = table(directory.path(), EVENTS).await;
    assert!((2..6).contains(&n_snapshots), "{n_snapshots}");
    assert_eq!(n_rows, 12);
    let facts = &report.tables[0];
    assert_eq!(
        (report.tables.len(), facts.n_receipts, facts.n_rows),
        (1, 6, 12)
    );
}

#[tokio::test]
async fn a_table_that_failed_once_is_not_tried_again_for_the_receipts_without_room() {
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), EVENTS, 0..6).await;
    let mut tight = settings(directory.path());
    tight.max_payload_inflated_bytes = pipeline::settings::ByteSize::new(12_000);
    let committer = obstructed_with(tight, directory.path(), "/metadata/", false);
    let report = committer.run(deliver(&sent), &invocation(1)).await;
    assert_eq!(answers(&report), [ReceiptAnswer::Retry; 6]);
    let facts = &report.tables[0];
    assert_eq!((facts.n_receipts, facts.n_retried), (6, 6));
    assert!(facts.error.is_some());
}

/// A directory in which what lies below one place can be read but not be written: not at all, or never to the end.
#[derive(Debug)]
struct Obstructed {
    place: &'static str,
    hangs: bool,
}

#[async_trait]
impl Storage for Obstructed {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        if location.contains(self.place) {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            return Err(StorageError::Write {
                location: location.to_owned(),
                source: "503".into(),
            });
        }
        LocalStorage.put_new(location, bytes).await
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        LocalStorage.get(location).await
    }

    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError> {
        LocalStorage.size(location).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        LocalStorage.list(prefix).await
    }

    async fn delete(&self, location: &str) -> Result<(), StorageError> {
        LocalStorage.delete(location).await
    }
}

fn obstructed(warehouse: &Path, place: &'static str, hangs: bool) -> Committer {
    obstructed_with(settings(warehouse), warehouse, place, hangs)
}

fn obstructed_with(
    mut settings: Settings,
    warehouse: &Path,
    place: &'static str,
    hangs: bool,
) -> Committer {
    let directory = warehouse.canonicalize().unwrap();
    let root = format!("file://{}", directory.display());
    let storage: Arc<dyn Storage> = Arc::new(Obstructed { place, hangs });
    let path = directory.join("catalog.db");
    let catalog = SqliteCatalog::open(&path, DEFAULT_CATALOG_NAME, &root, storage.clone()).unwrap();
    settings.commit_timeout_ms = 500;
    Committer::with_lake(settings, Lake::new(Arc::new(catalog), storage))
}

#[tokio::test]
async fn a_table_that_hangs_or_fails_gives_back_its_own_messages_only() {
    for hangs in [true, false] {
        let directory = tempdir().unwrap();
        let mut sent = receipts(directory.path(), "shop.clicks", 0..2).await;
        sent.extend(receipts(directory.path(), "shop.orders", 0..2).await);
        sent.swap(1, 2);
        let committer = obstructed(directory.path(), "/shop/orders/metadata/", hangs);
        let report = committer.run(deliver(&sent), &invocation(1)).await;
        assert_eq!(
            answers(&report),
            [
                ReceiptAnswer::Committed,
                ReceiptAnswer::Retry,
                ReceiptAnswer::Committed,
                ReceiptAnswer::Retry,
            ]
        );
        assert_eq!(report.retried().collect::<Vec<_>>(), ["m1", "m3"]);
        assert!(report.tables[1].error.is_some(), "{report:?}");
        assert_eq!(table(directory.path(), "shop.clicks").await, (1, 4));
        assert_eq!(table(directory.path(), "shop.orders").await, (0, 0));
    }
}

#[tokio::test]
async fn a_receipt_that_cannot_be_quarantined_comes_again() {
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), EVENTS, 0..1).await;
    forget_tables(directory.path());
    let _new = writer(directory.path(), EVENTS).await;
    let committer = obstructed(directory.path(), "/quarantine/", false);
    let report = committer
        .run(deliver([sent[0].as_str(), "garbage"]), &invocation(1))
        .await;
    assert_eq!(
        answers(&report),
        [ReceiptAnswer::Retry, ReceiptAnswer::Retry]
    );
}
