//! Receipts of a shard that is cut into other batches each time it is delivered.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::DataType;
use lake::{
    BatchId, ColumnDefinition, Lake, RangeSet, Receipt, ReceiptOutcome, ReceiptSource,
    SequenceNumber, SourceRecords, TableDefinition, Token, WriteOptions,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use crate::fakes::{Answer, Disk, Fault, Luck, UnluckyCatalog};
use crate::support::{
    DAY_US, NOW_MS, TODAY_US, Warehouse, committed, data_files, definition, options, outcomes,
};

const SHARD: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/shardId-000000000003";

/// A number with as many digits as those of Kinesis.
fn sequence(record: u32) -> SequenceNumber {
    format!("4959033827149025660855969253836157109592157598{record:010}")
        .parse()
        .unwrap()
}

/// All records that a test looks for.
fn records() -> RangeSet {
    let mut records = RangeSet::default();
    records.insert(&sequence(0), &sequence(50));
    records
}

/// An empty table `t.events` with the column that tells the record of a row.
async fn warehouse() -> Warehouse {
    let warehouse = Warehouse::new().await;
    let mut definition: TableDefinition = definition(&["day(event_time)"]);
    definition.columns.push(ColumnDefinition {
        name: "_source_id".to_owned(),
        doc: None,
        data_type: DataType::Utf8,
        required: false,
    });
    warehouse.lake.drop_table(&warehouse.name).await.unwrap();
    let name = &warehouse.name;
    warehouse
        .lake
        .create_table(name, &definition)
        .await
        .unwrap();
    warehouse
}

/// The ids of the rows of these records: a record has none, one or two.
fn rows_of(records: Range<u32>) -> impl Iterator<Item = (u32, String)> {
    records.flat_map(|record| (0..record % 3).map(move |row| (record, format!("{record}.{row}"))))
}

/// Writes the rows of these records of the shard, as a delivery of its own.
async fn delivered(lake: &Lake, warehouse: &Warehouse, records: Range<u32>) -> Receipt {
    let table = warehouse.table().await;
    let rows: Vec<(u32, String)> = rows_of(records.clone()).collect();
    // Rows of two days, so that there are two files.
    let day = |record: u32| TODAY_US - i64::from(record % 2) * DAY_US;
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| day(row.0)));
    let ids = StringArray::from_iter_values(rows.iter().map(|row| &row.1));
    let source_id = |record| format!("clicks/shardId-000000000003/{}", sequence(record));
    let sources = StringArray::from_iter_values(rows.iter().map(|row| source_id(row.0)));
    let batch = RecordBatch::try_from_iter([
        (
            "event_time",
            Arc::new(times.with_timezone("+00:00")) as ArrayRef,
        ),
        ("id", Arc::new(ids) as ArrayRef),
        ("_source_id", Arc::new(sources) as ArrayRef),
    ])
    .unwrap();
    let name = format!("{records:?}");
    let id = BatchId {
        token: Token::new(table.uuid(), "kinesis", name.as_bytes()),
        attempt: u64::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..8].try_into().unwrap()),
    };
    let options = WriteOptions {
        bloom_column: Some("id".to_owned()),
        ..WriteOptions::default()
    };
    let rows = [batch];
    let files = lake.write(&table, &rows, &id, &options).await.unwrap();
    let source = ReceiptSource {
        kind: "kinesis".to_owned(),
        records: SourceRecords::Range {
            shard: SHARD.to_owned(),
            first: sequence(records.start),
            last: sequence(records.end - 1),
        },
    };
    Receipt::new(&table, &id, NOW_MS, source, files)
}

