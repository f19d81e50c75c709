//! Rows that are there twice, and what is left after they were left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, TimeUnit};
use lake::{
    ColumnDefinition, DedupeOptions, DedupeReport, Lake, LakeError, Receipt, RepeatKey,
    TableDefinition, TableName, WriteOptions,
};
use proptest::prelude::*;

use crate::fakes::{Answer, Luck, UnluckyCatalog};
use crate::support::{DAY_US, NOW_MS, TODAY_US, batch_id, data_files, definition, options};

/// One row: day, source id, source index, when it was ingested, event id.
type Row = (i64, &'static str, i64, i64, &'static str);

fn table_definition(terms: &[&str]) -> TableDefinition {
    let mut definition = definition(terms);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let system = [
        ("_ingested_at", time),
        ("_source_id", DataType::Utf8),
        ("_source_index", DataType::Int64),
    ];
    let system = system.map(|(name, data_type)| ColumnDefinition {
        name: name.to_owned(),
        doc: None,
        data_type,
        required: false,
    });
    definition.columns.extend(system);
    definition
}

struct Repeats {
    directory: tempfile::TempDir,
    lake: Lake,
    name: TableName,
}

impl Repeats {
    async fn partitioned_by(terms: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lake = Lake::embedded(directory.path()).unwrap();
        let name: TableName = "t.events".parse().unwrap();
        let made = lake.create_table(&name, &table_definition(terms)).await;
        made.unwrap();
        Self {
            directory,
            lake,
            name,
        }
    }

    async fn receipt(&self, source: &str, rows: &[Row]) -> Receipt {
        self.receipt_of(source, batch(rows)).await
    }

    /// Rows in files that do not have these columns.
    async fn receipt_without(&self, columns: &[&str], rows: &[Row]) -> Receipt {
        let mut batch = batch(rows);
        for column in columns {
            let position = batch.schema().index_of(column).unwrap();
            batch.remove_column(position);
        }
        self.receipt_of("without", batch).await
    }

    async fn receipt_of(&self, source: &str, batch: RecordBatch) -> Receipt {
        let table = self.lake.load_table(&self.name).await.unwrap().unwrap();
        let id = batch_id(&table, source);
        let written = self
            .lake
            .write(&table, &[batch], &id, &WriteOptions::default())
            .await;
        Receipt::new(&table, &id, NOW_MS, source.to_owned(), written.unwrap())
    }

    async fn append(&self, source: &str, rows: &[Row]) {
        let receipt = self.receipt(source, rows).await;
        let options = options(1);
        let committed = self.lake.commit(&self.name, vec![receipt], &options);
        committed.await.unwrap();
    }

    async fn dedupe(&self, key: RepeatKey) -> DedupeReport {
        let options = DedupeOptions::new(key, NOW_MS, 7);
        self.lake.dedupe(&self.name, &options).await.unwrap()
    }

    async fn files(&self) -> BTreeSet<String> {
        let table = self.lake.load_table(&self.name).await.unwrap().unwrap();
        data_files(&self.lake, &table).await.into_iter().collect()
    }

