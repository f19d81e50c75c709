//! The events of a payload as rows and refusals. A panic in one record never costs its neighbours.
//!
//! A refused event is not written down: what the flattener says of it and where its record has it are enough to tell it
//! again, so that a payload of nothing but garbage takes few bytes for each piece.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use flatten::{FlattenError, Flattened, Flattener, Input, Refusal};
use serde::de::IgnoredAny;

use crate::{
    InflateError, Payload, RefusalNote,
    frame::Flaw,
    pipeline::Landing,
    quarantine::Line,
    read::{Content, EVENT_BYTES},
    report::MAX_REFUSALS_TOLD,
    telemetry::error_chain,
};

/// One event or piece that became no row.
#[derive(Debug, Clone)]
pub(crate) struct Refused<'a> {
    /// The record's position in the payload.
    pub(crate) record: usize,
    /// The event's number in it; none for a record that cannot be read.
    pub(crate) index: Option<i64>,
    /// Where its bytes begin in the inflated body; 0 for a record that cannot be read.
    pub(crate) offset: usize,
    pub(crate) bytes: &'a [u8],
    pub(crate) reason: Reason<'a>,
}

/// Why it became no row. Its text is made when it is told, not before.
#[derive(Debug, Clone)]
pub(crate) enum Reason<'a> {
    /// It is no event, or none that the table takes.
    Event(Cow<'a, Refusal>),
    /// The rest of a body that cannot be told apart.
    Rest(Flaw),
    /// The record cannot be read.
    Record(&'a InflateError),
    /// The flattener failed on its record.
    Internal,
}

impl Refused<'_> {
    /// The kind of refusal in one word.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.reason {
            Reason::Event(refusal) => refusal.kind(),
            Reason::Rest(_) => "not_json",
            Reason::Record(error) => error.kind(),
            Reason::Internal => "internal",
        }
    }

    /// The reason for a person.
    pub(crate) fn reason(&self) -> String {
        match &self.reason {
            Reason::Event(refusal) => {
                let reason = refusal.explain(self.bytes);
                let bytes = (**refusal == Refusal::NotJson).then_some(self.bytes);
                match bytes.and_then(half_pair) {
                    Some(half) => format!("{reason}: {half}"),
                    None => reason,
                }
            }
            Reason::Rest(flaw) => format!("not JSON: {flaw}"),
            Reason::Record(error) => error.to_string(),
            Reason::Internal => "this record made the flattener fail".to_owned(),
        }
    }

    fn note(&self, payload: &Payload) -> RefusalNote {
        RefusalNote {
            source_id: payload.records[self.record].source_id.clone(),
            source_index: self.index,
            offset: self.offset,
            kind: self.kind(),
            reason: self.reason(),
        }
    }
}

/// Names what makes bytes no text when it is half of a surrogate pair: a trigger's envelope can say such a thing in an escape.
fn half_pair(bytes: &[u8]) -> Option<String> {
    let at = std::str::from_utf8(bytes).err()?.valid_up_to();
    let &[0xED, high @ 0xA0..=0xBF, low @ 0x80..=0xBF, ..] = &bytes[at..] else {
        return None;
    };
    let unit = 0xD000 | u16::from(high & 0x3F) << 6 | u16::from(low & 0x3F);
    Some(format!(
        "`\\u{unit:04x}` at byte {at} is half of a surrogate pair, so no text"
    ))
}

/// What there is to count of the refused events.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) n: u64,
    pub(crate) n_by_kind: BTreeMap<&'static str, u64>,
    pub(crate) n_of_record: Vec<u64>,
    /// The first of them.
    pub(crate) notes: Vec<RefusalNote>,
}

