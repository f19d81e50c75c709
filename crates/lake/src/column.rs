//! One column of a row group, from Arrow arrays to the bytes of a Parquet column chunk.
//!
//! The `parquet` crate writes footers, page headers and indexes, and the columns of rarer types. Texts, integers, times,
//! doubles and booleans are encoded here, since that is most of what a batch costs: texts that already came with a
//! dictionary are not hashed again, each entry is compared once a page for the statistics, and one compression context
//! per thread serves all columns. `ARCHITECTURE.md` has the figures.

mod boolean;
mod compress;
mod delta;
mod extremes;
mod indices;
mod number;
mod page;
mod page_index;
mod presence;
mod text;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::{DataType, FieldRef, TimeUnit};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use parquet::basic::ZstdLevel;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

use self::boolean::BooleanColumn;
use self::number::NumberColumn;
use self::page::{ColumnChunk, Pages};
use self::text::TextColumn;
use crate::encoding::ColumnEncoding;

/// How one column is written.
pub(crate) struct ColumnOptions {
    pub(crate) level: ZstdLevel,
    pub(crate) encoding: ColumnEncoding,
    /// Whether each page's least and greatest values are kept.
    pub(crate) indexed: bool,
    /// For how many distinct values there is to be a bloom filter.
    pub(crate) bloom_filter: Option<u64>,
}

/// The share of values that a bloom filter takes for present though they are not.
pub(crate) const BLOOM_FILTER_ERRORS: f64 = 0.01;

/// A column of a row group under construction.
pub(crate) enum ColumnWriter {
    Text(Box<TextColumn>),
    Long(Box<NumberColumn<i64>>),
    Double(Box<NumberColumn<f64>>),
    Boolean(Box<BooleanColumn>),
    /// By the `parquet` crate.
    Other(FieldRef, Box<ArrowColumnWriter>),
}

/// A finished column of a row group.
pub(crate) enum FinishedColumn {
    Ours(Box<ColumnChunk>),
    Other(Box<parquet::arrow::arrow_writer::ArrowColumnChunk>),
}

impl ColumnWriter {
    /// A writer for values of this type; none when the `parquet` crate is to write them.
    pub(crate) fn new(
        data_type: &DataType,
        descr: &ColumnDescPtr,
        options: &ColumnOptions,
    ) -> Result<Option<Self>, ParquetError> {
        if !Self::is_ours(data_type, options.bloom_filter.is_some()) {
            return Ok(None);
        }
        let pages = || Pages::new(descr.clone(), options.level, options.indexed);
        let bloom_filter = || {
            let filter = options.bloom_filter;
            filter
                .map(|n_distinct| Sbbf::new_with_ndv_fpp(n_distinct, BLOOM_FILTER_ERRORS))
                .transpose()
        };
        let encoding = options.encoding;
        Ok(Some(match data_type {
            DataType::Utf8 => Self::Text(Box::new(TextColumn::new(
                pages(),
                encoding,
                bloom_filter()?,
            ))),
            DataType::Int64 | DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Long(
                Box::new(NumberColumn::new(pages(), encoding, bloom_filter()?)),
            ),
            DataType::Float64 => Self::Double(Box::new(NumberColumn::new(
                pages(),
                encoding,
                bloom_filter()?,
            ))),
            DataType::Boolean => Self::Boolean(Box::new(BooleanColumn::new(pages()))),
            _ => return Ok(None),
        }))
    }

    /// Whether [`Self::new`] has a writer for values of this type, of a column with or without a bloom filter.
    pub(crate) fn is_ours(data_type: &DataType, has_filter: bool) -> bool {
        match data_type {
            DataType::Utf8
            | DataType::Int64
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Float64 => true,
            DataType::Boolean => !has_filter,
            _ => false,
        }
    }

    /// Takes values. Texts may come with a dictionary of 32-bit keys.
    pub(crate) fn write(&mut self, array: &ArrayRef) -> Result<(), ParquetError> {
        match self {
            Self::Text(column) => match array.as_dictionary_opt::<Int32Type>() {
                Some(keyed) => column.write_keyed(keyed, keyed.values().as_string()),
                None => column.write(array.as_string()),
            },
            Self::Long(column) => {
                // The same 64 bits.
                if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
                    return column.write(times.values(), times.nulls());
                }
                let longs = array.as_primitive::<Int64Type>();
                column.write(longs.values(), longs.nulls())
            }
            Self::Double(column) => {
                let doubles = array.as_primitive::<Float64Type>();
                column.write(doubles.values(), doubles.nulls())
            }
            Self::Boolean(column) => column.write(array.as_boolean()),
            Self::Other(field, writer) => compute_leaves(field, array)?
                .iter()
                .try_for_each(|leaf| writer.write(leaf)),
        }
    }

    /// Takes rows without a value.
    pub(crate) fn write_nulls(&mut self, n_rows: usize) -> Result<(), ParquetError> {
        match self {
            Self::Text(column) => column.write_nulls(n_rows),
            Self::Long(column) => column.write_nulls(n_rows),
            Self::Double(column) => column.write_nulls(n_rows),
            Self::Boolean(column) => column.write_nulls(n_rows),
            Self::Other(field, _) => {
                let nulls = new_null_array(field.data_type(), n_rows);
                self.write(&nulls)
            }
        }
    }

    /// About how many bytes the column has so far.
    pub(crate) fn estimated_bytes(&self) -> usize {
        match self {
            Self::Text(column) => column.estimated_bytes(),
            Self::Long(column) => column.estimated_bytes(),
            Self::Double(column) => column.estimated_bytes(),
            Self::Boolean(column) => column.estimated_bytes(),
            Self::Other(_, writer) => writer.get_estimated_total_bytes(),
        }
    }

    /// Ends the column.
    pub(crate) fn close(self) -> Result<FinishedColumn, ParquetError> {
        Ok(match self {
            Self::Text(column) => FinishedColumn::Ours(Box::new(column.close()?)),
            Self::Long(column) => FinishedColumn::Ours(Box::new(column.close()?)),
            Self::Double(column) => FinishedColumn::Ours(Box::new(column.close()?)),
            Self::Boolean(column) => FinishedColumn::Ours(Box::new(column.close()?)),
            Self::Other(_, writer) => FinishedColumn::Other(Box::new(writer.close()?)),
        })
    }
}

impl FinishedColumn {
    /// Whether there is more than one page to choose from.
    pub(crate) fn has_pages(&self) -> bool {
        match self {
            Self::Ours(chunk) => chunk.has_pages(),
            Self::Other(chunk) => {
                let pages = chunk.close().offset_index.as_ref();
                pages.is_some_and(|pages| pages.page_locations.len() > 1)
            }
        }
    }

    /// Appends the column to the file. With `page_index` the file says where each page is and what it holds.
    pub(crate) fn append_to(
        self,
        row_group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
        page_index: bool,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Ours(chunk) => {
                let (bytes, close) = chunk.close(page_index)?;
                row_group.append_column(&bytes, close)
            }
            Self::Other(mut chunk) => {
                if !page_index {
                    let close = chunk.close_mut();
                    (close.column_index, close.offset_index) = (None, None);
                }
                chunk.append_to_row_group(row_group)
            }
        }
    }
}
