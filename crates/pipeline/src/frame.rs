//! Where the events are in a body: an array, NDJSON, or one value. Looks at brackets and quotes only.

use std::ops::Range;

/// The events of one body, as ranges of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames {
    /// What should be one JSON object each, in order; white space around them left out.
    pub events: Vec<Range<usize>>,
    /// What follows the last of them and cannot be told apart any more.
    pub broken: Option<Broken>,
}

/// The rest of an array from the element that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Where it begins in the body; the body ends with it.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// Finds the events of a body.
///
/// * `[`: an array. Its elements before a broken one count; the rest is one broken piece.
/// * `{`: NDJSON when the first line is a complete value; one value when the body is; else NDJSON when the next
///   line begins an object too (so that one broken line does not harm its neighbours), else one value.
/// * anything else: NDJSON, whose lines the flattener refuses one by one. Blank lines are no events.
pub fn frame(body: &[u8]) -> Frames {
    let Some(start) = skip_space(body, 0) else {
        return Frames::default();
    };
    match body[start] {
        b'[' => elements(body, start),
        b'{' if is_one_value(body, start) => Frames {
            events: vec![trimmed(body, start..body.len())],
            broken: None,
        },
        _ => Frames {
            events: lines(body, start),
            broken: None,
        },
    }
}

/// Whether a body whose first byte is `{` is one value and not lines.
fn is_one_value(body: &[u8], start: usize) -> bool {
    let Some(line) = memchr::memchr(b'\n', &body[start..]) else {
        return true;
    };
    let line_end = start + line;
    let Some(next) = skip_space(body, line_end) else {
        return true;
    };
    let value_end = end_of_value(body, start);
    let is_complete_line = value_end == Some(trimmed(body, start..line_end).end);
    let is_complete_body = value_end.is_some_and(|end| skip_space(body, end).is_none());
    let next_line_is_an_object = body[next] == b'{' && body[next - 1] == b'\n';
    !is_complete_line && (is_complete_body || !next_line_is_an_object)
}

/// The lines that are not blank.
fn lines(body: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut events = Vec::new();
    let mut line_start = start;
    let ends = memchr::memchr_iter(b'\n', &body[start..]).map(|position| start + position);
    for line_end in ends.chain([body.len()]) {
        let line = trimmed(body, line_start..line_end);
        if !line.is_empty() {
            events.push(line);
        }
        line_start = line_end + 1;
    }
    events
}

/// The elements of the array that begins at `start`.
fn elements(body: &[u8], start: usize) -> Frames {
    let mut events = Vec::new();
    let broken = |events, offset, reason| Frames {
        events,
        broken: Some(Broken { offset, reason }),
    };
    let mut position = start + 1;
    if let Some(end) = skip_space(body, position)
        && body[end] == b']'
    {
        return after_array(body, end, events);
    }
    loop {
        let Some(begin) = skip_space(body, position) else {
            return broken(events, position, "the array has no end");
        };
        let Some(end) = end_of_value(body, begin) else {
            return broken(events, begin, "the element has no end");
        };
        if end == begin {
            return broken(events, begin, "an element is missing");
        }
        let Some(after) = skip_space(body, end) else {
            events.push(begin..end);
            return broken(events, body.len(), "the array has no end");
        };
        match body[after] {
            b',' => position = after + 1,
            b']' => {
                events.push(begin..end);
                return after_array(body, after, events);
            }
            _ => return broken(events, begin, "no comma behind the element"),
        }
        events.push(begin..end);
    }
}

/// The frames of an array that ends at `end`, where nothing may follow.
fn after_array(body: &[u8], end: usize, events: Vec<Range<usize>>) -> Frames {
    let rest = skip_space(body, end + 1);
    let broken = rest.map(|offset| Broken {
        offset,
        reason: "something follows the array",
    });
    Frames { events, broken }
}

