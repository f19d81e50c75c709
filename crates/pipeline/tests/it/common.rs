//! A pipeline over a fresh directory, and what is found in that directory afterwards.

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
};

use arrow_array::{Array as _, Int64Array, StringArray};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::{Invocation, Payload, Pipeline, QuarantinedEvent, Record, Settings, SourceBatch};

pub(crate) const NOW_US: i64 = 1_763_640_000_000_000;

pub(crate) fn settings(warehouse: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.warehouse = warehouse.into();
    settings.threads = 2;
    settings
}

pub(crate) async fn open(warehouse: &Path) -> Pipeline {
    Pipeline::open(settings(warehouse)).await.unwrap()
}

pub(crate) fn invocation(seed: u64) -> Invocation {
    Invocation {
        now_us: NOW_US,
        deadline: None,
        seed,
    }
}

/// A queue's payload; the messages are named `<name>-0`, `<name>-1`…
pub(crate) fn messages(name: &str, bodies: impl IntoIterator<Item = impl Into<Bytes>>) -> Payload {
    let record = |(position, body): (usize, Bytes)| {
        let id = format!("{name}-{position}");
        Record {
            delivery_id: id.clone(),
            source_id: id,
            arrival_us: NOW_US - 1_000_000,
            body,
            is_base64: false,
        }
    };
    let records = bodies
        .into_iter()
        .map(Into::into)
        .enumerate()
        .map(record)
        .collect();
    Payload {
        records,
        source: SourceBatch::messages("sqs"),
    }
}

/// An event's place: record and number in it.
pub(crate) type Place = (String, i64);

/// The places of all rows in the data files of the directory, in the order of the places.
pub(crate) fn rows(warehouse: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    for path in files(warehouse, "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let ids = batch.column_by_name("_source_id").unwrap();
            let ids = ids.as_any().downcast_ref::<StringArray>().unwrap();
            let indices = batch.column_by_name("_source_index").unwrap();
            let indices = indices.as_any().downcast_ref::<Int64Array>().unwrap();
            for row in 0..batch.num_rows() {
                assert!(ids.is_valid(row) && indices.is_valid(row));
                places.push((ids.value(row).to_owned(), indices.value(row)));
            }
        }
    }
    places.sort();
    places
}

/// Everything in the quarantine of the directory.
pub(crate) fn quarantined(warehouse: &Path) -> Vec<QuarantinedEvent> {
    let objects = files(warehouse, "zst").into_iter();
    let read = |path| pipeline::quarantine::read(&std::fs::read(path).unwrap()).unwrap();
    objects.flat_map(read).collect()
}

/// The files below a directory with this extension, in the order of their names.
pub(crate) fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let has_it = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    everything(directory).into_iter().filter(has_it).collect()
}

/// The objects below a warehouse's directories, in the order of their names; not what the catalog keeps beside them.
pub(crate) fn everything(directory: &Path) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() {
                open.push(path);
            } else if !name.starts_with("catalog.db") {
                found.insert(path);
            }
        }
    }
    found.into_iter().collect()
}

/// How many rows the table has, as its current snapshot says.
pub(crate) async fn n_committed(pipeline: &Pipeline) -> u64 {
    let table = pipeline
        .lake()
        .load_table(pipeline.table_name())
        .await
        .unwrap()
        .unwrap();
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return 0;
    };
    snapshot.summary().additional_properties["total-records"]
        .parse()
        .unwrap()
}
