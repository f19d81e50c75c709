//! Out of the quarantine and into the table: what lands, what stays, and that neither depends on where a replay is cut short.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use arrow_array::{Int64Array, StringArray};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use lake::{
    DEFAULT_CATALOG_NAME, Lake, Listed, LocalStorage, Put, SqliteCatalog, Storage, StorageError,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::{
    Pipeline, PipelineError, Quarantine, ReplayOptions, ReplayOutcome, ReplayReport, Stored,
};
use tempfile::tempdir;

use crate::common::{Place, everything, files, invocation, messages, open, settings};
use crate::staged::{committer, deliver, forget_tables, receipts};

/// A storage whose n-th call fails, before or after it is done.
#[derive(Debug)]
struct Unsteady {
    n_calls: AtomicUsize,
    fails_at: usize,
    is_done: bool,
}

impl Unsteady {
    fn new(fails_at: usize, is_done: bool) -> Arc<Self> {
        Arc::new(Self {
            n_calls: AtomicUsize::new(0),
            fails_at,
            is_done,
        })
    }

    fn has_failed(&self) -> bool {
        self.n_calls.load(SeqCst) > self.fails_at
    }

    async fn luck<T>(
        &self,
        location: &str,
        call: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let failure = || StorageError::Read {
            location: location.to_owned(),
            source: "the power is gone".into(),
        };
        let n = self.n_calls.fetch_add(1, SeqCst);
        // What comes after is as if the process were gone.
        if n > self.fails_at || n == self.fails_at && !self.is_done {
            return Err(failure());
        }
        let done = call.await?;
        if n == self.fails_at {
            return Err(failure());
        }
        Ok(done)
    }
}

#[async_trait]
impl Storage for Unsteady {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        self.luck(location, LocalStorage.put_new(location, bytes))
            .await
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        self.luck(location, LocalStorage.get(location)).await
    }

    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError> {
        self.luck(location, LocalStorage.size(location)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        self.luck(prefix, LocalStorage.list(prefix)).await
    }

    async fn delete(&self, location: &str) -> Result<(), StorageError> {
        self.luck(location, LocalStorage.delete(location)).await
    }
}

/// The lake of the directory with this storage under tables and quarantine.
fn lake_over(warehouse: &Path, storage: Arc<dyn Storage>) -> Lake {
    let location = format!("file://{}", warehouse.canonicalize().unwrap().display());
    let path = warehouse.join("catalog.db");
    let catalog = SqliteCatalog::open(&path, DEFAULT_CATALOG_NAME, &location, storage.clone());
    Lake::new(Arc::new(catalog.unwrap()), storage)
}

/// Times are taken from this year on.
async fn take_times_since(warehouse: &Path, year: u16) {
    let pipeline = open(warehouse).await;
    let (lake, name) = (pipeline.lake(), pipeline.table_name());
    let table = lake.load_table(name).await.unwrap().unwrap();
    let earliest = (
        "calve.earliest".to_owned(),
        format!("{year}-01-01T00:00:00Z"),
    );
    let properties = BTreeMap::from([earliest]);
    lake.set_properties(&table, &properties).await.unwrap();
}

/// Five events of which one becomes a row: two are too old, the rest of an array is broken, and a body cannot be inflated.
async fn quarantine_events(warehouse: &Path) {
    let pipeline = open(warehouse).await;
    let lines = "{\"id\":\"a\",\"ts\":\"1980-05-01T00:00:00Z\",\"was\":\"old\"}\n\
                 {\"id\":\"b\",\"ts\":\"2025-11-01T00:00:00Z\"}\n\
                 {\"id\":\"c\",\"ts\":\"1960-05-01T00:00:00Z\"}";
    let bodies = [
        lines,
        "[{\"id\":\"d\",\"ts\":1762000000},{\"id\":\"e\"",
        "\u{28}\u{b5}",
    ];
    let mut payload = messages("m", bodies);
    payload.records[2].body = Bytes::from_static(&[0x28, 0xb5, 0x2f, 0xfd, 7]);
    let report = pipeline.run(payload, &invocation(1)).await.unwrap();
    assert_eq!((report.n_rows, report.n_quarantined), (2, 4));
}

