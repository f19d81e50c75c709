mod rows;

use std::sync::Arc;

use arrow_schema::{ArrowError, Schema as ArrowSchema};
use bytes::Bytes;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type, TypePtr};
use rayon::ThreadPool;
use rayon::prelude::*;

use self::rows::{Aligned, Rows, encode_error, present_columns, slice_rows};
use crate::column::{BLOOM_FILTER_ERRORS, ColumnOptions, ColumnWriter, FinishedColumn};
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
    /// Whether integers and texts that hardly repeat are written as `DELTA_BINARY_PACKED` and `DELTA_LENGTH_BYTE_ARRAY`: smaller,
    /// but Spark's vectorized reader knows both only since Iceberg 1.11. Default: false, plain.
    pub delta_encodings: bool,
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
            delta_encodings: false,
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
    /// Their fields.
    schema: Arc<ArrowSchema>,
    rows: Vec<Rows>,
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
        let batches = batches.iter().map(|batch| Aligned::new(batch, layout));
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        let columns = present_columns(&batches, layout)?;
        let schema = ArrowSchema::new(columns.iter().map(|c| c.field.clone()).collect::<Vec<_>>());
        let schema = Arc::new(schema);
        let rows = batches
            .iter()
            .map(|batch| Rows::aligned(batch, &columns, layout))
            .collect::<Result<Vec<_>, _>>()?;
        let slice_rows = slice_rows(&rows, n_rows, options);
        Ok(Self {
            key: part.key().clone(),
            layout: layout.clone(),
            options: options.clone(),
            columns,
            schema,
            rows,
            next: (0, 0),
            n_rows,
            slice_rows,
        })
    }

    /// The next rows, few enough to look at the size of the row group after them.
    fn next_slices(&mut self) -> Vec<Rows> {
        let mut slices = Vec::new();
        let mut n_left = self.slice_rows;
        while n_left > 0 {
            let (index, row) = self.next;
            let Some(batch) = self.rows.get(index) else {
                break;
            };
            let n_rows = n_left.min(batch.n_rows - row);
            if row + n_rows == batch.n_rows {
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
    fn file(&mut self, first: &Rows, mut slices: Vec<Rows>) -> Result<EncodedFile, ParquetError> {
        let encodings = encoding::choose(&first.columns, self.n_rows, self.options.delta_encodings);
        let properties = Arc::new(self.properties(&encodings)?);
        // What a row takes at least; a small file then hardly grows.
        let mut bytes = Vec::with_capacity((64 * self.n_rows).min(1 << 20));
        let mut writer = SerializedFileWriter::new(&mut bytes, self.parquet_schema()?, properties)?;
        let target_bytes = usize::try_from(self.options.target_file_bytes).unwrap_or(usize::MAX);
        let mut nans = Nans::new(&self.columns);
        let mut index = 0;
        // Where each column has one page its index would say what the row group says. A file has indexes of all its row groups or
        // of none, since some readers take none into account otherwise: the first row group, which is hardly ever smaller than those
        // behind it, decides for them.
        let mut page_index = false;
        while !slices.is_empty() {
            let room = target_bytes.saturating_sub(writer.bytes_written());
            let columns = self.column_writers(&writer, index, &encodings)?;
            let columns = self.row_group(columns, slices, room, &mut nans)?;
            page_index |= index == 0 && columns.iter().any(FinishedColumn::has_pages);
            let mut row_group = writer.next_row_group()?;
            for column in columns {
                column.append_to(&mut row_group, page_index)?;
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

    /// The file's columns, as the `parquet` crate makes them of the Arrow schema.
    fn parquet_schema(&self) -> Result<TypePtr, ParquetError> {
        let types = self.columns.iter().map(|column| column.in_file.clone());
        let root = Type::group_type_builder("arrow_schema")
            .with_fields(types.flatten().collect())
            .build()?;
        Ok(Arc::new(root))
    }

    /// A writer for each column of the next row group of the file.
    fn column_writers(
        &self,
        file: &SerializedFileWriter<&mut Vec<u8>>,
        index: usize,
        encodings: &[ColumnEncoding],
    ) -> Result<Vec<ColumnWriter>, ParquetError> {
        let level = ZstdLevel::try_new(self.options.zstd_level)?;
        let mut writers = Vec::with_capacity(self.columns.len());
        for (place, encoding) in encodings.iter().enumerate() {
            let field = self.schema.field(place);
            let has_filter = self.has_filter(field.name());
            let options = ColumnOptions {
                level,
                encoding: *encoding,
                indexed: self.is_indexed(field.name()),
                bloom_filter: has_filter.then_some(self.n_rows.max(1) as u64),
            };
            let descr = file.schema_descr().column(place);
            writers.push(ColumnWriter::new(field.data_type(), &descr, &options)?);
        }
        if writers.iter().all(Option::is_some) {
            return Ok(writers.into_iter().flatten().collect());
        }
        let factory = ArrowRowGroupWriterFactory::new(file, self.schema.clone());
        let others = factory.create_column_writers(index)?.into_iter();
        let fields = self.schema.fields().iter().zip(others);
        Ok(writers
            .into_iter()
            .zip(fields)
            .map(|(ours, (field, other))| {
                ours.unwrap_or_else(|| ColumnWriter::Other(field.clone(), Box::new(other)))
            })
            .collect())
    }

    /// Fills the column writers of one row group until it is large enough or there are no more rows.
    fn row_group(
        &mut self,
        mut writers: Vec<ColumnWriter>,
        mut slices: Vec<Rows>,
        room_bytes: usize,
        nans: &mut Nans,
    ) -> Result<Vec<FinishedColumn>, ParquetError> {
        const MAX_ROWS: usize = 1 << 20;
        let limit = usize::try_from(self.options.row_group_bytes)
            .unwrap_or(usize::MAX)
            .min(room_bytes);
        let mut n_rows = 0;
        while !slices.is_empty() {
            for rows in &slices {
                n_rows += rows.n_rows;
                nans.count(&rows.columns);
            }
            write_columns(&mut writers, &slices, self.options.threads.as_deref())?;
            let bytes: usize = writers.iter().map(ColumnWriter::estimated_bytes).sum();
            let has_room = bytes < limit && n_rows + self.slice_rows <= MAX_ROWS;
            slices = if has_room {
                self.next_slices()
            } else {
                Vec::new()
            };
        }
        close_columns(writers, self.options.threads.as_deref())
    }

    /// How the file is written. What it says of single columns is for those that the `parquet` crate writes; hardly a table
    /// has one.
    fn properties(&self, encodings: &[ColumnEncoding]) -> Result<WriterProperties, ParquetError> {
        let level = ZstdLevel::try_new(self.options.zstd_level)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page);
        for (field, encoding) in self.schema.fields().iter().zip(encodings) {
            let has_filter = self.has_filter(field.name());
            if ColumnWriter::is_ours(field.data_type(), has_filter) {
                continue;
            }
            let column = ColumnPath::new(vec![field.name().to_owned()]);
            properties = match encoding {
                ColumnEncoding::Dictionary => properties,
                ColumnEncoding::Plain | ColumnEncoding::Delta => {
                    properties.set_column_dictionary_enabled(column.clone(), false)
                }
            };
            if !self.is_indexed(field.name()) {
                properties = properties
                    .set_column_statistics_enabled(column.clone(), EnabledStatistics::Chunk);
            }
            if has_filter {
                properties = properties
                    .set_column_bloom_filter_enabled(column.clone(), true)
                    .set_column_bloom_filter_fpp(column.clone(), BLOOM_FILTER_ERRORS)
                    .set_column_bloom_filter_ndv(column, self.n_rows.max(1) as u64);
            }
        }
        Ok(properties.build())
    }

    fn has_filter(&self, column: &String) -> bool {
        self.options.bloom_column.as_ref() == Some(column)
    }

    /// Long texts are not: nobody looks for pages by them, and their beginnings say little.
    fn is_indexed(&self, column: &String) -> bool {
        !self.options.unbounded_columns.contains(column)
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

/// Gives each column its values, column after column, so that one dictionary at a time is in the cache. Only columns of
/// primitive types have values, so each has one writer. Columns differ much in what they take, so a thread takes one at a time.
fn write_columns(
    writers: &mut [ColumnWriter],
    slices: &[Rows],
    threads: Option<&ThreadPool>,
) -> Result<(), ParquetError> {
    let write = |(place, writer): (usize, &mut ColumnWriter)| {
        slices
            .iter()
            .try_for_each(|rows| match &rows.columns[place] {
                Some(array) => writer.write(array),
                None => writer.write_nulls(rows.n_rows),
            })
    };
    match threads {
        None => writers.iter_mut().enumerate().try_for_each(write),
        Some(threads) => threads.install(|| {
            let writers = writers.par_iter_mut().enumerate();
            writers.with_max_len(1).try_for_each(write)
        }),
    }
}

/// Ends each column; this is where dictionaries are compressed.
fn close_columns(
    writers: Vec<ColumnWriter>,
    threads: Option<&ThreadPool>,
) -> Result<Vec<FinishedColumn>, ParquetError> {
    match threads {
        None => writers.into_iter().map(ColumnWriter::close).collect(),
        Some(threads) => threads.install(|| {
            let writers = writers.into_par_iter().with_max_len(1);
            writers.map(ColumnWriter::close).collect()
        }),
    }
}
