//! Which trigger called, told by its own envelope only, and its payload as records.

mod http;
mod object;
mod queue;
mod stream;
mod topic;

use std::borrow::Cow;

use bytes::Bytes;
use pipeline::{Payload, Record, Settings, SourceBatch, SourceObject};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

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

/// The kinds of triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqs,
    Kinesis,
    Sns,
    S3,
    HttpV1,
    HttpV2,
    EventBridge,
    Direct,
}

/// As much of an envelope as tells triggers apart.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "Records", borrow)]
    records: Option<Vec<RecordHead<'a>>>,
    #[serde(rename = "requestContext", borrow)]
    request_context: Option<RequestContextHead<'a>>,
    #[serde(rename = "detail-type", borrow)]
    detail_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RecordHead<'a> {
    #[serde(rename = "eventSource", alias = "EventSource", borrow)]
    event_source: Cow<'a, str>,
}

#[derive(Deserialize)]
struct RequestContextHead<'a> {
    #[serde(borrow)]
    http: Option<&'a RawValue>,
    #[serde(rename = "httpMethod", borrow)]
    http_method: Option<Cow<'a, str>>,
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
pub(crate) fn read(
    body: Box<RawValue>,
    request_id: &str,
    now_us: i64,
    settings: &Settings,
) -> Result<Delivery, Failure> {
    match kind_of(body.get()) {
        Kind::Sqs => queue::read(parse("SQS", &body)?, now_us, settings),
        Kind::Kinesis => stream::read(parse("Kinesis", &body)?),
        Kind::Sns => Ok(topic::read(parse("SNS", &body)?)),
        Kind::HttpV1 => Ok(request(&body, http::Request::v1, request_id, now_us)),
        Kind::HttpV2 => Ok(request(&body, http::Request::v2, request_id, now_us)),
        Kind::EventBridge => Ok(event_bridge(body, request_id, now_us, settings)),
        Kind::Direct => Ok(direct(body, request_id, now_us)),
        Kind::S3 => object::read(body.get(), request_id, now_us, settings),
    }
}

/// The kind of trigger. What looks like none of them is a direct invoke, and so an event or several.
fn kind_of(body: &str) -> Kind {
    // An array would be read as the fields of an envelope in their order.
    let envelope = body
        .starts_with('{')
        .then(|| serde_json::from_str::<Envelope<'_>>(body));
    let Some(Ok(envelope)) = envelope else {
        return Kind::Direct;
    };
    if let Some([first, others @ ..]) = envelope.records.as_deref() {
        if others
            .iter()
            .any(|other| other.event_source != first.event_source)
        {
            return Kind::Direct;
        }
        return match &*first.event_source {
            "aws:sqs" => Kind::Sqs,
            "aws:kinesis" => Kind::Kinesis,
            "aws:sns" => Kind::Sns,
            "aws:s3" => Kind::S3,
            _ => Kind::Direct,
        };
    }
    match envelope.request_context {
        Some(RequestContextHead { http: Some(_), .. }) => return Kind::HttpV2,
        Some(RequestContextHead {
            http_method: Some(_),
            ..
        }) => return Kind::HttpV1,
        _ => {}
    }
    match (envelope.detail_type, envelope.source, envelope.detail) {
        (Some(_), Some(_), Some(_)) => Kind::EventBridge,
        _ => Kind::Direct,
    }
}

/// An envelope as its own type.
fn parse<T: for<'de> Deserialize<'de>>(trigger: &str, body: &RawValue) -> Result<T, Failure> {
    parse_text(trigger, body.get())
}

fn parse_text<'a, T: Deserialize<'a>>(trigger: &str, body: &'a str) -> Result<T, Failure> {
    serde_json::from_str(body).map_err(|error| Failure {
        kind: "UnreadableEnvelope",
        message: format!("the envelope looks like {trigger} but cannot be read: {error}"),
    })
}

/// An HTTP request. One that cannot be read, for a header say, is answered: its sender waits.
fn request<T: for<'de> Deserialize<'de>>(
    body: &RawValue,
    read: fn(T) -> http::Request,
    request_id: &str,
    now_us: i64,
) -> Delivery {
    match serde_json::from_str(body.get()) {
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
    body: Box<RawValue>,
    request_id: &str,
    now_us: i64,
    settings: &Settings,
) -> Delivery {
    if let Some(object) = object::of_event_bridge(body.get(), request_id, now_us, settings) {
        return Delivery::Objects(vec![object], None, Reply::Report);
    }
    let head = serde_json::from_str(body.get());
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
    let record = record(&id, &id, arrival_us, bytes_of(body));
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
fn direct(body: Box<RawValue>, request_id: &str, now_us: i64) -> Delivery {
    let text: Option<String> = body
        .get()
        .starts_with('"')
        .then(|| serde_json::from_str(body.get()).ok())
        .flatten();
    let bytes = text.map_or_else(|| bytes_of(body), Bytes::from);
    let record = record(request_id, request_id, now_us, bytes);
    let source = SourceBatch::request("direct", request_id);
    Delivery::Payload(
        Payload {
            records: vec![record],
            source,
        },
        Reply::Report,
    )
}

/// The text of a value, without a copy.
fn bytes_of(body: Box<RawValue>) -> Bytes {
    let text: Box<str> = body.into();
    Bytes::from(text.into_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Kind) {
        assert_eq!(kind_of(body), expected, "{body}");
    }

    #[test]
    fn triggers_are_told_apart_by_their_envelopes() {
        check(r#"{"Records":[{"eventSource":"aws:sqs"}]}"#, Kind::Sqs);
        check(
            r#"{"Records":[{"eventSource":"aws:kinesis"}]}"#,
            Kind::Kinesis,
        );
        check(r#"{"Records":[{"EventSource":"aws:sns"}]}"#, Kind::Sns);
        check(r#"{"Records":[{"eventSource":"aws:s3"}]}"#, Kind::S3);
        check(
            r#"{"version":"2.0","requestContext":{"http":{"method":"POST"}}}"#,
            Kind::HttpV2,
        );
        check(r#"{"requestContext":{"httpMethod":"POST"}}"#, Kind::HttpV1);
        check(
            r#"{"detail-type":"x","source":"y","detail":{}}"#,
            Kind::EventBridge,
        );
    }

    #[test]
    fn what_only_resembles_an_envelope_is_an_event() {
        for body in [
            r#"{"Records":[]}"#,
            r#"{"Records":[1]}"#,
            r#"{"Records":"aws:sqs"}"#,
            r#"{"Records":[{"eventSource":"aws:sqs"},{"eventSource":"aws:s3"}]}"#,
            r#"{"Records":[{"eventSource":"shop"}]}"#,
            r#"{"requestContext":{"user":1}}"#,
            r#"{"requestContext":7}"#,
            r#"{"detail-type":"x","source":"y"}"#,
            r#"{"event_type":"click","body":"{\"Records\":[{\"eventSource\":\"aws:s3\"}]}"}"#,
            r#"[{"eventSource":"aws:sqs"}]"#,
            r#"[null,{"http":{}},null,null,null]"#,
            r#""text""#,
            "null",
        ] {
            check(body, Kind::Direct);
        }
    }
}
