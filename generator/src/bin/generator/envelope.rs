//! What a Lambda function is given: events in the envelope of a trigger.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::args::Wrapper;

/// One batch of events, and what identifies its request.
pub(crate) struct Batch<'a> {
    /// The events, each with a new line behind it.
    pub(crate) ndjson: &'a [u8],
    /// Different for every request of every run; the same when a request is sent again.
    pub(crate) request_id: &'a str,
    /// When it is sent, in milliseconds since 1970.
    pub(crate) sent_at_ms: i64,
    /// Whether the body is compressed.
    pub(crate) gzip: bool,
}

impl Batch<'_> {
    /// The payload of an invocation.
    pub(crate) fn invocation(&self, wrapper: Wrapper) -> Vec<u8> {
        match wrapper {
            Wrapper::Direct => self.array(),
            Wrapper::FunctionUrl => self.function_url().to_string().into_bytes(),
            Wrapper::Sqs => self.sqs().to_string().into_bytes(),
        }
    }

    /// The body of a plain request.
    pub(crate) fn body(&self) -> Vec<u8> {
        if self.gzip {
            gzip(self.ndjson)
        } else {
            self.ndjson.to_vec()
        }
    }

    /// A JSON array of the events.
    fn array(&self) -> Vec<u8> {
        let mut array = Vec::with_capacity(self.ndjson.len() + 2);
        for event in self.events() {
            array.push(if array.is_empty() { b'[' } else { b',' });
            array.extend_from_slice(event);
        }
        array.push(b']');
        array
    }

    /// The envelope of a function URL. A body that is no text goes as base64, as the service would send it.
    fn function_url(&self) -> Value {
        let body = self.body();
        let (text, is_base64) = match String::from_utf8(body) {
            Ok(text) => (text, false),
            Err(error) => (BASE64_STANDARD.encode(error.as_bytes()), true),
        };
        let mut headers = json!({
            "content-type": "application/x-ndjson",
            "user-agent": concat!("generator/", env!("CARGO_PKG_VERSION")),
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-proto": "https",
        });
        if let (true, Some(headers)) = (self.gzip, headers.as_object_mut()) {
            headers.insert("content-encoding".to_owned(), json!("gzip"));
        }
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/",
            "rawQueryString": "",
            "headers": headers,
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "local",
                "domainName": "local.lambda-url.us-east-1.on.aws",
                "domainPrefix": "local",
                "http": {
                    "method": "POST",
                    "path": "/",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": concat!("generator/", env!("CARGO_PKG_VERSION")),
                },
                "requestId": self.request_id,
                "routeKey": "$default",
                "stage": "$default",
                "time": jiff::Timestamp::from_millisecond(self.sent_at_ms)
                    .map(|sent_at| sent_at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string())
                    .unwrap_or_default(),
                "timeEpoch": self.sent_at_ms,
            },
            "body": text,
            "isBase64Encoded": is_base64,
        })
    }

    /// The envelope of SQS, one message per event. Messages are text, so bytes that are not UTF-8 are replaced.
    fn sqs(&self) -> Value {
        let sent_at = self.sent_at_ms.to_string();
        let messages: Vec<Value> = self
            .events()
            .enumerate()
            .map(|(n, event)| {
                json!({
                    "messageId": format!("{}-{n}", self.request_id),
                    "receiptHandle": format!("{}-{n}", self.request_id),
                    "body": String::from_utf8_lossy(event),
                    "attributes": {
                        "ApproximateReceiveCount": "1",
                        "SentTimestamp": sent_at,
                        "SenderId": "generator",
                        "ApproximateFirstReceiveTimestamp": sent_at,
                    },
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events",
                    "awsRegion": "us-east-1",
                })
            })
            .collect();
        json!({ "Records": messages })
    }

    /// The events without their new lines.
    fn events(&self) -> impl Iterator<Item = &[u8]> {
        self.ndjson
            .strip_suffix(b"\n")
            .unwrap_or(self.ndjson)
            .split(|&byte| byte == b'\n')
    }
}

/// Compresses quickly: the generator is to be faster than what it measures.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // Writing to memory cannot fail; were it to, the receiver would refuse the empty body.
    let written = encoder.write_all(bytes);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Whether an answer means that the whole batch was taken.