    /// Source id, source index, event id and time of ingestion of all rows, in order.
    async fn rows(&self) -> Vec<(String, i64, String, i64)> {
        let mut rows = Vec::new();
        for location in self.files().await {
            let bytes = self.lake.storage().get(&location).await.unwrap();
            let reader =
                parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes);
            for batch in reader.unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let text = |name| {
                    batch
                        .column_by_name(name)
                        .unwrap()
                        .as_string::<i32>()
                        .clone()
                };
                let (ids, names) = (text("_source_id"), text("id"));
                let indices = batch.column_by_name("_source_index").unwrap();
                let indices = indices.as_primitive::<Int64Type>();
                let ingested = batch.column_by_name("_ingested_at").unwrap();
                let ingested = arrow_cast::cast(ingested, &DataType::Int64).unwrap();
                let ingested = ingested.as_primitive::<Int64Type>();
                rows.extend((0..batch.num_rows()).map(|row| {
                    let (id, name) = (ids.value(row), names.value(row));
                    (
                        id.to_owned(),
                        indices.value(row),
                        name.to_owned(),
                        ingested.value(row),
                    )
                }));
            }
        }
        rows.sort();
        rows
    }

    async fn n_snapshots(&self) -> usize {
        let table = self.lake.load_table(&self.name).await.unwrap().unwrap();
        table.metadata().snapshots().len()
    }

    async fn summary(&self) -> BTreeMap<String, String> {
        let table = self.lake.load_table(&self.name).await.unwrap().unwrap();
        let summary = table
            .metadata()
            .current_snapshot()
            .unwrap()
            .summary()
            .clone();
        let mut facts: BTreeMap<_, _> = summary.additional_properties.into_iter().collect();
        facts.insert(
            "operation".to_owned(),
            summary.operation.as_str().to_owned(),
        );
        facts
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let times = |value: fn(&Row) -> i64| {
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(value));
        Arc::new(times.with_timezone("+00:00")) as ArrayRef
    };
    let texts = |value: fn(&Row) -> &'static str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(value))) as ArrayRef
    };
    let numbers = |value: fn(&Row) -> i64| {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(value))) as ArrayRef
    };
    RecordBatch::try_from_iter([
        ("event_time", times(|row| TODAY_US + row.0 * DAY_US)),
        ("id", texts(|row| row.4)),
        ("n", numbers(|row| row.0)),
        ("_ingested_at", times(|row| row.3)),
        ("_source_id", texts(|row| row.1)),
        ("_source_index", numbers(|row| row.2)),
    ])
    .unwrap()
}

fn row(id: &str, index: i64, name: &str, ingested: i64) -> (String, i64, String, i64) {
    (id.to_owned(), index, name.to_owned(), ingested)
}

#[tokio::test]
async fn of_rows_delivered_twice_the_first_ingested_stays_and_other_files_are_left_alone() {
    let table = Repeats::partitioned_by(&["day(event_time)"]).await;
    table
        .append("one", &[(0, "m1", 0, 20, "a"), (0, "m1", 1, 20, "b")])
        .await;
    table
        .append("two", &[(0, "m1", 0, 10, "a"), (0, "m2", 0, 10, "a")])
        .await;
    table
        .append("three", &[(1, "m3", 0, 30, "c"), (1, "m3", 1, 30, "c")])
        .await;
    let before = table.files().await;
    let report = table.dedupe(RepeatKey::Source).await;
    assert_eq!((report.n_files_read, report.n_rows_read), (3, 6));
    assert_eq!((report.n_rows_repeated, report.n_files_replaced), (1, 1));
    assert_eq!((report.n_files_written, report.n_partitions), (1, 1));
    let rows = [
        row("m1", 0, "a", 10),
        row("m1", 1, "b", 20),
        row("m2", 0, "a", 10),
        row("m3", 0, "c", 30),
        row("m3", 1, "c", 30),
    ];
    assert_eq!(table.rows().await, rows);
    assert_eq!(table.files().await.intersection(&before).count(), 2);
    let summary = table.summary().await;
    let facts = |key: &str| summary[key].as_str();
    assert_eq!(facts("operation"), "overwrite");
    assert_eq!(
        (facts("deleted-data-files"), facts("deleted-records")),
        ("1", "2")
    );
    assert_eq!(
        (facts("added-data-files"), facts("added-records")),
        ("1", "1")
    );
    assert_eq!(
        (facts("total-data-files"), facts("total-records")),
        ("3", "5")
    );
    for location in before {
        assert!(
            table.lake.storage().exists(&location).await.unwrap(),
            "older snapshots use it"
        );
    }
}

