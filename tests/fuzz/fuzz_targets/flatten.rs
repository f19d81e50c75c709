//! Any bytes: the flattener and the slow reference agree, and every row rebuilds its event.
#![no_main]

#[path = "../../../crates/flatten/tests/reference/mod.rs"]
#[expect(dead_code, reason = "the tests of the reference use more of it")]
mod reference;

use arrow_schema::{DataType, TimeUnit};
use flatten::{
    Column, Conflict, DeclaredType, Doc, Event, Input, Record, Schema, Shape, UnreadableTime,
};
use libfuzzer_sys::fuzz_target;

/// 2025-10-09T08:53:20Z
const ARRIVAL_US: i64 = 1_760_000_000_000_000;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (schema, shape) = table(lines.next().unwrap_or_default());
    let events: Vec<_> = (0..)
        .zip(lines)
        .map(|(index, bytes)| Event {
            bytes,
            record: 0,
            index,
        })
        .collect();
    let records = [Record {
        source_id: "fuzz",
        arrival_us: ARRIVAL_US,
    }];
    let input = Input {
        records: &records,
        events: &events,
        ingested_at_us: ARRIVAL_US,
    };
    if let Err(difference) = reference::compare(&schema, &shape, &input) {
        panic!("{difference}");
    }
});

/// The table and shape that the letters of the first line choose; other bytes mean nothing.
fn table(letters: &[u8]) -> (Schema, Shape) {
    let mut schema = Schema::of_system_columns();
    let mut shape = Shape {
        earliest: "0000-01-01T00:00:00Z".to_owned(),
        latest_seconds: u32::MAX,
        ..Shape::default()
    };
    for letter in letters {
        match letter {
            b's' => shape.conflict = Conflict::Sibling,
            b'f' => shape.doc = Doc::Full,
            b'u' => shape.unreadable_time = UnreadableTime::Arrival,
            b'o' => shape.assume_offset = Some("+05:30".to_owned()),
            b't' => shape.time = vec!["/a/b".to_owned(), "/ts".to_owned()],
            b'd' => shape.max_depth = 2,
            b'c' => shape.max_columns = schema.columns.len() + 2,
            b'n' => shape.max_new_columns = 2,
            b'b' => shape.max_event_bytes = 40,
            b'r' => schema.reserved = vec!["A_b".to_owned(), "a__long".to_owned()],
            b'R' => add(&mut schema, "id", None, DataType::Int64, true),
            digit @ b'0'..=b'9' => declare(&mut shape, "/a", usize::from(digit - b'0')),
            capital @ b'A'..=b'J' => declare(&mut shape, "/a/b", usize::from(capital - b'A')),
            sign @ b'!'..=b'-' => {
                let types = column_types();
                let data_type = types[usize::from(sign - b'!') % types.len()].clone();
                add(&mut schema, "b", Some("/b"), data_type.clone(), false);
                add(&mut schema, "A", None, data_type, false);
            }
            _ => {}
        }
    }
    (schema, shape)
}

fn declare(shape: &mut Shape, pointer: &str, number: usize) {
    let declared = [
        DeclaredType::Drop,
        DeclaredType::Sha256,
        DeclaredType::Json,
        DeclaredType::Rescue,
        DeclaredType::Timestamptz,
        DeclaredType::Date,
        DeclaredType::Double,
        DeclaredType::Long,
        DeclaredType::String,
        DeclaredType::Decimal {
            precision: 7,
            scale: 3,
        },
    ][number];
    shape.columns.insert(pointer.to_owned(), declared);
}

fn add(schema: &mut Schema, name: &str, doc: Option<&str>, data_type: DataType, required: bool) {
    if schema.columns.iter().all(|column| column.name != name) {
        schema.columns.push(Column {
            name: name.to_owned(),
            doc: doc.map(str::to_owned),
            data_type,
            required,
        });
    }
}

fn column_types() -> [DataType; 13] {
    [
        DataType::Boolean,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::Date32,
        DataType::Decimal128(9, 2),
        DataType::Decimal128(38, 10),
        flatten::timestamptz(),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::FixedSizeBinary(16),
        DataType::LargeBinary,
    ]
}
