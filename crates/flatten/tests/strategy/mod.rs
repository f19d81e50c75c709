//! Random batches: tables, shapes and events that meet as often as possible.

mod json;
mod tables;

use std::fmt;

use flatten::{Event, Input, Record, Schema, Shape};
use proptest::collection::vec;
use proptest::prelude::*;

use tables::schema;
pub(crate) use tables::shape;

/// Everything that decides a result.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) schema: Schema,
    pub(crate) shape: Shape,
    pub(crate) events: Vec<Vec<u8>>,
}

impl Batch {
    /// Calls `use_input` with the batch as input: three records that arrived a second apart.
    pub(crate) fn with_input<T>(&self, use_input: impl FnOnce(&Input<'_>) -> T) -> T {
        let records = [("first", 0), ("", 1), ("third", 2)].map(|(source_id, second)| Record {
            source_id,
            arrival_us: super::rules::ARRIVAL_US + second * 1_000_000,
        });
        let events: Vec<_> = (0..)
            .zip(&self.events)
            .map(|(position, bytes): (u32, _)| Event {
                bytes,
                record: position * 3 / u32::try_from(self.events.len()).unwrap_or(u32::MAX),
                index: i64::from(position) - 1,
            })
            .collect();
        use_input(&Input {
            records: &records,
            events: &events,
            ingested_at_us: super::rules::ARRIVAL_US - 1,
        })
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "reserved: {:?}", self.schema.reserved)?;
        for column in self
            .schema
            .columns
            .iter()
            .filter(|column| !column.name.starts_with('_'))
        {
            let required = if column.required { "required" } else { "" };
            writeln!(
                f,
                "column {:?} {} {:?} {required}",
                column.name, column.data_type, column.doc
            )?;
        }
        writeln!(f, "{:?}", self.shape)?;
        for event in &self.events {
            let text = event.escape_ascii().to_string().replace("\\\"", "\"");
            writeln!(f, "event {}", &text[..text.len().min(200)])?;
        }
        Ok(())
    }
}

/// Any batch.
pub(crate) fn batch() -> impl Strategy<Value = Batch> {
    (schema(), shape(), events()).prop_map(|(schema, shape, events)| Batch {
        schema,
        shape,
        events,
    })
}

/// A batch of many events whose bytes make many chunks.
pub(crate) fn large_batch() -> impl Strategy<Value = Batch> {
    let filler_bytes = prop_oneof![Just(0usize), Just(2000), Just(20_000)];
    (schema(), shape(), vec(event(), 100..200), filler_bytes).prop_map(
        |(schema, shape, events, filler_bytes)| {
            let filler = |position: usize| {
                format!(
                    "{{\"position\":{position},\"filler\":[\"{}\"]}}",
                    "f".repeat(filler_bytes)
                )
                .into_bytes()
            };
            let events = events.into_iter().enumerate();
            Batch {
                schema,
                shape,
                events: events
                    .flat_map(|(position, event)| [filler(position), event])
                    .collect(),
            }
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(event(), 0..8)
}

/// Mostly objects, some of them broken, some of something else.
fn event() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        16 => json::object().prop_map(String::into_bytes),
        2 => broken(),
        1 => json::value().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
    ]
}

/// An object with one byte replaced, or cut off, or with something behind it.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        proptest::sample::select(b"{}[]\":,\\0123eE.-+tfn \n\xff\xc3\xed\xa0\x00\x1f".to_vec()),
        any::<u8>(),
    ];
    (json::object(), any::<prop::sample::Index>(), byte, 0..4u8).prop_map(
        |(text, index, byte, how)| {
            let mut bytes = text.into_bytes();
            let position = index.index(bytes.len());
            match how {
                0 => bytes.truncate(position),
                1 => bytes[position] = byte,
                2 => bytes.insert(position, byte),
                _ => bytes.push(byte),
            }
            bytes
        },
    )
}
