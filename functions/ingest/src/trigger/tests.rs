//! Envelopes as they may come, from their bytes to records.

use bytes::Bytes;
use pipeline::{Payload, Settings};

use super::{Delivery, read};
use crate::Failure;

const NOW_US: i64 = 1_700_000_000_000_000;

fn payload_of(body: impl Into<Bytes>) -> Result<Payload, Failure> {
    match read(body.into(), "request", NOW_US, &Settings::default())? {
        Delivery::Payload(payload, _) => Ok(payload),
        other => panic!("{other:?}"),
    }
}

/// The ids, arrivals and bodies of the records, and whether they are ordered.
#[track_caller]
fn check(envelope: &str, is_ordered: bool, expected: &[(&str, i64, &str)]) {
    let payload = payload_of(envelope.to_owned()).unwrap();
    let records = payload.records.iter();
    let found: Vec<(&str, i64, &str)> = records
        .map(|record| {
            let body = std::str::from_utf8(&record.body).unwrap();
            (record.source_id.as_str(), record.arrival_us, body)
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(payload.source.is_ordered, is_ordered);
}

#[track_caller]
fn check_refused(envelope: &str, kind: &str) {
    let error = payload_of(envelope.to_owned()).unwrap_err();
    assert_eq!(error.kind, kind, "{envelope}: {error}");
}

#[test]
fn messages_come_with_what_is_known_of_them() {
    check(
        r#" { "Records" : [ { "messageId" : "1" , "eventSource" : "aws:sqs" ,
              "attributes" : { "SentTimestamp" : "1700000000123" } , "body" : "{\"a\":\"\u00e9\\n\"}" } ,
            { "body" : null , "attributes" : null , "eventSourceARN" : null , "messageId" : "2" , "eventSource" : "aws:sqs" } ,
            { "messageId" : "3" , "eventSource" : "aws:sqs" , "receiptHandle" : [ {} ] } ] } "#,
        false,
        &[
            ("1", 1_700_000_000_123_000, "{\"a\":\"é\\n\"}"),
            ("2", NOW_US, ""),
            ("3", NOW_US, ""),
        ],
    );
}

#[test]
fn a_queue_is_ordered_by_its_name() {
    check(
        r#"{"Records":[{"eventSource":"aws:sqs","messageId":"1","eventSourceARN":"arn:aws:sqs:eu-west-1:1:q.fifo","body":"{}"}]}"#,
        true,
        &[("1", NOW_US, "{}")],
    );
}

#[test]
fn an_envelope_of_which_a_part_cannot_be_read_comes_again_as_a_whole() {
    for record in [
        r#""messageId":null,"body":"{}""#,
        r#""body":"{}""#,
        r#""messageId":7,"body":"{}""#,
        r#""messageId":"1","body":{"a":1}"#,
        r#""messageId":"1","body":"{}","attributes":{"SentTimestamp":7}"#,
    ] {
        let envelope = format!(r#"{{"Records":[{{"eventSource":"aws:sqs",{record}}}]}}"#);
        check_refused(&envelope, "UnreadableEnvelope");
    }
    for record in [
        r#""eventID":"s:1""#,
        r#""kinesis":{"sequenceNumber":"1","approximateArrivalTimestamp":1}"#,
        r#""kinesis":{"sequenceNumber":"1","approximateArrivalTimestamp":null,"data":"e30="}"#,
    ] {
        let envelope = format!(r#"{{"Records":[{{"eventSource":"aws:kinesis",{record}}}]}}"#);
        check_refused(&envelope, "UnreadableEnvelope");
    }
}

#[test]
fn a_message_that_is_no_text_keeps_its_bytes_and_its_neighbours() {
    let payload = payload_of(
        r#"{"Records":[{"eventSource":"aws:sqs","messageId":"1","body":"{\"a\":1}"},
            {"eventSource":"aws:sqs","messageId":"2","body":"{\"a\":\"\ud83d\"}\n{}"},
            {"eventSource":"aws:sqs","messageId":"3","body":"{\"a\":\"\ud83d\ude00\"}"}]}"#,
    );
    let bodies = payload.unwrap().records.into_iter();
    let bodies: Vec<Bytes> = bodies.map(|record| record.body).collect();
    assert_eq!(bodies[0], r#"{"a":1}"#);
    assert_eq!(bodies[1], &b"{\"a\":\"\xed\xa0\xbd\"}\n{}"[..]);
    assert_eq!(bodies[2], r#"{"a":"😀"}"#);
}

#[test]
fn a_record_that_is_not_base64_keeps_its_bytes_and_its_neighbours() {
    let record = |sequence: u8, data: &str| {
        format!(
            r#"{{"eventSource":"aws:kinesis","eventID":"s:{sequence}","eventSourceARN":"a","kinesis":{{"sequenceNumber":"{sequence}","approximateArrivalTimestamp":1.5,"data":"{data}"}}}}"#
        )
    };
    let records = [record(1, "e30="), record(2, "{e30="), record(3, "e30=")];
    let payload = payload_of(format!(r#"{{"Records":[{}]}}"#, records.join(",")));
    let records = payload.unwrap().records;
    let found = records
        .iter()
        .map(|record| (&record.delivery_id[..], &record.body[..], record.is_base64));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("1", &b"{}"[..], false),
            ("2", b"{e30=", true),
            ("3", b"{}", false),
        ]
    );
}

#[test]
fn what_is_not_json_is_refused() {
    check_refused("{\"a\":1", "NotJson");
    check_refused("", "NotJson");
    let error = payload_of(&b"\"\xff\""[..]).unwrap_err();
    assert_eq!(error.kind, "NotJson");
}

#[test]
fn bodies_stay_where_they_came() {
    let sqs = r#"{"Records":[{"eventSource":"aws:sqs","messageId":"1","body":"{\"a\":1}\n{}"}]}"#;
    let kinesis = r#"{"Records":[{"eventSource":"aws:kinesis","eventID":"s:1","eventSourceARN":"a","kinesis":{"sequenceNumber":"1","approximateArrivalTimestamp":1.5,"data":"e30="}}]}"#;
    for (envelope, expected) in [(sqs, &b"{\"a\":1}\n{}"[..]), (kinesis, b"{}")] {
        let bytes = Bytes::from(envelope.as_bytes().to_vec());
        let places = bytes.as_ptr_range();
        let payload = payload_of(bytes).unwrap();
        let body = &payload.records[0].body;
        assert_eq!(body, expected);
        assert!(places.contains(&body.as_ptr()));
    }
}
