//! What the default events are, held against the real output: `FIELDS.md` is written from it.

#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;

use expect_test::expect_file;
use generator::{Corpus, Settings};
use serde_json::Value;

/// Enough events for every value of the short lists to appear.
const N_EVENTS: usize = 50_000;

fn corpus() -> Corpus {
    Corpus::new(&Settings::default(), N_EVENTS)
}

/// The events as `serde_json` reads them.
fn parsed(corpus: &Corpus) -> Vec<Value> {
    corpus
        .events()
        .map(|event| serde_json::from_slice(event).unwrap())
        .collect()
}

/// One path of the events, and what was seen there.
#[derive(Default)]
struct Field {
    types: BTreeSet<&'static str>,
    event_types: BTreeSet<String>,
    n_events: usize,
    values: HashSet<String>,
}

#[test]
fn the_field_table_is_that_of_the_real_events() {
    let corpus = corpus();
    let events = parsed(&corpus);
    let mut fields: BTreeMap<String, Field> = BTreeMap::new();
    for event in &events {
        let event_type = event["event_type"].as_str().unwrap();
        walk(event, &mut String::new(), &mut |path, value| {
            let field = fields.entry(path.to_owned()).or_default();
            field.types.insert(type_of(value));
            field.event_types.insert(event_type.to_owned());
            field.n_events += 1;
            field.values.insert(value.to_string());
        });
    }

    let n_types = events
        .iter()
        .map(|event| event["event_type"].as_str())
        .collect::<HashSet<_>>()
        .len();
    let (escaped, non_ascii) = string_shares(&corpus);
    let mean_bytes = corpus.ndjson().len() / N_EVENTS;
    let mut table = format!(
        "# Fields of the default events\n\n\
         Written by the test `the_field_table_is_that_of_the_real_events` from the first {N_EVENTS} events of seed 7\n\
         (`UPDATE_EXPECT=1 cargo test -p generator` writes it again). Paths are RFC 6901 pointers; a decimal is a number\n\
         with a point. The values inside `/items` and `/search/filters` are objects of their own.\n\n\
         An event has {mean_bytes} bytes on average; {escaped:.1} % of the strings have escapes, {non_ascii:.1} % are not in ASCII.\n\n\
         | path | type | event types | share of events | distinct values |\n\
         | --- | --- | --- | --: | --: |\n"
    );
    for (path, field) in &fields {
        let types = field.types.iter().copied().collect::<Vec<_>>().join(" or ");
        let event_types = if field.event_types.len() == n_types {
            "all".to_owned()
        } else {
            field
                .event_types
                .iter()
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        };
        let share = 100.0 * field.n_events as f64 / N_EVENTS as f64;
        let n_values = field.values.len();
        writeln!(
            table,
            "| `{path}` | {types} | {event_types} | {share:.1} % | {n_values} |"
        )
        .unwrap();
    }
    expect_file!["../FIELDS.md"].assert_eq(&table);
}