/// The ids that the table has when each of the records is in it once.
fn ids_of(records: impl IntoIterator<Item = u32>) -> Vec<String> {
    let rows = records
        .into_iter()
        .flat_map(|record| rows_of(record..record + 1));
    let mut ids: Vec<String> = rows.map(|(_, id)| id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn records_delivered_again_in_other_company_are_committed_once() {
    let warehouse = warehouse().await;
    let deliver = |records| delivered(&warehouse.lake, &warehouse, records);
    let first = deliver(10..20).await;
    let within = deliver(12..18).await;
    let beyond = deliver(15..25).await;
    let around = deliver(5..30).await;
    let beyond_files = beyond.data_files.clone();

    warehouse.commit(vec![first]).await;
    let report = warehouse.commit(vec![within]).await;
    assert_eq!(outcomes(&report), [ReceiptOutcome::AlreadyCommitted]);
    assert_eq!((report.n_attempts, report.snapshot_id), (0, None));

    let report = warehouse.commit(vec![beyond]).await;
    assert_eq!(outcomes(&report), [committed(&report)]);
    assert_eq!(report.n_rows, ids_of(20..25).len() as u64);
    assert_eq!(warehouse.ids().await, ids_of(10..25));
    // What was written first stays as it is: nothing is overwritten, nothing deleted.
    for file in beyond_files {
        let size = warehouse.lake.storage().size(&file.location).await.unwrap();
        assert_eq!(size, Some(file.file_bytes));
    }

    let report = warehouse.commit(vec![around]).await;
    assert_eq!(outcomes(&report), [committed(&report)]);
    assert_eq!(warehouse.ids().await, ids_of(5..30));
}

#[tokio::test]
async fn overlapping_receipts_of_one_invocation_are_committed_once() {
    let warehouse = warehouse().await;
    let mut receipts = Vec::new();
    for records in [10..20, 15..25, 11..19, 0..12, 40..45] {
        receipts.push(delivered(&warehouse.lake, &warehouse, records).await);
    }
    let report = warehouse.commit(receipts).await;
    let there = ReceiptOutcome::AlreadyCommitted;
    let now = committed(&report);
    let expected = [now.clone(), now.clone(), there, now.clone(), now];
    assert_eq!(outcomes(&report), expected);
    assert_eq!(report.n_attempts, 1);
    let expected = ids_of((0..25).chain(40..45));
    assert_eq!(report.n_rows, expected.len() as u64);
    assert_eq!(warehouse.ids().await, expected);
    let table = warehouse.table().await;
    let summary = table.metadata().current_snapshot().unwrap().summary();
    let total = &summary.additional_properties["total-records"];
    assert_eq!(*total, expected.len().to_string());
}

#[tokio::test]
async fn another_shard_and_another_table_know_nothing_of_a_range() {
    let warehouse = warehouse().await;
    let first = delivered(&warehouse.lake, &warehouse, 10..20).await;
    let mut other = delivered(&warehouse.lake, &warehouse, 12..18).await;
    if let SourceRecords::Range { shard, .. } = &mut other.source.records {
        shard.push('9');
    }
    let report = warehouse.commit(vec![first, other]).await;
    assert_eq!(outcomes(&report), [committed(&report), committed(&report)]);
    let look = async |shard: &str| {
        let (lake, name) = (&warehouse.lake, &warehouse.name);
        let known = lake
            .committed_records(name, shard, &records(), NOW_MS, None)
            .await
            .unwrap();
        (0..30)
            .filter(|record| known.contains(&sequence(*record)))
            .collect::<Vec<u32>>()
    };
    assert_eq!(look(SHARD).await, (10..20).collect::<Vec<_>>());
    assert_eq!(
        look(&format!("{SHARD}9")).await,
        (12..18).collect::<Vec<_>>()
    );
    assert_eq!(look("another").await, Vec::<u32>::new());
}

#[tokio::test]
async fn a_receipt_whose_rows_cannot_be_told_apart_can_never_be_committed() {
    let warehouse = warehouse().await;
    let first = delivered(&warehouse.lake, &warehouse, 10..20).await;
    warehouse.commit(vec![first]).await;

    let gone = delivered(&warehouse.lake, &warehouse, 15..25).await;
    for file in &gone.data_files {
        warehouse
            .lake
            .storage()
            .delete(&file.location)
            .await
            .unwrap();
    }
    let mut broken = delivered(&warehouse.lake, &warehouse, 15..26).await;
    let location = &mut broken.data_files[0].location;
    location.push_str(".broken");
    let storage = warehouse.lake.storage();
    storage
        .put_new(location, "no Parquet".into())
        .await
        .unwrap();

    let sound = delivered(&warehouse.lake, &warehouse, 16..30).await;
    let report = warehouse.commit(vec![gone, broken, sound]).await;
    let found = outcomes(&report);
    for (outcome, word) in [(&found[0], "is not there"), (&found[1], "Parquet")] {
        let ReceiptOutcome::Incompatible { reason } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(reason.contains(word), "{reason}");
    }
    assert_eq!(found[2], committed(&report));
    assert_eq!(warehouse.ids().await, ids_of(10..30));
}

#[tokio::test]
async fn files_that_are_written_again_have_the_bloom_filters_of_the_first() {
    let warehouse = warehouse().await;
    let first = delivered(&warehouse.lake, &warehouse, 10..20).await;
    let second = delivered(&warehouse.lake, &warehouse, 15..25).await;
    let written: Vec<String> = [&first, &second]
        .iter()
        .flat_map(|receipt| receipt.data_files.iter().map(|file| file.location.clone()))
        .collect();
    warehouse.commit(vec![first, second]).await;
    let files = data_files(&warehouse.lake, &warehouse.table().await).await;
    assert!(
        files.iter().any(|file| !written.contains(file)),
        "{files:?}"
    );
    for location in files {
        let bytes = warehouse.lake.storage().get(&location).await.unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let columns = reader.metadata().row_group(0).columns().iter();
        let filtered = columns.filter(|column| column.bloom_filter_offset().is_some());
        let names: Vec<_> = filtered
            .map(|column| column.column_path().string())
            .collect();
        assert_eq!(names, ["id"], "{location}");
    }
}

#[tokio::test]
async fn a_receipt_whose_files_cannot_be_read_now_comes_again_alone() {
    let warehouse = warehouse().await;
    let first = delivered(&warehouse.lake, &warehouse, 10..20).await;
    warehouse.commit(vec![first]).await;

    let unlucky = delivered(&warehouse.lake, &warehouse, 15..25).await;
    let later = delivered(&warehouse.lake, &warehouse, 22..30).await;
    let other = delivered(&warehouse.lake, &warehouse, 40..45).await;
    let receipts = vec![unlucky.clone(), later, other];
    for fault in [
        Fault::Unreadable(unlucky.token.to_string()),
        Fault::Full(unlucky.token.to_string()),
    ] {
        let lake = Disk::under(warehouse.directory.path(), fault);
        let options = options(2);
        let report = lake.commit(&warehouse.name, receipts.clone(), &options);
        let found = outcomes(&report.await.unwrap());
        let ReceiptOutcome::Later { reason } = &found[0] else {
            panic!("{found:?}");
        };
        assert!(reason.contains(&unlucky.token.to_string()), "{reason}");
        assert_eq!(
            warehouse.ids().await,
            ids_of((10..20).chain(22..30).chain(40..45))
        );
    }
    let report = warehouse.commit(receipts).await;
    assert_eq!(outcomes(&report)[0], committed(&report));
    assert_eq!(warehouse.ids().await, ids_of((10..30).chain(40..45)));
}

/// What happens to a commit on its way.
#[derive(Debug, Clone)]
enum Fate {
    Pass,
    LoseAnswer(bool),
    Fail(bool),
    /// Another committer commits these deliveries first.
    Overtaken(Vec<Range<u32>>),
}

fn deliveries() -> impl Strategy<Value = Vec<Range<u32>>> {
    let one = (0..24_u32, 1..10_u32).prop_map(|(first, n)| first..first + n);
    prop::collection::vec(one, 1..4)
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Pass),
        1 => any::<bool>().prop_map(Fate::LoseAnswer),
        1 => any::<bool>().prop_map(Fate::Fail),
        2 => deliveries().prop_map(Fate::Overtaken),
    ]
}