async fn stored(warehouse: &Path) -> Vec<Stored> {
    let lake = Lake::embedded(warehouse).unwrap();
    let quarantine = Quarantine::new(&settings(warehouse), lake);
    let stored = quarantine.objects(None, None).try_collect();
    stored.await.unwrap()
}

/// Replays every object over this storage, as `calve quarantine replay --all` does.
async fn replay_over(
    warehouse: &Path,
    storage: Arc<dyn Storage>,
    seed: u64,
) -> Result<Vec<ReplayReport>, PipelineError> {
    let lake = lake_over(warehouse, storage);
    let pipeline = Pipeline::with_lake(settings(warehouse), lake).await?;
    let mut reports = Vec::new();
    for stored in stored(warehouse).await {
        let options = ReplayOptions::default();
        reports.push(
            pipeline
                .replay(&stored, &options, &invocation(seed))
                .await?,
        );
    }
    Ok(reports)
}

pub(crate) async fn replay(warehouse: &Path, seed: u64) -> Vec<ReplayReport> {
    let replayed = replay_over(warehouse, Arc::new(LocalStorage), seed).await;
    replayed.unwrap()
}

/// The places of the rows that readers see.
pub(crate) async fn committed(warehouse: &Path) -> Vec<Place> {
    let lake = Lake::embedded(warehouse).unwrap();
    let name = settings(warehouse).table.name.parse().unwrap();
    let table = lake.load_table(&name).await.unwrap().unwrap();
    let mut places = Vec::new();
    for location in lake.data_file_locations(&table).await.unwrap() {
        let bytes = lake.storage().get(&location).await.unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = |name| batch.column_by_name(name).unwrap();
            let ids: &StringArray = column("_source_id").as_any().downcast_ref().unwrap();
            let indices: &Int64Array = column("_source_index").as_any().downcast_ref().unwrap();
            let rows = 0..batch.num_rows();
            places.extend(rows.map(|row| (ids.value(row).to_owned(), indices.value(row))));
        }
    }
    places.sort();
    places
}

/// What is in the quarantine, without what a replay has not finished.
async fn kept(warehouse: &Path) -> Vec<(String, Option<i64>, String)> {
    let lake = Lake::embedded(warehouse).unwrap();
    let quarantine = Quarantine::new(&settings(warehouse), lake);
    let mut kept = Vec::new();
    for stored in stored(warehouse).await {
        if quarantine
            .contents(&stored)
            .await
            .unwrap()
            .unwrap()
            .is_pending
        {
            continue;
        }
        let object = quarantine.get(&stored).await.unwrap().unwrap();
        let read = stored.each_event(&object, |event| {
            kept.push((event.source_id, event.source_index, event.kind));
            true
        });
        read.unwrap();
    }
    kept.sort();
    kept
}

fn place(record: &str, index: i64) -> Place {
    (record.to_owned(), index)
}

fn refused(record: &str, index: Option<i64>, kind: &str) -> (String, Option<i64>, String) {
    (record.to_owned(), index, kind.to_owned())
}

