//! The rows of a part in the columns and types of its data files.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch};
use arrow_schema::DataType;

use super::WriteOptions;
use crate::error::LakeError;
use crate::layout::{FileLayout, LayoutColumn};
use crate::retype::retyped;

/// A batch, and which of its columns is each of the table's.
pub(super) struct Aligned<'a> {
    batch: &'a RecordBatch,
    /// By the position of the column in the table.
    places: Vec<Option<usize>>,
}

impl<'a> Aligned<'a> {
    /// Finds the table's columns in the batch.
    pub(super) fn new(batch: &'a RecordBatch, layout: &FileLayout) -> Result<Self, LakeError> {
        let columns = layout.columns();
        let mut places = vec![None; columns.len()];
        let mut next = 0;
        for (place, field) in batch.schema_ref().fields().iter().enumerate() {
            let is_it = |column: &LayoutColumn| column.field.name() == field.name();
            // Rows have the columns in the order of the table, unless another program made them.
            let ahead = columns[next..].iter().position(is_it);
            let position = ahead.map(|ahead| next + ahead);
            let Some(position) = position.or_else(|| columns.iter().position(is_it)) else {
                let reason = "the table has no such column";
                return Err(column_error(layout, field.name(), reason));
            };
            places[position].get_or_insert(place);
            next = position + 1;
        }
        Ok(Self { batch, places })
    }

    /// The values of a column of the table.
    fn column(&self, column: &LayoutColumn) -> Option<&'a ArrayRef> {
        self.places[column.position].map(|place| self.batch.column(place))
    }
}

/// The table's columns that have a value in any of the batches. Readers fill in null for the others.
pub(super) fn present_columns(
    batches: &[Aligned<'_>],
    layout: &FileLayout,
) -> Result<Vec<LayoutColumn>, LakeError> {
    let mut present = Vec::new();
    for column in layout.columns() {
        let name = column.field.name();
        let has_value = |batch: &Aligned<'_>| {
            let array = batch.column(column);
            array.is_some_and(|array| array.logical_null_count() < array.len())
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
    if present.is_empty() {
        // Rows of nothing but nulls: readers count rows by their columns.
        let first = layout
            .columns()
            .iter()
            .find(|column| column.primitive.is_some());
        present.extend(first.cloned());
    }
    Ok(present)
}

/// Rows of exactly the columns of a file, in their order and types; texts may have a dictionary. A column that is absent has
/// no value in these rows.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) columns: Vec<Option<ArrayRef>>,
    pub(super) n_rows: usize,
}

impl Rows {
    pub(super) fn aligned(
        batch: &Aligned<'_>,
        columns: &[LayoutColumn],
        layout: &FileLayout,
    ) -> Result<Self, LakeError> {
        let arrays = columns
            .iter()
            .map(|column| aligned_column(batch, column, layout));
        Ok(Self {
            columns: arrays.collect::<Result<_, _>>()?,
            n_rows: batch.batch.num_rows(),
        })
    }

    pub(super) fn slice(&self, first: usize, n_rows: usize) -> Self {
        if n_rows == self.n_rows {
            return self.clone(); // Each slice of Arrow is a new array.
        }
        let slice = |array: &ArrayRef| array.slice(first, n_rows);
        let columns = self.columns.iter().map(|array| array.as_ref().map(slice));
        Self {
            columns: columns.collect(),
            n_rows,
        }
    }

    fn memory_bytes(&self) -> usize {
        let arrays = self.columns.iter().flatten();
        arrays.map(Array::get_array_memory_size).sum()
    }
}

fn aligned_column(
    batch: &Aligned<'_>,
    column: &LayoutColumn,
    layout: &FileLayout,
) -> Result<Option<ArrayRef>, LakeError> {
    let name = column.field.name();
    let expected = column.field.data_type();
    let (found, n_rows) = (batch.column(column), batch.batch.num_rows());
    // An entry of a dictionary may be null as well.
    let n_nulls = found.map_or(n_rows, Array::logical_null_count);
    if !column.field.is_nullable() && n_nulls > 0 {
        let reason = format!("{n_nulls} rows have no value, and the table requires one");
        return Err(column_error(layout, name, reason));
    }
    Ok(Some(match found.filter(|_| n_nulls < n_rows) {
        None => return Ok(None),
        Some(array) if array.data_type() == expected => array.clone(),
        Some(array) if is_keyed_text(array, expected) => array.clone(),
        Some(array) if same_values(array.data_type(), expected) => {
            retyped(array, expected).map_err(|source| encode_error(layout, n_rows, source))?
        }
        Some(array) => {
            let reason = format!(
                "it is `{}` in the rows and `{expected}` in the table",
                array.data_type()
            );
            return Err(column_error(layout, name, reason));
        }
    }))
}

/// Whether these are texts with a dictionary as the column writer takes them: 32-bit keys, and no null among the entries.
fn is_keyed_text(array: &ArrayRef, expected: &DataType) -> bool {
    let keyed = array.as_dictionary_opt::<Int32Type>();
    let values = keyed.map(DictionaryArray::values);
    *expected == DataType::Utf8
        && values.is_some_and(|values| values.data_type() == expected && values.null_count() == 0)
}

/// Spellings of one type.
fn same_values(found: &DataType, expected: &DataType) -> bool {
    use DataType::{Binary, Dictionary, LargeBinary, LargeUtf8, Timestamp, Utf8};
    match (found, expected) {
        (Binary, LargeBinary) | (LargeUtf8, Utf8) => true,
        (Dictionary(_, values), expected) => values.as_ref() == expected,
        (Timestamp(found_unit, Some(zone)), Timestamp(expected_unit, Some(_))) => {
            found_unit == expected_unit && matches!(zone.as_ref(), "UTC" | "+00:00")
        }
        _ => false,
    }
}

/// So many rows are a small share of a row group, but enough for a column writer to be worth calling.
pub(super) fn slice_rows(rows: &[Rows], n_rows: usize, options: &WriteOptions) -> usize {
    const MAX_SLICE_BYTES: u64 = 16 << 20;
    let bytes: usize = rows.iter().map(Rows::memory_bytes).sum();
    let row_bytes = (bytes as u64 / (n_rows.max(1) as u64)).max(1);
    let limit = options.row_group_bytes.min(options.target_file_bytes);
    let slice_bytes = (limit / 2).min(MAX_SLICE_BYTES);
    usize::try_from(slice_bytes / row_bytes)
        .unwrap_or(usize::MAX)
        .clamp(1, 1 << 18)
}

pub(super) fn encode_error(
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
