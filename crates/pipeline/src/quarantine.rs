//! Where events go that cannot become rows: zstd NDJSON, one line per event, with its bytes and the reason.

use std::io::{BufRead as _, BufReader};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How hard the quarantine is compressed; it is small and rarely written.
const ZSTD_LEVEL: i32 = 3;

/// One refused event, or a record or piece of one that cannot be told apart into events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedEvent {
    /// The record that it came in.
    pub source_id: String,
    /// Its number in that record; none for a record that cannot be read.
    pub source_index: Option<i64>,
    /// Where it began in the inflated body, in bytes.
    pub offset: usize,
    /// The kind of refusal in one word.
    pub kind: String,
    /// The reason for a person.
    pub reason: String,
    /// What the event calls itself, when it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// When its record arrived, RFC 3339.
    pub received_at: String,
    /// Its original bytes, or their base64.
    payload: String,
    /// Whether `payload` is base64, because the bytes are not UTF-8.
    #[serde(default, skip_serializing_if = "is_false")]
    is_base64: bool,
}

/// A quarantine object that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// Not zstd, or cut short.
    #[error("the quarantine object ends or breaks after {n_lines} lines")]
    Read {
        /// The lines read before.
        n_lines: usize,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is not one of ours.
    #[error("line {line} of the quarantine object is not a quarantined event")]
    Line {
        /// The line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// What names an event in the quarantine, without its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Label<'a> {
    pub(crate) source_id: &'a str,
    pub(crate) source_index: Option<i64>,
    pub(crate) offset: usize,
    pub(crate) kind: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) event_type: Option<String>,
    pub(crate) arrival_us: i64,
}

impl QuarantinedEvent {
    /// An event with its bytes as they came.
    pub(crate) fn new(label: Label<'_>, bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes);
        Self {
            source_id: label.source_id.to_owned(),
            source_index: label.source_index,
            offset: label.offset,
            kind: label.kind.to_owned(),
            reason: label.reason.to_owned(),
            event_type: label.event_type,
            received_at: rfc3339(label.arrival_us),
            payload: text.map_or_else(|_| STANDARD.encode(bytes), str::to_owned),
            is_base64: text.is_err(),
        }
    }

    /// The original bytes.
    pub fn payload(&self) -> Vec<u8> {
        let plain = || self.payload.clone().into_bytes();
        if self.is_base64 {
            STANDARD.decode(&self.payload).unwrap_or_else(|_| plain())
        } else {
            plain()
        }
    }
}

/// The bytes of a quarantine object: the same events give the same bytes.
pub(crate) fn encode(events: &[QuarantinedEvent]) -> Result<Vec<u8>, std::io::Error> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    for event in events {
        serde_json::to_writer(&mut encoder, event)?;
        std::io::Write::write_all(&mut encoder, b"\n")?;
    }
    encoder.finish()
}

/// The place of a quarantine object below the warehouse.
///
/// The day is that of the arrival and the name holds the token of the batch and a hash of the object: a batch that is
/// delivered again is quarantined once, and other refusals of it never hide behind the first ones.
pub(crate) fn path(
    prefix: &str,
    table: &str,
    token: &str,
    arrival_us: i64,
    object: &[u8],
) -> String {
    let day = rfc3339(arrival_us);
    let day = day.get(..10).unwrap_or("0001-01-01");
    let hash = Sha256::digest(object);
    let hash = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    format!("{prefix}/{table}/{day}/{token}-{hash:08x}.ndjson.zst")
}

/// Reads a quarantine object back.
///
/// # Errors
///
/// When it is not one, or is cut short.
pub fn read(object: &[u8]) -> Result<Vec<QuarantinedEvent>, QuarantineError> {
    let failed = |n_lines| move |source| QuarantineError::Read { n_lines, source };
    let decoder = zstd::stream::read::Decoder::with_buffer(object).map_err(failed(0))?;
    let mut events = Vec::new();
    for line in BufReader::new(decoder).split(b'\n') {
        let line = line.map_err(failed(events.len()))?;
        let event = serde_json::from_slice(&line);
        let number = events.len() + 1;
        events.push(event.map_err(|source| QuarantineError::Line {
            line: number,
            source,
        })?);
    }
    Ok(events)
}

/// A time in RFC 3339, microseconds where there are any.
fn rfc3339(time_us: i64) -> String {
    jiff::Timestamp::from_microsecond(time_us)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: &[u8]) -> QuarantinedEvent {
        let label = Label {
            source_id: "message-1",
            source_index: Some(3),
            offset: 17,
            kind: "not_json",
            reason: "not JSON: expected value at line 1 column 1",
            event_type: None,
            arrival_us: 1_760_000_000_000_000,
        };
        QuarantinedEvent::new(label, bytes)
    }

    #[test]
    fn what_is_written_is_read_back_with_its_bytes() {
        let events = [event(b"{oops"), event(&[0xff, 0, b'\n']), event(b"")];
        let object = encode(&events).unwrap();
        let found = read(&object).unwrap();
        assert_eq!(found, events);
        assert_eq!(found[0].payload(), b"{oops");
        assert_eq!(found[1].payload(), [0xff, 0, b'\n']);
        assert_eq!(found[0].received_at, "2025-10-09T08:53:20Z");
    }

    #[test]
    fn an_object_that_is_cut_short_is_an_error() {
        let mut object = encode(&[event(b"{oops")]).unwrap();
        object.truncate(object.len() - 4);
        assert!(matches!(read(&object), Err(QuarantineError::Read { .. })));
    }

    #[test]
    fn the_same_events_have_one_place_and_others_another() {
        let place = |bytes: &[u8]| {
            let object = encode(&[event(bytes)]).unwrap();
            path("quarantine", "a.b", "00ff", 1_760_000_000_000_000, &object)
        };
        assert_eq!(place(b"x"), place(b"x"));
        assert_ne!(place(b"x"), place(b"y"));
        assert!(place(b"x").starts_with("quarantine/a.b/2025-10-09/00ff-"));
    }
}
