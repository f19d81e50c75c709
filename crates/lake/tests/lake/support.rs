use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, TimeUnit};
use iceberg::spec::{FormatVersion, Manifest, ManifestList};
use lake::{
    BatchId, ColumnDefinition, CommitOptions, CommitReport, Lake, Receipt, ReceiptOutcome, Table,
    TableDefinition, TableName, Token, WriteOptions,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

pub(crate) const DAY_US: i64 = 86_400_000_000;
/// 2026-11-21T00:00:00Z
pub(crate) const TODAY_US: i64 = 20_778 * DAY_US;
pub(crate) const NOW_MS: i64 = TODAY_US / 1000;

/// A warehouse with an empty table `t.events`, partitioned by day.
pub(crate) struct Warehouse {
    pub(crate) directory: TempDir,
    pub(crate) lake: Lake,
    pub(crate) name: TableName,
}

impl Warehouse {
    pub(crate) async fn new() -> Self {
        Self::partitioned_by(&["day(event_time)"]).await
    }

    pub(crate) async fn partitioned_by(terms: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lake = Lake::embedded(directory.path()).unwrap();
        let name: TableName = "t.events".parse().unwrap();
        lake.create_table(&name, &definition(terms)).await.unwrap();
        Self {
            directory,
            lake,
            name,
        }
    }

    pub(crate) async fn table(&self) -> Table {
        self.lake.load_table(&self.name).await.unwrap().unwrap()
    }

    /// Writes the ids as rows of one source batch and returns its receipt.
    pub(crate) async fn receipt(&self, source: &str, ids: &[&str]) -> Receipt {
        receipt(&self.lake, &self.table().await, source, ids).await
    }

    pub(crate) async fn commit(&self, receipts: Vec<Receipt>) -> CommitReport {
        self.lake
            .commit(&self.name, receipts, &options(1))
            .await
            .unwrap()
    }

    /// The ids of all rows, in order.
    pub(crate) async fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for batch in self.rows().await {
            let column = batch.column_by_name("id").unwrap().as_string::<i32>();
            ids.extend(column.iter().flatten().map(str::to_owned));
        }
        ids.sort();
        ids
    }

    /// All rows, read as any engine would: from the manifests and the Parquet files.
    pub(crate) async fn rows(&self) -> Vec<RecordBatch> {
        let mut rows = Vec::new();
        for location in data_files(&self.lake, &self.table().await).await {
            let bytes = self.lake.storage().get(&location).await.unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
                .unwrap()
                .build()
                .unwrap();
            rows.extend(reader.map(Result::unwrap));
        }
        rows
    }
}

/// The locations of the table's files, from its manifests.
pub(crate) async fn data_files(lake: &Lake, table: &Table) -> Vec<String> {
    let mut locations = Vec::new();
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return locations;
    };
    let list = lake.storage().get(snapshot.manifest_list()).await.unwrap();
    let list = ManifestList::parse_with_version(&list, FormatVersion::V2).unwrap();
    for manifest in list.entries() {
        let bytes = lake.storage().get(&manifest.manifest_path).await.unwrap();
        assert_eq!(
            i64::try_from(bytes.len()).unwrap(),
            manifest.manifest_length
        );
        let manifest = Manifest::parse_avro(&bytes).unwrap();
        let alive = manifest.entries().iter().filter(|entry| entry.is_alive());
        locations.extend(alive.map(|entry| entry.file_path().to_owned()));
    }
    locations
}

pub(crate) fn options(seed: u64) -> CommitOptions {
    CommitOptions::new(NOW_MS, seed)
}

pub(crate) fn definition(terms: &[&str]) -> TableDefinition {
    let column = |name: &str, data_type, required| ColumnDefinition {
        name: name.to_owned(),
        doc: Some(format!("/{name}")),
        data_type,
        required,
    };
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    TableDefinition {
        columns: vec![
            column("event_time", time, true),
            column("id", DataType::Utf8, false),
            column("n", DataType::Int64, false),
        ],
        partitioning: terms.iter().map(|term| term.parse().unwrap()).collect(),
        properties: BTreeMap::from([("calve.format".to_owned(), "1".to_owned())]),
    }
}

/// Rows with these times and ids; `n` counts them.
pub(crate) fn batch(rows: &[(i64, &str)]) -> RecordBatch {
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.0));
    let ids = StringArray::from_iter_values(rows.iter().map(|row| row.1));
    let numbers = Int64Array::from_iter_values((0_i64..).take(rows.len()));
    RecordBatch::try_from_iter([
        (
            "event_time",
            Arc::new(times.with_timezone("+00:00")) as ArrayRef,
        ),
        ("id", Arc::new(ids) as ArrayRef),
        ("n", Arc::new(numbers) as ArrayRef),
    ])
    .unwrap()
}

pub(crate) fn batch_id(table: &Table, source: &str) -> BatchId {
    BatchId {
        token: Token::new(table.uuid(), "test", source.as_bytes()),
        attempt: u64::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..8].try_into().unwrap()),
    }
}

pub(crate) async fn receipt(lake: &Lake, table: &Table, source: &str, ids: &[&str]) -> Receipt {
    let rows: Vec<(i64, &str)> = ids.iter().map(|id| (TODAY_US, *id)).collect();
    let id = batch_id(table, source);
    let files = lake
        .write(table, &[batch(&rows)], &id, &WriteOptions::default())
        .await
        .unwrap();
    Receipt::new(table, &id, NOW_MS, source.to_owned(), files)
}

/// The outcomes alone, in order.
pub(crate) fn outcomes(report: &CommitReport) -> Vec<ReceiptOutcome> {
    report
        .outcomes
        .iter()
        .map(|(_, outcome)| outcome.clone())
        .collect()
}

pub(crate) fn committed(report: &CommitReport) -> ReceiptOutcome {
    ReceiptOutcome::Committed {
        snapshot_id: report.snapshot_id.unwrap(),
    }
}
