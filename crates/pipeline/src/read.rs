//! Records into events: each body inflated under the cap of the payload, and framed.

use bytes::Bytes;

use crate::{
    Payload, Record,
    frame::{Broken, Flaw, Frames, frame, frame_lines},
    inflate::{InflateError, inflate},
};

/// What an event counts for at least, in bytes: about what it takes in memory beside its own bytes (its place in the body,
/// what the flattener is given, and either the refusal or the system columns of a row).
pub const EVENT_BYTES: usize = 64;

/// What one record turned out to be.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Events, and perhaps a broken rest.
    Events {
        /// The inflated body.
        body: Bytes,
        /// Where its events are.
        frames: Frames,
    },
    /// A body that cannot be read: it is quarantined as it came.
    Unreadable(InflateError),
    /// The table's ledger has it: its rows are in the table, and what was refused of it is in the quarantine.
    Known,
    /// No room beside the others: it has to be delivered again.
    Again,
}

impl Content {
    /// Whether this run answers for the record.
    pub(crate) fn is_taken(&self) -> bool {
        !matches!(self, Self::Again)
    }
}

/// Reads all records of a payload, which together may take `cap_bytes`: their inflated bodies, but at least [`EVENT_BYTES`]
/// for each event.
///
/// A record beyond the cap by itself is unreadable; one that only has no room beside the others comes again, and in an
/// ordered payload all after it do too.
pub(crate) fn read(payload: &Payload, cap_bytes: usize) -> Vec<Content> {
    let mut left_bytes = cap_bytes;
    let mut is_stopped = false;
    let mut contents = Vec::with_capacity(payload.records.len());
    for record in &payload.records {
        if is_stopped {
            contents.push(Content::Again);
            continue;
        }
        let is_lines = payload.source.is_lines;
        let mut opened = open(record, is_lines, left_bytes);
        let is_out_of_room = matches!(opened, Err(InflateError::TooLarge { .. }));
        if is_out_of_room && left_bytes < cap_bytes {
            match open(record, is_lines, cap_bytes) {
                Ok(_) => {
                    is_stopped = payload.source.is_ordered;
                    contents.push(Content::Again);
                    continue;
                }
                Err(error) => opened = Err(error),
            }
        }
        contents.push(match opened {
            Ok((body, frames)) => {
                left_bytes -= charge(body.len(), frames.n_events());
                Content::Events { body, frames }
            }
            Err(error) => Content::Unreadable(error),
        });
    }
    contents
}

/// Inflates and frames one record, if it has room.
pub(crate) fn open(
    record: &Record,
    is_lines: bool,
    room_bytes: usize,
) -> Result<(Bytes, Frames), InflateError> {
    let body = inflate(&record.body, record.is_base64, room_bytes)?;
    let max_events = room_bytes / EVENT_BYTES;
    let frames = if is_lines {
        frame_lines(&body, max_events)
    } else {
        frame(&body, max_events)
    };
    match frames.broken {
        Some(Broken {
            flaw: Flaw::TooMany,
            ..
        }) => Err(InflateError::TooLarge {
            cap_bytes: room_bytes,
        }),
        _ => Ok((body, frames)),
    }
}

/// What a body counts for.
fn charge(body_bytes: usize, n_events: usize) -> usize {
    body_bytes.max(n_events * EVENT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceBatch;

    const CAP_BYTES: usize = 200;

    fn payload(source: SourceBatch, bodies: Vec<String>) -> Payload {
        let record = |body: String| Record {
            delivery_id: body.clone(),
            source_id: body.clone(),
            arrival_us: 0,
            body: Bytes::from(body),
            is_base64: false,
        };
        Payload {
            records: bodies.into_iter().map(record).collect(),
            source,
        }
    }

    /// Reads bodies of one event each, which have this many bytes.
    #[track_caller]
    fn check(source: SourceBatch, n_bytes: &[usize], expected: &str) {
        let body = |&n_bytes: &usize| format!("{{\"a\":\"{}\"}}", "x".repeat(n_bytes - 8));
        let payload = payload(source, n_bytes.iter().map(body).collect());
        assert_eq!(words(&read(&payload, CAP_BYTES)), expected);
    }

    fn words(contents: &[Content]) -> String {
        let word = |content: &Content| match content {
            Content::Events { .. } => 'e',
            Content::Unreadable(_) => 'u',
            Content::Again => 'a',
            Content::Known => 'k',
        };
        contents.iter().map(word).collect()
    }

    #[test]
    fn what_has_no_room_beside_others_comes_again() {
        check(SourceBatch::messages("sqs"), &[120, 100, 70], "eae");
    }

    #[test]
    fn what_has_no_room_by_itself_is_unreadable_wherever_it_stands() {
        check(SourceBatch::messages("sqs"), &[201, 10], "ue");
        check(SourceBatch::messages("sqs"), &[10, 201], "eu");
        check(SourceBatch::shard("kinesis", "s"), &[10, 201, 10], "eue");
    }

    #[test]
    fn an_ordered_payload_stops_at_the_first_record_that_comes_again() {
        check(SourceBatch::shard("kinesis", "s"), &[120, 100, 10], "eaa");
    }

    #[test]
    fn many_small_events_take_room_by_their_number() {
        let bodies = |lines: &[usize]| lines.iter().map(|&n| "1\n".repeat(n)).collect();
        let read = |lines: &[usize]| {
            let payload = payload(SourceBatch::messages("sqs"), bodies(lines));
            words(&read(&payload, CAP_BYTES))
        };
        assert_eq!(read(&[3]), "e");
        assert_eq!(read(&[4]), "u");
        assert_eq!(read(&[2, 2, 1]), "eae");
        assert_eq!(read(&[0, 3, 0]), "eee");
    }
}