/// Flattens the events of the records taken. Also returns the records that made the flattener fail, whose events are
/// left out.
///
/// `None` when flattening fails inside for the records together, though for each by itself it does not.
pub(crate) fn flatten_events(
    flattener: &Flattener,
    payload: &Payload,
    contents: &[Content],
    max_event_bytes: usize,
    now_us: i64,
) -> Option<(Flattened, Vec<usize>)> {
    let records: Vec<_> = payload
        .records
        .iter()
        .map(|record| flatten::Record {
            source_id: &record.source_id,
            arrival_us: record.arrival_us,
        })
        .collect();
    isolate(payload.records.len(), |taken| {
        let mut events = Vec::new();
        for &record in taken {
            events.extend(events_of(contents, record, max_event_bytes));
        }
        flattener.flatten(&Input {
            records: &records,
            events: &events,
            ingested_at_us: now_us,
        })
    })
}

/// Calls the flattener for all records; if that fails, for each alone, and then for all that did not fail. Also returns
/// those that did.
fn isolate(
    n_records: usize,
    flatten: impl Fn(&[usize]) -> Result<Flattened, FlattenError>,
) -> Option<(Flattened, Vec<usize>)> {
    let attempt = |records: &[usize]| match catch_unwind(AssertUnwindSafe(|| flatten(records))) {
        Ok(Ok(flattened)) => Some(flattened),
        Ok(Err(error)) => {
            tracing::error!(
                n_records = records.len(),
                error = error_chain(&error),
                "not flattened"
            );
            None
        }
        Err(_) => None, // The panic hook has said where.
    };
    let all: Vec<usize> = (0..n_records).collect();
    if let Some(flattened) = attempt(&all) {
        return Some((flattened, Vec::new()));
    }
    let (sound, failing): (Vec<usize>, Vec<usize>) = all
        .iter()
        .partition(|&&record| attempt(&[record]).is_some());
    if failing.is_empty() {
        return None;
    }
    Some((attempt(&sound)?, failing))
}

/// The events of a record that are worth flattening.
fn events_of(
    contents: &[Content],
    record: usize,
    max_event_bytes: usize,
) -> impl Iterator<Item = flatten::Event<'_>> {
    let framed = match &contents[record] {
        Content::Events { body, frames } => Some((body, frames)),
        _ => None,
    };
    let number = u32::try_from(record).unwrap_or(u32::MAX); // A payload has far fewer.
    framed.into_iter().flat_map(move |(body, frames)| {
        let events = frames
            .numbered()
            .map(|(index, range)| (index, &body[range]));
        events
            .filter(move |(_, bytes)| !is_hopeless(bytes, max_event_bytes))
            .map(move |(index, bytes)| flatten::Event {
                bytes,
                record: number,
                index,
            })
    })
}

/// Whether bytes that were framed are plainly no object: by their first and last one, and short ones by what is between.
///
/// Millions of those fit into a payload, and the flattener would take much more memory for each than they have bytes.
fn is_hopeless(bytes: &[u8], max_event_bytes: usize) -> bool {
    if bytes.len() > max_event_bytes {
        return false; // Refused for its length, whatever it is.
    }
    let trimmed = bytes.trim_ascii();
    let is_enclosed = trimmed.first() == Some(&b'{') && trimmed.last() == Some(&b'}');
    !is_enclosed
        || bytes.len() < EVENT_BYTES && serde_json::from_slice::<IgnoredAny>(bytes).is_err()
}

impl Landing {
    /// Tells each refused event in the order of records and bytes, until one cannot be taken.
    pub(crate) fn each_refused<'a, E>(
        &'a self,
        mut tell: impl FnMut(Refused<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut by_flattener = self.flattened.refused.iter().peekable();
        let before_bytes = self.payload.source.before_bytes;
        let mut position = 0; // Among the events that the flattener was given.
        for (record, content) in self.contents.iter().enumerate() {
            let (body, frames) = match content {
                Content::Again | Content::Known => continue,
                Content::Unreadable(error) => {
                    tell(Refused {
                        record,
                        index: None,
                        offset: before_bytes,
                        bytes: &self.payload.records[record].body,
                        reason: Reason::Record(error),
                    })?;
                    continue;
                }
                Content::Events { body, frames } => (body, frames),
            };
            let is_failing = self.failing.binary_search(&record).is_ok();
            for (index, range) in frames.numbered() {
                let offset = before_bytes + range.start;
                let bytes = &body[range];
                let reason = if is_hopeless(bytes, self.max_event_bytes) {
                    Reason::Event(Cow::Owned(Refusal::of_bytes(bytes)))
                } else if is_failing {
                    Reason::Internal
                } else {
                    let refused = by_flattener.next_if(|refused| refused.event == position);
                    position += 1;
                    match refused {
                        Some(refused) => Reason::Event(Cow::Borrowed(&refused.reason)),
                        None => continue,
                    }
                };
                tell(Refused {
                    record,
                    index: Some(index),
                    offset,
                    bytes,
                    reason,
                })?;
            }
            if let Some(broken) = frames.broken {
                tell(Refused {
                    record,
                    index: frames.next_index(),
                    offset: before_bytes + broken.offset,
                    bytes: &body[broken.offset..],
                    reason: Reason::Rest(broken.flaw),
                })?;
            }
        }
        Ok(())
    }

