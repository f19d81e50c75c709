//! SQS, and SNS in SQS.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use pipeline::{Payload, Record, Settings, SourceBatch};
use serde::Deserialize;

use super::envelope::EnvelopeRecord;
use super::text::{place_of, unescape};
use super::{Delivery, object, parse, part, unreadable};
use crate::{Failure, answer::Reply};

/// What SNS puts around a message that it sends to a queue.
#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "MessageId", borrow)]
    _message_id: Cow<'a, str>,
    #[serde(rename = "TopicArn", borrow)]
    topic_arn: Cow<'a, str>,
    #[serde(rename = "Message", borrow)]
    message: Cow<'a, str>,
}

/// What SQS knows of a message.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes<'a> {
    #[serde(borrow)]
    sent_timestamp: Option<Cow<'a, str>>,
}

/// A message, its body still in the envelope.
#[derive(Debug)]
pub(super) struct Message {
    id: String,
    is_ordered: bool,
    arrival_us: Option<i64>,
    /// Where the content of the body stands in the envelope, escapes and all.
    body: Range<usize>,
}

/// The messages of an envelope.
pub(super) fn messages(
    records: Vec<EnvelopeRecord<'_>>,
    text: &str,
) -> Result<Vec<Message>, Failure> {
    let messages = records.into_iter().map(|record| {
        // Without its id a message cannot be named in the answer: then the whole batch has to come back.
        let id = record.message_id.ok_or_else(|| Failure {
            kind: "UnreadableEnvelope",
            message: "an SQS message has no `messageId`".to_owned(),
        })?;
        let arn: Option<Cow<'_, str>> = part("SQS", record.event_source_arn)?;
        let attributes: Option<Attributes<'_>> = part("SQS", record.attributes)?;
        let sent = attributes.and_then(|attributes| attributes.sent_timestamp);
        Ok(Message {
            id: parse("SQS", id.get())?,
            is_ordered: arn.is_some_and(|arn| arn.ends_with(".fifo")),
            arrival_us: sent.and_then(|ms| ms.parse::<i64>().ok()?.checked_mul(1_000)),
            body: match record.body {
                Some(body) => place_of(body, text).ok_or_else(|| unreadable_body("no string"))?,
                None => 0..0,
            },
        })
    });
    messages.collect()
}

fn unreadable_body(why: &str) -> Failure {
    unreadable("SQS", format!("the `body` of a message is {why}"))
}

/// Reads the messages of one invocation, whose bytes become their bodies.
///
/// What a body says is not judged here. One that is no text, for half of a surrogate pair in it, goes on as the bytes it has: its
/// broken event ends in the quarantine. To give it back by name instead would bring it round until the queue gives it up.
pub(super) fn read(
    messages: Vec<Message>,
    mut envelope: BytesMut,
    now_us: i64,
    settings: &Settings,
) -> Result<Delivery, Failure> {
    let is_ordered = messages.iter().any(|message| message.is_ordered);
    let mut places = Vec::with_capacity(messages.len());
    for Message { body, .. } in &messages {
        let n_bytes = unescape(&mut envelope[body.clone()])
            .ok_or_else(|| unreadable_body("none that JSON allows"))?;
        places.push(body.start..body.start + n_bytes);
    }
    let bodies = envelope.freeze();
    let mut objects = Vec::new();
    let mut records = Vec::with_capacity(messages.len());
    for (message, place) in messages.into_iter().zip(places) {
        let arrival_us = message.arrival_us.unwrap_or(now_us);
        let body = unwrapped(bodies.slice(place));
        let told = (!settings.source_buckets.is_empty())
            .then(|| std::str::from_utf8(&body).ok())
            .flatten();
        let told = told.and_then(|body| object::told(body, &message.id, arrival_us, settings));
        if let Some(told) = told {
            objects.extend(told);
            continue;
        }
        records.push(Record {
            delivery_id: message.id.clone(),
            source_id: message.id,
            arrival_us,
            is_base64: is_compressed(&body),
            body,
        });
    }
    let source = SourceBatch {
        is_ordered,
        ..SourceBatch::messages("sqs")
    };
    let payload = Payload { records, source };
    if objects.is_empty() {
        return Ok(Delivery::Payload(payload, Reply::Messages));
    }
    let payload = Some(payload).filter(|payload| !payload.records.is_empty());
    Ok(Delivery::Objects(objects, payload, Reply::Messages))
}

/// Whether the body is the base64 of gzip or zstd: a message is text, so there is no other way to send them. JSON begins
/// with none of these.
fn is_compressed(body: &[u8]) -> bool {
    const GZIP: &[u8] = b"H4sI";
    const ZSTD: &[u8] = b"KLUv/";
    body.starts_with(GZIP) || body.starts_with(ZSTD)
}

/// The message in an SNS envelope; any other body as it is.
fn unwrapped(body: Bytes) -> Bytes {
    // An event may have a field `Type`; only what has all of these, with an ARN, came from SNS.
    if memchr::memmem::find(&body, b"\"TopicArn\"").is_none() {
        return body;
    }
    match serde_json::from_slice::<Notification<'_>>(&body) {
        Ok(envelope)
            if envelope.kind == "Notification" && envelope.topic_arn.starts_with("arn:") =>
        {
            Bytes::from(envelope.message.into_owned())
        }
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(unwrapped(Bytes::copy_from_slice(body.as_bytes())), expected);
    }

    #[test]
    fn a_message_of_sns_is_unwrapped() {
        check(
            r#"{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":"{\"a\":1}","Timestamp":"2026-01-01T00:00:00.000Z"}"#,
            r#"{"a":1}"#,
        );
    }

    #[test]
    fn compressed_messages_are_told_by_their_first_letters() {
        // `printf '{}' | gzip | base64`, and the same with `zstd`.
        assert!(is_compressed(b"H4sIAAAAAAAAA6uuBQBDv6ajAgAAAA=="));
        assert!(is_compressed(b"KLUv/SQCEQAAe32TtblX"));
        for body in ["", "{}", "[1]", "\"KLUv/\"", "H4", "KLUv"] {
            assert!(!is_compressed(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn what_only_resembles_sns_is_an_event() {
        for body in [
            r#"{"Type":"Notification","Message":"x"}"#,
            r#"{"Type":"Notification","MessageId":"m","TopicArn":"topic","Message":"x"}"#,
            r#"{"Type":"Other","MessageId":"m","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":"x"}"#,
            r#"{"a":"\"TopicArn\""}"#,
            "\"TopicArn\"",
        ] {
            check(body, body);
        }
    }
}