///
/// # Errors
///
/// Says why not, in a few words, and how many of the events failed if the answer tells.
pub(crate) fn judge(
    status: u16,
    function_error: bool,
    wrapper: Option<Wrapper>,
    answer: &[u8],
) -> Result<(), Failure> {
    let excerpt = || String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
    if !(200..300).contains(&status) {
        return Err(Failure {
            reason: format!("status {status}: {}", excerpt()),
            n_events: None,
        });
    }
    if function_error {
        return Err(Failure {
            reason: format!("function error: {}", excerpt()),
            n_events: None,
        });
    }
    let Some(wrapper) = wrapper else {
        return Ok(());
    };
    let Ok(Value::Object(answer)) = serde_json::from_slice::<Value>(answer) else {
        return Ok(());
    };
    if answer.contains_key("errorType") && answer.contains_key("errorMessage") {
        return Err(Failure {
            reason: format!("function error: {}", excerpt()),
            n_events: None,
        });
    }
    match wrapper {
        Wrapper::FunctionUrl => match answer.get("statusCode").and_then(Value::as_u64) {
            Some(200..300) | None => Ok(()),
            Some(_) => Err(Failure {
                reason: excerpt(),
                n_events: None,
            }),
        },
        Wrapper::Sqs => match answer.get("batchItemFailures").and_then(Value::as_array) {
            Some(failures) if !failures.is_empty() => Err(Failure {
                reason: excerpt(),
                n_events: Some(failures.len() as u64),
            }),
            _ => Ok(()),
        },
        Wrapper::Direct => Ok(()),
    }
}

/// Why a request failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// How many of its events, when the answer says so; else all.
    pub(crate) n_events: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ndjson: &[u8]) -> Batch<'_> {
        Batch {
            ndjson,
            request_id: "r-1",
            sent_at_ms: 1_768_435_200_123,
            gzip: false,
        }
    }

    #[test]
    fn a_direct_invocation_is_an_array() {
        assert_eq!(
            batch(b"{\"a\":1}\n{\"b\":2}\n").invocation(Wrapper::Direct),
            b"[{\"a\":1},{\"b\":2}]"
        );
    }

    #[test]
    fn a_function_url_gets_text_as_text_and_bytes_as_base64() {
        let text = batch(b"{\"a\":1}\n").function_url();
        assert_eq!(
            (&text["body"], &text["isBase64Encoded"]),
            (&json!("{\"a\":1}\n"), &json!(false))
        );
        assert_eq!(text["requestContext"]["time"], "15/Jan/2026:00:00:00 +0000");

        let bytes = batch(b"{\"a\":\"\xff\"}\n").function_url();
        assert_eq!(bytes["isBase64Encoded"], true);
        let body = BASE64_STANDARD
            .decode(bytes["body"].as_str().unwrap())
            .unwrap();
        assert_eq!(body, b"{\"a\":\"\xff\"}\n");
    }

    #[test]
    fn a_compressed_body_says_so() {
        let envelope = Batch {
            gzip: true,
            ..batch(b"{}\n")
        }
        .function_url();
        assert_eq!(envelope["headers"]["content-encoding"], "gzip");
        let body = BASE64_STANDARD
            .decode(envelope["body"].as_str().unwrap())
            .unwrap();
        assert_eq!(body[..2], [0x1f, 0x8b]);
    }

    #[test]
    fn sqs_messages_hold_one_event_each_and_differ_in_their_ids() {
        let envelope = batch(b"{\"a\":1}\n{\"b\":2}\n").sqs();
        let messages = envelope["Records"].as_array().unwrap();
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[1]["body"], "{\"b\":2}");
        assert_ne!(messages[0]["messageId"], messages[1]["messageId"]);
        assert_eq!(messages[0]["attributes"]["SentTimestamp"], "1768435200123");
    }

    #[track_caller]
    fn check_failed(
        status: u16,
        function_error: bool,
        wrapper: Wrapper,
        answer: &str,
        n_events: Option<u64>,
    ) {
        let failure = judge(status, function_error, Some(wrapper), answer.as_bytes()).unwrap_err();
        assert_eq!(failure.n_events, n_events);
    }

    #[test]
    fn answers_that_hide_a_failure_in_a_success_are_seen_through() {
        check_failed(502, false, Wrapper::Direct, "", None);
        check_failed(200, true, Wrapper::Direct, "{}", None);
        check_failed(
            200,
            false,
            Wrapper::Direct,
            r#"{"errorType":"E","errorMessage":"m"}"#,
            None,
        );
        check_failed(
            200,
            false,
            Wrapper::FunctionUrl,
            r#"{"statusCode":503,"body":""}"#,
            None,
        );
        check_failed(
            200,
            false,
            Wrapper::Sqs,
            r#"{"batchItemFailures":[{"itemIdentifier":"m"}]}"#,
            Some(1),
        );
    }

    #[test]
    fn answers_of_success_are_taken_as_such() {
        for (wrapper, answer) in [
            (Wrapper::Direct, r#"{"n_rows":100}"#),
            (Wrapper::FunctionUrl, r#"{"statusCode":202}"#),
            (Wrapper::Sqs, r#"{"batchItemFailures":[]}"#),
        ] {
            assert_eq!(judge(200, false, Some(wrapper), answer.as_bytes()), Ok(()));
        }
        assert_eq!(judge(204, false, None, b""), Ok(()));
    }
}