#[tokio::test]
async fn events_land_once_the_shape_takes_them_and_keep_their_place_and_arrival() {
    let directory = tempdir().unwrap();
    let warehouse = directory.path();
    quarantine_events(warehouse).await;
    let before = everything(warehouse);
    let reports = replay(warehouse, 2).await;
    assert_eq!(reports[0].outcome, ReplayOutcome::Refused);
    assert_eq!((reports[0].n_events, reports[0].n_refused), (4, 4));
    assert_eq!(
        everything(warehouse),
        before,
        "nothing can land, nothing is changed"
    );

    take_times_since(warehouse, 1970).await;
    let [report] = replay(warehouse, 3).await.try_into().unwrap();
    assert_eq!(report.outcome, ReplayOutcome::Landed);
    assert_eq!(
        (report.n_rows, report.n_refused, report.n_new_columns),
        (1, 3, 1)
    );
    let rows = [place("m-0", 0), place("m-0", 1), place("m-1", 0)];
    assert_eq!(committed(warehouse).await, rows);
    let rest = [
        refused("m-0", Some(2), "time_out_of_range"),
        refused("m-1", Some(1), "not_json"),
        refused("m-2", None, "not_compressed"),
    ];
    assert_eq!(kept(warehouse).await, rest);
    let quarantined = files(&warehouse.join("quarantine"), "zst");
    assert_eq!(quarantined.len(), 1);
    let object = std::fs::read(&quarantined[0]).unwrap();
    let events = pipeline::quarantine::read(&object).unwrap();
    assert!(
        events
            .iter()
            .all(|event| event.received_at == "2025-11-20T11:59:59Z")
    );
    let offsets: Vec<usize> = events.iter().map(|event| event.offset).collect();
    assert_eq!(
        offsets,
        [90, 28, 0],
        "where they were in the bodies that they came in"
    );

    take_times_since(warehouse, 1900).await;
    let [report] = replay(warehouse, 4).await.try_into().unwrap();
    assert_eq!((report.n_rows, report.n_refused), (1, 2));
    assert_eq!(committed(warehouse).await.len(), 4);
    assert_eq!(kept(warehouse).await, rest[1..]);
}

#[tokio::test]
async fn a_dry_run_tells_and_leaves_everything_as_it_is() {
    let directory = tempdir().unwrap();
    let warehouse = directory.path();
    quarantine_events(warehouse).await;
    take_times_since(warehouse, 1970).await;
    let before = everything(warehouse);
    let pipeline = open(warehouse).await;
    let options = ReplayOptions {
        is_dry_run: true,
        ..ReplayOptions::default()
    };
    let stored = stored(warehouse).await;
    let report = pipeline.replay(&stored[0], &options, &invocation(2)).await;
    let report = report.unwrap();
    assert_eq!(report.outcome, ReplayOutcome::WouldLand);
    assert_eq!((report.n_rows, report.n_refused), (1, 3));
    assert_eq!(everything(warehouse), before);
}

#[tokio::test]
async fn events_of_other_reasons_stay_as_they_are() {
    let directory = tempdir().unwrap();
    let warehouse = directory.path();
    quarantine_events(warehouse).await;
    take_times_since(warehouse, 1900).await;
    let pipeline = open(warehouse).await;
    let of_kind = |kind: &str| ReplayOptions {
        kind: Some(kind.to_owned()),
        is_dry_run: false,
    };
    let object = &stored(warehouse).await[0];
    let report = pipeline
        .replay(object, &of_kind("not_json"), &invocation(2))
        .await;
    let report = report.unwrap();
    assert_eq!(report.outcome, ReplayOutcome::Refused);
    assert_eq!((report.n_refused, report.n_left), (1, 3));
    let report = pipeline
        .replay(object, &of_kind("time_out_of_range"), &invocation(3))
        .await;
    let report = report.unwrap();
    assert_eq!((report.n_rows, report.n_refused, report.n_left), (2, 0, 2));
    let rest = [
        refused("m-1", Some(1), "not_json"),
        refused("m-2", None, "not_compressed"),
    ];
    assert_eq!(kept(warehouse).await, rest);
}

