//! The way back from a row, as another engine printed it, to the event: `docs/flattening.md`, section 8.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

/// The event of a row: columns by their pointers, the event time by `_time_source`, and `_doc` over all. `columns` are pointer
/// and type by name. None when the row lacks what each row of ours has.
pub fn rebuild(row: &Value, columns: &BTreeMap<String, (String, String)>) -> Option<Value> {
    let mut event = Value::Object(Map::new());
    for (name, (pointer, data_type)) in columns.iter().filter(|(name, _)| !is_system(name)) {
        if !row[name].is_null() {
            put(&mut event, pointer, cell(&row[name], data_type)?);
        }
    }
    let time_source = row["_time_source"].as_str()?;
    if let Some((pointer, form)) = time_source.split_once(' ')
        && let Some(original) = original_time(row["event_time"].as_str()?, form)
    {
        put(&mut event, pointer, original);
    }
    if let Some(doc) = row["_doc"].as_str() {
        merge(&mut event, serde_json::from_str(doc).ok()?);
    }
    Some(canonical(&event))
}

/// The event without members that are null, its numbers in one spelling.
pub fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                present
                    .map(|(key, value)| (key.clone(), canonical(value)))
                    .collect(),
            )
        }
        Value::Array(values) => Value::Array(values.iter().map(canonical).collect()), // Nulls stay.
        Value::Number(number) => Value::Number(whole(number)),
        other => other.clone(),
    }
}

/// `1.0` and `1e0` are `1`.
fn whole(number: &Number) -> Number {
    match number.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only whole numbers that a double holds exactly"
        )]
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            Number::from(float as i64)
        }
        _ => number.clone(),
    }
}

/// A value as the event has it: the engines print decimals as text.
fn cell(value: &Value, data_type: &str) -> Option<Value> {
    match value.as_str() {
        Some(text) if data_type.starts_with("decimal(") => serde_json::from_str(text).ok(),
        _ => Some(value.clone()),
    }
}

fn is_system(name: &str) -> bool {
    [
        "event_time",
        "_ingested_at",
        "_time_source",
        "_source_id",
        "_source_index",
        "_doc",
    ]
    .contains(&name)
}

/// The event time as it was, for the forms that print back. The time is `2026-03-01T00:00:00.000000+00:00`.
fn original_time(time: &str, form: &str) -> Option<Value> {
    let (seconds, micros) = time.strip_suffix("+00:00")?.split_once('.')?;
    if let Some(form) = form.strip_prefix("rfc3339/") {
        let (digits, offset) = form.split_once('/')?;
        let fraction = match digits {
            "0" => String::new(),
            "3" => format!(".{}", &micros[..3]),
            "6" => format!(".{micros}"),
            _ => format!(".{micros}000"),
        };
        return Some(Value::String(format!("{seconds}{fraction}{offset}")));
    }
    let micros: i64 = time.parse::<jiff::Timestamp>().ok()?.as_microsecond();
    match form {
        "s" => Some((micros / 1_000_000).into()),
        "ms" => Some((micros / 1_000).into()),
        "us" => Some(micros.into()),
        _ => None,
    }
}

/// Puts a value at a pointer, making the objects on the way.
fn put(event: &mut Value, pointer: &str, value: Value) {
    let mut place = event;
    for key in pointer.split('/').skip(1) {
        let key = key.replace("~1", "/").replace("~0", "~");
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[key];
    }
    *place = value;
}

/// Merges objects key by key; anything else of the second wins.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
