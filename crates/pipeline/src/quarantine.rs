//! Where events go that cannot become rows: zstd NDJSON, one line per event, with its bytes and the reason.

use std::{
    borrow::Cow,
    io::{BufRead as _, BufReader, BufWriter},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{events::Refused, pipeline::Landing};

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
    /// Whether the bytes are themselves base64 of the record's body, as the trigger's envelope said of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub envelope_is_base64: bool,
    /// The object that this one is the rest of: a replay brought the others of its events into the table. As long as that
    /// object is there, its replay is under way, and this object does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_of: Option<String>,
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

/// A [`QuarantinedEvent`] as it is written: it borrows what it can, since there may be millions in one object.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    source_id: &'a str,
    source_index: Option<i64>,
    offset: usize,
    kind: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    received_at: String,
    payload: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_false")]
    is_base64: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) envelope_is_base64: bool,
}

impl<'a> Line<'a> {
    /// An event with its bytes as they came.
    pub(crate) fn new(
        source_id: &'a str,
        arrival_us: i64,
        refused: &Refused<'a>,
        event_type: Option<String>,
    ) -> Self {
        let text = std::str::from_utf8(refused.bytes);
        Self {
            source_id,
            source_index: refused.index,
            offset: refused.offset,
            kind: refused.kind(),
            reason: refused.reason(),
            event_type,
            received_at: rfc3339(arrival_us),
            is_base64: text.is_err(),
            payload: text.map_or_else(|_| STANDARD.encode(refused.bytes).into(), Cow::Borrowed),
            envelope_is_base64: false,
        }
    }
}

impl QuarantinedEvent {
    /// An event that was rebuilt from a row of a receipt that was refused.
    pub(crate) fn of_row(
        (source_id, source_index): (String, i64),
        arrival_us: i64,
        event: Vec<u8>,
        kind: &str,
        reason: &str,
    ) -> Self {
        let text = String::from_utf8(event);
        Self {
            source_id,
            source_index: Some(source_index),
            offset: 0,
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            event_type: None,
            received_at: rfc3339(arrival_us),
            is_base64: text.is_err(),
            payload: text.unwrap_or_else(|error| STANDARD.encode(error.as_bytes())),
            envelope_is_base64: false,
            rest_of: None,
        }
    }

    /// When its record arrived, in microseconds since 1970; nothing when that cannot be read.
    pub(crate) fn arrival_us(&self) -> Option<i64> {
        let time: jiff::Timestamp = self.received_at.parse().ok()?;
        Some(time.as_microsecond())
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

impl From<Line<'_>> for QuarantinedEvent {
    fn from(line: Line<'_>) -> Self {
        Self {
            source_id: line.source_id.to_owned(),
            source_index: line.source_index,
            offset: line.offset,
            kind: line.kind.to_owned(),
            reason: line.reason,
            event_type: line.event_type,
            received_at: line.received_at,
            payload: line.payload.into_owned(),
            is_base64: line.is_base64,
            envelope_is_base64: line.envelope_is_base64,
            rest_of: None,
        }
    }
}

/// The bytes of a quarantine object with these events.
pub(crate) fn encode_events(events: &[QuarantinedEvent]) -> Result<Vec<u8>, std::io::Error> {
    let encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    let mut lines = BufWriter::new(encoder);
    for event in events {
        write(&mut lines, event)?;
    }
    let encoder = lines
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    encoder.finish()
}

/// Refused records of a shard get an object each, up to this many in one delivery.
const MAX_OBJECTS: usize = 100;

/// A quarantine object to be written.
#[derive(Debug)]
pub(crate) struct Object {
    /// The record that its events are of; none for those of the whole payload.
    pub(crate) record: Option<usize>,
    pub(crate) bytes: Vec<u8>,
    /// Of what was refused and why; not of when it arrived and what its delivery was called, since a request that its sender
    /// repeats under the same key differs in those.
    hash: [u8; 32],
}

/// The quarantine objects with all refused events: the same events give the same bytes. `types` are the pointers to an
/// event's type.
///
/// All are in one object. But where a payload that comes again may be cut in another way, each record has an object of its
/// own, so that it is quarantined once whatever it comes with; unless so many are refused that this would cost too much.
pub(crate) fn encode(landing: &Landing, types: &[String]) -> Result<Vec<Object>, std::io::Error> {
    let n_of_record = landing.refusals.n_of_record.iter();
    let n_records = n_of_record.filter(|n_refused| **n_refused > 0).count();
    let is_apart = landing.payload.source.is_cut_anew() && n_records <= MAX_OBJECTS;
    let mut objects = Vec::new();
    let mut open: Option<Open> = None;
    landing.each_refused(|refused| {
        let record = is_apart.then_some(refused.record);
        let mut object = match open.take() {
            Some(object) if object.record == record => object,
            finished => {
                objects.extend(finished.map(Open::finish).transpose()?);
                Open::new(record)?
            }
        };
        object.add(&landing.line(&refused, types))?;
        open = Some(object);
        Ok::<(), std::io::Error>(())
    })?;
    objects.extend(open.map(Open::finish).transpose()?);
    Ok(objects)
}

/// An object that is being written.
struct Open {
    record: Option<usize>,
    lines: BufWriter<zstd::stream::write::Encoder<'static, Vec<u8>>>,
    hash: Sha256,
}

impl Open {
    fn new(record: Option<usize>) -> Result<Self, std::io::Error> {
        let encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
        Ok(Self {
            record,
            lines: BufWriter::new(encoder),
            hash: Sha256::new(),
        })
    }