#[tokio::test]
async fn a_record_that_can_be_read_by_now_gives_all_its_events() {
    let directory = tempdir().unwrap();
    let warehouse = directory.path();
    let mut small = settings(warehouse);
    small.max_payload_inflated_bytes = pipeline::settings::ByteSize::new(64);
    let pipeline = Pipeline::open(small).await.unwrap();
    let lines =
        "{\"id\":1}\n7\n{\"id\":2}\n{\"id\":3}\n{\"id\":4}\n{\"id\":5}\n{\"id\":6}\n{\"id\":7}\n";
    let payload = messages("m", [lines.as_bytes().to_vec()]);
    let report = pipeline.run(payload, &invocation(1)).await.unwrap();
    assert_eq!(report.n_refused_by_kind, BTreeMap::from([("too_large", 1)]));

    let [report] = replay(warehouse, 2).await.try_into().unwrap();
    assert_eq!((report.n_rows, report.n_refused), (7, 1));
    let places = (0..8)
        .filter(|index| *index != 1)
        .map(|index| place("m-0", index));
    assert_eq!(committed(warehouse).await, places.collect::<Vec<_>>());
    assert_eq!(
        kept(warehouse).await,
        [refused("m-0", Some(1), "not_an_object")]
    );
}

#[tokio::test]
async fn two_replays_at_once_land_every_event_once() {
    let directory = tempdir().unwrap();
    let warehouse = directory.path();
    quarantine_events(warehouse).await;
    take_times_since(warehouse, 1970).await;
    let one = || replay_over(warehouse, Arc::new(LocalStorage), 7);
    let two = || replay_over(warehouse, Arc::new(LocalStorage), 8);
    let (one, two) = tokio::join!(one(), two());
    let n_rows =
        |reports: Vec<ReplayReport>| reports.iter().map(|report| report.n_rows).sum::<u64>();
    assert_eq!(n_rows(one.unwrap()) + n_rows(two.unwrap()), 1);
    assert_eq!(committed(warehouse).await.len(), 3);
    assert_eq!(kept(warehouse).await.len(), 3);
}

/// Cuts a replay short at every call of the storage, and replays again when times are taken since that year: every event
/// counts once, before and after.
async fn check_cut_short(is_done: bool, year_after: u16, expected_rows: impl Fn(usize) -> bool) {
    for fails_at in 0.. {
        let directory = tempdir().unwrap();
        let warehouse = directory.path();
        quarantine_events(warehouse).await;
        take_times_since(warehouse, 1970).await;
        let storage = Unsteady::new(fails_at, is_done);
        let cut = replay_over(warehouse, storage.clone(), 5).await;
        if !storage.has_failed() {
            assert!(fails_at > 10, "it takes more calls than that");
            assert_eq!(cut.unwrap()[0].outcome, ReplayOutcome::Landed);
            return;
        }
        let count = async || (committed(warehouse).await, kept(warehouse).await);
        let n_places = |(rows, kept): &(Vec<Place>, Vec<_>)| rows.len() + kept.len();
        let (rows, kept) = count().await;
        // Between the commit and the end the object is still there, and known by its token.
        let n_both = rows.iter().filter(|row| {
            kept.iter()
                .any(|event| event.0 == row.0 && event.1 == Some(row.1))
        });
        let n_both = n_both.count();
        assert_eq!(
            rows.len() + kept.len() - n_both,
            6,
            "cut at call {fails_at}"
        );

        take_times_since(warehouse, year_after).await;
        for seed in [6, 7] {
            replay(warehouse, seed).await;
        }
        let after = count().await;
        assert_eq!(n_places(&after), 6, "cut at call {fails_at}: {after:?}");
        assert!(
            expected_rows(after.0.len()),
            "cut at call {fails_at}: {after:?}"
        );
        // A rest that was made for nothing goes with its object, which may be waiting for another shape.
        let is_waiting = year_after == 1990 && after.0.len() == 2;
        let objects = files(&warehouse.join("quarantine"), "zst");
        assert!(objects.len() == 1 || is_waiting, "cut at call {fails_at}");
    }
}

#[tokio::test]
async fn a_replay_that_is_cut_short_anywhere_is_brought_to_its_end_by_the_next() {
    check_cut_short(false, 1970, |n_rows| n_rows == 3).await;
    check_cut_short(true, 1970, |n_rows| n_rows == 3).await;
}

