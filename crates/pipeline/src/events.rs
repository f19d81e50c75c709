//! The events of a payload as rows and refusals. A panic in one record never costs its neighbours.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use flatten::{FlattenError, Flattened, Flattener, Input};

use crate::{
    Payload,
    quarantine::{Label, QuarantinedEvent},
    read::Content,
    telemetry::error_chain,
};

/// One event or piece that became no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The record's position in the payload.
    pub(crate) record: usize,
    /// The event's number in it; none for a record that cannot be read.
    pub(crate) index: Option<i64>,
    /// Where its bytes are in the inflated body; unused for a record that cannot be read.
    pub(crate) range: Range<usize>,
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
}

/// Where an event is.
#[derive(Debug, Clone, Copy)]
struct Place {
    record: usize,
    index: usize,
}

/// Flattens the events of the records taken, and says which became no row, in order.
///
/// `None` when flattening fails inside for the records together, though for each by itself it does not.
pub(crate) fn flatten_events(
    flattener: &Flattener,
    payload: &Payload,
    contents: &[Content],
    now_us: i64,
) -> Option<(Flattened, Vec<Refused>)> {
    isolate(payload, contents, |places| {
        let records: Vec<_> = payload
            .records
            .iter()
            .map(|record| flatten::Record {
                source_id: &record.source_id,
                arrival_us: record.arrival_us,
            })
            .collect();
        let events: Vec<_> = places
            .iter()
            .filter_map(|&place| event(contents, place))
            .collect();
        let input = Input {
            records: &records,
            events: &events,
            ingested_at_us: now_us,
        };
        flattener.flatten(&input)
    })
}

/// Calls the flattener for all events; if that panics, record by record, and then for all records that did not.
fn isolate(
    payload: &Payload,
    contents: &[Content],
    flatten: impl Fn(&[Place]) -> Result<Flattened, FlattenError>,
) -> Option<(Flattened, Vec<Refused>)> {
    let attempt = |places: &[Place]| match catch_unwind(AssertUnwindSafe(|| flatten(places))) {
        Ok(Ok(flattened)) => Some(flattened),
        Ok(Err(error)) => {
            tracing::error!(
                n_events = places.len(),
                error = error_chain(&error),
                "not flattened"
            );
            None
        }
        Err(_) => None, // The panic hook has said where.
    };
    let places_of = |record: usize| {
        let n_events = match &contents[record] {
            Content::Events { frames, .. } => frames.events.len(),
            _ => 0,
        };
        (0..n_events).map(move |index| Place { record, index })
    };
    let mut places: Vec<Place> = (0..payload.records.len()).flat_map(places_of).collect();
    let mut refused: Vec<Refused> = Vec::new();
    let mut flattened = attempt(&places);
    if flattened.is_none() {
        let fails = |&record: &usize| attempt(&places_of(record).collect::<Vec<_>>()).is_none();
        let failing: Vec<usize> = (0..payload.records.len()).filter(fails).collect();
        if failing.is_empty() {
            return None;
        }
        for place in failing.iter().flat_map(|&record| places_of(record)) {
            let reason = "this record made the flattener fail".to_owned();
            refused.push(refusal(contents, place, "internal", reason));
        }
        places.retain(|place| !failing.contains(&place.record));
        flattened = attempt(&places);
    }
    let flattened = flattened?;
    for event in &flattened.refused {
        let reason = &event.reason;
        refused.push(refusal(
            contents,
            places[event.event],
            reason.kind(),
            reason.to_string(),
        ));
    }
    refused.extend(unreadable(contents));
    // The broken rest of an array has the number behind its last event, so this is the order of the bytes.
    refused.sort_by_key(|refused| (refused.record, refused.index));
    Some((flattened, refused))
}

/// What could not even be framed.
fn unreadable(contents: &[Content]) -> impl Iterator<Item = Refused> {
    contents
        .iter()
        .enumerate()
        .filter_map(|(record, content)| match content {
            Content::Events { body, frames } => frames.broken.as_ref().map(|broken| Refused {
                record,
                index: i64::try_from(frames.events.len()).ok(),
                range: broken.offset..body.len(),
                kind: "not_json",
                reason: format!("not JSON: {}", broken.reason),
            }),
            Content::Unreadable(error) => Some(Refused {
                record,
                index: None,
                range: 0..0,
                kind: error.kind(),
                reason: error.to_string(),
            }),
            Content::Again => None,
        })
}