#[tokio::test]
async fn a_table_without_repeated_rows_gets_no_snapshot() {
    let table = Repeats::partitioned_by(&["day(event_time)"]).await;
    assert_eq!(
        table.dedupe(RepeatKey::Source).await,
        DedupeReport::default()
    );
    table
        .append("one", &[(0, "m1", 0, 1, "a"), (0, "m1", 1, 1, "a")])
        .await;
    let report = table.dedupe(RepeatKey::Source).await;
    assert_eq!((report.snapshot_id, report.n_rows_repeated), (None, 0));
    assert_eq!(table.n_snapshots().await, 1);
}

#[tokio::test]
async fn by_event_id_rows_meet_across_partitions() {
    let table = Repeats::partitioned_by(&["day(event_time)", "bucket(4, id)"]).await;
    table
        .append("one", &[(0, "m1", 0, 5, "a"), (0, "m1", 1, 5, "b")])
        .await;
    table
        .append("two", &[(3, "m9", 0, 4, "a"), (2, "m8", 0, 5, "b")])
        .await;
    table
        .append("three", &[(2, "m2", 0, 5, "b"), (0, "m0", 9, 5, "b")])
        .await;
    let report = table.dedupe(RepeatKey::Column("id".to_owned())).await;
    assert_eq!(report.n_rows_repeated, 4);
    let rows = [row("m0", 9, "b", 5), row("m9", 0, "a", 4)];
    assert_eq!(table.rows().await, rows);
    assert_eq!(
        table
            .dedupe(RepeatKey::Column("id".to_owned()))
            .await
            .snapshot_id,
        None
    );
}

#[tokio::test]
async fn keys_that_do_not_fit_into_memory_at_once_give_the_same_answer() {
    for terms in [&["identity(id)"][..], &["truncate(1, id)"], &[]] {
        let table = Repeats::partitioned_by(terms).await;
        table
            .append(
                "one",
                &[
                    (0, "m1", 0, 1, "a"),
                    (0, "m2", 0, 1, "b"),
                    (0, "m3", 0, 1, "c"),
                ],
            )
            .await;
        table
            .append(
                "two",
                &[
                    (0, "m1", 0, 2, "a"),
                    (0, "m2", 0, 2, "b"),
                    (0, "m4", 0, 2, "d"),
                ],
            )
            .await;
        let mut options = DedupeOptions::new(RepeatKey::Source, NOW_MS, 3);
        options.max_keys = 1;
        let report = table.lake.dedupe(&table.name, &options).await.unwrap();
        assert_eq!(report.n_rows_repeated, 2, "{terms:?}");
        let ingested: Vec<i64> = table.rows().await.into_iter().map(|row| row.3).collect();
        assert_eq!(ingested, [1, 1, 1, 2], "{terms:?}");
    }
}

#[tokio::test]
async fn only_files_of_the_chosen_time_are_looked_at() {
    let table = Repeats::partitioned_by(&["day(event_time)"]).await;
    let twice: [Row; 4] = [
        (0, "m", 0, 1, "a"),
        (0, "m", 0, 2, "a"),
        (5, "n", 0, 1, "b"),
        (5, "n", 0, 2, "b"),
    ];
    table.append("one", &twice).await;
    let mut options = DedupeOptions::new(RepeatKey::Source, NOW_MS, 3);
    options.since_us = Some(TODAY_US + DAY_US);
    options.until_us = Some(TODAY_US + 6 * DAY_US);
    options.is_dry_run = true;
    let report = table.lake.dedupe(&table.name, &options).await.unwrap();
    assert_eq!((report.n_rows_repeated, report.snapshot_id), (1, None));
    options.is_dry_run = false;
    let report = table.lake.dedupe(&table.name, &options).await.unwrap();
    assert_eq!((report.n_files_read, report.n_rows_repeated), (1, 1));
    assert_eq!(table.rows().await.len(), 3);
}

