//! Events of one payload into several tables by what they say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use arrow_array::{Array as _, Int64Array, StringArray};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use lake::{
    DEFAULT_CATALOG_NAME, Lake, Listed, LocalStorage, Put, SqliteCatalog, Storage, StorageError,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::{
    Committer, Disposition, Invocation, Outcome, Payload, Pipeline, Quarantine, ReceiptAnswer,
    ReceiptSink, Record, ReplayOptions, ReplayOutcome, Report, SendError, Settings, SourceBatch,
    frame, settings::RouteSettings,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::{NOW_US, Place, files, invocation, messages, quarantined, settings};
use crate::staged::deliver;

const EVENTS: &str = "analytics.events";
const CLICKS: &str = "analytics.clicks";

/// Settings with routes by the key `type`.
fn routed(warehouse: &Path, change: impl FnOnce(&mut RouteSettings)) -> Settings {
    let mut settings = settings(warehouse);
    settings.threads = 1;
    settings.routes.field = Some("type".to_owned());
    change(&mut settings.routes);
    settings
}

fn to_clicks(routes: &mut RouteSettings) {
    routes.tables = vec!["clicks".to_owned()];
}

/// A pipeline that sends `clicks` to a table of theirs.
async fn clicks(warehouse: &Path) -> Pipeline {
    Pipeline::open(routed(warehouse, to_clicks)).await.unwrap()
}

/// The places of the rows that readers see, for each table that there is.
async fn rows_by_table(warehouse: &Path) -> BTreeMap<String, Vec<Place>> {
    let lake = Lake::embedded(warehouse).unwrap();
    let mut by_table = BTreeMap::new();
    for name in lake.list_tables().await.unwrap() {
        let table = lake.load_table(&name).await.unwrap().unwrap();
        let mut places = Vec::new();
        for location in lake.data_file_locations(&table).await.unwrap() {
            let path = location.strip_prefix("file://").unwrap();
            places.extend(places_in(Path::new(path)));
        }
        places.sort();
        by_table.insert(name.to_string(), places);
    }
    by_table
}

fn places_in(path: &Path) -> Vec<Place> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let mut places = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column_by_name("_source_id").unwrap();
        let ids = ids.as_any().downcast_ref::<StringArray>().unwrap();
        let indices = batch.column_by_name("_source_index").unwrap();
        let indices = indices.as_any().downcast_ref::<Int64Array>().unwrap();
        let rows = 0..batch.num_rows();
        places.extend(rows.map(|row| (ids.value(row).to_owned(), indices.value(row))));
    }
    places
}

/// The places of what was refused for a table.
fn refused_of(warehouse: &Path, table: &str) -> Vec<Place> {
    let directory = warehouse.join("quarantine").join(table);
    if !directory.exists() {
        return Vec::new();
    }
    let kept = quarantined(&directory).into_iter();
    kept.map(|event| (event.source_id, event.source_index.unwrap_or(-1)))
        .collect()
}

fn place(id: &str, index: i64) -> Place {
    (id.to_owned(), index)
}

fn outcomes(report: &Report) -> Vec<&'static str> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Committed { .. } => "committed",
        Outcome::Staged { .. } => "staged",
        Outcome::Quarantined { .. } => "quarantined",
        Outcome::Refused { .. } => "refused",
        Outcome::Known => "known",
        Outcome::Retry => "again",
        Outcome::Superseded => "superseded",
    };
    report
        .outcomes
        .iter()
        .map(|record| word(&record.outcome))
        .collect()
}

const CLICK: &str = r#"{"type":"clicks"}"#;
const ORDER: &str = r#"{"type":"order"}"#;
const BOTH: &str = "{\"type\":\"order\"}\n{\"type\":\"clicks\"}";

