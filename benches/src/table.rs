//! A table to measure with: its columns are settled, so that every round does the same work.

use std::sync::Arc;

use arrow_array::RecordBatch;
use flatten::{Column, Event, Flattened, Flattener, Input, Record, Schema, Shape, system};
use generator::{Corpus, DEFAULT_START_MS};
use lake::{
    ColumnDefinition, EncodedFile, Encoder, FileLayout, Lake, TableDefinition, WriteOptions, split,
};
use rayon::ThreadPool;
use tempfile::TempDir;

use crate::Result;

/// When all events arrive: thirty days after the first of them happened. No clock is read.
const ARRIVAL_US: i64 = (DEFAULT_START_MS + 30 * 86_400_000) * 1_000;

/// A table partitioned by the day of the event time, in a directory that goes away with it.
#[derive(Debug)]
pub struct BenchTable {
    flattener: Flattener,
    table: lake::Table,
    layout: FileLayout,
    options: WriteOptions,
    _warehouse: TempDir,
}

impl BenchTable {
    /// A table that has all the columns that these events bring, up to the limits of the default shape.
    ///
    /// # Errors
    ///
    /// When a table cannot be made in the directory for temporary files.
    pub fn settled_for(corpus: &Corpus) -> Result<Self> {
        let events = lines(corpus.ndjson());
        let mut schema = Schema::of_system_columns();
        // Known before there is a table: no column may have the name of its partition field.
        schema.reserved = vec!["event_time_day".to_owned()];
        loop {
            let flattener = Flattener::new(schema.clone(), Shape::default())?;
            let new_columns = flatten_with(&flattener, &events)?.new_columns;
            if new_columns.is_empty() {
                return Self::with_schema(schema);
            }
            schema
                .columns
                .extend(new_columns.into_iter().map(|column| Column {
                    name: column.name,
                    doc: Some(column.pointer),
                    data_type: column.data_type,
                    required: false,
                }));
        }
    }

    /// A table of this schema.
    ///
    /// # Errors
    ///
    /// When a table cannot be made in the directory for temporary files.
    pub fn with_schema(schema: Schema) -> Result<Self> {
        let warehouse = tempfile::tempdir()?;
        let columns = schema.columns.iter().map(|column| ColumnDefinition {
            name: column.name.clone(),
            doc: column.doc.clone(),
            data_type: column.data_type.clone(),
            required: column.required,
        });
        let definition = TableDefinition {
            columns: columns.collect(),
            partitioning: vec!["day(event_time)".parse()?],
            ..TableDefinition::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let lake = Lake::embedded(warehouse.path())?;
        let table = runtime.block_on(lake.create_table(&"bench.events".parse()?, &definition))?;
        let schema = Schema {
            reserved: table.partition_names(),
            ..schema
        };
        Ok(Self {
            flattener: Flattener::new(schema, Shape::default())?,
            layout: FileLayout::new(&table)?,
            table,
            options: WriteOptions {
                bloom_column: Some("event_id".to_owned()),
                bounded_columns: [system::EVENT_TIME, "event_id", "event_type"]
                    .map(str::to_owned)
                    .to_vec(),
                ..WriteOptions::default()
            },
            _warehouse: warehouse,
        })
    }

    /// The same table, whose columns are encoded on these threads.
    #[must_use]
    pub fn on_threads(mut self, threads: Arc<ThreadPool>) -> Self {
        self.options.threads = Some(threads);
        self
    }

    /// The same table, whose data files are compressed at this level.
    #[must_use]
    pub fn at_level(mut self, zstd_level: i32) -> Self {
        self.options.zstd_level = zstd_level;
        self
    }

    /// The columns of the table.
    pub fn columns(&self) -> &[Column] {
        self.flattener.columns()
    }

    /// The level at which data files are compressed.
    pub fn zstd_level(&self) -> i32 {
        self.options.zstd_level
    }

    /// The rows of the events.
    ///
    /// # Errors
    ///
    /// Those of flattening.
    pub fn flatten(&self, events: &[Event<'_>]) -> Result<Flattened> {
        flatten_with(&self.flattener, events)
    }

    /// Encodes the rows, part after part, and hands over each file before the next one is made.
    ///
    /// # Errors
    ///
    /// Those of encoding, and those of `take`.
    pub fn encode(
        &self,
        batches: &[RecordBatch],
        mut take: impl FnMut(EncodedFile) -> Result<()>,
    ) -> Result<()> {
        for part in split(&self.table, batches)? {
            for file in Encoder::new(&part, &self.layout, &self.options)? {
                take(file?)?;
            }
        }
        Ok(())
    }

    /// Events to Parquet; how many rows and bytes came out.
    ///
    /// # Errors
    ///
    /// Those of flattening and encoding.
    pub fn flatten_and_encode(&self, events: &[Event<'_>]) -> Result<(u64, u64)> {
        let flattened = self.flatten(events)?;
        let (mut n_rows, mut file_bytes) = (0, 0);
        self.encode(&flattened.batches, |file| {
            n_rows += file.data_file.n_rows;
            file_bytes += file.bytes.len() as u64;
            Ok(())
        })?;
        Ok((n_rows, file_bytes))
    }
}

/// The lines of NDJSON as events of one record.
pub fn lines(ndjson: &[u8]) -> Vec<Event<'_>> {
    lines_from(ndjson, 0)
}

/// The same for a record of which `first` lines came before.
pub(crate) fn lines_from(ndjson: &[u8], first: usize) -> Vec<Event<'_>> {
    let mut events = Vec::with_capacity(ndjson.len() / 512);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', ndjson) {
        let index = i64::try_from(first + events.len()).unwrap_or(i64::MAX);
        events.push(Event {
            bytes: &ndjson[start..end],
            record: 0,
            index,
        });
        start = end + 1;
    }
    events
}

/// Runs what is measured where all parallel work has one thread.
///
/// # Errors
///
/// When no thread can be started, and those of `work`.
pub fn on_one_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    pool_of(1)?.install(work)
}

/// So many threads.
///
/// # Errors
///
/// When they cannot be started.
pub fn pool_of(n_threads: usize) -> Result<Arc<ThreadPool>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
    Ok(Arc::new(pool.build()?))
}

fn flatten_with(flattener: &Flattener, events: &[Event<'_>]) -> Result<Flattened> {
    let records = [Record {
        source_id: "bench.ndjson",
        arrival_us: ARRIVAL_US,
    }];
    Ok(flattener.flatten(&Input {
        records: &records,
        events,
        ingested_at_us: ARRIVAL_US,
    })?)
}
