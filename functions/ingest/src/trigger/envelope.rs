//! What all triggers put around events, read once and borrowed from the invocation.

use std::borrow::Cow;

use serde::Deserialize;
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

/// One record of a queue or a stream. What it holds besides its source is judged by those who read it: an event may look
/// like this.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnvelopeRecord<'a> {
    #[serde(alias = "EventSource", borrow)]
    event_source: Cow<'a, str>,
    #[serde(rename = "eventSourceARN", borrow)]
    pub(super) event_source_arn: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) attributes: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) body: Option<&'a RawValue>,
    #[serde(rename = "eventID", borrow)]
    pub(super) event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) kinesis: Option<&'a RawValue>,
}

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
    fn what_only_resembles_an_envelope_is_an_event() {
        for text in [
            r#"{"Records":[]}"#,
            r#"{"Records":[1]}"#,
            r#"{"Records":"aws:sqs"}"#,
            r#"{"Records":[{"eventSource":"aws:sqs"},{"eventSource":"aws:s3"}]}"#,
            r#"{"Records":[{"eventSource":"aws:sqs","body":"a","body":"b"}]}"#,
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