#[tokio::test]
async fn rows_that_others_append_meanwhile_stay_and_a_lost_answer_is_noticed() {
    for answer in [Answer::Conflict, Answer::Unknown] {
        let table = Repeats::partitioned_by(&["day(event_time)"]).await;
        table
            .append("one", &[(0, "m", 0, 1, "a"), (0, "m", 0, 2, "a")])
            .await;
        let other = Lake::embedded(table.directory.path()).unwrap();
        let receipt = table
            .receipt("two", &[(0, "n", 0, 1, "b"), (0, "m", 0, 3, "a")])
            .await;
        let luck = vec![
            Luck::Overtaken(other, vec![receipt]),
            Luck::Fail(answer),
            Luck::LoseAnswer(answer),
        ];
        let unlucky = UnluckyCatalog::over(table.directory.path(), luck);
        let dedupe = DedupeOptions::new(RepeatKey::Source, NOW_MS, 3);
        let report = unlucky.dedupe(&table.name, &dedupe).await.unwrap();
        assert_eq!((report.n_attempts, report.n_rows_repeated), (3, 1));
        assert_eq!(table.n_snapshots().await, 3);
        let rows = [
            row("m", 0, "a", 1),
            row("m", 0, "a", 3),
            row("n", 0, "b", 1),
        ];
        assert_eq!(table.rows().await, rows);
        assert_eq!(table.dedupe(RepeatKey::Source).await.n_rows_repeated, 1);
        let repeated = table.receipt("two", &[(0, "x", 0, 1, "x")]).await;
        let again = table
            .lake
            .commit(&table.name, vec![repeated], &options(9))
            .await;
        assert_eq!(
            again.unwrap().snapshot_id,
            None,
            "the ledger is what it was"
        );
    }
}

#[tokio::test]
async fn two_at_once_leave_one_row_of_each() {
    let table = Repeats::partitioned_by(&["day(event_time)"]).await;
    table
        .append("one", &[(0, "m", 0, 1, "a"), (1, "n", 0, 1, "b")])
        .await;
    table
        .append("two", &[(0, "m", 0, 2, "a"), (1, "n", 0, 2, "b")])
        .await;
    let one = table.dedupe(RepeatKey::Source);
    let two = table.dedupe(RepeatKey::Column("id".to_owned()));
    let (one, two) = tokio::join!(one, two);
    assert!(one.snapshot_id.is_some() || two.snapshot_id.is_some());
    assert_eq!(
        table.rows().await,
        [row("m", 0, "a", 1), row("n", 0, "b", 1)]
    );
}

#[tokio::test]
async fn a_table_without_the_columns_to_compare_is_refused_by_name() {
    let table = crate::support::Warehouse::new().await;
    let refused = async |key: RepeatKey| {
        let options = DedupeOptions::new(key, NOW_MS, 1);
        table.lake.dedupe(&table.name, &options).await.unwrap_err()
    };
    let LakeError::Column { column, .. } = refused(RepeatKey::Source).await else {
        panic!("another error");
    };
    assert_eq!(column, "_source_id");
    let repeated = Repeats::partitioned_by(&[]).await;
    let options = DedupeOptions::new(RepeatKey::Column("name".to_owned()), NOW_MS, 1);
    let error = repeated
        .lake
        .dedupe(&repeated.name, &options)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("column `name`"), "{error}");
}

/// What is to be left, found in the simplest way there is.
fn model(rows: &[Row], key: &RepeatKey) -> Vec<(String, i64, String, i64)> {
    let mut first: BTreeMap<String, Row> = BTreeMap::new();
    for row in rows {
        let name = match key {
            RepeatKey::Source => format!("{} {}", row.1, row.2),
            RepeatKey::Column(_) => row.4.to_owned(),
        };
        let kept = first.entry(name).or_insert(*row);
        if (row.3, row.1, row.2) < (kept.3, kept.1, kept.2) {
            *kept = *row;
        }
    }
    let mut kept: Vec<_> = first
        .values()
        .map(|kept| row(kept.1, kept.2, kept.4, kept.3))
        .collect();
    kept.sort();
    kept
}

fn any_row() -> impl Strategy<Value = Row> {
    let source = prop::sample::select(vec!["m1", "m2", "m3"]);
    let id = prop::sample::select(vec!["a", "b", "c", "d"]);
    (0..3_i64, source, 0..3_i64, 0..4_i64, id)
}