    fn add(&mut self, line: &Line<'_>) -> Result<(), std::io::Error> {
        let place = (line.source_index, line.offset, line.is_base64);
        let lengths = (line.kind.len(), line.reason.len(), line.payload.len());
        self.hash.update(format!("{place:?} {lengths:?}\n"));
        for part in [line.kind, &line.reason, line.payload.as_ref()] {
            self.hash.update(part);
        }
        write(&mut self.lines, line)
    }

    fn finish(self) -> Result<Object, std::io::Error> {
        let encoder = self
            .lines
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        Ok(Object {
            record: self.record,
            bytes: encoder.finish()?,
            hash: self.hash.finalize().into(),
        })
    }
}

fn write(to: &mut impl std::io::Write, line: &impl Serialize) -> Result<(), std::io::Error> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

/// The place of a quarantine object below the warehouse.
///
/// The day is that of the arrival and the name holds the token of the batch and a hash of what was refused: a batch that is
/// delivered again that day is quarantined once, and other refusals of it never hide behind the first ones.
pub(crate) fn path(
    prefix: &str,
    table: &str,
    token: &str,
    arrival_us: i64,
    object: &Object,
) -> String {
    let day = rfc3339(arrival_us);
    let day = day.get(..10).unwrap_or("0001-01-01");
    let mut hash = [0; 16];
    hash.copy_from_slice(&object.hash[..16]);
    let hash = u128::from_be_bytes(hash);
    format!("{prefix}/{table}/{day}/{token}-{hash:032x}.ndjson.zst")
}

/// Reads a quarantine object back.
///
/// # Errors
///
/// When it is not one, or is cut short.
pub fn read(object: &[u8]) -> Result<Vec<QuarantinedEvent>, QuarantineError> {
    let mut events = Vec::new();
    each(object, |event| {
        events.push(event);
        true
    })?;
    Ok(events)
}

/// Reads a quarantine object event by event, in memory for one of them, until `take` says that it has enough.
///
/// # Errors
///
/// When it is not one, or is cut short; the events before were taken.
pub fn each(
    object: &[u8],
    mut take: impl FnMut(QuarantinedEvent) -> bool,
) -> Result<(), QuarantineError> {
    let failed = |n_lines| move |source| QuarantineError::Read { n_lines, source };
    let decoder = zstd::stream::read::Decoder::with_buffer(object).map_err(failed(0))?;
    for (n_lines, line) in BufReader::new(decoder).split(b'\n').enumerate() {
        let line = line.map_err(failed(n_lines))?;
        let event = serde_json::from_slice(&line).map_err(|source| QuarantineError::Line {
            line: n_lines + 1,
            source,
        })?;
        if !take(event) {
            break;
        }
    }
    Ok(())
}

/// A time in RFC 3339, microseconds where there are any.
pub(crate) fn rfc3339(time_us: i64) -> String {
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
    use crate::events::Reason;
    use crate::frame::Flaw;

    fn object(events: &[&[u8]]) -> Object {
        delivered("message-1", 1_760_000_000_000_000, events)
    }

    /// The object of events that came in a record of this name, at this time.
    fn delivered(source_id: &str, arrival_us: i64, events: &[&[u8]]) -> Object {
        let mut object = Open::new(None).unwrap();
        for bytes in events {
            let refused = Refused {
                record: 0,
                index: Some(3),
                offset: 17,
                bytes,
                reason: Reason::Rest(Flaw::MissingComma),
            };
            let line = Line::new(source_id, arrival_us, &refused, None);
            object.add(&line).unwrap();
        }
        object.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_with_its_bytes() {
        let events: [&[u8]; 3] = [b"{oops", &[0xff, 0, b'\n'], b""];
        let found = read(&object(&events).bytes).unwrap();
        assert_eq!(found.len(), 3);
        for (event, bytes) in found.iter().zip(events) {
            assert_eq!(event.payload(), bytes);
            assert_eq!(event.source_id, "message-1");
            assert_eq!((event.source_index, event.offset), (Some(3), 17));
            assert_eq!(event.kind, "not_json");
            assert_eq!(event.reason, "not JSON: no comma behind the element");
            assert_eq!(event.received_at, "2025-10-09T08:53:20Z");
        }
    }

    #[test]
    fn an_object_that_is_cut_short_is_an_error() {
        let mut object = object(&[b"{oops"]).bytes;
        object.truncate(object.len() - 4);
        assert!(matches!(read(&object), Err(QuarantineError::Read { .. })));
    }

    #[test]
    fn the_same_events_have_one_place_and_others_another() {
        let time_us = 1_760_000_000_000_000;
        let place = |object: &Object| path("quarantine", "a.b", "00ff", time_us, object);
        let of = |events: &[&[u8]]| place(&object(events));
        assert_eq!(of(&[b"x"]), of(&[b"x"]));
        assert_ne!(of(&[b"x"]), of(&[b"y"]));
        assert_ne!(of(&[b"xy", b"z"]), of(&[b"x", b"yz"]));
        assert!(of(&[b"x"]).starts_with("quarantine/a.b/2025-10-09/00ff-"));
        // A delivery that its sender repeats has another name and another time.
        let repeated = delivered("message-2", time_us + 1, &[b"x"]);
        assert_eq!(place(&repeated), of(&[b"x"]));
    }
}