#[tokio::test]
async fn every_table_that_is_made_keeps_its_ledger_where_the_settings_say() {
    let directory = tempdir().unwrap();
    let mut settings = routed(directory.path(), to_clicks);
    settings.routes.max_tables = 3;
    settings.table.ledger_path = Some("kept/ledgers".to_owned());
    let payload = || messages("m", [BOTH, ORDER, CLICK]);
    let open = || Pipeline::open(settings.clone());
    let report = open().await.unwrap().run(payload(), &invocation(1)).await;
    assert_eq!(outcomes(&report.unwrap()), ["committed"; 3]);
    let again = open().await.unwrap().run(payload(), &invocation(2)).await;
    assert!(again.unwrap().is_repeat, "as the ledgers there tell");

    let lake = Lake::embedded(directory.path()).unwrap();
    let names = lake.list_tables().await.unwrap();
    assert_eq!(
        names.len(),
        3,
        "the default one, a named one, and one of data"
    );
    let root = directory.path().canonicalize().unwrap();
    for name in names {
        let place = root.join("kept/ledgers").join(name.to_string());
        let table = lake.load_table(&name).await.unwrap().unwrap();
        let path = &table.properties()["calve.ledger-path"];
        assert_eq!(*path, format!("file://{}", place.display()));
        if name.to_string() != EVENTS {
            assert_eq!(files(&place, "stats").len(), 1, "{name}");
        }
    }
    let segments = files(directory.path(), "stats");
    assert_eq!(segments.len(), 2, "and none elsewhere: {segments:?}");
}

#[tokio::test]
async fn each_event_goes_to_the_table_that_its_value_names_under_its_own_number() {
    let directory = tempdir().unwrap();
    let pipeline = clicks(directory.path()).await;
    let mixed = format!("[{CLICK},{ORDER},7,{CLICK},{{\"type\":\"clicks\",\"ts\":\"never\"}},{{");
    let payload = || messages("m", [CLICK.to_owned(), mixed.clone(), String::new()]);
    let report = pipeline.run(payload(), &invocation(1)).await.unwrap();
    assert_eq!(outcomes(&report), ["committed"; 3]);
    assert_eq!(
        (report.n_events, report.n_rows, report.n_refused),
        (7, 4, 3)
    );
    let of_tables: Vec<_> = report
        .tables
        .iter()
        .map(|table| (table.table.as_str(), table.n_rows, table.n_refused))
        .collect();
    assert_eq!(of_tables, [(EVENTS, 1, 2), (CLICKS, 3, 1)]);

    let rows = rows_by_table(directory.path()).await;
    assert_eq!(rows[EVENTS], [place("m-1", 1)]);
    assert_eq!(
        rows[CLICKS],
        [place("m-0", 0), place("m-1", 0), place("m-1", 3)]
    );
    assert_eq!(
        refused_of(directory.path(), EVENTS),
        [place("m-1", 2), place("m-1", 5)]
    );
    assert_eq!(refused_of(directory.path(), CLICKS), [place("m-1", 4)]);

    let again = pipeline.run(payload(), &invocation(2)).await.unwrap();
    assert!(again.is_repeat && again.tables.iter().all(|table| table.is_repeat));
    assert_eq!(rows_by_table(directory.path()).await, rows);
}

#[tokio::test]
async fn a_table_that_nothing_goes_to_is_not_made() {
    let directory = tempdir().unwrap();
    let pipeline = clicks(directory.path()).await;
    let report = pipeline
        .run(messages("m", [ORDER]), &invocation(1))
        .await
        .unwrap();
    assert_eq!(report.tables.len(), 1);
    assert!(!rows_by_table(directory.path()).await.contains_key(CLICKS));
}

#[tokio::test]
async fn no_value_leads_out_of_the_namespace_or_into_somebody_elses_table() {
    let directory = tempdir().unwrap();
    let mut others = settings(directory.path());
    others.table.name = "analytics.accounts".to_owned();
    Pipeline::open(others.clone()).await.unwrap();
    others.table.name = "secret.clicks".to_owned();
    Pipeline::open(others).await.unwrap();

    let open = routed(directory.path(), |routes| routes.max_tables = 1_000);
    let pipeline = Pipeline::open(open).await.unwrap();
    let long = "x".repeat(10_000);
    let values = [
        "../x",
        "../../secret/clicks",
        "secret.clicks",
        "a.b",
        "",
        ".",
        "..",
        "/",
        &long,
        "ÜÉ日本",
        "EVENTS",
        "Events",
        "events",
        "accounts",
        "ACCOUNTS",
        "'; drop table events; --",
        "\"",
        "a\0b",
        "\u{202e}x",
        "catalog.db",
        "%2e%2e",
        "a\\..\\b",
        "metadata",
        "quarantine",
        "C:\\x",
        "a b",
    ];
    let bodies = values.map(|value| json!({ "type": value }).to_string());
    let report = pipeline
        .run(messages("m", bodies), &invocation(1))
        .await
        .unwrap();
    assert_eq!(report.n_rows, values.len() as u64);

    let rows = rows_by_table(directory.path()).await;
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "analytics.2e_2e",
            "analytics.a____b",
            "analytics.a_b",
            "analytics.accounts",
            "analytics.c__x",
            "analytics.catalog_db",
            "analytics.drop_table_events",
            EVENTS,
            "analytics.metadata",
            "analytics.quarantine",
            "analytics.secret_clicks",
            "analytics.x",
            "secret.clicks",
        ]
    );
    assert_eq!(rows["secret.clicks"], []);
    assert_eq!(rows["analytics.accounts"], []);
    assert_eq!(rows.values().map(Vec::len).sum::<usize>(), values.len());
    for file in files(directory.path(), "parquet") {
        let below = file.strip_prefix(directory.path()).unwrap();
        assert!(below.starts_with("analytics"), "{}", below.display());
    }
}

