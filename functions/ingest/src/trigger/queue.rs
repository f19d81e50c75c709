//! SQS, and SNS in SQS.

use std::borrow::Cow;

use aws_lambda_events::sqs::SqsEvent;
use bytes::Bytes;
use pipeline::{Payload, Record, Settings, SourceBatch};
use serde::Deserialize;

use super::{Delivery, object};
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

pub(super) fn read(event: SqsEvent, now_us: i64, settings: &Settings) -> Result<Delivery, Failure> {
    let is_ordered = event.records.iter().any(|message| {
        message.event_source_arn.as_deref().is_some_and(|queue| {
            queue
                .rsplit_once('.')
                .is_some_and(|(_, kind)| kind == "fifo")
        })
    });
    let mut objects = Vec::new();
    let mut records = Vec::with_capacity(event.records.len());
    for message in event.records {
        // Without its id a message cannot be named in the answer: then the whole batch has to come back.
        let id = message.message_id.ok_or_else(|| Failure {
            kind: "UnreadableEnvelope",
            message: "an SQS message has no `messageId`".to_owned(),
        })?;
        let sent = message.attributes.get("SentTimestamp");
        let arrival_us = sent.and_then(|ms| ms.parse::<i64>().ok()?.checked_mul(1_000));
        let body = unwrapped(message.body.unwrap_or_default());
        if let Some(told) = object::told(&body, &id, arrival_us.unwrap_or(now_us), settings) {
            objects.extend(told);
            continue;
        }
        records.push(Record {
            delivery_id: id.clone(),
            source_id: id,
            arrival_us: arrival_us.unwrap_or(now_us),
            is_base64: is_compressed(&body),
            body: Bytes::from(body),
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
fn is_compressed(body: &str) -> bool {
    const GZIP: &str = "H4sI";
    const ZSTD: &str = "KLUv/";
    body.starts_with(GZIP) || body.starts_with(ZSTD)
}

/// The message in an SNS envelope; any other body as it is.
fn unwrapped(body: String) -> String {
    // An event may have a field `Type`; only what has all of these, with an ARN, came from SNS.
    if !body.contains("\"TopicArn\"") {
        return body;
    }
    match serde_json::from_str::<Notification<'_>>(&body) {
        Ok(envelope)
            if envelope.kind == "Notification" && envelope.topic_arn.starts_with("arn:") =>
        {
            envelope.message.into_owned()
        }
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(unwrapped(body.to_owned()), expected);
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
        assert!(is_compressed("H4sIAAAAAAAAA6uuBQBDv6ajAgAAAA=="));
        assert!(is_compressed("KLUv/SQCEQAAe32TtblX"));
        for body in ["", "{}", "[1]", "\"KLUv/\"", "H4", "KLUv"] {
            assert!(!is_compressed(body), "{body}");
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
