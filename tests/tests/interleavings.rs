//! Orders of events in which drafts of the commit protocol lost or doubled rows. Those that need one lake alone are tests
//! of `lake` and `pipeline`; these need another tool, or many writers and a real catalog.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "other tests ingest files")]
mod support;

#[path = "support/cloud.rs"]
#[expect(dead_code, reason = "other tests start programs of their own")]
mod cloud;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cloud::{Cloud, variable};
use lake::{
    ClientCredentials, Clock, Lake, RestAuth, RestCatalog, RestOptions, S3Credentials, S3Keys,
    S3Options, S3Storage, Secret,
};
use pipeline::{
    Committer, CommitterReport, Invocation, Payload, Pipeline, ReceiptAnswer, ReceiptMessage,
    ReceiptSink, Record, SendError, Settings, SourceBatch, TableName,
};
use serde_json::{Value, json};
use support::{Warehouse, canonical, python, rebuild};
use tokio::sync::Barrier;

const MINUTE_US: i64 = 60_000_000;
const N_WRITERS: usize = 64;
const N_KEYS: usize = 100;
const N_EVENTS: usize = 5;

/// A queue that keeps what it is sent.
#[derive(Debug, Default)]
struct Receipts(Mutex<Vec<String>>);

#[async_trait]
impl ReceiptSink for Receipts {
    async fn send(&self, messages: &[String], _seed: u64) -> Result<(), SendError> {
        self.0.lock().unwrap().extend_from_slice(messages);
        Ok(())
    }
}

impl Receipts {
    /// What was sent, as a queue delivers it; it is not taken away.
    fn deliver(&self, now_us: i64) -> Vec<ReceiptMessage> {
        let sent = self.0.lock().unwrap();
        let messages = sent.iter().enumerate().map(|(n, body)| ReceiptMessage {
            delivery_id: format!("m{n}"),
            body: body.clone(),
            sent_us: now_us,
        });
        messages.collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the program, which a test is"
)]
fn now_us() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_micros()).unwrap()
}

fn at(now_us: i64, seed: u64) -> Invocation {
    Invocation {
        now_us,
        deadline: None,
        seed,
    }
}

/// One message of a queue that holds these events.
fn message(id: &str, events: &[Value], now_us: i64) -> Payload {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    Payload {
        records: vec![Record {
            delivery_id: id.to_owned(),
            source_id: id.to_owned(),
            arrival_us: now_us,
            body: Bytes::from(lines.join("\n")),
            is_base64: false,
        }],
        source: SourceBatch::messages("sqs"),
    }
}

/// A table without partitions: to write into those PyIceberg needs parts that are not installed.
fn embedded(root: &str) -> (Settings, Lake) {
    let mut settings = Settings::default();
    settings.warehouse = Path::new(root).into();
    settings.threads = 1;
    settings.table.partitioning.clear();
    (settings, Lake::embedded(Path::new(root)).unwrap())
}

/// Commits what the queue holds, `minutes` after now.
async fn commit(root: &str, receipts: &Receipts, minutes: i64, seed: u64) -> CommitterReport {
    let (settings, lake) = embedded(root);
    let now_us = now_us() + minutes * MINUTE_US;
    let committer = Committer::with_lake(settings, lake);
    committer
        .run(receipts.deliver(now_us), &at(now_us, seed))
        .await
}

#[tokio::test]
async fn a_receipt_that_comes_again_after_its_snapshot_expired_and_its_file_was_replaced_adds_nothing()
 {
    let warehouse = Warehouse::new();
    let root = warehouse.root();
    std::fs::create_dir_all(root).unwrap();
    let receipts = Arc::new(Receipts::default());
    let (settings, lake) = embedded(root);
    let writer = Pipeline::with_sink(settings, lake.clone(), receipts.clone());
    let writer = writer.await.unwrap();
    let events = [1, 2, 3].map(|n| json!({"id": n, "event_time": "2026-03-01T10:00:00Z"}));
    let now_us = now_us();
    let sent = writer
        .run(message("a", &events, now_us), &at(now_us, 1))
        .await;
    assert_eq!(sent.unwrap().n_rows, 3);
    let first = commit(root, &receipts, 0, 2).await;
    let snapshot_id = first.tables[0].snapshot_id.unwrap();

    // Another tool puts other files in the place of ours, and its snapshots and the next one of ours are all that stays.
    let name: TableName = "analytics.events".parse().unwrap();
    let replaced: Value =
        serde_json::from_str(&python(&["overwrite", root, "analytics.events"])).unwrap();
    assert_eq!(replaced, json!({"n_before": 1, "n_after": 1, "n_kept": 0}));
    let table = lake.load_table(&name).await.unwrap().unwrap();
    let keep_one = BTreeMap::from([
        ("history.max-snapshots".to_owned(), "1".to_owned()),
        ("calve.min-snapshot-age-ms".to_owned(), "1".to_owned()),
    ]);
    lake.set_properties(&table, &keep_one).await.unwrap();
    let others = Arc::new(Receipts::default());
    let (settings, lake) = embedded(root);
    let other = Pipeline::with_sink(settings, lake.clone(), others.clone());
    let event = json!({"id": 4, "event_time": "2026-03-01T10:00:00Z"});
    let batch = message("b", &[event], now_us);
    other
        .await
        .unwrap()
        .run(batch, &at(now_us, 3))
        .await
        .unwrap();
    commit(root, &others, 2, 4).await;
    let table = lake.load_table(&name).await.unwrap().unwrap();
    assert!(table.metadata().snapshot_by_id(snapshot_id).is_none());

    let again = commit(root, &receipts, 3, 5).await;
    assert_eq!(again.outcomes[0].answer, ReceiptAnswer::Known);
    let (duckdb, pyiceberg) = warehouse.read_with_both();
    for read in [&duckdb, &pyiceberg] {
        assert_eq!((read.n_rows, read.n_distinct), (4, Some(4)));
    }
    assert_eq!(duckdb.lines, pyiceberg.lines);
}

