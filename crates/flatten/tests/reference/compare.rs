//! Holds a result of the fast flattener against the reference.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use flatten::{Flattened, Flattener, Input, Refusal, Refused, Schema, Shape};

use super::{Reference, canonical, flatten, rebuild};

/// One value of a row, whatever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Boolean(bool),
    /// Integers, days since 1970-01-01, microseconds since then.
    Long(i64),
    /// The bits of a float: zeros are told apart.
    Float(u32),
    Double(u64),
    Decimal(i128),
    Text(String),
    Bytes(Vec<u8>),
    /// What no rule ever stores.
    Other(String),
}

/// Flattens a batch with both and says how they differ, or how the result breaks a law.
pub(crate) fn compare(
    schema: &Schema,
    shape: &Shape,
    input: &Input<'_>,
) -> Result<Reference, String> {
    let fast =
        Flattener::new(schema.clone(), shape.clone()).map_err(|error| format!("{error:?}"))?;
    let flattened = fast.flatten(input).map_err(|error| format!("{error:?}"))?;
    let expected = flatten(schema, shape, input);
    let found = Reference {
        columns: flattened.columns.to_vec(),
        new_columns: flattened.new_columns.clone(),
        rows: rows_of(&flattened)?,
        refused: flattened.refused.iter().map(without_message).collect(),
        n_rescued: flattened.n_rescued,
    };

    let refused: Vec<_> = expected.refused.iter().map(without_message).collect();
    all_same("refused", &found.refused, &refused)?;
    all_same("new column", &found.new_columns, &expected.new_columns)?;
    all_same("column", &found.columns, &expected.columns)?;
    for (number, (row, expected_row)) in found.rows.iter().zip(&expected.rows).enumerate() {
        for ((column, cell), expected_cell) in found.columns.iter().zip(row).zip(expected_row) {
            same(
                &format!("row {number}, column `{}`", column.name),
                cell,
                expected_cell,
            )?;
        }
    }
    all_same("row", &found.rows, &expected.rows)?;
    same("n_rescued", &found.n_rescued, &expected.n_rescued)?;
    same(
        "rows and refused events",
        &(found.rows.len() + found.refused.len()),
        &input.events.len(),
    )?;
    lossless(shape, input, &found)?;
    Ok(found)
}

/// Law 2: the event of each row can be rebuilt.
fn lossless(shape: &Shape, input: &Input<'_>, found: &Reference) -> Result<(), String> {
    let is_refused = |position: &usize| {
        found
            .refused
            .iter()
            .any(|refused| refused.event == *position)
    };
    let accepted = (0..input.events.len()).filter(|position| !is_refused(position));
    for (position, row) in accepted.zip(&found.rows) {
        let rebuilt = rebuild(&found.columns, row, shape);
        let event = canonical(input.events[position].bytes, shape);
        same(&format!("event {position}, rebuilt"), &rebuilt, &event)?;
    }
    Ok(())
}

/// Words for what is not an object are free; everything else of a refusal is fixed.
fn without_message(refused: &Refused) -> Refused {
    let reason = match &refused.reason {
        Refusal::NotAnObject(_) => Refusal::NotAnObject(""),
        other => other.clone(),
    };
    Refused {
        event: refused.event,
        reason,
    }
}

fn same<T: std::fmt::Debug + PartialEq>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{what}\n    found: {found:?}\n expected: {expected:?}"
    ))
}

/// Names the first that differs.
fn all_same<T: std::fmt::Debug + PartialEq>(
    what: &str,
    found: &[T],
    expected: &[T],
) -> Result<(), String> {
    for position in 0..found.len().max(expected.len()) {
        same(
            &format!("{what} {position}"),
            &found.get(position),
            &expected.get(position),
        )?;
    }
    Ok(())
}

/// All cells of all batches, whose columns have to be those that the result names.
pub(crate) fn rows_of(flattened: &Flattened) -> Result<Vec<Vec<Cell>>, String> {
    let mut rows = Vec::new();
    for batch in &flattened.batches {
        if batch.num_rows() == 0 {
            return Err("an empty batch".to_owned());
        }
        let schema = batch.schema_ref();
        let places = flattened
            .columns
            .iter()
            .map(|column| schema.index_of(&column.name).ok());
        let places: Vec<Option<usize>> = places.collect();
        let in_order: Vec<usize> = places.iter().flatten().copied().collect();
        same(
            "order of columns",
            &in_order,
            &(0..batch.num_columns()).collect(),
        )?;
        for (column, place) in flattened.columns.iter().zip(&places) {
            let Some(place) = *place else {
                same("a required column is left out", &column.required, &false)?;
                continue;
            };
            let field = schema.field(place);
            // Texts may come with a dictionary.
            let data_type = match field.data_type() {
                DataType::Dictionary(_, values) => values.as_ref(),
                other => other,
            };
            same("type", data_type, &column.data_type)?;
            // Keys that point to no entry, above all: the flattener makes dictionaries without a look at them.
            let data = batch.column(place).to_data();
            data.validate_full()
                .map_err(|error| format!("`{}`: {error}", column.name))?;
            same("nullability", &field.is_nullable(), &!column.required)?;
        }
        rows.extend((0..batch.num_rows()).map(|row| cells_of(batch, &places, row)));
    }
    Ok(rows)
}

/// The cells of a row; a column that the batch leaves out is null.
fn cells_of(batch: &RecordBatch, places: &[Option<usize>], row: usize) -> Vec<Cell> {
    let cell = |place: &Option<usize>| {
        place.map_or(Cell::Null, |place| {
            cell_of(batch.column(place).as_ref(), row)
        })
    };
    places.iter().map(cell).collect()
}

fn cell_of(array: &dyn Array, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    if let Some(keyed) = array.as_dictionary_opt::<Int32Type>() {
        let key = keyed.key(row).unwrap_or(usize::MAX);
        return cell_of(keyed.values().as_ref(), key);
    }
    match array.data_type() {
        DataType::Boolean => Cell::Boolean(array.as_boolean().value(row)),
        DataType::Int32 => Cell::Long(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Cell::Float(array.as_primitive::<Float32Type>().value(row).to_bits()),
        DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Decimal128(..) => {
            Cell::Decimal(array.as_primitive::<Decimal128Type>().value(row))
        }
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Date32 => Cell::Long(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Cell::Long(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::FixedSizeBinary(16) => {
            Cell::Bytes(array.as_fixed_size_binary().value(row).to_vec())
        }
        other => Cell::Other(format!("a value of {other}")),
    }
}
