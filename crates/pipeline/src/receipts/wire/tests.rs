use std::collections::BTreeMap;

use lake::{ColumnFacts, DataFile, ReceiptSource, SequenceNumber, SourceRecords, Token};
use proptest::{collection, prelude::*};
use serde_json::{Value, json};

use super::*;

const CAP_BYTES: usize = 64 << 20;

/// A receipt of this many files, each with this many columns, whose counts and bounds differ as they do in real ones.
fn receipt(n_files: u64, n_columns: i32) -> Receipt {
    let facts = |file: u64, id: i32| {
        let mixed = Sha256::digest(format!("{file}/{id}"));
        let number = u64::from(hash_of(&mixed));
        json!({
            "type": if id % 3 == 0 { "long" } else { "string" },
            "column_bytes": 1_000 + number % 9_000,
            "n_values": 333,
            "n_nulls": number % 300,
            "lower": format!("{:016x}", number * 7),
            "upper": format!("{:016x}", number * 11),
        })
    };
    let file = |file: u64| -> DataFile {
        let columns: BTreeMap<String, Value> = (1..=n_columns)
            .map(|id| (id.to_string(), facts(file, id)))
            .collect();
        let day = file % 3;
        serde_json::from_value(json!({
            "location": format!("s3://lake/analytics/events/data/event_time_day=2026-11-{:02}/4f0c1d2e3f405162738495a6b7c8d9ea-{file:016x}-{day}.parquet", 19 + day),
            "spec_id": 0,
            "partition": [20_776 + day],
            "n_rows": 333,
            "file_bytes": 45_000 + file,
            "split_offsets": [4],
            "columns": columns,
        }))
        .unwrap()
    };
    let data_files: Vec<DataFile> = (0..n_files).map(file).collect();
    let columns = (1..=n_columns).map(|id| {
        let kind = if id % 3 == 0 { "long" } else { "string" };
        (id.to_string(), kind)
    });
    serde_json::from_value(json!({
        "format": 1,
        "table": "analytics.events",
        "table_uuid": "7c4b7e4c-5d51-4c9e-9d3f-3f5f2a1f0b6e",
        "token": Token::new(uuid(), "sqs", b"m").to_string(),
        "written_at_ms": 1_763_640_000_000_i64,
        "schema_id": 3,
        "columns": columns.collect::<BTreeMap<_, _>>(),
        "source": { "kind": "sqs", "records": { "ids": (0..10).map(|n| format!("059f36b4-87a3-44ab-83d2-66197583{n:04x}")).collect::<Vec<_>>() } },
        "data_files": data_files,
    }))
    .unwrap()
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::nil()
}

/// The receipt that a message or its object brings.
fn back(message: &str) -> Result<Receipt, UnreadableReceipt> {
    match open_message(message)? {
        Carried::Object(object) => read_object(&object, CAP_BYTES).map(|(receipt, _)| receipt),
        Carried::Location(location) => panic!("it is at {location}"),
    }
}

/// A message whose receipt was changed after it was written.
fn changed(change: impl Fn(&mut Value)) -> String {
    let mut json = serde_json::to_value(receipt(1, 3)).unwrap();
    change(&mut json);
    let zstd = zstd::bulk::compress(json.to_string().as_bytes(), ZSTD_LEVEL).unwrap();
    json!({ "calve_receipt": 1, "table": "a.b", "token": "t", "zstd": STANDARD.encode(zstd) })
        .to_string()
}

