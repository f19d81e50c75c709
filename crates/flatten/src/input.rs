//! What goes in: records and the events found in them, borrowed from the payload.

/// One message that the trigger delivered, as far as rows need to know it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Goes to `_source_id`: message id, `stream/shard/sequence`, file name, request id.
    pub source_id: &'a str,
    /// When the record arrived, in microseconds since 1970-01-01T00:00:00Z; the event time of events without one.
    pub arrival_us: i64,
}

/// The bytes that should be one JSON object, and where they came from.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The original bytes, white space around the value allowed.
    pub bytes: &'a [u8],
    /// Position of its record in [`Input::records`].
    pub record: u32,
    /// The event's number in its record, from 0; goes to `_source_index`.
    pub index: i64,
}

/// One batch of events to flatten.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The records that [`Event::record`] points into.
    pub records: &'a [Record<'a>],
    /// The events, in the order in which their rows come out.
    pub events: &'a [Event<'a>],
    /// The one reading of the clock for this invocation, in microseconds; goes to `_ingested_at`.
    pub ingested_at_us: i64,
}