#[tokio::test]
async fn data_makes_tables_up_to_the_limit_and_keeps_to_those_that_it_made() {
    let directory = tempdir().unwrap();
    let with = |max_tables| {
        let settings = routed(directory.path(), |routes| routes.max_tables = max_tables);
        Pipeline::open(settings)
    };
    let bodies = |names: &[&str]| {
        let bodies = names.iter().map(|name| json!({ "type": name }).to_string());
        bodies.collect::<Vec<_>>()
    };
    let limited = with(3).await.unwrap();
    let first = messages("m", bodies(&["a", "b", "c", "d"]));
    limited.run(first, &invocation(1)).await.unwrap();
    let rows = rows_by_table(directory.path()).await;
    assert_eq!(
        rows.keys().collect::<Vec<_>>(),
        ["analytics.a", "analytics.b", EVENTS]
    );
    assert_eq!(rows[EVENTS], [place("m-2", 0), place("m-3", 0)]);

    // Another process, with less room: what data made stays, and nothing is added.
    let fuller = with(1).await.unwrap();
    let second = messages("n", bodies(&["b", "c"]));
    fuller.run(second, &invocation(2)).await.unwrap();
    let rows = rows_by_table(directory.path()).await;
    assert_eq!(rows["analytics.b"], [place("m-1", 0), place("n-0", 0)]);
    assert_eq!(rows.len(), 3);
}

#[tokio::test]
async fn writers_that_race_at_the_limit_exceed_it_by_one_each_at_most() {
    let directory = tempdir().unwrap();
    let mut writers = tokio::task::JoinSet::new();
    let settings = routed(directory.path(), |routes| routes.max_tables = 3);
    Pipeline::open(settings.clone()).await.unwrap();
    for writer in 0..4_u64 {
        let settings = settings.clone();
        writers.spawn(async move {
            let pipeline = Pipeline::open(settings).await.unwrap();
            let bodies = (0..6).map(|n| json!({ "type": format!("w{writer}_{n}") }).to_string());
            let payload = messages(&format!("w{writer}"), bodies);
            pipeline.run(payload, &invocation(writer)).await.unwrap()
        });
    }
    let reports = writers.join_all().await;
    assert_eq!(reports.iter().map(|report| report.n_rows).sum::<u64>(), 24);
    let rows = rows_by_table(directory.path()).await;
    assert!((3..=6).contains(&rows.len()), "{:?}", rows.keys());
    assert_eq!(rows.values().map(Vec::len).sum::<usize>(), 24);
}

/// A directory in which what lies below one place cannot be written: not at all, or never to the end.
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

/// A pipeline of which nothing can be written below this place.
async fn obstructed(settings: Settings, place: &'static str, hangs: bool) -> Pipeline {
    let warehouse = settings
        .warehouse
        .directory()
        .unwrap()
        .canonicalize()
        .unwrap();
    let root = format!("file://{}", warehouse.display());
    let storage: Arc<dyn Storage> = Arc::new(Obstructed { place, hangs });
    let path = warehouse.join("catalog.db");
    let catalog = SqliteCatalog::open(&path, DEFAULT_CATALOG_NAME, &root, storage.clone()).unwrap();
    let lake = Lake::new(Arc::new(catalog), storage);
    Pipeline::with_lake(settings, lake).await.unwrap()
}

