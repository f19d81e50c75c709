//! The hostile shape: stated shares of everything that goes wrong.

use crate::json::{integer, raw, uuid};
use crate::random::Random;
use crate::site::random_ms;
use crate::time;

/// What is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Nothing: an event of the default shape.
    Sound,
    /// Not JSON: cut off, badly quoted, bytes that are not UTF-8, numbers out of range, nesting without end.
    Broken,
    /// JSON, but not an object.
    NotAnObject,
    /// A time that is there and cannot be true.
    AbsurdTime,
    /// Longer than 1 MiB.
    TooLong,
    /// Values of other types than in most events.
    WrongTypes,
    /// No event time, or a null.
    MissingTime,
    /// Keys that meet in one column name, are reserved, empty, repeated or not ASCII.
    Collisions,
    /// A string of 8 to 64 KiB.
    HugeString,
}

/// The share of each kind, in ten-thousandths.
const SHARES: [(Kind, u64); 9] = [
    (Kind::Sound, 6_995),
    (Kind::Broken, 800),
    (Kind::NotAnObject, 200),
    (Kind::AbsurdTime, 400),
    (Kind::TooLong, 5),
    (Kind::WrongTypes, 600),
    (Kind::MissingTime, 400),
    (Kind::Collisions, 500),
    (Kind::HugeString, 100),
];

/// Every so many events one is sound for certain, the first of all among them: a body of a multiple of ten events
/// begins with a whole object, which is how its reader tells lines from one value.
const SOUND_EVERY: u64 = 10;

impl Kind {
    /// All kinds with their shares of the hostile shape, in ten-thousandths.
    pub const SHARES: [(Self, u64); 9] = SHARES;

    /// Whether no flattener may make a row of such an event; of all others it must make one.
    pub fn is_refused(self) -> bool {
        matches!(
            self,
            Self::Broken | Self::NotAnObject | Self::AbsurdTime | Self::TooLong
        )
    }
}

/// The kind of the `n`th event.
pub(crate) fn draw(n: u64, random: &mut Random) -> Kind {
    if n.is_multiple_of(SOUND_EVERY) {
        return Kind::Sound;
    }
    // The certain ones are part of the share of sound events: the others are drawn that much more often.
    let mut at = 1_000 + random.below(9_000);
    for (kind, share) in SHARES {
        if at < share {
            return kind;
        }
        at -= share;
    }
    Kind::Sound
}

