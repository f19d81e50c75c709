use std::collections::{BTreeMap, HashMap};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_schema::DataType;
use iceberg::spec::PrimitiveType;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::bounds::Bounds;
use crate::data_file::ColumnFacts;
use crate::encode::WriteOptions;
use crate::layout::LayoutColumn;

/// What the footer of a file says, in the words of a manifest.
pub(crate) struct FileFacts {
    pub(crate) n_rows: u64,
    pub(crate) split_offsets: Vec<i64>,
    pub(crate) columns: BTreeMap<i32, ColumnFacts>,
}

/// Reads the facts out of a footer: `written` are the columns of the file in order, `all` those of the table.
pub(crate) fn facts(
    footer: &ParquetMetaData,
    written: &[LayoutColumn],
    all: &[LayoutColumn],
    nans: &Nans,
    options: &WriteOptions,
) -> FileFacts {
    let row_groups = footer.row_groups();
    let n_rows: i64 = row_groups.iter().map(RowGroupMetaData::num_rows).sum();
    let n_rows = n_rows.unsigned_abs();
    let mut columns = BTreeMap::new();
    for (place, column) in written.iter().enumerate() {
        let chunks = row_groups.iter().map(|group| group.column(place));
        let Some(column_type) = &column.primitive else {
            continue;
        };
        let bounded = has_bounds(column, options);
        let facts = column_facts(chunks, column_type, nans.of(column.id), bounded);
        columns.insert(column.id, facts);
    }
    for column in all {
        // Not in the file: each value is null.
        let Some(column_type) = column.primitive.clone() else {
            continue;
        };
        columns.entry(column.id).or_insert(ColumnFacts {
            column_type,
            column_bytes: 0,
            n_values: n_rows,
            n_nulls: n_rows,
            n_nans: None,
            lower: None,
            upper: None,
        });
    }
    let split_offsets = row_groups
        .iter()
        .filter_map(|group| group.columns().first())
        .map(first_page)
        .collect();
    FileFacts {
        n_rows,
        split_offsets,
        columns,
    }
}

fn first_page(chunk: &ColumnChunkMetaData) -> i64 {
    chunk
        .dictionary_page_offset()
        .unwrap_or_else(|| chunk.data_page_offset())
}

fn has_bounds(column: &LayoutColumn, options: &WriteOptions) -> bool {
    let named = |names: &[String]| names.iter().any(|name| name == column.field.name());
    !named(&options.unbounded_columns)
        && (column.position < options.n_bounded_columns || named(&options.bounded_columns))
}

fn column_facts<'a>(
    chunks: impl Iterator<Item = &'a ColumnChunkMetaData>,
    column_type: &PrimitiveType,
    n_nans: Option<u64>,
    bounded: bool,
) -> ColumnFacts {
    let mut facts = ColumnFacts {
        column_type: column_type.clone(),
        column_bytes: 0,
        n_values: 0,
        n_nulls: 0,
        n_nans,
        lower: None,
        upper: None,
    };
    let mut bounds = Bounds::new(column_type);
    for chunk in chunks {
        facts.column_bytes += chunk.compressed_size().unsigned_abs();
        facts.n_values += chunk.num_values().unsigned_abs();
        let n_nulls = chunk.statistics().and_then(Statistics::null_count_opt);
        facts.n_nulls += n_nulls.unwrap_or(0);
        let n_set = chunk.num_values().unsigned_abs() - n_nulls.unwrap_or(0);
        bounds.add(chunk.statistics(), n_set);
    }
    if bounded {
        (facts.lower, facts.upper) = bounds.finish();
    }
    facts
}

/// Counts values that are not a number, which the footer does not.
#[derive(Debug)]
pub(crate) struct Nans {
    /// By field id; the place is that of the column in the file.
    counts: HashMap<i32, (usize, u64)>,
}

impl Nans {
    pub(crate) fn new(written: &[LayoutColumn]) -> Self {
        let floats = written.iter().enumerate().filter(|(_, column)| {
            matches!(
                column.field.data_type(),
                DataType::Float32 | DataType::Float64
            )
        });
        Self {
            counts: floats
                .map(|(place, column)| (column.id, (place, 0)))
                .collect(),
        }
    }

    pub(crate) fn count(&mut self, columns: &[Option<ArrayRef>]) {
        for (place, n_nans) in self.counts.values_mut() {
            let Some(array) = &columns[*place] else {
                continue;
            };
            let found = match array.data_type() {
                DataType::Float32 => n_nans_of(array.as_primitive::<Float32Type>(), f32::is_nan),
                _ => n_nans_of(array.as_primitive::<Float64Type>(), f64::is_nan),
            };
            *n_nans += found as u64;
        }
    }

    fn of(&self, id: i32) -> Option<u64> {
        self.counts.get(&id).map(|(_, n_nans)| *n_nans)
    }
}

/// How many of the values are not a number. Hardly a column has one, so whether a row has a value is looked at last.
fn n_nans_of<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    is_nan: impl Fn(T::Native) -> bool,
) -> usize {
    // Without an early end, which several values at a time cannot have.
    let any_nan = array
        .values()
        .iter()
        .fold(false, |any, &value| any | is_nan(value));
    if !any_nan {
        return 0;
    }
    let values = array.iter().flatten();
    values.filter(|&value| is_nan(value)).count()
}
