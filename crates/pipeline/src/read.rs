//! Records into events: each body inflated under the cap of the payload, and framed.

use bytes::Bytes;

use crate::{
    Payload,
    frame::{Frames, frame},
    inflate::{InflateError, inflate},
};

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
    /// No room beside the others: it has to be delivered again.
    Again,
}

impl Content {
    /// Whether this run answers for the record.
    pub(crate) fn is_taken(&self) -> bool {
        !matches!(self, Self::Again)
    }
}

/// Reads all records of a payload, whose inflated bodies together have at most `cap_bytes`.
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
        let mut inflated = inflate(&record.body, record.is_base64, left_bytes);
        let is_out_of_room = matches!(inflated, Err(InflateError::TooLarge { .. }));
        if is_out_of_room && left_bytes < cap_bytes {
            match inflate(&record.body, record.is_base64, cap_bytes) {
                Ok(_) => {
                    is_stopped = payload.source.is_ordered;
                    contents.push(Content::Again);
                    continue;
                }
                Err(error) => inflated = Err(error),
            }
        }
        contents.push(match inflated {
            Ok(body) => {
                left_bytes -= body.len();
                let frames = frame(&body);
                Content::Events { body, frames }
            }
            Err(error) => Content::Unreadable(error),
        });
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, SourceBatch};

    #[track_caller]
    fn check(source: SourceBatch, bodies: &[&'static str], expected: &str) {
        let record = |body: &&'static str| Record {
            delivery_id: (*body).to_owned(),
            source_id: (*body).to_owned(),
            arrival_us: 0,
            body: Bytes::from_static(body.as_bytes()),
            is_base64: false,
        };
        let payload = Payload {
            records: bodies.iter().map(record).collect(),
            source,
        };
        let word = |content: &Content| match content {
            Content::Events { .. } => 'e',
            Content::Unreadable(_) => 'u',
            Content::Again => 'a',
        };
        let found: String = read(&payload, 10).iter().map(word).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_has_no_room_beside_others_comes_again() {
        check(
            SourceBatch::messages("sqs"),
            &["{\"a\":1}", "{\"b\":2}", "{}"],
            "eae",
        );
    }

    #[test]
    fn what_has_no_room_by_itself_is_unreadable_wherever_it_stands() {
        check(
            SourceBatch::messages("sqs"),
            &["{\"aaaaaaa\":1}", "{}"],
            "ue",
        );
        check(
            SourceBatch::messages("sqs"),
            &["{}", "{\"aaaaaaa\":1}"],
            "eu",
        );
        check(
            SourceBatch::shard("kinesis", "s"),
            &["{}", "{\"aaaaaaa\":1}", "{}"],
            "eue",
        );
    }

    #[test]
    fn an_ordered_payload_stops_at_the_first_record_that_comes_again() {
        check(
            SourceBatch::shard("kinesis", "s"),
            &["{\"a\":1}", "{\"b\":2}", "{}"],
            "eaa",
        );
    }
}