#[tokio::test]
async fn a_table_that_fails_or_hangs_gives_back_its_own_records_only() {
    let (data, metadata) = ("/analytics/clicks/data/", "/analytics/clicks/metadata/");
    for (at, hangs) in [(data, false), (data, true), (metadata, true)] {
        let directory = tempdir().unwrap();
        let settings = routed(directory.path(), to_clicks);
        let mut making = settings.clone();
        CLICKS.clone_into(&mut making.table.name);
        Pipeline::open(making).await.unwrap();
        let failing = obstructed(settings, at, hangs).await;
        let payload = || messages("m", [CLICK, ORDER, BOTH, "", "oops"]);
        let hurried = Invocation {
            deadline: hangs.then(|| tokio::time::Instant::now() + Duration::from_secs(3)),
            ..invocation(1)
        };
        let report = failing.run(payload(), &hurried).await.unwrap();
        assert_eq!(
            outcomes(&report),
            ["again", "committed", "again", "committed", "quarantined"]
        );
        assert_eq!(report.retried().collect::<Vec<_>>(), ["m-0", "m-2"]);
        assert_eq!((report.n_rows, report.n_refused), (2, 1));
        let of_clicks = report
            .tables
            .iter()
            .find(|table| table.table == CLICKS)
            .unwrap();
        assert!(of_clicks.error.is_some(), "{of_clicks:?}");
        let rows = rows_by_table(directory.path()).await;
        assert_eq!((rows[EVENTS].len(), rows[CLICKS].len()), (2, 0));

        let pipeline = clicks(directory.path()).await;
        let again = pipeline.run(payload(), &invocation(2)).await.unwrap();
        assert_eq!(again.n_records_retried, 0);
        let rows = rows_by_table(directory.path()).await;
        assert_eq!(rows[EVENTS], [place("m-1", 0), place("m-2", 0)]);
        assert_eq!(rows[CLICKS], [place("m-0", 0), place("m-2", 1)]);
        assert_eq!(refused_of(directory.path(), EVENTS), [place("m-4", 0)]);
    }
}

#[tokio::test]
async fn when_every_record_has_to_come_again_the_run_fails_and_what_landed_is_known_next_time() {
    let directory = tempdir().unwrap();
    let settings = routed(directory.path(), to_clicks);
    let failing = obstructed(settings, "/analytics/clicks/data/", false).await;
    let error = failing
        .run(messages("m", [BOTH]), &invocation(1))
        .await
        .unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(error.to_string().contains(CLICKS), "{error}");
    let pipeline = clicks(directory.path()).await;
    pipeline
        .run(messages("m", [BOTH]), &invocation(2))
        .await
        .unwrap();
    let rows = rows_by_table(directory.path()).await;
    assert_eq!(rows[EVENTS], [place("m-0", 0)]);
    assert_eq!(rows[CLICKS], [place("m-0", 1)]);
}

/// Records of a shard with these bodies, of which the first has this number.
fn shard(first: u32, bodies: &[&str]) -> Payload {
    let record = |(number, body): (u32, &&str)| Record {
        delivery_id: number.to_string(),
        source_id: format!("clicks/shard-1/{number}"),
        arrival_us: NOW_US - 1_000_000,
        body: Bytes::from((*body).to_owned()),
        is_base64: false,
    };
    Payload {
        records: (first..).zip(bodies).map(record).collect(),
        source: SourceBatch::shard("kinesis", "arn:aws:kinesis:r:1:stream/clicks/shard-1"),
    }
}

#[tokio::test]
async fn a_shard_stops_at_the_first_record_of_a_failing_table_and_goes_on_there_without_repeats() {
    let directory = tempdir().unwrap();
    let settings = routed(directory.path(), to_clicks);
    let failing = obstructed(settings, "/analytics/clicks/data/", false).await;
    let bodies = [ORDER, BOTH, ORDER, "oops", CLICK, ORDER];
    let report = failing
        .run(shard(10, &bodies[..4]), &invocation(1))
        .await
        .unwrap();
    assert_eq!(outcomes(&report), ["committed", "again", "again", "again"]);

    let pipeline = clicks(directory.path()).await;
    let report = pipeline
        .run(shard(11, &bodies[1..]), &invocation(2))
        .await
        .unwrap();
    assert_eq!(report.n_records_retried, 0);
    let rows = rows_by_table(directory.path()).await;
    let at = |number: u32, index| place(&format!("clicks/shard-1/{number}"), index);
    assert_eq!(rows[EVENTS], [at(10, 0), at(11, 0), at(12, 0), at(15, 0)]);
    assert_eq!(rows[CLICKS], [at(11, 1), at(14, 0)]);
    assert_eq!(refused_of(directory.path(), EVENTS), [at(13, 0)]);
}

