use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, Schema as ArrowSchema};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::data_file::DataFile;
use crate::encoding::{self, ColumnEncoding};
use crate::error::LakeError;
use crate::facts::{FileFacts, Nans, facts};
use crate::layout::{FileLayout, LayoutColumn};
use crate::part::{Part, PartitionKey};

/// How data files are written.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// A file that has reached this size in bytes is closed and another one begun. Default: 128 MiB.
    pub target_file_bytes: u64,
    /// A row group that has reached this size in bytes, encoded, is closed. Default: 32 MiB.
    pub row_group_bytes: u64,
    /// Zstandard level, 1 to 22. Higher is smaller and slower. Default: 1.
    pub zstd_level: i32,
    /// The column that gets a bloom filter. Default: none.
    pub bloom_column: Option<String>,
    /// Columns that get lower and upper bounds wherever they stand in the table. Default: none.
    pub bounded_columns: Vec<String>,
    /// So many columns at the front of the table get bounds as well. Default: 100.
    pub n_bounded_columns: usize,
    /// Columns that never get bounds. Default: `_doc`.
    pub unbounded_columns: Vec<String>,
    /// Threads that encode columns side by side. Default: none, the calling thread does it. The bytes are the same.
    pub threads: Option<Arc<ThreadPool>>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            target_file_bytes: 128 << 20,
            row_group_bytes: 32 << 20,
            zstd_level: 1,
            bloom_column: None,
            bounded_columns: Vec::new(),
            n_bounded_columns: 100,
            unbounded_columns: vec!["_doc".to_owned()],
            threads: None,
        }
    }
}

/// A whole Parquet file in memory.
#[derive(Debug, Clone)]
pub struct EncodedFile {
    /// The file.
    pub bytes: Bytes,
    /// What a manifest will say about it; its location is still empty.
    pub data_file: DataFile,
}

/// Returns the rows of the part as Parquet files. The same rows give the same bytes.
///
/// # Errors
///
/// [`LakeError::Column`] for a column that does not fit the table, [`LakeError::Encode`] for what Parquet refuses.
pub fn encode(
    part: &Part,
    layout: &FileLayout,
    options: &WriteOptions,
) -> Result<Vec<EncodedFile>, LakeError> {
    Encoder::new(part, layout, options)?.collect()
}

/// Makes the files of one part, one after another, so that only one is in memory.
#[derive(Debug)]
pub struct Encoder {
    key: PartitionKey,
    layout: FileLayout,
    options: WriteOptions,
    /// The columns that the files hold; a column whose values are all null is left out.
    columns: Vec<LayoutColumn>,
    rows: Vec<RecordBatch>,
    /// The next row: which batch, and where in it.
    next: (usize, usize),
    n_rows: usize,
    slice_rows: usize,
}

impl Encoder {
    /// Begins with the first row of the part.
    ///
    /// # Errors
    ///
    /// As for [`encode`].
    pub fn new(
        part: &Part,
        layout: &FileLayout,
        options: &WriteOptions,
    ) -> Result<Self, LakeError> {
        let n_rows = part.n_rows();
        let batches = part
            .batches()
            .collect::<Result<Vec<_>, ArrowError>>()
            .map_err(|source| encode_error(layout, n_rows, source))?;
        let columns = present_columns(&batches, layout)?;
        let schema = ArrowSchema::new(columns.iter().map(|c| c.field.clone()).collect::<Vec<_>>());
        let schema = Arc::new(schema);
        let rows = batches
            .iter()
            .map(|batch| aligned(batch, &columns, &schema, layout))
            .collect::<Result<Vec<_>, _>>()?;
        let slice_rows = slice_rows(&rows, n_rows, options);
        Ok(Self {
            key: part.key().clone(),
            layout: layout.clone(),
            options: options.clone(),
            columns,
            rows,
            next: (0, 0),
            n_rows,
            slice_rows,
        })
    }

    /// The next rows, few enough to look at the size of the row group after them.
    fn next_slices(&mut self) -> Vec<RecordBatch> {
        let mut slices = Vec::new();
        let mut n_left = self.slice_rows;
        while n_left > 0 {
            let (index, row) = self.next;
            let Some(batch) = self.rows.get(index) else {
                break;
            };
            let n_rows = n_left.min(batch.num_rows() - row);
            if row + n_rows == batch.num_rows() {
                self.next = (index + 1, 0);
            } else {
                self.next = (index, row + n_rows);
            }
            if n_rows > 0 {
                slices.push(batch.slice(row, n_rows));
                n_left -= n_rows;
            }
        }
        slices
    }

