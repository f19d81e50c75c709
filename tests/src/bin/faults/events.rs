//! What is sent in one run: messages of a few events, each of which is known again wherever it ends.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use system_tests::canonical;

use crate::fault::mix;

/// A message of a queue.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) sent_ms: i64,
}

/// Everything that is sent, and what has to be found in the end.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) messages: Vec<Message>,
    /// How often each event was sent, as it is found again.
    pub(crate) expected: BTreeMap<String, usize>,
}

const N_MESSAGES: u64 = 24;
/// A new key comes up in every so many messages, and the table gets a column.
const MESSAGES_PER_KEY: u64 = 6;

impl Sent {
    /// The messages of this seed.
    pub(crate) fn of(seed: u64, now_ms: i64) -> Self {
        let mut messages = Vec::new();
        let mut expected = BTreeMap::new();
        for m in 0..N_MESSAGES {
            let n_events = 1 + mix(seed ^ m) % 4;
            let lines: Vec<String> = (0..n_events).map(|e| event(seed, m, e)).collect();
            for line in &lines {
                *expected.entry(found_again(line.as_bytes())).or_default() += 1;
            }
            messages.push(Message {
                id: format!("{seed:x}-{m}"),
                body: lines.join("\n"),
                sent_ms: now_ms,
            });
        }
        Self { messages, expected }
    }
}

/// An event, or, now and then, something that is none.
fn event(seed: u64, message: u64, number: u64) -> String {
    let draw = mix(seed.wrapping_mul(31) ^ message << 8 ^ number);
    let id = format!("{seed:x}-{message}-{number}");
    let kind = ["click", "search", "purchase"][usize::try_from(draw % 3).unwrap_or(0)];
    let mut event = json!({
        "event_id": id,
        "event_type": kind,
        // Two days, so that a batch has two files.
        "event_time": format!("2026-03-0{}T10:00:{:02}Z", 1 + draw % 2, draw % 60),
        "user": {"id": draw % 1_000, "tags": ["a", message]},
        "price": f64::from(u32::try_from(draw % 10_000).unwrap_or(0)) / 4.0,
    });
    event[format!("key_{}", message / MESSAGES_PER_KEY)] = json!(draw % 7);
    match draw % 10 {
        0 => event["event_time"] = json!("never"),
        1 => return format!("{{\"event_id\":\"{id}\",oops"),
        2 => event["price"] = json!("unknown"), // Which does not fit the column of numbers.
        _ => {}
    }
    event.to_string()
}

/// How an event is recognised: what it says if it is JSON, its bytes otherwise.
pub(crate) fn found_again(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => canonical(&value).to_string(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