#[tokio::test]
async fn routes_that_change_while_half_of_a_delivery_comes_again_lose_nothing() {
    let shard = || shard(1, &[BOTH]);
    let queue = || messages("m", [BOTH]);
    for payload in [&shard as &dyn Fn() -> Payload, &queue] {
        let directory = tempdir().unwrap();
        let settings = routed(directory.path(), to_clicks);
        let failing = obstructed(settings, "/analytics/clicks/data/", false).await;
        failing.run(payload(), &invocation(1)).await.unwrap_err();

        let changed = routed(directory.path(), |routes| {
            routes.tables = vec!["views".to_owned()];
        });
        let pipeline = Pipeline::open(changed).await.unwrap();
        let report = pipeline.run(payload(), &invocation(2)).await.unwrap();
        assert_eq!(outcomes(&report), ["committed"]);
        let rows = rows_by_table(directory.path()).await;
        let id = &payload().records[0].source_id;
        assert!(rows[EVENTS].contains(&place(id, 1)), "{rows:?}");
    }
}

#[tokio::test]
async fn a_table_that_cannot_be_made_keeps_its_records_out_of_all_others() {
    let directory = tempdir().unwrap();
    let settings = routed(directory.path(), to_clicks);
    let failing = obstructed(settings, "/analytics/clicks/metadata/", false).await;
    let payload = messages("m", [BOTH, ORDER]);
    let report = failing.run(payload, &invocation(1)).await.unwrap();
    assert_eq!(outcomes(&report), ["again", "committed"]);
    let rows = rows_by_table(directory.path()).await;
    assert_eq!(
        rows,
        BTreeMap::from([(EVENTS.to_owned(), vec![place("m-1", 0)])])
    );
}

#[tokio::test]
async fn what_an_answered_request_refuses_is_kept_when_anything_landed_in_any_table() {
    let directory = tempdir().unwrap();
    let pipeline = clicks(directory.path()).await;
    let request = |id: &str, body: &str| Payload {
        source: SourceBatch::answered("http", id),
        ..messages(id, [body.to_owned()])
    };
    let late = r#"{"type":"clicks","ts":"never"}"#;
    let refused = request("r1", &format!("oops\n{late}"));
    let report = pipeline.run(refused, &invocation(1)).await.unwrap();
    assert_eq!(
        (outcomes(&report), report.n_quarantined),
        (vec!["refused"], 0)
    );
    assert_eq!(quarantined(directory.path()).len(), 0);

    let mixed = request("r2", &format!("oops\n{CLICK}"));
    let report = pipeline.run(mixed, &invocation(2)).await.unwrap();
    assert_eq!(
        (outcomes(&report), report.n_quarantined),
        (vec!["committed"], 1)
    );
    assert_eq!(refused_of(directory.path(), EVENTS), [place("r2-0", 0)]);
}