#[track_caller]
fn check_refused(message: &str, kind: &str, words: &str) {
    let error = back(message).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_message_says_what_it_is_to_a_person() {
    let receipt = receipt(1, 3);
    let wire = WireReceipt::new(&receipt).unwrap();
    let message: Value = serde_json::from_str(&wire.message().unwrap()).unwrap();
    assert_eq!(
        (&message["calve_receipt"], &message["table"]),
        (&json!(1), &json!("analytics.events"))
    );
    assert_eq!(message["token"], receipt.token.to_string());
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let words = "format 2, and this version knows formats up to 1";
    check_refused(
        r#"{"calve_receipt":2,"something":"else"}"#,
        "newer_format",
        words,
    );
    check_refused(
        &changed(|receipt| receipt["format"] = 2.into()),
        "newer_format",
        words,
    );
}

#[test]
fn fields_that_this_version_does_not_know_are_passed_over_and_kept() {
    let message = changed(|receipt| receipt["colour"] = "blue".into());
    assert_eq!(back(&message).unwrap(), receipt(1, 3));
    let Carried::Object(object) = open_message(&message).unwrap() else {
        panic!("the receipt is in the message");
    };
    let (_, json) = read_object(&object, CAP_BYTES).unwrap();
    assert!(json.get().contains("\"colour\":\"blue\""));
}

#[test]
fn what_is_no_receipt_is_refused_with_the_reason() {
    check_refused("hello", "unreadable", "not a receipt");
    check_refused(r#"{"event_id":"e1"}"#, "unreadable", "calve_receipt");
    let envelope = |rest: &str| format!(r#"{{"calve_receipt":1,"table":"a.b","token":"t"{rest}}}"#);
    check_refused(&envelope(""), "unreadable", "neither");
    check_refused(&envelope(r#","zstd":"%%""#), "unreadable", "base64");
    check_refused(
        &envelope(r#","zstd":"KLUv/Q==""#),
        "unreadable",
        "decompressed",
    );
    check_refused(
        &changed(|receipt| receipt["token"] = "xyz".into()),
        "unreadable",
        "token",
    );
    check_refused(
        &changed(|receipt| receipt["data_files"][0]["n_rows"] = Value::Null),
        "unreadable",
        "not one of format 1",
    );
}

#[test]
fn a_receipt_that_inflates_beyond_the_cap_is_refused() {
    let wire = WireReceipt::new(&receipt(3, 10)).unwrap();
    let error = read_object(wire.object(), 1_000).unwrap_err();
    assert!(
        error.to_string().contains("more than 1000 bytes"),
        "{error}"
    );
}

#[test]
fn a_receipt_too_large_for_a_message_has_a_place_of_its_own() {
    let small = WireReceipt::new(&receipt(1, 60)).unwrap();
    assert!(small.message().unwrap().len() < 8 << 10);
    let large = receipt(300, 60);
    let wire = WireReceipt::new(&large).unwrap();
    assert!(wire.message().is_none());

    let location = wire.location("s3://lake/receipts");
    let place = format!("s3://lake/receipts/analytics.events/{}-", large.token);
    assert!(location.starts_with(&place), "{location}");
    match open_message(&wire.pointer(&location)).unwrap() {
        Carried::Location(found) => assert_eq!(found, location),
        Carried::Object(_) => panic!("the receipt is not in the message"),
    }
    assert_eq!(read_object(wire.object(), CAP_BYTES).unwrap().0, large);
    let other = WireReceipt::new(&receipt(299, 60)).unwrap();
    assert_ne!(other.location("s3://lake/receipts"), location);
}

fn sources() -> impl Strategy<Value = ReceiptSource> {
    let text = || "\\PC{0,12}";
    let number = || "[1-9][0-9]{0,60}".prop_map(|digits| digits.parse::<SequenceNumber>().unwrap());
    let records = prop_oneof![
        text().prop_map(SourceRecords::One),
        collection::vec(text(), 0..5).prop_map(SourceRecords::Ids),
        (text(), number(), number()).prop_map(|(shard, first, last)| SourceRecords::Range {
            shard,
            first,
            last
        }),
    ];
    ("[a-z]{1,9}", records).prop_map(|(kind, records)| ReceiptSource { kind, records })
}

fn column_facts() -> impl Strategy<Value = ColumnFacts> {
    let bound = || proptest::option::of(collection::vec(any::<u8>(), 0..20));
    let kinds = ["long", "string", "timestamptz", "decimal(12, 2)", "boolean"];
    let kind = proptest::sample::select(kinds.to_vec());
    let counts = (any::<u64>(), any::<u64>(), any::<u64>());
    let nans = proptest::option::of(any::<u64>());
    (kind, counts, nans, bound(), bound()).prop_map(|(kind, counts, n_nans, lower, upper)| {
        ColumnFacts {
            column_type: serde_json::from_value(kind.into()).unwrap(),
            column_bytes: counts.0,
            n_values: counts.1,
            n_nulls: counts.2,
            n_nans,
            lower,
            upper,
        }
    })
}

proptest! {
    #[test]
    fn what_is_sent_is_what_arrives(
        source in sources(),
        columns in collection::btree_map(any::<i32>(), column_facts(), 0..6),
        partition in collection::vec(prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), "\\PC{0,8}".prop_map(Value::from)], 0..3),
        written_at_ms in any::<i64>(),
        n_rows in any::<u64>(),
        location in "\\PC{0,40}",
    ) {
        let mut sent = receipt(2, 3);
        sent.source = source;
        sent.written_at_ms = written_at_ms;
        sent.data_files[1] = DataFile { location, n_rows, partition, columns, ..sent.data_files[1].clone() };
        let message = WireReceipt::new(&sent).unwrap().message().unwrap();
        prop_assert_eq!(back(&message).unwrap(), sent);
    }

    #[test]
    fn any_text_is_a_receipt_or_refused(text in "\\PC{0,60}|\\{\"calve_receipt\":[0-9]{1,3},\"table\":\"a\",\"token\":\"b\",\"(zstd|location)\":\"[A-Za-z0-9+/=]{0,40}\"\\}") {
        if let Ok(Carried::Object(object)) = open_message(&text) {
            let _ = read_object(&object, CAP_BYTES);
        }
    }
}
