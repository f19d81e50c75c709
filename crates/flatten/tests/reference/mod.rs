//! The slow, obvious flattener: `docs/flattening.md` line by line, for the fast one to be compared with.
//!
//! It reads JSON with `serde_json` only, keeps trees and strings, and shares no code with `crates/flatten/src` but the
//! public types. "Section" and "rule" mean those of `docs/flattening.md`.

mod compare;
mod decimal;
mod doc;
mod event_time;
mod fits;
mod json;
mod names;
mod rebuild;
mod table;
mod times;
mod walk;

use std::collections::BTreeMap;

use flatten::{Column, Event, Input, NewColumn, Refusal, Refused, Schema, Shape, system};

pub(crate) use compare::{Cell, compare};
pub(crate) use decimal::Decimal;
pub(crate) use rebuild::{canonical, rebuild};

use event_time::EventTime;
use table::Table;
use walk::{Found, What};

/// A time as section 5 prints it.
pub(crate) fn print_time(time_us: i64) -> String {
    times::print_column(i128::from(time_us))
}

/// What the rules make of one batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reference {
    pub(crate) columns: Vec<Column>,
    pub(crate) new_columns: Vec<NewColumn>,
    /// One cell per column of `columns`.
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) n_rescued: u64,
}

/// An event that became a row, before its values have columns.
struct Accepted<'a> {
    event: &'a Event<'a>,
    time: EventTime,
    /// The whole event after rule 1, for `doc = "full"`.
    full: String,
    found: Vec<Found>,
}

/// Flattens a batch by the rules.
pub(crate) fn flatten(schema: &Schema, shape: &Shape, input: &Input<'_>) -> Reference {
    let mut table = Table::new(schema, shape);
    let mut accepted = Vec::new();
    let mut refused = Vec::new();
    for (position, event) in input.events.iter().enumerate() {
        match accept(&table, shape, input, event) {
            Ok(row) => accepted.push(row),
            Err(reason) => refused.push(Refused {
                event: position,
                reason,
            }),
        }
    }

    let values = accepted.iter().flat_map(|row| &row.found);
    table.types = types_of_paths(values);
    let mut rows: Vec<_> = accepted
        .iter()
        .map(|row| make_row(&mut table, shape, input, row))
        .collect();
    for row in &mut rows {
        row.resize(table.columns.len(), Cell::Null); // Columns that appeared after this row.
    }
    Reference {
        columns: table.columns,
        new_columns: table.new_columns,
        rows,
        refused,
        n_rescued: table.n_rescued,
    }
}

/// Section 1: the checks in their order; the first that fails gives the reason.
fn accept<'a>(
    table: &Table,
    shape: &Shape,
    input: &Input<'_>,
    event: &'a Event<'a>,
) -> Result<Accepted<'a>, Refusal> {
    if event.bytes.len() > shape.max_event_bytes {
        return Err(Refusal::TooLong {
            event_bytes: event.bytes.len(),
            max_event_bytes: shape.max_event_bytes,
        });
    }
    let root = json::read(event.bytes).map_err(|_| Refusal::NotJson)?;
    if let Some(other) = root.not_an_object() {
        return Err(Refusal::NotAnObject(other));
    }
    let arrival_us = input.records[event.record as usize].arrival_us;
    let time = event_time::find(&root, shape, arrival_us)?;
    let found = walk::walk(&root, shape, time.chosen());
    if let Some(column) = table.required_without_value(&found) {
        return Err(Refusal::MissingRequired(column.into()));
    }
    Ok(Accepted {
        event,
        time,
        full: doc::after_rule_1(&root, &[], shape),
        found,
    })
}

/// What the scalars of a path are in this batch, for the type of its column (section 4).
struct Kinds {
    first: &'static str,
    all_numbers_are_integers: bool,
}

/// The kind of the first value of each path that meets rule 10, and whether its numbers are all integers.
fn types_of_paths<'a>(found: impl Iterator<Item = &'a Found>) -> BTreeMap<String, Kinds> {
    let mut paths = BTreeMap::new();
    for found in found {
        let What::Scalar(scalar) = &found.what else {
            continue;
        };
        let kinds = paths.entry(found.pointer()).or_insert(Kinds {
            first: scalar.kind(),
            all_numbers_are_integers: true,
        });
        kinds.all_numbers_are_integers &= scalar.is_no_number_or_an_integer();
    }
    paths
}

/// Sections 3 and 7: the cells of one event, adding columns to the table as its values need them.
fn make_row(table: &mut Table, shape: &Shape, input: &Input<'_>, row: &Accepted<'_>) -> Vec<Cell> {
    let mut cells = vec![Cell::Null; table.columns.len()];
    let mut left_over = Vec::new();
    for found in &row.found {
        let placed = table.place(found);
        if let Some((column, cell)) = placed.cell {
            cells.resize(table.columns.len(), Cell::Null);
            cells[column] = cell;
        }
        if placed.left_over {
            left_over.push(found);
        }
    }

    let record = &input.records[row.event.record as usize];
    let doc = match shape.doc {
        flatten::Doc::Full => Some(row.full.clone()),
        flatten::Doc::LeftOver => doc::write(&left_over),
    };
    let own = [
        (
            system::EVENT_TIME,
            Cell::Long(row.time.time_us(record.arrival_us)),
        ),
        (system::INGESTED_AT, Cell::Long(input.ingested_at_us)),
        (system::TIME_SOURCE, Cell::Text(row.time.source())),
        (system::SOURCE_ID, Cell::Text(record.source_id.to_owned())),
        (system::SOURCE_INDEX, Cell::Long(row.event.index)),
        (system::DOC, doc.map_or(Cell::Null, Cell::Text)),
    ];
    for (name, cell) in own {
        cells[names::system_column(&table.columns, name)] = cell;
    }
    cells
}
