//! What comes out: rows, the columns to add, and the events refused.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use crate::Column;
use crate::scan::Scanner;

/// The rows of one batch, and what did not become rows.
#[derive(Debug, Clone)]
pub struct Flattened {
    /// The columns of the rows: the table's in order, then the new ones. A batch has those that its events have, in this order.
    pub columns: Arc<[Column]>,
    /// The columns to add to the table before these rows can be written; empty in the steady state.
    pub new_columns: Vec<NewColumn>,
    /// The rows in the order of their events, cut by bytes of JSON, never by threads. No batch is empty. Texts that repeat
    /// within a batch come as `Dictionary(Int32, Utf8)`, others as `Utf8`: a batch has its own schema.
    pub batches: Vec<RecordBatch>,
    /// The events that became no row, in order.
    pub refused: Vec<Refused>,
    /// How many values did not fit their column or met another path's name, and went to `_doc` instead.
    pub n_rescued: u64,
}

impl Flattened {
    /// How many events became rows.
    pub fn n_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// Why a batch could not be flattened at all. No event is known to cause it: bad events are [`Refused`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlattenError {
    /// Arrow refused an array that was built.
    #[error("cannot build the rows of {n_events} events")]
    BuildBatch {
        /// How many events were to be flattened.
        n_events: usize,
        /// What Arrow said.
        source: arrow_schema::ArrowError,
    },
}

/// A column that the events need and the table lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Its name, unique in the table without regard to case.
    pub name: String,
    /// The path of its values as an RFC 6901 pointer: the doc of the Iceberg column.
    pub pointer: String,
    /// Its Arrow type.
    pub data_type: DataType,
}

/// An event that became no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Position in [`crate::Input::events`].
    pub event: usize,
    /// Why.
    pub reason: Refusal,
}

/// Why an event became no row. It holds no text of its own, since a batch may have millions: [`Refusal::explain`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Longer than `max_event_bytes`.
    TooLong {
        /// Its length.
        event_bytes: usize,
        /// The limit.
        max_event_bytes: usize,
    },
    /// Not JSON, or JSON that `serde_json` refuses.
    NotJson,
    /// JSON, but not an object; names what it is.
    NotAnObject(&'static str),
    /// The event time is present and unreadable; names the pointers that were present.
    UnreadableTime(Arc<[String]>),
    /// The event time lies outside the allowed range.
    TimeOutOfRange {
        /// Where the time was found.
        pointer: Arc<str>,
        /// The time, in microseconds since 1970-01-01T00:00:00Z.
        time_us: i64,
    },
    /// A column that the table requires got no value; names the column.
    MissingRequired(Arc<str>),
}

impl Refusal {
    /// Why bytes that are not one JSON object are no event: what they are instead, or else that they are not JSON.
    #[cold]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut scanner = Scanner::new(bytes);
        let is_json =
            std::str::from_utf8(bytes).is_ok() && scanner.skip(0).is_ok() && scanner.at_end();
        if !is_json {
            return Self::NotJson;
        }
        Self::NotAnObject(match bytes.trim_ascii_start().first() {
            Some(b'n') => "null",
            Some(b't' | b'f') => "a boolean",
            Some(b'"') => "a string",
            Some(b'[') => "an array",
            _ => "a number",
        })
    }

    /// The reason in full, for a person: for what is not JSON the words of `serde_json`, whose judgement counts, with line
    /// and column. `event` are the bytes that were refused.
    pub fn explain(&self, event: &[u8]) -> String {
        match self {
            Self::NotJson => match serde_json::from_slice::<serde_json::Value>(event) {
                Err(error) => format!("{self}: {error}"),
                Ok(_) => format!("{self}: cannot be read"),
            },
            _ => self.to_string(),
        }
    }

    /// The kind of refusal in one word, for metrics: its variety is bounded.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::NotJson => "not_json",
            Self::NotAnObject(_) => "not_an_object",
            Self::UnreadableTime(_) => "unreadable_time",
            Self::TimeOutOfRange { .. } => "time_out_of_range",
            Self::MissingRequired(_) => "missing_required",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong {
                event_bytes,
                max_event_bytes,
            } => {
                write!(
                    f,
                    "the event has {event_bytes} bytes, more than `max_event_bytes` = {max_event_bytes}"
                )
            }
            Self::NotJson => f.write_str("not JSON"),
            Self::NotAnObject(found) => write!(f, "the event is {found}, not an object"),
            Self::UnreadableTime(pointers) => {
                write!(f, "no readable event time at `{}`", pointers.join("`, `"))
            }
            Self::TimeOutOfRange { pointer, time_us } => {
                write!(
                    f,
                    "the event time at `{pointer}` is out of range: {time_us} µs since 1970"
                )
            }
            Self::MissingRequired(column) => {
                write!(f, "no value for the required column `{column}`")
            }
        }
    }
}

/// The names in refusals, each held once however many refusals name it.
#[derive(Debug, Default)]
pub(crate) struct Names {
    one: Vec<Arc<str>>,
    last_list: Option<Arc<[String]>>,
}

impl Names {
    /// A name out of few: pointers of event times and required columns.
    pub(crate) fn one(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.one.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let name = Arc::from(name);
        self.one.push(Arc::clone(&name));
        name
    }

    /// Some names, which are mostly those of the last time.
    pub(crate) fn list(&mut self, names: Vec<String>) -> Arc<[String]> {
        match &self.last_list {
            Some(last) if **last == *names => Arc::clone(last),
            _ => Arc::clone(self.last_list.insert(names.into())),
        }
    }
}