fn answer(is_conflict: bool) -> Answer {
    if is_conflict {
        Answer::Conflict
    } else {
        Answer::Unknown
    }
}

/// Commits each group of deliveries; every commit of it meets the next fate.
async fn commit_all(groups: Vec<(Vec<Range<u32>>, Vec<Fate>)>) -> (Vec<String>, BTreeSet<u32>) {
    let warehouse = warehouse().await;
    let mut taken = BTreeSet::new();
    for (seed, (deliveries, fates)) in (1..).zip(groups) {
        let mut receipts = Vec::new();
        for records in deliveries {
            taken.extend(records.clone());
            receipts.push(delivered(&warehouse.lake, &warehouse, records).await);
        }
        let mut luck = Vec::new();
        for fate in fates {
            luck.push(match fate {
                Fate::Pass => Luck::Pass,
                Fate::LoseAnswer(is_conflict) => Luck::LoseAnswer(answer(is_conflict)),
                Fate::Fail(is_conflict) => Luck::Fail(answer(is_conflict)),
                Fate::Overtaken(others) => {
                    let mut receipts = Vec::new();
                    for records in others {
                        receipts.push(delivered(&warehouse.lake, &warehouse, records).await);
                    }
                    let other = UnluckyCatalog::over(warehouse.directory.path(), Vec::new());
                    Luck::Overtaken(other, receipts)
                }
            });
        }
        let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
        let report = lake
            .commit(&warehouse.name, receipts, &options(seed))
            .await
            .unwrap();
        for outcome in outcomes(&report) {
            assert!(
                matches!(
                    outcome,
                    ReceiptOutcome::Committed { .. }
                        | ReceiptOutcome::AlreadyCommitted
                        | ReceiptOutcome::Empty
                ),
                "{outcome:?}"
            );
        }
        // Who overtakes is met only while commits fail: which records it brought is asked of the ledger.
        let all = records();
        let known = lake.committed_records(&warehouse.name, SHARD, &all, NOW_MS, None);
        let known = known.await.unwrap();
        taken.extend((0..40).filter(|record| known.contains(&sequence(*record))));
    }
    (warehouse.ids().await, taken)
}