fn event(contents: &[Content], place: Place) -> Option<flatten::Event<'_>> {
    let Content::Events { body, frames } = &contents[place.record] else {
        return None;
    };
    Some(flatten::Event {
        bytes: &body[frames.events[place.index].clone()],
        record: u32::try_from(place.record).ok()?,
        index: i64::try_from(place.index).ok()?,
    })
}

fn refusal(contents: &[Content], place: Place, kind: &'static str, reason: String) -> Refused {
    let range = match &contents[place.record] {
        Content::Events { frames, .. } => frames.events[place.index].clone(),
        _ => 0..0,
    };
    let index = i64::try_from(place.index).ok();
    Refused {
        record: place.record,
        index,
        range,
        kind,
        reason,
    }
}

/// A refused event as the quarantine keeps it. `types` are the pointers to an event's type.
pub(crate) fn quarantined(
    payload: &Payload,
    contents: &[Content],
    refused: &Refused,
    types: &[String],
) -> QuarantinedEvent {
    let record = &payload.records[refused.record];
    let bytes: &[u8] = match &contents[refused.record] {
        Content::Events { body, .. } => &body[refused.range.clone()],
        _ => &record.body,
    };
    let label = Label {
        source_id: &record.source_id,
        source_index: refused.index,
        offset: refused.range.start,
        kind: refused.kind,
        reason: &refused.reason,
        event_type: type_of(bytes, refused.kind, types),
        arrival_us: record.arrival_us,
    };
    QuarantinedEvent::new(label, bytes)
}

/// What the event calls itself. Only events that were refused for what they say can be asked.
fn type_of(bytes: &[u8], kind: &str, types: &[String]) -> Option<String> {
    if !matches!(
        kind,
        "unreadable_time" | "time_out_of_range" | "missing_required"
    ) {
        return None;
    }
    let event: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let mut found = types.iter().filter_map(|pointer| event.pointer(pointer));
    found.find_map(|value| value.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Record, SourceBatch, read::read};

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
            columns: Vec::new(),
            new_columns: Vec::new(),
            batches: Vec::new(),
            refused: Vec::new(),
            n_rescued: 0,
        }
    }

    #[test]
    fn a_record_that_makes_the_flattener_panic_is_refused_alone() {
        let payload = payload(&[b"{}", b"{\"a\":1}\n{\"b\":2}", b"{}"]);
        let contents = read(&payload, 1_000);
        let flatten = |places: &[Place]| {
            assert!(places.iter().all(|place| place.record != 1), "boom");
            assert!(places.len() <= 2);
            Ok(nothing())
        };
        let (_, refused) = isolate(&payload, &contents, flatten).unwrap();
        let found: Vec<_> = refused
            .iter()
            .map(|refused| (refused.record, refused.index, refused.kind))
            .collect();
        assert_eq!(found, [(1, Some(0), "internal"), (1, Some(1), "internal")]);
    }

    #[test]
    fn a_panic_that_no_record_causes_alone_is_reported() {
        let payload = payload(&[b"{}", b"{}"]);
        let contents = read(&payload, 1_000);
        let flatten = |places: &[Place]| {
            assert!(places.len() < 2, "boom");
            Ok(nothing())
        };
        assert!(isolate(&payload, &contents, flatten).is_none());
    }

    #[test]
    fn unreadable_records_and_broken_rests_are_refused_with_their_bytes() {
        let payload = payload(&[b"[{},{\"a\":\"", b"\x1f\x8b\xff", b"{}"]);
        let contents = read(&payload, 1_000);
        let (_, refused) = isolate(&payload, &contents, |_| Ok(nothing())).unwrap();
        let bytes: Vec<_> = refused
            .iter()
            .map(|refused| quarantined(&payload, &contents, refused, &[]).payload())
            .collect();
        assert_eq!(bytes, [b"{\"a\":\"".to_vec(), b"\x1f\x8b\xff".to_vec()]);
        assert_eq!((refused[0].index, refused[0].kind), (Some(1), "not_json"));
        assert_eq!(
            (refused[1].index, refused[1].kind),
            (None, "not_compressed")
        );
    }
}
