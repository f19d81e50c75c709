//! Examples of every rule of `docs/flattening.md`. The fast flattener and the reference have to agree with each.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "`UPDATE_EXPECT=1` writes them"
)]

mod columns;
mod event_times;
mod events;
mod fits;
mod left_over;
mod names;
mod siblings;
mod values;

use std::fmt::Write;

use arrow_schema::DataType;
use expect_test::Expect;
use flatten::{Column, DeclaredType, Event, Input, Record, Schema, Shape, system};

use super::reference::{self, Cell, Reference};

/// 2025-10-09T08:53:20Z
pub(crate) const ARRIVAL_US: i64 = 1_760_000_000_000_000;

/// A table before the events: the system columns, those added here, and the shape.
struct Table {
    schema: Schema,
    shape: Shape,
}

/// A new table of the default shape.
fn table() -> Table {
    Table {
        schema: Schema::of_system_columns(),
        shape: Shape::default(),
    }
}

impl Table {
    fn column(mut self, name: &str, doc: Option<&str>, data_type: DataType) -> Self {
        self.schema.columns.push(Column {
            name: name.to_owned(),
            doc: doc.map(str::to_owned),
            data_type,
            required: false,
        });
        self
    }

    fn required(mut self) -> Self {
        if let Some(column) = self.schema.columns.last_mut() {
            column.required = true;
        }
        self
    }

    fn reserved(mut self, name: &str) -> Self {
        self.schema.reserved.push(name.to_owned());
        self
    }

    fn declare(mut self, pointer: &str, declared: &str) -> Self {
        let declared = DeclaredType::try_from(declared.to_owned()).unwrap();
        self.shape.columns.insert(pointer.to_owned(), declared);
        self
    }

    fn shape(mut self, change: impl FnOnce(&mut Shape)) -> Self {
        change(&mut self.shape);
        self
    }
}

/// Flattens the events with both flatteners and compares what comes out with the expectation.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a test writes its table and expectation in place"
)]
fn check<E: AsRef<[u8]>>(table: Table, events: &[E], expected: Expect) {
    let records = [Record {
        source_id: "a.ndjson",
        arrival_us: ARRIVAL_US,
    }];
    let events: Vec<_> = (0..)
        .zip(events)
        .map(|(index, event)| Event {
            bytes: event.as_ref(),
            record: 0,
            index,
        })
        .collect();
    let input = Input {
        records: &records,
        events: &events,
        ingested_at_us: ARRIVAL_US + 1,
    };
    let by_the_rules = reference::flatten(&table.schema, &table.shape, &input);
    expected.assert_eq(&print(&by_the_rules, &events));
    if let Err(difference) = reference::compare(&table.schema, &table.shape, &input) {
        panic!("the flattener differs from the reference: {difference}");
    }
}

/// New columns, rows (what every row has left out), refused events, rescued values.
fn print(result: &Reference, events: &[Event<'_>]) -> String {
    let mut text = String::new();
    for new in &result.new_columns {
        let _ = writeln!(
            text,
            "+ {} {} {}",
            new.name,
            type_name(&new.data_type),
            new.pointer
        );
    }
    for row in &result.rows {
        let mut cells = Vec::new();
        for (column, cell) in result.columns.iter().zip(row) {
            let is_usual = match column.name.as_str() {
                system::EVENT_TIME => *cell == Cell::Long(ARRIVAL_US),
                system::TIME_SOURCE => *cell == Cell::Text("arrival".to_owned()),
                system::INGESTED_AT | system::SOURCE_ID | system::SOURCE_INDEX => true,
                _ => *cell == Cell::Null,
            };
            if !is_usual {
                cells.push(format!(
                    "{} = {}",
                    column.name,
                    print_cell(cell, &column.data_type)
                ));
            }
        }
        let _ = writeln!(text, "row: {}", cells.join(", "));
    }
    for refused in &result.refused {
        let reason = refused.reason.explain(events[refused.event].bytes);
        let _ = writeln!(text, "refused {}: {reason}", refused.event);
    }
    if result.n_rescued > 0 {
        let _ = writeln!(text, "rescued: {}", result.n_rescued);
    }
    text
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 => "long".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Utf8 => "string".to_owned(),
        other => format!("{other}"),
    }
}

fn print_cell(cell: &Cell, data_type: &DataType) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Long(time_us) if matches!(data_type, DataType::Timestamp(..)) => {
            reference::print_time(*time_us)
        }
        Cell::Boolean(value) => value.to_string(),
        Cell::Long(value) => value.to_string(),
        Cell::Float(bits) => format!("{:?}", f32::from_bits(*bits)),
        Cell::Double(bits) => format!("{:?}", f64::from_bits(*bits)),
        Cell::Decimal(unscaled) => format!("{unscaled} unscaled"),
        Cell::Text(text) => text.clone(),
        Cell::Bytes(bytes) => format!("{bytes:02x?}"),
        Cell::Other(other) => other.clone(),
    }
}