#[tokio::test]
async fn the_next_replay_may_find_another_shape() {
    check_cut_short(true, 1900, |n_rows| n_rows == 4).await;
    check_cut_short(false, 1990, |n_rows| (2..=3).contains(&n_rows)).await;
}

/// Two receipts of two events each in the quarantine, for a table that was dropped; there is another one of its name.
async fn quarantine_receipts(warehouse: &Path) {
    let sent = receipts(warehouse, "analytics.events", 0..2).await;
    forget_tables(warehouse);
    let report = committer(warehouse)
        .run(deliver(&sent), &invocation(1))
        .await;
    assert_eq!(report.n_quarantined, 2, "{report:?}");
    open(warehouse).await;
}

/// The rows of both receipts.
pub(crate) fn rows_of_receipts() -> Vec<Place> {
    let records = [
        "analytics.events-0-0",
        "analytics.events-0-1",
        "analytics.events-1-0",
        "analytics.events-1-1",
    ];
    records.map(|record| place(record, 0)).to_vec()
}

#[tokio::test]
async fn receipts_for_a_table_that_is_gone_land_in_the_new_one_by_way_of_their_events() {
    let directory = tempdir().unwrap();
    let warehouse = directory.path();
    quarantine_receipts(warehouse).await;
    let written = files(warehouse, "parquet");
    let reports = replay(warehouse, 2).await;
    for report in &reports {
        assert_eq!(report.outcome, ReplayOutcome::Landed, "{report:?}");
        assert_eq!((report.n_events, report.n_rows), (2, 2));
    }
    assert_eq!(committed(warehouse).await, rows_of_receipts());
    assert!(files(&warehouse.join("quarantine"), "zst").is_empty());
    assert!(
        written.iter().all(|path| path.exists()),
        "the data files of a receipt stay"
    );
}

#[tokio::test]
async fn a_receipt_that_was_committed_meanwhile_only_leaves_the_quarantine() {
    let directory = tempdir().unwrap();
    let warehouse = directory.path();
    let sent = receipts(warehouse, "analytics.events", 0..2).await;
    let mut later = invocation(1);
    later.now_us += 30 * 86_400_000_000;
    let committer = committer(warehouse);
    let report = committer.run(deliver(&sent), &later).await;
    assert_eq!(report.n_quarantined, 2, "too old: {report:?}");
    let report = committer.run(deliver(&sent[..1]), &invocation(2)).await;
    assert_eq!(report.n_committed, 1, "by another clock: {report:?}");
    let mut outcomes: Vec<_> = replay(warehouse, 3)
        .await
        .into_iter()
        .map(|report| (report.outcome, report.n_rows))
        .collect();
    outcomes.sort_by_key(|(_, n_rows)| *n_rows);
    assert_eq!(
        outcomes,
        [(ReplayOutcome::LandedBefore, 0), (ReplayOutcome::Landed, 2)]
    );
    assert_eq!(committed(warehouse).await, rows_of_receipts());
    let report = committer.run(deliver(&sent), &invocation(4)).await;
    assert_eq!(
        report.n_known, 2,
        "the messages are known, should they come again"
    );
    assert!(files(&warehouse.join("quarantine"), "zst").is_empty());
}

#[tokio::test]
async fn a_replay_of_receipts_that_is_cut_short_anywhere_is_brought_to_its_end_by_the_next() {
    for is_done in [false, true] {
        for fails_at in 0.. {
            let directory = tempdir().unwrap();
            let warehouse = directory.path();
            quarantine_receipts(warehouse).await;
            let storage = Unsteady::new(fails_at, is_done);
            let cut = replay_over(warehouse, storage.clone(), 5).await;
            if !storage.has_failed() {
                assert_eq!(cut.unwrap().len(), 2);
                break;
            }
            replay(warehouse, 6).await;
            assert_eq!(
                committed(warehouse).await,
                rows_of_receipts(),
                "cut at call {fails_at}"
            );
            assert!(
                files(&warehouse.join("quarantine"), "zst").is_empty(),
                "cut at call {fails_at}"
            );
        }
    }
}