#[tokio::test]
async fn what_a_routed_table_refused_is_listed_for_it_and_replayed_into_it() {
    let directory = tempdir().unwrap();
    let pipeline = clicks(directory.path()).await;
    let old = r#"{"type":"clicks","ts":"1980-05-01T00:00:00Z"}"#;
    let payload = messages("m", [format!("{ORDER}\n{old}")]);
    pipeline.run(payload, &invocation(1)).await.unwrap();

    let lake = Lake::embedded(directory.path()).unwrap();
    let table = lake
        .load_table(&CLICKS.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let earliest = (
        "calve.earliest".to_owned(),
        "1970-01-01T00:00:00Z".to_owned(),
    );
    lake.set_properties(&table, &BTreeMap::from([earliest]))
        .await
        .unwrap();
    let mut of_clicks = settings(directory.path());
    CLICKS.clone_into(&mut of_clicks.table.name);
    let quarantine = Quarantine::new(&of_clicks, lake);
    let stored: Vec<_> = quarantine
        .objects(Some(CLICKS), None)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].table.as_deref(), Some(CLICKS));

    let pipeline = Pipeline::open(of_clicks).await.unwrap();
    let options = ReplayOptions::default();
    let replayed = pipeline
        .replay(&stored[0], &options, &invocation(2))
        .await
        .unwrap();
    assert_eq!(
        (replayed.outcome, replayed.n_rows),
        (ReplayOutcome::Landed, 1)
    );
    let rows = rows_by_table(directory.path()).await;
    assert_eq!(rows[CLICKS], [place("m-0", 1)]);
    assert_eq!(rows[EVENTS], [place("m-0", 0)]);
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
async fn in_staged_mode_each_table_gets_a_receipt_and_is_committed_once() {
    let directory = tempdir().unwrap();
    let queue = Arc::new(Queue::default());
    let lake = Lake::embedded(directory.path()).unwrap();
    let settings = routed(directory.path(), to_clicks);
    let writer = Pipeline::with_sink(settings.clone(), lake, queue.clone())
        .await
        .unwrap();
    let payload = || messages("m", [BOTH, CLICK]);
    for seed in [1, 2] {
        let report = writer.run(payload(), &invocation(seed)).await.unwrap();
        assert_eq!(outcomes(&report), ["staged", "staged"]);
        assert!(report.tables.iter().all(|table| table.receipt_bytes > 0));
    }
    let sent = std::mem::take(&mut *queue.0.lock().unwrap());
    assert_eq!(sent.len(), 4);
    let lake = Lake::embedded(directory.path()).unwrap();
    let report = Committer::with_lake(settings, lake)
        .run(deliver(sent), &invocation(3))
        .await;
    let done = report
        .outcomes
        .iter()
        .filter(|message| message.answer == ReceiptAnswer::Committed);
    assert_eq!((done.count(), report.n_known), (2, 2));
    let rows = rows_by_table(directory.path()).await;
    assert_eq!(rows[EVENTS], [place("m-0", 0)]);
    assert_eq!(rows[CLICKS], [place("m-0", 1), place("m-1", 0)]);
}

/// What events call themselves: some of it is routed, some of it is hostile.
fn value() -> impl Strategy<Value = Value> {
    let texts = [
        "clicks", "Clicks", "orders", "view", "x", "y.z", "../x", "events", "foreign", "", "日本",
    ];
    prop_oneof![
        8 => prop::sample::select(texts.to_vec()).prop_map(Value::from),
        1 => Just(json!(7)),
        1 => Just(json!(["clicks"])),
        1 => Just("x".repeat(70).into()),
    ]
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (value(), 0..50_u32).prop_map(|(value, n)| json!({ "type": value, "n": n }).to_string()),
        1 => value().prop_map(|value| format!("{{\"type\":\"orders\",\"type\":{value}}}")),
        1 => value().prop_map(|value| format!("{{\"type\":{value},\"ts\":\"never\"}}")),
        1 => value().prop_map(|value| format!("{{\"type\":{value},")),
        1 => Just("{}".to_owned()),
    ]
}

fn body() -> impl Strategy<Value = String> {
    let lines = prop::collection::vec(line(), 0..6);
    (lines, 0..3).prop_map(|(lines, form)| match form {
        0 => lines.join("\n"),
        1 => format!("[{}]", lines.join(",")),
        _ => format!("[{}", lines.join(",")),
    })
}

fn routes() -> impl Strategy<Value = RouteSettings> {
    let tables = prop::sample::subsequence(vec!["clicks", "orders"], 0..=2);
    (tables, any::<bool>(), 0..6_u32).prop_map(|(tables, has_to, max_tables)| {
        let tables = tables.into_iter().map(str::to_owned).collect();
        let to = [("view", "views"), ("y.z", "clicks")]
            .map(|(value, name)| (value.to_owned(), name.to_owned()));
        RouteSettings {
            field: Some("/type".to_owned()),
            tables,
            to: BTreeMap::from(to).into_iter().filter(|_| has_to).collect(),
            max_tables,
        }
    })
}

/// The rule once more: where things go, tables made as it goes.
struct Rule {
    routes: RouteSettings,
    /// Whether data made it.
    tables: BTreeMap<String, bool>,
}