/// A lake with connections of its own, as each process has.
async fn connect() -> Lake {
    let secret = |name: &str| variable(&format!("CALVE_TEST_{name}"));
    let credentials = ClientCredentials {
        token_uri: Some(secret("CATALOG_TOKEN_URI")),
        client_id: secret("CATALOG_CLIENT_ID"),
        client_secret: Secret::new(secret("CATALOG_CLIENT_SECRET")),
        scope: Some("catalog".to_owned()),
        parameters: BTreeMap::new(),
    };
    let clock = Clock::new(|| now_us() / 1_000);
    let catalog = RestCatalog::new(RestOptions {
        warehouse: Some(secret("CATALOG_WAREHOUSE")),
        auth: RestAuth::ClientCredentials(credentials),
        ..RestOptions::at(secret("CATALOG_URI"), clock)
    });
    let keys = S3Keys {
        access_key_id: secret("S3_ACCESS_KEY_ID"),
        secret_access_key: secret("S3_SECRET_ACCESS_KEY"),
        session_token: None,
    };
    let options = S3Options {
        credentials: S3Credentials::Static(keys),
        ..S3Options::at(secret("S3_ENDPOINT"))
    };
    let storage = S3Storage::new(&options).await.unwrap();
    Lake::new(Arc::new(catalog.unwrap()), Arc::new(storage))
}

/// The events of one writer: each has all of the keys that are new to the table, with values of its own.
fn events_with_new_keys(writer: usize) -> Vec<Value> {
    let event = |n: usize| {
        let mut event = json!({"id": writer * N_EVENTS + n, "event_time": "2026-03-01T10:00:00Z"});
        for key in 0..N_KEYS {
            event[format!("new_{key:03}")] = format!("{writer}/{n}/{key}").into();
        }
        event
    };
    (0..N_EVENTS).map(event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs servers: scripts/servers.py"]
async fn sixty_four_writers_that_meet_the_same_hundred_new_keys_lose_no_value_and_add_each_once() {
    let cloud = Cloud::new("keys");
    let variables = cloud.variables.clone().into_iter();
    let ours = variables.filter(|(name, _)| name.starts_with("CALVE_"));
    let ours = ours.map(|(name, value)| (name.to_owned(), value));
    let one_thread = ("CALVE_THREADS".to_owned(), "1".to_owned());
    let settings = Settings::from_parts(&ours.chain([one_thread]).collect(), None).unwrap();
    let receipts = Arc::new(Receipts::default());
    let mut writers = Vec::new();
    for _ in 0..N_WRITERS {
        let writer = Pipeline::with_sink(settings.clone(), connect().await, receipts.clone());
        writers.push(writer.await.unwrap());
    }
    let name = writers[0].table_name().clone();
    let lake = connect().await;
    let before = lake.load_table(&name).await.unwrap().unwrap();

    let barrier = Arc::new(Barrier::new(N_WRITERS));
    let mut landing = tokio::task::JoinSet::new();
    for (n, writer) in writers.into_iter().enumerate() {
        let barrier = barrier.clone();
        landing.spawn(async move {
            let now_us = now_us();
            let batch = message(&format!("m-{n}"), &events_with_new_keys(n), now_us);
            barrier.wait().await;
            writer.run(batch, &at(now_us, n as u64)).await.unwrap()
        });
    }
    let reports = landing.join_all().await;
    assert!(
        reports
            .iter()
            .all(|report| report.n_rows == N_EVENTS as u64)
    );

    let after = lake.load_table(&name).await.unwrap().unwrap();
    let n_versions = |table: &lake::Table| table.metadata().schemas_iter().len();
    let n_new = n_versions(&after) - n_versions(&before);
    assert!(
        (1..=3).contains(&n_new),
        "{n_new} new versions of the schema"
    );
    let names: Vec<String> = after
        .columns()
        .into_iter()
        .map(|column| column.name)
        .collect();
    for key in 0..N_KEYS {
        let key = format!("new_{key:03}");
        assert_eq!(
            names.iter().filter(|name| **name == key).count(),
            1,
            "{key}"
        );
    }

    let committer = Committer::with_lake(settings, lake);
    let now_us = now_us();
    let report = committer
        .run(receipts.deliver(now_us), &at(now_us, 99))
        .await;
    assert_eq!(
        (report.n_committed, report.n_retried),
        (N_WRITERS as u64, 0),
        "{report:?}"
    );
    let columns = cloud.columns();
    let rows = cloud.read().lines.into_iter();
    let rows = rows.map(|line| rebuild(&serde_json::from_str(&line).unwrap(), &columns));
    let mut rebuilt: Vec<String> = rows.map(|event| event.unwrap().to_string()).collect();
    let sent = (0..N_WRITERS).flat_map(events_with_new_keys);
    let mut expected: Vec<String> = sent.map(|event| canonical(&event).to_string()).collect();
    rebuilt.sort_unstable();
    expected.sort_unstable();
    assert!(rebuilt == expected, "the rows are not the events");
}
