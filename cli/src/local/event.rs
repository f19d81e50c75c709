//! Records as Lambda hands them to a function: the same JSON, field by field.

use aws_sdk_kinesis::types::Record;
use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

/// What stands around the records: `{"Records":[` and `]}`.
pub(super) const ENVELOPE_BYTES: usize = 14;

/// Where records come from, as each of them says.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The ARN of the queue or stream.
    pub(super) arn: String,
    /// Its region.
    pub(super) region: String,
}

/// One record of an event: its name in a partial batch response, and its JSON.
#[derive(Debug, Clone)]
pub(super) struct EventRecord {
    /// Message id or sequence number.
    pub(super) id: String,
    /// The record.
    pub(super) json: String,
}

/// The event that a function is given.
pub(super) fn event(records: &[EventRecord]) -> Bytes {
    let n_bytes: usize = records.iter().map(|record| record.json.len() + 1).sum();
    let mut event = String::with_capacity(n_bytes + ENVELOPE_BYTES);
    event.push_str(r#"{"Records":["#);
    for (position, record) in records.iter().enumerate() {
        if position > 0 {
            event.push(',');
        }
        event.push_str(&record.json);
    }
    event.push_str("]}");
    Bytes::from(event)
}

/// A message of SQS.
pub(super) fn of_message(message: &Message, origin: &Origin) -> EventRecord {
    let attributes = message.attributes().into_iter().flatten();
    let attributes: Map<String, Value> = attributes
        .map(|(name, value)| (name.as_str().to_owned(), value.as_str().into()))
        .collect();
    let given = message.message_attributes().into_iter().flatten();
    let given: Map<String, Value> = given
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect();
    let record = json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes,
        "messageAttributes": given,
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": origin.arn,
        "awsRegion": origin.region,
    });
    EventRecord {
        id: message.message_id().unwrap_or_default().to_owned(),
        json: record.to_string(),
    }
}

fn attribute(value: &MessageAttributeValue) -> Value {
    let mut attribute = json!({
        "stringListValues": value.string_list_values(),
        "binaryListValues": [],
        "dataType": value.data_type(),
    });
    if let Some(text) = value.string_value() {
        attribute["stringValue"] = text.into();
    }
    if let Some(bytes) = value.binary_value() {
        attribute["binaryValue"] = BASE64_STANDARD.encode(bytes).into();
    }
    attribute
}

/// A record of Kinesis.
pub(super) fn of_record(record: &Record, shard: &str, origin: &Origin) -> EventRecord {
    let sequence = record.sequence_number();
    let arrival_s = record
        .approximate_arrival_timestamp()
        .map(aws_sdk_kinesis::primitives::DateTime::as_secs_f64);
    let record = json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key(),
            "sequenceNumber": sequence,
            "data": BASE64_STANDARD.encode(record.data()),
            "approximateArrivalTimestamp": arrival_s,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("{shard}:{sequence}"),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/local",
        "awsRegion": origin.region,
        "eventSourceARN": origin.arn,
    });
    EventRecord {
        id: sequence.to_owned(),
        json: record.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::primitives::{Blob, DateTime};
    use aws_sdk_sqs::types::MessageSystemAttributeName;

    use super::*;

    fn origin(service: &str) -> Origin {
        Origin {
            arn: format!("arn:aws:{service}:us-east-2:123456789012:events"),
            region: "us-east-2".to_owned(),
        }
    }

    #[test]
    fn a_message_looks_as_aws_documents_it() {
        let text = MessageAttributeValue::builder().data_type("String");
        let binary = MessageAttributeValue::builder().data_type("Binary");
        let message = Message::builder()
            .message_id("059f36b4")
            .receipt_handle("AQEB")
            .body("{\"a\":\"\u{e9}\"}")
            .md5_of_body("e4e6")
            .attributes(MessageSystemAttributeName::SentTimestamp, "1763632800000")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "1")
            .message_attributes("kind", text.string_value("event").build().unwrap())
            .message_attributes(
                "raw",
                binary
                    .binary_value(aws_sdk_sqs::primitives::Blob::new(b"\0\xff"))
                    .build()
                    .unwrap(),
            )
            .build();
        let record = of_message(&message, &origin("sqs"));
        assert_eq!(record.id, "059f36b4");
        let expected = json!({"Records": [{
            "messageId": "059f36b4",
            "receiptHandle": "AQEB",
            "body": "{\"a\":\"é\"}",
            "attributes": {"SentTimestamp": "1763632800000", "ApproximateReceiveCount": "1"},
            "messageAttributes": {
                "kind": {"stringValue": "event", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
                "raw": {"binaryValue": "AP8=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
            },
            "md5OfBody": "e4e6",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:events",
            "awsRegion": "us-east-2",
        }]});
        let made: Value = serde_json::from_slice(&event(&[record])).unwrap();
        assert_eq!(made, expected);
    }

    #[test]
    fn a_record_of_a_stream_looks_as_aws_documents_it() {
        let record = Record::builder()
            .sequence_number("4959")
            .partition_key("1")
            .data(Blob::new("{}"))
            .approximate_arrival_timestamp(DateTime::from_millis(1_763_632_800_987))
            .build()
            .unwrap();
        let record = of_record(&record, "shardId-000000000006", &origin("kinesis"));
        assert_eq!(record.id, "4959");
        let expected = json!({"Records": [{
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "1",
                "sequenceNumber": "4959",
                "data": "e30=",
                "approximateArrivalTimestamp": 1_763_632_800.987,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": "shardId-000000000006:4959",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/local",
            "awsRegion": "us-east-2",
            "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:events",
        }]});
        let made: Value = serde_json::from_slice(&event(&[record])).unwrap();
        assert_eq!(made, expected);
    }

    #[test]
    fn records_are_parted_by_commas_in_an_envelope_of_known_size() {
        let record = |id: &str| EventRecord {
            id: id.to_owned(),
            json: "{}".to_owned(),
        };
        assert_eq!(event(&[record("a"), record("b")]), r#"{"Records":[{},{}]}"#);
        assert_eq!(event(&[]).len(), ENVELOPE_BYTES);
    }
}