#[tokio::test]
async fn a_table_that_begins_with_the_ledger_of_another_one_takes_the_same_records() {
    let warehouse = warehouse().await;
    let receipt = delivered(&warehouse.lake, &warehouse, 0..6).await;
    warehouse.commit(vec![receipt]).await;
    let properties = warehouse.table().await.properties().clone();
    assert!(properties.contains_key("calve.ledger"), "{properties:?}");

    let mut definition: TableDefinition = definition(&["day(event_time)"]);
    definition.columns.push(ColumnDefinition {
        name: "_source_id".to_owned(),
        doc: None,
        data_type: DataType::Utf8,
        required: false,
    });
    definition.properties = properties.into_iter().collect();
    let (lake, name) = (&warehouse.lake, &warehouse.name);
    lake.drop_table(name).await.unwrap();
    lake.create_table(name, &definition).await.unwrap();

    let receipt = delivered(lake, &warehouse, 0..6).await;
    let report = warehouse.commit(vec![receipt]).await;
    assert_eq!(outcomes(&report), [committed(&report)]);
    assert_eq!(warehouse.ids().await.len(), rows_of(0..6).count());
    let known = lake
        .committed_records(name, SHARD, &records(), NOW_MS, None)
        .await
        .unwrap();
    assert!(known.contains(&sequence(5)));
}

/// Of these `test.sh --long` runs fewer cases than of the others.
mod costly_tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn each_record_of_a_shard_is_in_the_table_once_however_it_is_cut_and_committed(
            groups in prop::collection::vec((deliveries(), prop::collection::vec(fate(), 0..4)), 1..5),
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let (found, taken) = runtime.block_on(commit_all(groups));
            prop_assert_eq!(found, ids_of(taken));
        }
    }
}
