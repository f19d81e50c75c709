//! The function over a fresh directory, and what is found in that directory afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_array::{Array, Int64Array, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use ingest::{Context, Failure, Moment, handle};
use lambda_runtime::LambdaEvent;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::{ObjectReader, Pipeline, ReceiptSink, Settings, open_lake};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the clock shows in every test.
pub(crate) const NOW: &str = "2026-11-21T00:00:00Z";

/// The function after its cold start.
pub(crate) struct Function {
    directory: TempDir,
    context: Context,
    seed: AtomicU64,
}

impl Function {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&directory, variables);
        Self::over(directory, Context::open(settings).await.unwrap())
    }

    /// In staged mode: receipts go to this sink.
    pub(crate) async fn start_staged(sink: impl ReceiptSink + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&directory, &[]);
        let lake = open_lake(&settings).await.unwrap();
        let pipeline = Pipeline::with_sink(settings, lake, Arc::new(sink)).await;
        Self::over(directory, Context::new(pipeline.unwrap()))
    }

    /// With objects of buckets that are read from here.
    pub(crate) async fn start_with_objects(
        objects: Arc<dyn ObjectReader>,
        variables: &[(&str, &str)],
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let region = [("CALVE_S3_REGION", "eu-west-1")];
        let variables: Vec<_> = region.iter().chain(variables).copied().collect();
        let pipeline = Pipeline::open(settings(&directory, &variables)).await;
        let pipeline = pipeline.unwrap().with_objects(objects);
        Self::over(directory, Context::new(pipeline))
    }

    fn over(directory: TempDir, context: Context) -> Self {
        Self {
            directory,
            context,
            seed: AtomicU64::new(0),
        }
    }

    pub(crate) async fn invoke(&self, request_id: &str, payload: &Value) -> Result<Value, Failure> {
        self.invoke_until(request_id, payload, 60_000).await
    }

    /// Invokes with what no [`Value`] can hold.
    pub(crate) async fn invoke_bytes(
        &self,
        request_id: &str,
        payload: impl Into<Bytes>,
    ) -> Result<Value, Failure> {
        self.invoke_with(request_id, payload.into(), 60_000).await
    }

    /// Invokes when the deadline is now.
    pub(crate) async fn invoke_late(
        &self,
        request_id: &str,
        payload: &Value,
    ) -> Result<Value, Failure> {
        self.invoke_until(request_id, payload, 0).await
    }

    async fn invoke_until(
        &self,
        request_id: &str,
        payload: &Value,
        left_ms: u64,
    ) -> Result<Value, Failure> {
        let body = Bytes::from(serde_json::to_vec(payload).unwrap());
        self.invoke_with(request_id, body, left_ms).await
    }

    async fn invoke_with(
        &self,
        request_id: &str,
        body: Bytes,
        left_ms: u64,
    ) -> Result<Value, Failure> {
        let now_us = NOW.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        let mut lambda = lambda_runtime::Context::default();
        lambda.request_id = request_id.to_owned();
        lambda.deadline = u64::try_from(now_us / 1_000).unwrap() + left_ms;
        let moment = Moment {
            now_us,
            seed: self.seed.fetch_add(1, Ordering::Relaxed),
        };
        handle(&self.context, LambdaEvent::new(body, lambda), moment).await
    }

    pub(crate) fn path(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    /// Puts a file where the table's data would go, so that no data file can be written, whoever runs the test.
    pub(crate) fn block_data(&self) {
        let data = self.directory.path().join("analytics/events/data");
        let _ = std::fs::remove_dir_all(&data);
        std::fs::write(data, "in the way").unwrap();
    }

    /// The system columns of all rows, in the order of record and number.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let mut rows = BTreeMap::new();
        self.each_batch(|batch| {
            let text = |name| strings(batch.column_by_name(name).unwrap());
            let (ids, sources) = (text("_source_id"), text("_time_source"));
            let indices = batch.column_by_name("_source_index").unwrap();
            let indices = indices.as_any().downcast_ref::<Int64Array>().unwrap();
            let times = batch.column_by_name("event_time").unwrap();
            let times = times
                .as_any()
                .downcast_ref::<TimestampMicrosecondArray>()
                .unwrap();
            for position in 0..batch.num_rows() {
                let time = jiff::Timestamp::from_microsecond(times.value(position)).unwrap();
                let (id, index) = (ids.value(position), indices.value(position));
                let value = row(id, index, &time.to_string(), sources.value(position));
                rows.insert((id.to_owned(), index), value);
            }
        });
        rows.into_values().collect()
    }

    /// The values of a string column.
    pub(crate) fn column(&self, name: &str) -> Vec<Value> {
        let mut values = Vec::new();
        self.each_batch(|batch| {
            let column = strings(batch.column_by_name(name).unwrap());
            values.extend(column.iter().map(|value| json!(value)));
        });
        values
    }

    fn each_batch(&self, mut look: impl FnMut(&arrow_array::RecordBatch)) {
        for path in files(self.directory.path(), "parquet") {
            let file = File::open(path).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)
                .unwrap()
                .build()
                .unwrap();
            reader.for_each(|batch| look(&batch.unwrap()));
        }
    }

    /// What is in the quarantine, as `record: bytes`.
    pub(crate) fn quarantined(&self) -> Vec<String> {
        let text = |event: pipeline::QuarantinedEvent| {
            format!(
                "{}: {}",
                event.source_id,
                String::from_utf8_lossy(&event.payload())
            )
        };
        self.quarantined_events().into_iter().map(text).collect()
    }

    pub(crate) fn quarantined_events(&self) -> Vec<pipeline::QuarantinedEvent> {
        let objects = files(self.directory.path(), "zst").into_iter();
        let read = |path| pipeline::quarantine::read(&std::fs::read(path).unwrap()).unwrap();
        objects.flat_map(read).collect()
    }

    /// How many rows the table has, as its current snapshot says.
    pub(crate) async fn n_committed(&self) -> u64 {
        let pipeline = self.context.pipeline();
        let table = pipeline
            .lake()
            .load_table(pipeline.table_name())
            .await
            .unwrap()
            .unwrap();
        let snapshot = table.metadata().current_snapshot();
        snapshot.map_or(0, |snapshot| {
            snapshot.summary().additional_properties["total-records"]
                .parse()
                .unwrap()
        })
    }
}

fn settings(directory: &TempDir, variables: &[(&str, &str)]) -> Settings {
    let defaults = [
        ("CALVE_WAREHOUSE", directory.path().to_str().unwrap()),
        ("CALVE_THREADS", "1"),
        ("CALVE_EMBEDDED_METRICS", "false"),
    ];
    Settings::load(defaults.iter().chain(variables).copied()).unwrap()
}

/// The system columns of one row.
pub(crate) fn row(
    source_id: &str,
    source_index: i64,
    event_time: &str,
    time_source: &str,
) -> Value {
    json!({
        "_source_id": source_id,
        "_source_index": source_index,
        "event_time": event_time,
        "_time_source": time_source,
    })
}

pub(crate) fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The body of an HTTP answer.
pub(crate) fn body_of(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

fn strings(column: &dyn Array) -> &StringArray {
    column.as_any().downcast_ref().unwrap()
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.insert(path);
            }
        }
    }
    found.into_iter().collect()
}