    /// Writes one file, which begins with the rows of `slices`, and these with `first`.
    fn file(
        &mut self,
        first: &RecordBatch,
        mut slices: Vec<RecordBatch>,
    ) -> Result<EncodedFile, ParquetError> {
        let schema = first.schema();
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema)?;
        let properties = Arc::new(self.properties(first)?);
        let mut bytes = Vec::new();
        let mut writer =
            SerializedFileWriter::new(&mut bytes, parquet_schema.root_schema_ptr(), properties)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, schema);
        let target_bytes = usize::try_from(self.options.target_file_bytes).unwrap_or(usize::MAX);
        let mut nans = Nans::new(&self.columns);
        let mut index = 0;
        while !slices.is_empty() {
            let room = target_bytes.saturating_sub(writer.bytes_written());
            let columns = self.row_group(&factory, index, slices, room, &mut nans)?;
            let mut row_group = writer.next_row_group()?;
            for column in columns {
                column.close()?.append_to_row_group(&mut row_group)?;
            }
            row_group.close()?;
            index += 1;
            // A file is closed a little early rather than with a tiny row group at its end.
            let has_room = writer.bytes_written() < target_bytes - target_bytes / 8;
            slices = if has_room {
                self.next_slices()
            } else {
                Vec::new()
            };
        }
        let metadata = writer.finish()?;
        drop(writer);
        Ok(EncodedFile {
            data_file: self.data_file(&metadata, &nans, bytes.len()),
            bytes: bytes.into(),
        })
    }

    /// Fills the column writers of one row group until it is large enough or there are no more rows.
    fn row_group(
        &mut self,
        factory: &ArrowRowGroupWriterFactory,
        index: usize,
        mut slices: Vec<RecordBatch>,
        room_bytes: usize,
        nans: &mut Nans,
    ) -> Result<Vec<ArrowColumnWriter>, ParquetError> {
        const MAX_ROWS: usize = 1 << 20;
        let limit = usize::try_from(self.options.row_group_bytes)
            .unwrap_or(usize::MAX)
            .min(room_bytes);
        let mut writers = factory.create_column_writers(index)?;
        let mut n_rows = 0;
        while !slices.is_empty() {
            for rows in &slices {
                n_rows += rows.num_rows();
                nans.count(rows);
            }
            write_columns(&mut writers, &slices, self.options.threads.as_deref())?;
            let bytes: usize = writers
                .iter()
                .map(ArrowColumnWriter::get_estimated_total_bytes)
                .sum();
            let has_room = bytes < limit && n_rows + self.slice_rows <= MAX_ROWS;
            slices = if has_room {
                self.next_slices()
            } else {
                Vec::new()
            };
        }
        Ok(writers)
    }

    /// How the file is written; `first` are its first rows, by which the encodings are chosen.
    fn properties(&self, first: &RecordBatch) -> Result<WriterProperties, ParquetError> {
        let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
        let level = ZstdLevel::try_new(self.options.zstd_level)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page);
        for name in &self.options.unbounded_columns {
            // Long texts: nobody looks for pages by them, and their beginnings say little.
            properties =
                properties.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
        }
        let fields = first.schema_ref().fields().iter();
        for (field, encoding) in fields.zip(encoding::choose(first, self.n_rows)) {
            let column = path(field.name());
            properties = match encoding {
                ColumnEncoding::Dictionary => properties,
                ColumnEncoding::Plain => properties.set_column_dictionary_enabled(column, false),
                ColumnEncoding::Delta => properties
                    .set_column_dictionary_enabled(column.clone(), false)
                    .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
            };
        }
        if let Some(name) = &self.options.bloom_column {
            properties = properties
                .set_column_bloom_filter_enabled(path(name), true)
                .set_column_bloom_filter_fpp(path(name), 0.01)
                .set_column_bloom_filter_ndv(path(name), self.n_rows.max(1) as u64);
        }
        Ok(properties.build())
    }

    fn data_file(&self, metadata: &ParquetMetaData, nans: &Nans, file_bytes: usize) -> DataFile {
        let FileFacts {
            n_rows,
            split_offsets,
            columns,
        } = facts(
            metadata,
            &self.columns,
            self.layout.columns(),
            nans,
            &self.options,
        );
        DataFile {
            location: String::new(),
            spec_id: self.key.spec_id(),
            partition: self.key.values().to_vec(),
            n_rows,
            file_bytes: file_bytes as u64,
            split_offsets,
            columns,
        }
    }
}

impl Iterator for Encoder {
    type Item = Result<EncodedFile, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let slices = self.next_slices();
        let first = slices.first()?.clone();
        let file = self.file(&first, slices);
        Some(file.map_err(|source| encode_error(&self.layout, self.n_rows, source)))
    }
}

