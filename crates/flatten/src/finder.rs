//! One text of an event, found without flattening it.

use std::borrow::Cow;

use crate::Pointer;
use crate::escape::unescape;
use crate::scan::{MAX_NESTING, Scanner, Stop, Text};

/// Looks for the text at one path of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finder {
    pointer: Pointer,
}

impl Finder {
    /// Looks at this path.
    pub fn new(pointer: Pointer) -> Self {
        Self { pointer }
    }

    /// The text at the path, read as flattening reads it: of a key that an object repeats the last one counts, wholly.
    ///
    /// `None` when nothing is there, when it is no text, and when the bytes are no event: the whole of them is looked at.
    pub fn text<'a>(&self, event: &'a [u8]) -> Option<Cow<'a, str>> {
        simdutf8::basic::from_utf8(event).ok()?;
        let found = self.scan(event).ok()??;
        let raw = event.get(found.inner)?;
        if !found.escaped {
            return std::str::from_utf8(raw).ok().map(Cow::Borrowed);
        }
        let mut text = Vec::with_capacity(raw.len());
        unescape(raw, &mut text);
        String::from_utf8(text).ok().map(Cow::Owned)
    }

    fn scan(&self, event: &[u8]) -> Result<Option<Text>, Stop> {
        let mut scanner = Scanner::new(event);
        scanner.expect(b'{')?;
        let found = members(&mut scanner, self.pointer.keys(), 1)?;
        if scanner.at_end() {
            Ok(found)
        } else {
            Err(Stop::NotJson)
        }
    }
}

/// Goes through the members of an object behind its brace; `keys` lead on from here.
fn members(
    scanner: &mut Scanner<'_>,
    keys: &[String],
    nesting: usize,
) -> Result<Option<Text>, Stop> {
    if nesting > MAX_NESTING {
        return Err(Stop::NotJson);
    }
    let mut found = None;
    if scanner.take(b'}') {
        return Ok(found);
    }
    loop {
        scanner.expect(b'"')?;
        let key = scanner.text()?;
        scanner.expect(b':')?;
        match keys.split_first() {
            Some((wanted, further)) if is_key(scanner.bytes, &key, wanted) => {
                found = value(scanner, further, nesting)?;
            }
            _ => {
                scanner.skip(nesting)?;
            }
        }
        if scanner.take(b'}') {
            return Ok(found);
        }
        scanner.expect(b',')?;
    }
}

/// Goes through the value of a member on the path.
fn value(scanner: &mut Scanner<'_>, keys: &[String], nesting: usize) -> Result<Option<Text>, Stop> {
    match (scanner.peek_token(), keys) {
        (Some(b'"'), []) => {
            scanner.take(b'"');
            scanner.text().map(Some)
        }
        (Some(b'{'), [_, ..]) => {
            scanner.take(b'{');
            members(scanner, keys, nesting + 1)
        }
        _ => scanner.skip(nesting).map(|_| None),
    }
}

fn is_key(bytes: &[u8], key: &Text, wanted: &str) -> bool {
    let raw = &bytes[key.inner.clone()];
    if !key.escaped {
        return raw == wanted.as_bytes();
    }
    let mut plain = Vec::with_capacity(raw.len());
    unescape(raw, &mut plain);
    plain == wanted.as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn found(pointer: &str, event: &[u8]) -> Option<String> {
        let finder = Finder::new(Pointer::parse(pointer).unwrap());
        finder.text(event).map(Cow::into_owned)
    }

    /// The same by `serde_json`, which flattening is held against too.
    fn expected(pointer: &str, event: &[u8]) -> Option<String> {
        let event: Value = serde_json::from_slice(event).ok()?;
        let pointer = Pointer::parse(pointer)?;
        let mut keys = pointer.keys().iter();
        let value = keys.try_fold(&event, |value, key| value.as_object()?.get(key));
        value.and_then(Value::as_str).map(str::to_owned)
    }

    #[track_caller]
    fn check(pointer: &str, event: &str, text: Option<&str>) {
        assert_eq!(found(pointer, event.as_bytes()).as_deref(), text, "{event}");
        assert_eq!(expected(pointer, event.as_bytes()).as_deref(), text);
    }

    #[test]
    fn a_text_is_found_by_its_path_and_unescaped() {
        check(
            "/type",
            r#"{"a":[{"type":"no"}],"type":"click"}"#,
            Some("click"),
        );
        check(
            "/type",
            r#" { "ty\u0070e" : "caf\u00e9\n" } "#,
            Some("café\n"),
        );
        check(
            "/a/b",
            r#"{"b":"no","a":{"a":{"b":"no"},"b":"yes"}}"#,
            Some("yes"),
        );
        check("/", r#"{"":"yes"}"#, Some("yes"));
    }

    #[test]
    fn what_is_no_text_or_not_there_is_not_found() {
        for event in [
            r#"{"type":7}"#,
            r#"{"type":null}"#,
            r#"{"type":["a"]}"#,
            "{}",
            "[]",
        ] {
            check("/type", event, None);
        }
        check("/a/b", r#"{"a":["b"]}"#, None);
        check("/a", r#"{"a":{"a":"no"}}"#, None);
    }

    #[test]
    fn of_a_repeated_key_the_last_one_counts_wholly() {
        check("/a", r#"{"a":"x","a":"y"}"#, Some("y"));
        check("/a", r#"{"a":"x","\u0061":1}"#, None);
        check("/a/b", r#"{"a":{"b":"x"},"a":{"c":"y"}}"#, None);
    }

    #[test]
    fn in_what_is_no_event_nothing_is_found() {
        for event in [
            r#"{"a":"x""#,
            r#"{"a":"x"} 7"#,
            r#"{"a":"x","b":01}"#,
            r#"["a","x"]"#,
        ] {
            check("/a", event, None);
        }
        assert_eq!(found("/a", b"{\"a\":\"x\",\"b\":\"\xff\"}"), None);
        let deep = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!("{{\"a\":\"x\",\"b\":{open}{close}}}")
        };
        check("/a", &deep(126), Some("x"));
        check("/a", &deep(127), None);
    }

    proptest! {
        #[test]
        fn it_finds_what_serde_json_finds(
            event in "\\{(\"[ab]\":(\\{(\"[ab]\":[\"x01,\\]\\[]{1,3},?){0,3}\\}|\"[x\\\\n]{0,2}\"|[0-9]{1,2}|null),?){0,4}\\}",
            pointer in "/[ab](/[ab])?",
        ) {
            prop_assert_eq!(found(&pointer, event.as_bytes()), expected(&pointer, event.as_bytes()));
        }
    }
}