/// Calls `see` for each value that is not an object, with its pointer.
fn walk(value: &Value, path: &mut String, see: &mut impl FnMut(&str, &Value)) {
    let Value::Object(members) = value else {
        return see(path, value);
    };
    for (key, member) in members {
        let n_bytes = path.len();
        path.push('/');
        path.push_str(key);
        walk(member, path, see);
        path.truncate(n_bytes);
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "decimal",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn an_event_has_about_nine_hundred_bytes() {
    let corpus = corpus();
    let mean_bytes = corpus.ndjson().len() / corpus.n_events();
    assert!((880..=920).contains(&mean_bytes), "{mean_bytes} bytes");
}

#[test]
fn there_are_at_least_seven_sets_of_keys() {
    let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in parsed(&corpus()) {
        let keys = event.as_object().unwrap().keys().cloned().collect();
        sets.insert(event["event_type"].as_str().unwrap().to_owned(), keys);
    }
    let distinct: HashSet<_> = sets.values().collect();
    assert!(distinct.len() >= 7, "{sets:?}");
    assert_eq!(
        distinct.len(),
        sets.len(),
        "two types have the same keys: {sets:?}"
    );
}

#[test]
fn one_string_of_twenty_has_an_escape_and_one_of_fifty_is_not_ascii() {
    let (escaped, non_ascii) = string_shares(&corpus());
    assert!(
        (4.5..=5.5).contains(&escaped),
        "{escaped} % of strings have escapes"
    );
    assert!(
        (1.8..=2.2).contains(&non_ascii),
        "{non_ascii} % of strings are not in ASCII"
    );
}

/// How many strings of a hundred have escapes, and how many are not in ASCII.
fn string_shares(corpus: &Corpus) -> (f64, f64) {
    let strings: Vec<&[u8]> = corpus.events().flat_map(string_values).collect();
    let share = |is: fn(&[u8]) -> bool| {
        100.0 * strings.iter().filter(|text| is(text)).count() as f64 / strings.len() as f64
    };
    (
        share(|text| text.contains(&b'\\')),
        share(|text| !text.is_ascii()),
    )
}

/// The strings of an event that are values, as they are written, without their quotes.
fn string_values(event: &[u8]) -> Vec<&[u8]> {
    let (mut strings, mut at) = (Vec::new(), 0);
    while let Some(start) = event[at..]
        .iter()
        .position(|&byte| byte == b'"')
        .map(|n| at + n + 1)
    {
        let mut end = start;
        while event[end] != b'"' {
            end += if event[end] == b'\\' { 2 } else { 1 };
        }
        if event.get(end + 1) != Some(&b':') {
            strings.push(&event[start..end]);
        }
        at = end + 1;
    }
    strings
}

#[test]
fn a_hundred_events_are_of_at_least_six_types() {
    let events = parsed(&Corpus::new(&Settings::default(), 100));
    let types: HashSet<_> = events
        .iter()
        .map(|event| event["event_type"].as_str())
        .collect();
    assert!(types.len() >= 6, "{types:?}");
}

#[test]
fn no_event_id_is_given_twice() {
    let ids: HashSet<String> = parsed(&corpus())
        .iter()
        .map(|event| event["event_id"].to_string())
        .collect();
    assert_eq!(ids.len(), N_EVENTS);
}

#[test]
fn the_events_of_a_session_follow_each_other_and_belong_to_one_user() {
    let mut last: HashMap<String, Value> = HashMap::new();
    let mut n_followed = 0;
    for event in parsed(&corpus()) {
        let session = event["session"]["id"].as_str().unwrap().to_owned();
        if let Some(before) = last.get(&session) {
            n_followed += 1;
            for key in ["user", "user_agent", "device", "location", "context"] {
                assert_eq!(
                    event[key], before[key],
                    "{key} changed within session {session}"
                );
            }
            let sequence = |event: &Value| event["session"]["sequence"].as_u64().unwrap();
            assert_eq!(sequence(&event), sequence(before) + 1);
            assert!(event["event_time"].as_str() > before["event_time"].as_str());
        }
        if event["session"]["sequence"] == 1 {
            assert_eq!(event["event_type"], "page_view");
        }
        last.insert(session, event);
    }
    assert!(
        n_followed > N_EVENTS / 2,
        "only {n_followed} events have one before them"
    );
}

#[test]
fn times_are_spread_over_the_days_asked_for_and_end_in_z() {
    for n_days in [1, 3, 10] {
        let corpus = Corpus::new(
            &Settings {
                n_days,
                ..Settings::default()
            },
            20_000,
        );
        let days: BTreeSet<String> = parsed(&corpus)
            .iter()
            .map(|event| {
                let time = event["event_time"].as_str().unwrap();
                assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
                time[..10].to_owned()
            })
            .collect();
        assert_eq!(days.len(), n_days as usize, "{days:?}");
        assert_eq!(days.first().unwrap(), "2026-01-15");
    }
}