fn encode_error(
    layout: &FileLayout,
    n_rows: usize,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LakeError {
    LakeError::Encode {
        table: layout.table().clone(),
        n_rows,
        source: source.into(),
    }
}

fn column_error(layout: &FileLayout, column: &str, reason: impl Into<String>) -> LakeError {
    let (table, column) = (layout.table().clone(), column.to_owned());
    LakeError::Column {
        table,
        column,
        reason: reason.into(),
    }
}

/// The table's columns that have a value in any of the batches. Readers fill in null for the others.
fn present_columns(
    batches: &[RecordBatch],
    layout: &FileLayout,
) -> Result<Vec<LayoutColumn>, LakeError> {
    for batch in batches {
        let schema = batch.schema_ref();
        let stranger = schema
            .fields()
            .iter()
            .find(|field| layout.column(field.name()).is_none());
        if let Some(stranger) = stranger {
            return Err(column_error(
                layout,
                stranger.name(),
                "the table has no such column",
            ));
        }
    }
    let mut present = Vec::new();
    for column in layout.columns() {
        let name = column.field.name();
        let has_value = |batch: &RecordBatch| {
            batch
                .column_by_name(name)
                .is_some_and(|array| array.null_count() < array.len())
        };
        let has_values = batches.iter().any(has_value);
        if has_values && column.primitive.is_none() {
            let reason = format!(
                "values of type `{}` cannot be written",
                column.field.data_type()
            );
            return Err(column_error(layout, name, reason));
        }
        if has_values || !column.field.is_nullable() {
            present.push(column.clone());
        }
    }
    Ok(present)
}

/// The batch with exactly these columns, in the table's types and with its field ids.
fn aligned(
    batch: &RecordBatch,
    columns: &[LayoutColumn],
    schema: &Arc<ArrowSchema>,
    layout: &FileLayout,
) -> Result<RecordBatch, LakeError> {
    let arrays = columns
        .iter()
        .map(|column| aligned_column(batch, column, layout))
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), arrays)
        .map_err(|source| encode_error(layout, batch.num_rows(), source))
}

fn aligned_column(
    batch: &RecordBatch,
    column: &LayoutColumn,
    layout: &FileLayout,
) -> Result<ArrayRef, LakeError> {
    let name = column.field.name();
    let expected = column.field.data_type();
    let array = match batch.column_by_name(name) {
        None => new_null_array(expected, batch.num_rows()),
        Some(array) if array.data_type() == expected => array.clone(),
        Some(array) if same_values(array.data_type(), expected) => {
            arrow_cast::cast(array, expected)
                .map_err(|source| encode_error(layout, batch.num_rows(), source))?
        }
        Some(array) => {
            let reason = format!(
                "it is `{}` in the rows and `{expected}` in the table",
                array.data_type()
            );
            return Err(column_error(layout, name, reason));
        }
    };
    if !column.field.is_nullable() && array.null_count() > 0 {
        let reason = format!(
            "{} rows have no value, and the table requires one",
            array.null_count()
        );
        return Err(column_error(layout, name, reason));
    }
    Ok(array)
}

/// Spellings of one type.
fn same_values(found: &arrow_schema::DataType, expected: &arrow_schema::DataType) -> bool {
    use arrow_schema::DataType::{Binary, LargeBinary, LargeUtf8, Timestamp, Utf8};
    match (found, expected) {
        (Binary, LargeBinary) | (LargeUtf8, Utf8) => true,
        (Timestamp(found_unit, Some(zone)), Timestamp(expected_unit, Some(_))) => {
            found_unit == expected_unit && matches!(zone.as_ref(), "UTC" | "+00:00")
        }
        _ => false,
    }
}

/// So many rows are a small share of a row group, but enough for a column writer to be worth calling.
fn slice_rows(rows: &[RecordBatch], n_rows: usize, options: &WriteOptions) -> usize {
    const MAX_SLICE_BYTES: u64 = 16 << 20;
    let bytes: usize = rows.iter().map(RecordBatch::get_array_memory_size).sum();
    let row_bytes = (bytes as u64 / (n_rows.max(1) as u64)).max(1);
    let limit = options.row_group_bytes.min(options.target_file_bytes);
    let slice_bytes = (limit / 2).min(MAX_SLICE_BYTES);
    usize::try_from(slice_bytes / row_bytes)
        .unwrap_or(usize::MAX)
        .clamp(1, 1 << 18)
}

/// Gives each column its values, column after column, so that one dictionary at a time is in the cache. Only columns of
/// primitive types have values, so each has one writer.
fn write_columns(
    writers: &mut [ArrowColumnWriter],
    slices: &[RecordBatch],
    threads: Option<&ThreadPool>,
) -> Result<(), ParquetError> {
    let write = |(place, writer): (usize, &mut ArrowColumnWriter)| {
        for rows in slices {
            for leaf in compute_leaves(rows.schema_ref().field(place), rows.column(place))? {
                writer.write(&leaf)?;
            }
        }
        Ok(())
    };
    match threads {
        None => writers.iter_mut().enumerate().try_for_each(write),
        Some(threads) => threads.install(|| writers.par_iter_mut().enumerate().try_for_each(write)),
    }
}
