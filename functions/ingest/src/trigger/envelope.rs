//! What all triggers put around events, read once and borrowed from the invocation.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The kinds of triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sqs,
    Kinesis,
    Sns,
    S3,
    HttpV1,
    HttpV2,
    EventBridge,
    Direct,
}

/// As much of an envelope as tells triggers apart, and the records of those that bring many.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(rename = "Records", borrow)]
    records: Option<Vec<EnvelopeRecord<'a>>>,
    #[serde(rename = "requestContext", borrow)]
    request_context: Option<RequestContextHead<'a>>,
    #[serde(rename = "detail-type", borrow)]
    detail_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

/// One record of those that triggers bring many of. What it holds besides its source is judged by those who read it: an event
/// may look like this. Of a repeated key the last one counts, and a list is no record.
#[derive(Debug, Default)]
pub(super) struct EnvelopeRecord<'a> {
    event_source: Cow<'a, str>,
    pub(super) event_source_arn: Option<&'a RawValue>,
    pub(super) message_id: Option<&'a RawValue>,
    pub(super) attributes: Option<&'a RawValue>,
    pub(super) body: Option<&'a RawValue>,
    pub(super) event_id: Option<&'a RawValue>,
    pub(super) kinesis: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    #[serde(alias = "EventSource")]
    EventSource,
    #[serde(rename = "eventSourceARN")]
    EventSourceArn,
    MessageId,
    Attributes,
    Body,
    #[serde(rename = "eventID")]
    EventId,
    Kinesis,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for EnvelopeRecord<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor(PhantomData))
    }
}

struct RecordVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for RecordVisitor<'a> {
    type Value = EnvelopeRecord<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record with its `eventSource`")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
        let mut record = EnvelopeRecord::default();
        let mut source: Option<Source<'_>> = None;
        while let Some(key) = members.next_key()? {
            let place = match key {
                Key::EventSource => {
                    source = Some(members.next_value()?);
                    continue;
                }
                Key::Other => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
                Key::EventSourceArn => &mut record.event_source_arn,
                Key::MessageId => &mut record.message_id,
                Key::Attributes => &mut record.attributes,
                Key::Body => &mut record.body,
                Key::EventId => &mut record.event_id,
                Key::Kinesis => &mut record.kinesis,
            };
            *place = members.next_value()?;
        }
        let Source(source) = source.ok_or_else(|| M::Error::missing_field("eventSource"))?;
        record.event_source = source;
        Ok(record)
    }
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Source<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
struct RequestContextHead<'a> {
    #[serde(borrow)]
    http: Option<&'a RawValue>,
    #[serde(rename = "httpMethod", borrow)]
    http_method: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// The envelope of an invocation. What looks like none is empty, and so a direct invoke: an event or several.
    pub(super) fn of(text: &'a str) -> Self {
        // An array would be read as the fields of an envelope in their order.
        let envelope = text
            .trim_start()
            .starts_with('{')
            .then(|| serde_json::from_str(text).ok());
        envelope.flatten().unwrap_or_default()
    }

    /// The kind of trigger.
    pub(super) fn kind(&self) -> Kind {
        if let Some([first, others @ ..]) = self.records.as_deref() {
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
        match &self.request_context {
            Some(RequestContextHead { http: Some(_), .. }) => return Kind::HttpV2,
            Some(RequestContextHead {
                http_method: Some(_),
                ..
            }) => return Kind::HttpV1,
            _ => {}
        }
        match (&self.detail_type, &self.source, self.detail) {
            (Some(_), Some(_), Some(_)) => Kind::EventBridge,
            _ => Kind::Direct,
        }
    }

    /// The records of a queue or a stream, in order.
    pub(super) fn records(self) -> Vec<EnvelopeRecord<'a>> {
        self.records.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Kind) {
        assert_eq!(Envelope::of(text).kind(), expected, "{text}");
    }

    #[test]
    fn triggers_are_told_apart_by_their_envelopes() {
        check(r#"{"Records":[{"eventSource":"aws:sqs"}]}"#, Kind::Sqs);
        check(
            r#" {"Records":[{"eventSource":"aws:kinesis"}]}"#,
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
    fn of_a_repeated_key_the_last_one_counts() {
        let text = r#"{"Records":[{"eventSource":"aws:sns","body":"a","eventSource":"aws:sqs","body":"b"}]}"#;
        let envelope = Envelope::of(text);
        assert_eq!(envelope.kind(), Kind::Sqs);
        let bodies = envelope.records().into_iter().map(|record| record.body);
        let bodies: Vec<_> = bodies.flatten().map(RawValue::get).collect();
        assert_eq!(bodies, ["\"b\""]);
    }

    #[test]
    fn what_only_resembles_an_envelope_is_an_event() {
        for text in [
            r#"{"Records":[]}"#,
            r#"{"Records":[1]}"#,
            r#"{"Records":"aws:sqs"}"#,
            r#"{"Records":[{"eventSource":"aws:sqs"},{"eventSource":"aws:s3"}]}"#,
            r#"{"Records":[["aws:sqs",null,"m",null,"x",null,null]]}"#,
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
            check(text, Kind::Direct);
        }
    }
}
