//! Quarantined events as a payload: each with the record, number and arrival that it had.

use std::sync::Arc;

use bytes::Bytes;

use super::ReplayOptions;
use crate::{
    Payload, QuarantinedEvent, Record, SourceBatch,
    events::Refused,
    frame::Frames,
    pipeline::Landing,
    read::{Content, open},
};

/// The events of an object, of which some are replayed.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) payload: Arc<Payload>,
    pub(super) contents: Arc<Vec<Content>>,
    /// The events as they are in the quarantine.
    events: Vec<QuarantinedEvent>,
    /// For each record of the payload its place among the events, rising.
    places: Vec<usize>,
}

impl Batch {
    /// Takes the events that are chosen and have room. The others stay where they are.
    ///
    /// An event keeps its record and its number in it: no row has that pair, since refused events are counted too. A record
    /// that could not be read is read again, and its events are numbered from 0.
    pub(super) fn new(
        events: Vec<QuarantinedEvent>,
        options: &ReplayOptions,
        cap_bytes: usize,
    ) -> Self {
        let (mut records, mut contents, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut left_bytes = cap_bytes;
        for (place, event) in events.iter().enumerate() {
            let is_chosen = options.kind.as_ref().is_none_or(|kind| *kind == event.kind);
            let Some(arrival_us) = event.arrival_us().filter(|_| is_chosen) else {
                continue;
            };
            let record = Record {
                delivery_id: String::new(),
                source_id: event.source_id.clone(),
                arrival_us,
                body: Bytes::from(event.payload()),
                is_base64: event.envelope_is_base64 || event.kind == "not_base64",
            };
            let Some(content) = content_of(&record, event.source_index, &mut left_bytes, cap_bytes)
            else {
                continue;
            };
            records.push(record);
            contents.push(content);
            places.push(place);
        }
        let payload = Payload {
            records,
            source: SourceBatch::request("quarantine", String::new()),
        };
        Self {
            payload: Arc::new(payload),
            contents: Arc::new(contents),
            events,
            places,
        }
    }

    pub(super) fn n_events(&self) -> usize {
        self.events.len()
    }

    /// How many events are not replayed.
    pub(super) fn n_left(&self) -> u64 {
        (self.events.len() - self.places.len()) as u64
    }

    /// The events that stay in the quarantine: those that were not replayed as they are, those that were refused with the
    /// reason of today. `types` are the pointers to an event's type.
    pub(super) fn rest(
        &self,
        landing: &Landing,
        types: &[String],
        rest_of: &str,
    ) -> Vec<QuarantinedEvent> {
        let mut rest = Vec::new();
        let mut next = 0; // The first event of which nothing is known yet.
        let mut leave = |rest: &mut Vec<QuarantinedEvent>, to: usize| {
            let unknown = next..to;
            let left = unknown.filter(|place| self.places.binary_search(place).is_err());
            rest.extend(left.map(|place| self.events[place].clone()));
            next = next.max(to);
        };
        let told: Result<(), std::convert::Infallible> = landing.each_refused(|refused| {
            let place = self.places[refused.record];
            leave(&mut rest, place);
            rest.push(self.refused_again(place, &refused, landing, types));
            Ok(())
        });
        let Ok(()) = told;
        leave(&mut rest, self.events.len());
        for event in &mut rest {
            event.rest_of = Some(rest_of.to_owned());
        }
        rest
    }

    fn refused_again(
        &self,
        place: usize,
        refused: &Refused<'_>,
        landing: &Landing,
        types: &[String],
    ) -> QuarantinedEvent {
        let before = &self.events[place];
        let mut now = QuarantinedEvent::from(landing.line(refused, types));
        if before.source_index == refused.index {
            now.offset = before.offset; // The same piece, in the body that it came in.
        }
        now
    }
}

/// What a record holds, or nothing when it has no room.
fn content_of(
    record: &Record,
    index: Option<i64>,
    left_bytes: &mut usize,
    cap_bytes: usize,
) -> Option<Content> {
    let content = match index {
        Some(index) => Content::Events {
            frames: Frames::one(&record.body, index),
            body: record.body.clone(),
        },
        None => match open(record, false, cap_bytes) {
            Ok((body, frames)) => Content::Events { body, frames },
            Err(error) => Content::Unreadable(error),
        },
    };
    let n_bytes = match &content {
        Content::Events { body, .. } => body.len(),
        _ => 0,
    };
    *left_bytes = left_bytes.checked_sub(n_bytes)?;
    Some(content)
}