/// Where the value that begins at `start` ends, judged by brackets and quotes; `None` when it has no end.
fn end_of_value(body: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut position = start;
    loop {
        match *body.get(position)? {
            b'"' => {
                position = end_of_string(body, position)?;
                if depth == 0 {
                    return Some(position);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => {
                // At depth 0 the bracket belongs to what surrounds a value that is missing.
                return Some(if depth == 1 { position + 1 } else { position });
            }
            b'}' | b']' => depth -= 1,
            _ if depth == 0 => {
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
                let length = body[position..].iter().position(is_end);
                return Some(length.map_or(body.len(), |length| position + length));
            }
            _ => {}
        }
        position += 1;
    }
}

/// Where the string whose opening quote is at `start` ends, closing quote included.
fn end_of_string(body: &[u8], start: usize) -> Option<usize> {
    let mut position = start + 1;
    loop {
        position += memchr::memchr2(b'"', b'\\', body.get(position..)?)?;
        if body[position] == b'"' {
            return Some(position + 1);
        }
        position += 2;
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The first byte from `position` on that is not white space.
fn skip_space(body: &[u8], position: usize) -> Option<usize> {
    let length = body
        .get(position..)?
        .iter()
        .position(|&byte| !is_space(byte))?;
    Some(position + length)
}

/// The range without white space at its ends.
fn trimmed(body: &[u8], range: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (range.start, range.end);
    while start < end && is_space(body[start]) {
        start += 1;
    }
    while start < end && is_space(body[end - 1]) {
        end -= 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(body: &str, events: &[&str], broken: Option<&str>) {
        let frames = frame(body.as_bytes());
        let found: Vec<&str> = frames
            .events
            .iter()
            .map(|range| &body[range.clone()])
            .collect();
        assert_eq!(found, events);
        assert_eq!(frames.broken.map(|broken| &body[broken.offset..]), broken);
    }

    #[test]
    fn an_object_is_one_event_however_it_is_laid_out() {
        check(r#" {"a":1} "#, &[r#"{"a":1}"#], None);
        check("{\n  \"a\": {\n  }\n}\n", &["{\n  \"a\": {\n  }\n}"], None);
        check("{\"a\":\n{}\n}", &["{\"a\":\n{}\n}"], None);
    }

    #[test]
    fn lines_are_events_and_blank_ones_are_none() {
        check(
            "{\"a\":1}\n\n{\"b\":2}\r\n  \n{\"c\":3}",
            &[r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#],
            None,
        );
        check("{\"a\":\"}\\\"{\"}\n{}", &[r#"{"a":"}\"{"}"#, "{}"], None);
    }

    #[test]
    fn a_broken_line_does_not_harm_its_neighbours() {
        check(
            "{\"a\":\n{\"b\":2}\n{\"c\":3}",
            &["{\"a\":", r#"{"b":2}"#, r#"{"c":3}"#],
            None,
        );
        check(
            "{\"a\":1} x\n{\"b\":2}",
            &["{\"a\":1} x", r#"{"b":2}"#],
            None,
        );
        check(
            "{\"a\":1}\n{\"b\n{\"c\":3}",
            &[r#"{"a":1}"#, "{\"b", r#"{"c":3}"#],
            None,
        );
        check("oops\n{\"b\":2}\n7", &["oops", r#"{"b":2}"#, "7"], None);
    }

    #[test]
    fn a_broken_object_over_several_lines_stays_in_one_piece() {
        check(
            "{\n  \"a\": 1,\n  \"b\": {\"c\": 2}\n",
            &["{\n  \"a\": 1,\n  \"b\": {\"c\": 2}"],
            None,
        );
    }

    #[test]
    fn the_elements_of_an_array_are_events() {
        check(
            r#"[{"a":[1,"]"]} , {"b":"\\"},7,"x",[]]"#,
            &[r#"{"a":[1,"]"]}"#, r#"{"b":"\\"}"#, "7", "\"x\"", "[]"],
            None,
        );
        check(" [ ] ", &[], None);
        check("", &[], None);
        check("  \n ", &[], None);
    }

    #[test]
    fn the_elements_before_a_broken_one_count_and_the_rest_is_one_piece() {
        check(
            r#"[{"a":1},{"b":"x},{"c":3}]"#,
            &[r#"{"a":1}"#],
            Some(r#"{"b":"x},{"c":3}]"#),
        );
        check(r#"[{"a":1} {"b":2}]"#, &[], Some(r#"{"a":1} {"b":2}]"#));
        check(
            r#"[{"a":1},,{"b":2}]"#,
            &[r#"{"a":1}"#],
            Some(r#",{"b":2}]"#),
        );
        check(r#"[{"a":1},]"#, &[r#"{"a":1}"#], Some("]"));
        check(r#"[{"a":1}"#, &[r#"{"a":1}"#], Some(""));
        check(r#"[{"a":1}, "#, &[r#"{"a":1}"#], Some(" "));
        check(r#"[{"a":1}] {"b":2}"#, &[r#"{"a":1}"#], Some(r#"{"b":2}"#));
    }

    #[test]
    fn an_element_that_is_broken_inside_its_brackets_is_refused_alone() {
        check(
            r#"[{"a":nul},{"b":2}]"#,
            &[r#"{"a":nul}"#, r#"{"b":2}"#],
            None,
        );
    }

    proptest! {
        #[test]
        fn every_byte_but_punctuation_and_space_is_in_exactly_one_piece(body in "[\\[\\]{},\":a\\\\ \n]{0,60}") {
            let frames = frame(body.as_bytes());
            let mut position = 0;
            let end = frames.broken.as_ref().map_or(body.len(), |broken| broken.offset);
            for range in frames.events.iter().cloned().chain(std::iter::once(end..end)) {
                prop_assert!(position <= range.start && range.start <= range.end);
                let between = &body[position..range.start];
                prop_assert!(between.chars().all(|c| "[], \n".contains(c)), "{between:?} is in no piece");
                position = range.end;
            }
        }

        #[test]
        fn an_array_of_objects_is_framed_as_serde_reads_it(values in prop::collection::vec(value(), 0..8)) {
            let body = serde_json::to_string_pretty(&values).unwrap();
            let frames = frame(body.as_bytes());
            prop_assert!(frames.broken.is_none());
            let found: Vec<serde_json::Value> =
                frames.events.iter().map(|range| serde_json::from_str(&body[range.clone()]).unwrap()).collect();
            prop_assert_eq!(found, values);
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(serde_json::Value::from),
            ".{0,6}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
                prop::collection::vec((".{0,4}", inner), 0..3)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
