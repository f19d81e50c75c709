//! Which trigger called, told by its own envelope only, and its payload as records.

mod envelope;
mod http;
mod object;
mod queue;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod topic;

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use pipeline::{Payload, Record, Settings, SourceBatch, SourceObject};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use self::envelope::{Envelope, Kind};
use self::text::{owned, unescape};
use crate::{Failure, answer::Reply};

/// What is to be done about one invocation.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// These records are to land, and this is how the trigger is answered.
    Payload(Payload, Reply),
    /// These objects are to land, and these records beside them.
    Objects(Vec<SourceObject>, Option<Payload>, Reply),
    /// Nothing is to land: this is the answer.
    Answered(Value),
}

/// What EventBridge says about an event, beside the event itself.
#[derive(Deserialize)]
struct EventBridgeHead<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
}

/// Reads an invocation. `now_us` is the arrival time of events whose trigger names none; the settings say which
/// notifications are followed.
///
/// The bodies of a queue or a stream, of which there are many, end up where they stand in the invocation.
pub(crate) fn read(
    body: Bytes,
    request_id: &str,
    now_us: i64,
    settings: &Settings,
) -> Result<Delivery, Failure> {
    let text = std::str::from_utf8(&body).map_err(|error| not_json(&error))?;
    let envelope = Envelope::of(text);
    match envelope.kind() {
        Kind::Sqs => {
            let messages = queue::messages(envelope.records(), text)?;
            queue::read(messages, owned(body), now_us, settings)
        }
        Kind::Kinesis => {
            let records = stream::records(envelope.records(), text)?;
            stream::read(records, owned(body))
        }
        Kind::Sns => Ok(topic::read(parse("SNS", text)?)),
        Kind::HttpV1 => Ok(request(text, http::Request::v1, request_id, now_us)),
        Kind::HttpV2 => Ok(request(text, http::Request::v2, request_id, now_us)),
        Kind::EventBridge => Ok(event_bridge(&body, text, request_id, now_us, settings)),
        Kind::Direct => direct(&body, request_id, now_us),
        Kind::S3 => object::read(text, request_id, now_us, settings),
    }
}

/// The invocation is none that Lambda can have sent.
fn not_json(error: &dyn std::error::Error) -> Failure {
    Failure {
        kind: "NotJson",
        message: format!("the invocation is not JSON: {error}"),
    }
}

/// An envelope that looks like that of the trigger, and is not.
fn unreadable(trigger: &str, error: impl std::fmt::Display) -> Failure {
    Failure {
        kind: "UnreadableEnvelope",
        message: format!("the envelope looks like {trigger} but cannot be read: {error}"),
    }
}

/// An envelope as its own type.
fn parse<'a, T: Deserialize<'a>>(trigger: &str, text: &'a str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| unreadable(trigger, error))
}

/// A part of an envelope, where there is one, as its own type.
fn part<'a, T: Deserialize<'a>>(
    trigger: &str,
    part: Option<&'a RawValue>,
) -> Result<Option<T>, Failure> {
    part.map(|part| parse(trigger, part.get())).transpose()
}

/// An HTTP request. One that cannot be read, for a header say, is answered: its sender waits.
fn request<T: for<'de> Deserialize<'de>>(
    text: &str,
    read: fn(T) -> http::Request,
    request_id: &str,
    now_us: i64,
) -> Delivery {
    match serde_json::from_str(text) {
        Ok(envelope) => http::read(read(envelope), request_id, now_us),
        Err(error) => {
            let message = format!("the request or one of its headers cannot be read: {error}");
            http::refused(request_id, &message)
        }
    }
}

/// The event is the whole envelope.
///
/// But where it tells of an object that may be read, the events are in the object.
fn event_bridge(
    body: &Bytes,
    text: &str,
    request_id: &str,
    now_us: i64,
    settings: &Settings,
) -> Delivery {
    if let Some(object) = object::of_event_bridge(text, request_id, now_us, settings) {
        return Delivery::Objects(vec![object], None, Reply::Report);
    }
    let head = serde_json::from_str(text);
    let head = head.unwrap_or(EventBridgeHead {
        id: None,
        time: None,
    });
    let id = head
        .id
        .map_or_else(|| request_id.to_owned(), Cow::into_owned);
    let time = head
        .time
        .and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let arrival_us = time.map_or(now_us, jiff::Timestamp::as_microsecond);
    let record = record(&id, &id, arrival_us, trimmed(body));
    let source = SourceBatch::request("eventbridge", id);
    Delivery::Payload(
        Payload {
            records: vec![record],
            source,
        },
        Reply::Report,
    )
}

/// An event, an array of events, or a string of NDJSON.
fn direct(body: &Bytes, request_id: &str, now_us: i64) -> Result<Delivery, Failure> {
    // Whoever invokes waits for the answer, and gets one that says so.
    serde_json::from_slice::<&RawValue>(body).map_err(|error| not_json(&error))?;
    let value = trimmed(body);
    let bytes = match &value[..] {
        [b'"', content @ .., b'"'] => {
            // Copied, so that an escape that is none, should one come through, leaves the string as it came for the quarantine.
            let mut string = BytesMut::from(content);
            unescape(&mut string).map(|n_bytes| string.freeze().slice(..n_bytes))
        }
        _ => None,
    };
    let record = record(request_id, request_id, now_us, bytes.unwrap_or(value));
    let source = SourceBatch::request("direct", request_id);
    Ok(Delivery::Payload(
        Payload {
            records: vec![record],
            source,
        },
        Reply::Report,
    ))
}

/// The value without the white space around it.
fn trimmed(body: &Bytes) -> Bytes {
    body.slice_ref(body.trim_ascii())
}

/// A record whose body is as it came.
fn record(delivery_id: &str, source_id: &str, arrival_us: i64, body: Bytes) -> Record {
    Record {
        delivery_id: delivery_id.to_owned(),
        source_id: source_id.to_owned(),
        arrival_us,
        body,
        is_base64: false,
    }
}