impl Rule {
    /// The table of each event of a payload.
    fn tables_of(&mut self, events: &[Bytes]) -> Vec<String> {
        let values: Vec<Option<String>> = events
            .iter()
            .map(|event| {
                let event: Value = serde_json::from_slice(event).ok()?;
                event.as_object()?.get("type")?.as_str().map(str::to_owned)
            })
            .collect();
        let named: Vec<_> = values
            .iter()
            .map(|value| self.named(value.as_ref()?))
            .collect();
        for table in named.iter().flatten() {
            self.tables.entry(table.clone()).or_insert(false);
        }
        let mut of_data: HashMap<String, String> = HashMap::new();
        let all = values.into_iter().zip(named);
        all.map(|(value, named)| {
            let wanted = || Self::name_of(value.as_ref()?);
            match (named, wanted()) {
                (Some(table), _) => table,
                (None, Some(name)) => of_data
                    .entry(name.clone())
                    .or_insert_with(|| self.of_data(&name))
                    .clone(),
                (None, None) => "events".to_owned(),
            }
        })
        .collect()
    }

    fn named(&self, value: &str) -> Option<String> {
        if let Some(name) = self.routes.to.get(value) {
            return Some(name.clone());
        }
        Self::name_of(value).filter(|name| self.routes.tables.contains(name))
    }

    fn name_of(value: &str) -> Option<String> {
        let name = value.to_ascii_lowercase();
        let name = name.replace(
            |c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit(),
            "_",
        );
        let name = name.trim_matches('_').to_owned();
        (!name.is_empty() && value.chars().count() <= 64).then_some(name)
    }

    fn of_data(&mut self, name: &str) -> String {
        let configured = self.routes.to.values().chain(&self.routes.tables);
        let is_free = self.routes.max_tables > 0 && !configured.clone().any(|other| other == name);
        match self.tables.get(name) {
            Some(true) if is_free => name.to_owned(),
            None if is_free && self.tables.len() < self.routes.max_tables as usize => {
                self.tables.insert(name.to_owned(), true);
                name.to_owned()
            }
            _ => "events".to_owned(),
        }
    }
}

/// Of these `test.sh --long` runs fewer cases than of the others.
mod costly_tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn every_event_is_in_the_table_that_the_rule_names_and_in_no_other(
            routes in routes(),
            payloads in prop::collection::vec(prop::collection::vec(body(), 1..4), 1..4),
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(conserve(routes, payloads))?;
        }
    }
}

async fn conserve(routes: RouteSettings, payloads: Vec<Vec<String>>) -> Result<(), TestCaseError> {
    let directory = tempdir().unwrap();
    let mut foreign = settings(directory.path());
    foreign.table.name = "analytics.foreign".to_owned();
    Pipeline::open(foreign).await.unwrap();
    let settings = routed(directory.path(), |settings| settings.clone_from(&routes));
    let pipeline = Pipeline::open(settings).await.unwrap();
    let tables = ["events", "foreign"].map(|name| (name.to_owned(), false));
    let tables = BTreeMap::from(tables);
    let mut rule = Rule { routes, tables };
    let mut expected: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    for (seed, bodies) in (0..).zip(payloads) {
        let payload = messages(&format!("p{seed}"), bodies);
        let (mut places, mut events) = (Vec::new(), Vec::new());
        for record in &payload.records {
            let frames = frame(&record.body, usize::MAX);
            let ranges = frames
                .events()
                .chain(frames.broken.map(|broken| broken.offset..record.body.len()));
            for (index, range) in (0..).zip(ranges) {
                places.push(place(&record.source_id, index));
                events.push(record.body.slice(range));
            }
        }
        for (place, table) in places.into_iter().zip(rule.tables_of(&events)) {
            expected
                .entry(format!("analytics.{table}"))
                .or_default()
                .insert(place);
        }
        pipeline
            .run(payload.clone(), &invocation(2 * seed))
            .await
            .unwrap();
        pipeline
            .run(payload, &invocation(2 * seed + 1))
            .await
            .unwrap();
    }
    for (table, rows) in rows_by_table(directory.path()).await {
        let mut found = rows;
        found.extend(refused_of(directory.path(), &table));
        found.sort();
        let expected: Vec<Place> = expected
            .remove(&table)
            .unwrap_or_default()
            .into_iter()
            .collect();
        prop_assert_eq!(found, expected, "{}", table);
    }
    prop_assert!(expected.is_empty(), "{:?}", expected);
    Ok(())
}
