use std::collections::BTreeMap;

use flatten::{Event, Flattener, Input, Record, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW_US: i64 = 1_763_640_000_000_000;

fn shape(declared: &[(&str, DeclaredType)]) -> Shape {
    let declared = declared
        .iter()
        .map(|(pointer, declared)| ((*pointer).to_owned(), *declared));
    Shape {
        columns: declared.collect::<BTreeMap<_, _>>(),
        ..Shape::default()
    }
}

/// The events of the rows of these events, which all become rows.
fn rebuilt(events: &[String], then: &Shape, now: &Shape) -> Vec<Rebuilt> {
    let flattener = Flattener::new(Schema::of_system_columns(), then.clone()).unwrap();
    let events: Vec<_> = (0..)
        .zip(events)
        .map(|(index, event)| Event {
            bytes: event.as_bytes(),
            record: 0,
            index,
        })
        .collect();
    let records = [Record {
        source_id: "m",
        arrival_us: NOW_US,
    }];
    let rows = flattener.flatten(&Input {
        records: &records,
        events: &events,
        ingested_at_us: NOW_US + 5,
    });
    let rows = rows.unwrap();
    assert_eq!(rows.n_rows(), events.len());
    let mut rebuilt = Vec::new();
    for batch in &rows.batches {
        let schema = batch.schema();
        let names = schema.fields().iter().map(|field| field.name());
        let columns = names.map(|name| {
            let column = rows.columns.iter().find(|column| column.name == *name);
            (name.clone(), column.unwrap().doc.clone())
        });
        let rebuilder = Rebuilder::new(&columns.collect::<Vec<_>>(), then, now);
        rebuilt.extend(rebuilder.rebuild(batch).unwrap());
    }
    rebuilt
}

/// Without members that are null, and numbers in one spelling where doubles tell them apart.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.iter().filter(|(_, value)| !value.is_null());
            let present = present.map(|(key, value)| (key.clone(), canonical(value)));
            Value::Object(present.collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(canonical).collect()),
        Value::Number(number) if !number.is_i64() && !number.is_u64() => {
            let double = number.as_f64().unwrap();
            json!(format!("{double:?}"))
        }
        Value::Number(number) => match number.as_f64() {
            Some(double) if double.abs() < 9e15 => json!(format!("{double:?}")),
            _ => json!(number.to_string()),
        },
        other => other.clone(),
    }
}

#[track_caller]
fn check(events: &[String], shape: &Shape) {
    let rebuilt = rebuilt(events, shape, shape);
    for ((index, event), rebuilt) in (0..).zip(events).zip(rebuilt) {
        let before: Value = serde_json::from_str(event).unwrap();
        let after: Value = serde_json::from_slice(&rebuilt.event).unwrap();
        assert_eq!(canonical(&after), canonical(&before));
        assert_eq!(
            (rebuilt.source_id.as_str(), rebuilt.source_index),
            ("m", index)
        );
    }
}

#[test]
fn events_come_back_from_their_rows() {
    let events = [
        r#"{"id":1,"ts":1762000000,"user":{"Geo":{"city":"Oslo"},"name":"Z\u00fcrich \"\\\n"}}"#,
        r#"{"id":"x","ts":1762000000123,"user":{"Geo":7},"tags":["a",null,{"b":1.50}],"none":null}"#,
        r#"{"id":9007199254740993,"ts":1762000000123456,"empty":{},"deep":{"a":{"b":{"c":[]}}}}"#,
        r#"{"timestamp":"2025-11-19T08:00:00Z","price":0.1,"n":-0.5,"big":123456789012345678901}"#,
        r#"{"timestamp":"2025-11-20T08:00:00.120Z","a/b~c":true,"":"empty key","userId":5}"#,
        r#"{"timestamp":"2025-11-20 08:00:00+02:00","price":1e3,"userid":"collides"}"#,
        r#"{"time":"2025-11-20T08:00:00.123456000+00:00","user":{"Geo":{"city":5}},"ok":false}"#,
        r#"{"id":2,"no time at all":[[]]}"#,
    ];
    let events = events.map(str::to_owned);
    check(&events, &Shape::default());
}

#[test]
fn declared_columns_come_back_as_they_were_spelt() {
    let shape = shape(&[
        ("/at", DeclaredType::Timestamptz),
        ("/day", DeclaredType::Date),
        (
            "/sum",
            DeclaredType::Decimal {
                precision: 10,
                scale: 2,
            },
        ),
        ("/map", DeclaredType::Json),
    ]);
    let events = [
        r#"{"ts":1762000000,"at":"2025-01-02T03:04:05.600Z","day":"2025-01-02","sum":-12.5,"map":{"k":[1]}}"#,
        r#"{"ts":1762000000,"at":1762000000,"day":"no day","sum":0.01,"map":"text"}"#,
        r#"{"ts":1762000000,"at":"2025-01-02T03:04:05+01:00","sum":12345678.90,"map":7}"#,
    ];
    check(&events.map(str::to_owned), &shape);
}

#[test]
fn what_is_hashed_today_is_never_rebuilt_in_the_clear_nor_hashed_twice() {
    let hashed = shape(&[("/user/mail", DeclaredType::Sha256)]);
    let event = [r#"{"ts":1762000000,"user":{"mail":"ada@example.com","name":"Ada"}}"#.to_owned()];
    let mail = |rebuilt: &[Rebuilt]| {
        let event: Value = serde_json::from_slice(&rebuilt[0].event).unwrap();
        event["user"]["mail"].as_str().unwrap().to_owned()
    };
    let hash = mail(&rebuilt(&event, &hashed, &hashed));
    assert_eq!(hash.len(), 64);
    assert_eq!(mail(&rebuilt(&event, &Shape::default(), &hashed)), hash);
}

#[test]
fn the_arrival_is_that_of_the_record_or_not_before_it() {
    let events = [r#"{"a":1}"#, r#"{"ts":1762000000}"#].map(str::to_owned);
    let rebuilt = rebuilt(&events, &Shape::default(), &Shape::default());
    assert_eq!(rebuilt[0].arrival_us, NOW_US);
    assert_eq!(rebuilt[1].arrival_us, NOW_US + 5);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(|double: f64| json!(double)),
        "[a-z\"\\\\é\u{1}]{0,5}".prop_map(Value::from),
        Just(Value::Null),
        Just(json!({})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[aAb/~]{0,2}", inner, 1..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_event_comes_back(events in prop::collection::vec(
        prop::collection::btree_map("[aAb/~.]{0,2}", any_value(), 0..5), 1..6,
    )) {
        let text = |members: BTreeMap<String, Value>| serde_json::to_string(&members).unwrap();
        let events: Vec<String> = events.into_iter().map(text).collect();
        let shape = Shape::default();
        for (event, rebuilt) in events.iter().zip(rebuilt(&events, &shape, &shape)) {
            let before: Value = serde_json::from_str(event).unwrap();
            let after: Value = serde_json::from_slice(&rebuilt.event).unwrap();
            prop_assert_eq!(canonical(&after), canonical(&before));
        }
    }
}