/// Writes an event of this kind. For the kinds that are made of a sound event, that one is at the end of `out` already.
pub(crate) fn write_event(
    kind: Kind,
    times: impl FnOnce() -> (i64, u64),
    random: &mut Random,
    out: &mut Vec<u8>,
) {
    if kind == Kind::Sound {
        return;
    }
    if kind == Kind::Broken {
        return break_last_line(random, out);
    }
    if kind == Kind::NotAnObject {
        return raw(
            out,
            random.pick(&[
                "42\n",
                "null\n",
                "true\n",
                "\"just text\"\n",
                "-0.5e3\n",
                "\"\"\n",
            ]),
        );
    }
    raw(out, r#"{"event_id":""#);
    uuid(out, random.bits(), random.bits());
    raw(out, r#"","event_type":"hostile""#);
    match kind {
        Kind::AbsurdTime => raw(out, random.pick(&ABSURD_TIMES)),
        Kind::MissingTime if random.chance(500) => raw(out, r#","event_time":null"#),
        Kind::MissingTime => {}
        _ => {
            let (start_ms, span_ms) = times();
            raw(out, r#","event_time":""#);
            time::write(out, start_ms + random_ms(random, span_ms));
            out.push(b'"');
        }
    }
    match kind {
        Kind::WrongTypes => raw(out, random.pick(&WRONG_TYPES)),
        Kind::Collisions => raw(out, random.pick(&COLLISIONS)),
        Kind::HugeString => write_long_text(random.between(8 << 10, 64 << 10), random, out),
        Kind::TooLong => write_long_text(1_100_000, random, out),
        _ => {
            raw(out, r#","n":"#);
            integer(out, random.below(1_000));
        }
    }
    raw(out, "}\n");
}

/// Times that nothing happened at.
const ABSURD_TIMES: [&str; 14] = [
    r#","event_time":"yesterday""#,
    r#","event_time":"""#,
    r#","event_time":true"#,
    r#","event_time":1e300"#,
    r#","event_time":0"#,
    r#","event_time":-62135596800001"#,
    r#","event_time":"0001-01-01T00:00:00Z""#,
    r#","event_time":"9999-12-31T23:59:59Z""#,
    r#","event_time":"2026-02-30T12:00:00Z""#,
    r#","event_time":"2026-01-15T25:00:00Z""#,
    r#","event_time":"2026-01-15""#,
    r#","event_time":"2026-01-15T12:00:00""#,
    r#","event_time":["2026-01-15T12:00:00Z"]"#,
    r#","event_time":99999999999"#,
];

/// Values where most events have others.
const WRONG_TYPES: [&str; 8] = [
    r#","user":"u-000017","session":{"id":12,"sequence":"seven"}"#,
    r#","user":{"id":17,"signed_in":"yes"},"page":["home"]"#,
    r#","location":{"lat":"north","lon":{"degrees":4}},"device":7"#,
    r#","engagement":{"time_ms":12.5,"scroll_depth":true,"n_clicks":1e30}"#,
    r#","engagement":{"n_clicks":9223372036854775808,"scroll_depth":0.1000000000000000055511151231257827}"#,
    r#","session":{"sequence":-0,"id":{}},"user_agent":[]"#,
    r#","user":{"id":{"value":"u-1"},"plan":false},"context":[[],{}]"#,
    r#","items":"none","currency":978,"order":{"total":"12,50","tax":"free"}"#,
];

/// Keys that get into each other's way.
const COLLISIONS: [&str; 10] = [
    r#","userId":1,"userid":2,"USERID":3"#,
    r#","user":{"id":"u-1"},"user_id":"u-2""#,
    r#","_doc":"mine","_source_id":"mine too","_ingested_at":1,"pos":4,"_file":"f""#,
    r#","Event_Time":"2026-01-15T12:00:00Z","event_time_day":20468"#,
    r#","n":1,"n":2,"n":{"m":3},"n":4"#,
    r#","":"empty","a":{"":1,"b/c":2,"d~e":3}"#,
    r#","日本":1,"本日":2,"été":3"#,
    r#","1st":true,"2nd":false,"_1st":null"#,
    r#","a.b":1,"a":{"b":2},"a_b":3,"a b":4"#,
    r#","\u006eame":"escaped","name":"plain","order":{"by":1},"select":2"#,
];

/// Spoils the event at the end of `out`, within its line.
fn break_last_line(random: &mut Random, out: &mut Vec<u8>) {
    out.pop();
    let start = out
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    // A cut anywhere behind the first byte leaves the object open.
    let cut = start + 1 + random.index(out.len() - start - 1);
    let without_last_brace = out.len() - 1;
    match random.below(10) {
        0..3 => out.truncate(cut),
        3 => {
            out.truncate(cut);
            out.extend_from_slice(b"\xff\xfe\x80");
        }
        4 => respell(out, without_last_brace, ",}"),
        5 => respell(out, without_last_brace, r#","surrogate":"\ud800"}"#),
        6 => respell(out, without_last_brace, ",\"control\":\"\u{1}\"}"),
        7 => respell(out, without_last_brace, random.pick(&NOT_VALUES)),
        8 => raw(out, r#" {"trailing":true}"#),
        _ => {
            respell(out, without_last_brace, r#","nest":"#);
            out.extend(std::iter::repeat_n(b'[', 200));
            out.extend(std::iter::repeat_n(b']', 200));
            out.push(b'}');
        }
    }
    out.push(b'\n');
}

/// Members that are none.
const NOT_VALUES: [&str; 6] = [
    r#","n":NaN}"#,
    r#","n":01}"#,
    r#","n":1e999}"#,
    r",'n':1}",
    r",n:1}",
    r#","n" 1}"#,
];

/// Puts another end to the event.
fn respell(out: &mut Vec<u8>, at: usize, end: &str) {
    out.truncate(at);
    raw(out, end);
}

/// A member of so many bytes of text, escapes among them.
fn write_long_text(n_bytes: u64, random: &mut Random, out: &mut Vec<u8>) {
    raw(out, r#","text":""#);
    let end = out.len() + n_bytes as usize;
    while out.len() < end {
        raw(
            out,
            random.pick(&[
                "lorem ",
                "ipsum ",
                "\\n",
                "dolor ",
                "sit amet ",
                "é",
                "\\\"",
                "12345 ",
            ]),
        );
    }
    out.push(b'"');
}