    /// Counts the refused events.
    pub(crate) fn count_refused(&self) -> Refusals {
        let mut refusals = Refusals {
            n_of_record: vec![0; self.contents.len()],
            ..Refusals::default()
        };
        let counted: Result<(), std::convert::Infallible> = self.each_refused(|refused| {
            refusals.n += 1;
            *refusals.n_by_kind.entry(refused.kind()).or_default() += 1;
            refusals.n_of_record[refused.record] += 1;
            if refusals.notes.len() < MAX_REFUSALS_TOLD {
                refusals.notes.push(refused.note(&self.payload));
            }
            Ok(())
        });
        let Ok(()) = counted;
        refusals
    }

    /// A refused event as the quarantine keeps it. `types` are the pointers to an event's type.
    pub(crate) fn line<'a>(&'a self, refused: &Refused<'a>, types: &[String]) -> Line<'a> {
        let record = &self.payload.records[refused.record];
        let event_type = type_of(refused, types);
        let mut line = Line::new(&record.source_id, record.arrival_us, refused, event_type);
        line.envelope_is_base64 = refused.index.is_none() && record.is_base64;
        line
    }
}

/// What the event calls itself. Only events that were refused for what they say can be asked.
fn type_of(refused: &Refused<'_>, types: &[String]) -> Option<String> {
    if !matches!(
        refused.kind(),
        "unreadable_time" | "time_out_of_range" | "missing_required"
    ) {
        return None;
    }
    let event: serde_json::Value = serde_json::from_slice(refused.bytes).ok()?;
    let mut found = types.iter().filter_map(|pointer| event.pointer(pointer));
    found.find_map(|value| value.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{Record, SourceBatch, quarantine, read::read};

    fn payload(bodies: &[&'static [u8]]) -> Payload {
        let record = |body: &&'static [u8]| Record {
            delivery_id: String::new(),
            source_id: String::new(),
            arrival_us: 0,
            body: Bytes::from_static(body),
            is_base64: false,
        };
        let records = bodies.iter().map(record).collect();
        Payload {
            records,
            source: SourceBatch::messages("sqs"),
        }
    }

    fn nothing() -> Flattened {
        Flattened {
            columns: Arc::default(),
            new_columns: Vec::new(),
            batches: Vec::new(),
            refused: Vec::new(),
            n_rescued: 0,
        }
    }

    fn landing(bodies: &[&'static [u8]], flattened: Flattened, failing: Vec<usize>) -> Landing {
        let payload = payload(bodies);
        let contents = Arc::new(read(&payload, 10_000));
        Landing::new(Arc::new(payload), contents, flattened, failing, 1_000)
    }

    /// Record, number and kind of each refused event, as told.
    fn told(landing: &Landing) -> Vec<(usize, Option<i64>, &'static str)> {
        let mut told = Vec::new();
        let all: Result<(), ()> = landing.each_refused(|refused| {
            told.push((refused.record, refused.index, refused.kind()));
            Ok(())
        });
        all.unwrap();
        told
    }

    #[test]
    fn half_of_a_surrogate_pair_is_named_and_no_other_bytes_are() {
        for (bytes, expected) in [
            (&b"\xed\xa0\x80"[..], Some((0xd800, 0))),
            (b"\"\xc3\xa9\xed\xbf\xbf\"", Some((0xdfff, 3))),
            (b"\xed\x9f\xbf", None), // The last scalar before them.
            (b"\xed\xa0", None),
            (b"\xff\xed\xa0\x80", None),
            (b"{}", None),
        ] {
            let expected = expected.map(|(unit, at): (u16, usize)| {
                format!("`\\u{unit:x}` at byte {at} is half of a surrogate pair, so no text")
            });
            assert_eq!(half_pair(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn a_record_that_makes_the_flattener_panic_is_left_out_alone() {
        let flatten = |records: &[usize]| {
            assert!(!records.contains(&1), "boom");
            Ok(nothing())
        };
        let (flattened, failing) = isolate(3, flatten).unwrap();
        assert_eq!(failing, [1]);
        let landing = landing(
            &[b"{}", b"{\"a\":1}\n{\"b\":2}\n7", b"{}"],
            flattened,
            failing,
        );
        assert_eq!(
            told(&landing),
            [
                (1, Some(0), "internal"),
                (1, Some(1), "internal"),
                (1, Some(2), "not_an_object"),
            ]
        );
        assert_eq!(landing.refusals.n_of_record, [0, 3, 0]);
    }

    #[test]
    fn a_panic_that_no_record_causes_alone_is_reported() {
        let flatten = |records: &[usize]| {
            assert!(records.len() < 2, "boom");
            Ok(nothing())
        };
        assert!(isolate(2, flatten).is_none());
    }

    #[test]
    fn refusals_of_the_flattener_are_told_between_those_that_it_never_saw() {
        let refused = |event| flatten::Refused {
            event,
            reason: Refusal::NotJson,
        };
        let flattened = Flattened {
            refused: vec![refused(1), refused(2)],
            ..nothing()
        };
        let bodies: [&[u8]; 2] = [b"1\n{\"a\":1}\n{x\n{\"b\":1}", b"[{\"c\":1},{}"];
        assert_eq!(
            told(&landing(&bodies, flattened, Vec::new())),
            [
                (0, Some(0), "not_an_object"),
                (0, Some(2), "not_json"),
                (0, Some(3), "not_json"),
                (1, Some(0), "not_json"),
                (1, Some(2), "not_json"),
            ]
        );
    }

    #[test]
    fn unreadable_records_and_broken_rests_are_refused_with_their_bytes() {
        let bodies: [&[u8]; 3] = [b"[{},{\"a\":\"", b"\x1f\x8b\xff", b"{}"];
        let landing = landing(&bodies, nothing(), Vec::new());
        let objects = quarantine::encode(&landing, &[]).unwrap();
        let kept = quarantine::read(&objects[0].bytes).unwrap();
        let bytes: Vec<_> = kept.iter().map(crate::QuarantinedEvent::payload).collect();
        assert_eq!(bytes, [b"{\"a\":\"".to_vec(), b"\x1f\x8b\xff".to_vec()]);
        assert_eq!(
            (kept[0].source_index, kept[0].kind.as_str()),
            (Some(1), "not_json")
        );
        assert_eq!(kept[0].reason, "not JSON: the element has no end");
        assert_eq!(
            (kept[1].source_index, kept[1].kind.as_str()),
            (None, "not_compressed")
        );
    }

    proptest! {
        #[test]
        fn what_is_hopeless_is_no_object(bytes in "[{}\\[\\]\",:a0 \\\\-]{1,12}|\\{\"a\":[0-9a-f.\"{}-]{0,5}\\}") {
            let value = serde_json::from_str::<serde_json::Value>(&bytes);
            if is_hopeless(bytes.as_bytes(), 1_000) {
                prop_assert!(!value.is_ok_and(|value| value.is_object()));
                let reason = Refusal::of_bytes(bytes.as_bytes());
                let is_json = serde_json::from_str::<serde_json::Value>(&bytes).is_ok();
                prop_assert_eq!(reason == Refusal::NotJson, !is_json);
            }
            prop_assert!(!is_hopeless(bytes.as_bytes(), bytes.len() - 1));
        }
    }
}