/// Of these `test.sh --long` runs fewer cases than of the others.
mod costly_tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn what_is_left_is_what_a_naive_model_leaves(
            batches in prop::collection::vec(prop::collection::vec(any_row(), 1..6), 1..5),
            by_source: bool,
            max_keys in 1..40_u64,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let table = Repeats::partitioned_by(&["day(event_time)"]).await;
                for (number, rows) in batches.iter().enumerate() {
                    table.append(&number.to_string(), rows).await;
                }
                let key = if by_source { RepeatKey::Source } else { RepeatKey::Column("id".to_owned()) };
                let mut options = DedupeOptions::new(key.clone(), NOW_MS, 5);
                options.max_keys = max_keys;
                let report = table.lake.dedupe(&table.name, &options).await.unwrap();
                let rows = batches.concat();
                let expected = model(&rows, &key);
                prop_assert_eq!(report.n_rows_repeated, (rows.len() - expected.len()) as u64);
                let left = table.rows().await;
                if by_source {
                    // Rows of one source that were ingested at once are the same event: which one stays is all the same.
                    let of = |rows: &[(String, i64, String, i64)]| -> Vec<_> {
                        rows.iter().map(|row| (row.0.clone(), row.1, row.3)).collect()
                    };
                    prop_assert_eq!(of(&left), of(&expected));
                } else {
                    let of = |rows: &[(String, i64, String, i64)]| -> Vec<_> {
                        rows.iter().map(|row| (row.2.clone(), row.3, row.0.clone(), row.1)).collect()
                    };
                    let (mut left, mut expected) = (of(&left), of(&expected));
                    left.sort();
                    expected.sort();
                    prop_assert_eq!(left, expected);
                }
                Ok(())
            })?;
        }
    }
}

#[tokio::test]
async fn a_file_that_is_listed_twice_is_named_and_stays() {
    let table = Repeats::partitioned_by(&[]).await;
    let receipt = table.receipt("a", &[(0, "s", 0, 1, "e0")]).await;
    let again = Receipt {
        token: lake::Token::new(receipt.table_uuid, "other", b"tool"),
        ..receipt.clone()
    };
    for receipt in [receipt, again] {
        let options = options(1);
        let committed = table.lake.commit(&table.name, vec![receipt], &options);
        committed.await.unwrap();
    }
    let before = table.files().await;
    let options = DedupeOptions::new(RepeatKey::Source, NOW_MS, 7);
    let error = table.lake.dedupe(&table.name, &options).await.unwrap_err();
    let LakeError::UnsupportedTable { reason, .. } = error else {
        panic!("{error}");
    };
    let [file] = before.iter().collect::<Vec<_>>()[..] else {
        panic!("{before:?}");
    };
    assert!(reason.contains(file.as_str()), "{reason}");
    assert_eq!(table.files().await, before);
}

#[tokio::test]
async fn a_value_that_only_the_partition_tells_stays_with_its_rows() {
    let table = Repeats::partitioned_by(&["id", "n"]).await;
    let rows: [Row; 3] = [
        (0, "m1", 0, 5, ""),
        (0, "m1", 0, 6, ""),
        (0, "m2", 0, 7, ""),
    ];
    let mut receipt = table.receipt_without(&["id", "n"], &rows).await;
    // As when a file of a directory `id=click/n=7` is added to a table.
    receipt.data_files[0].partition = vec!["click".into(), 7.into()];
    let committed = table
        .lake
        .commit(&table.name, vec![receipt], &options(1))
        .await;
    committed.unwrap();
    assert_eq!(table.dedupe(RepeatKey::Source).await.n_rows_repeated, 1);
    assert_eq!(
        table.rows().await,
        [row("m1", 0, "click", 5), row("m2", 0, "click", 7)]
    );
    for file in table.files().await {
        assert!(file.contains("/id=click/n=7/"), "{file}");
    }
}
