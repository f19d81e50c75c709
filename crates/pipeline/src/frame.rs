//! Where the events are in a body: an array, NDJSON, or one value. Looks at brackets and quotes only.

mod chosen;

use std::ops::Range;

use self::chosen::Numbers;

/// The largest body that can be framed, in bytes: places in it are kept in four bytes each.
pub const MAX_BODY_BYTES: usize = u32::MAX as usize;

/// The events of one body, as places in it: eight bytes each, whatever they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames {
    places: Vec<Place>,
    /// The number of the first of them in its record; above 0 for events that were cut out of one.
    first_index: i64,
    /// Their numbers, counted from that one, when there are others between them.
    numbers: Option<Numbers>,
    /// What follows the last of them and cannot be told apart any more.
    pub broken: Option<Broken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: u32,
    n_bytes: u32,
}

/// The rest of a body that holds no further events, or no more than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Where it begins in the body; the body ends with it.
    pub offset: usize,
    /// What is wrong.
    pub flaw: Flaw,
}

/// Why the rest of a body is not framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// The array is not closed.
    #[error("the array has no end")]
    NoEnd,
    /// The last element of the array is not whole.
    #[error("the element has no end")]
    ElementWithoutEnd,
    /// Two commas, or a comma before the end of the array.
    #[error("an element is missing")]
    MissingElement,
    /// Two elements with nothing between.
    #[error("no comma behind the element")]
    MissingComma,
    /// The array is closed and the body goes on.
    #[error("something follows the array")]
    Trailing,
    /// There are more events than were asked for.
    #[error("there are more events than there is room for")]
    TooMany,
}

impl Frames {
    /// How many events there are.
    pub fn n_events(&self) -> usize {
        self.places.len()
    }

    /// What should be one JSON object each, in order, as ranges of the body; white space around them left out.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = Range<usize>> + ExactSizeIterator + '_ {
        self.places.iter().map(|place| {
            let start = place.start as usize;
            start..start + place.n_bytes as usize
        })
    }

    /// A body that is one event as it stands: the one with this number in its record.
    pub(crate) fn one(body: &[u8], index: i64) -> Self {
        let mut frames = Self {
            first_index: index,
            ..Self::default()
        };
        frames.push(&(0..body.len()));
        frames
    }

    /// The same events, of which the first has this number in its record.
    pub(crate) fn numbered_from(self, first_index: i64) -> Self {
        Self {
            first_index,
            ..self
        }
    }

    /// The events with their numbers in the record.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (i64, Range<usize>)> + '_ {
        let events = self.events().enumerate();
        events.map(|(position, range)| (self.index_of(position), range))
    }

    /// The number of what follows the last event.
    pub(crate) fn next_index(&self) -> Option<i64> {
        let n_events = self.numbers.as_ref().map(Numbers::n_events);
        let n_events = n_events.unwrap_or(self.n_events());
        self.first_index.checked_add(i64::try_from(n_events).ok()?)
    }

    fn break_off(mut self, offset: usize, flaw: Flaw) -> Self {
        self.broken = Some(Broken { offset, flaw });
        self
    }

    fn push(&mut self, event: &Range<usize>) {
        // A body has at most `MAX_BODY_BYTES`.
        if let (Ok(start), Ok(n_bytes)) = (event.start.try_into(), event.len().try_into()) {
            self.places.push(Place { start, n_bytes });
        }
    }
}

/// Finds the events of a body, `max_events` at most: what follows them is broken off then.
///
/// * `[`: an array. Its elements before a broken one count; the rest is one broken piece.
/// * `{`, the first of these that holds:
///   1. the first line is a complete value, from its first byte to its last: NDJSON;
///   2. the whole body is one complete value, however it is laid out: one event;
///   3. the second line begins with `{`, or some later line begins with `{` and is a complete value: NDJSON, so that
///      broken lines are refused one by one and their neighbours land. Only the very first byte of a line counts, since
///      the objects within a broken one are indented;
///   4. else one value, which the flattener refuses as a whole.
/// * anything else: NDJSON, whose lines the flattener refuses one by one. Blank lines are no events.
///
/// Where a value ends is judged by brackets and quotes. Inside a string no line ends.
pub fn frame(body: &[u8], max_events: usize) -> Frames {
    let frames = Frames::default();
    let Some(start) = skip_space(body, 0) else {
        return frames;
    };
    if max_events == 0 || body.len() > MAX_BODY_BYTES {
        return frames.break_off(start, Flaw::TooMany);
    }
    match body[start] {
        b'[' => elements(body, start, max_events),
        b'{' if is_one_value(body, start) => {
            let mut frames = frames;
            frames.push(&trimmed(body, start..body.len()));
            frames
        }
        _ => lines(body, start, max_events),
    }
}

/// Finds the lines of a body, whatever it begins with, as [`frame`] does in what it takes for NDJSON.
pub(crate) fn frame_lines(body: &[u8], max_events: usize) -> Frames {
    match skip_space(body, 0) {
        None => Frames::default(),
        Some(start) if max_events == 0 || body.len() > MAX_BODY_BYTES => {
            Frames::default().break_off(start, Flaw::TooMany)
        }
        Some(start) => lines(body, start, max_events),
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
    let value_end = end_of_object(body, start);
    if value_end == Some(trimmed(body, start..line_end).end) {
        return false;
    }
    if value_end.is_some_and(|end| skip_space(body, end).is_none()) {
        return true;
    }
    let second_begins_an_object = body[next] == b'{' && body[next - 1] == b'\n';
    !second_begins_an_object && !has_complete_line(body, line_end + 1)
}

/// Whether a line from here on begins with `{` and is a complete value.
fn has_complete_line(body: &[u8], start: usize) -> bool {
    let is_complete = |line: Range<usize>| {
        let line = &body[line.start..trimmed(body, line).end];
        line.first() == Some(&b'{') && end_of_object(line, 0) == Some(line.len())
    };
    line_ranges(body, start).any(is_complete)
}

/// All lines from here on, without their ends.
fn line_ranges(body: &[u8], start: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let ends = memchr::memchr_iter(b'\n', &body[start..]).map(move |position| start + position);
    ends.chain([body.len()]).scan(start, |begin, end| {
        let line = *begin..end;
        *begin = end + 1;
        Some(line)
    })
}

/// The lines that are not blank.
fn lines(body: &[u8], start: usize, max_events: usize) -> Frames {
    let mut frames = Frames::default();
    for line in line_ranges(body, start) {
        let line = trimmed(body, line);
        if line.is_empty() {
            continue;
        }
        if frames.n_events() == max_events {
            return frames.break_off(line.start, Flaw::TooMany);
        }
        frames.push(&line);
    }
    frames
}

/// The elements of the array that begins at `start`.
fn elements(body: &[u8], start: usize, max_events: usize) -> Frames {
    let mut frames = Frames::default();
    let mut position = start + 1;
    if let Some(end) = skip_space(body, position)
        && body[end] == b']'
    {
        return after_array(body, end, frames);
    }
    loop {
        let Some(begin) = skip_space(body, position) else {
            return frames.break_off(position, Flaw::NoEnd);
        };
        if frames.n_events() == max_events {
            return frames.break_off(begin, Flaw::TooMany);
        }
        let Some(end) = end_of_value(body, begin) else {
            return frames.break_off(begin, Flaw::ElementWithoutEnd);
        };
        if end == begin {
            return frames.break_off(begin, Flaw::MissingElement);
        }
        let Some(after) = skip_space(body, end) else {
            frames.push(&(begin..end));
            return frames.break_off(body.len(), Flaw::NoEnd);
        };
        match body[after] {
            b',' => position = after + 1,
            b']' => {
                frames.push(&(begin..end));
                return after_array(body, after, frames);
            }
            _ => return frames.break_off(begin, Flaw::MissingComma),
        }
        frames.push(&(begin..end));
    }
}

/// The frames of an array that ends at `end`, where nothing may follow.
fn after_array(body: &[u8], end: usize, frames: Frames) -> Frames {
    match skip_space(body, end + 1) {
        Some(offset) => frames.break_off(offset, Flaw::Trailing),
        None => frames,
    }
}

/// Where the object that begins at `start` ends, if no line ends inside one of its strings: JSON has no such strings, and a
/// line that is broken inside one shows by it.
fn end_of_object(body: &[u8], start: usize) -> Option<usize> {
    end_of(body, start, |body, start| {
        let end = end_of_string(body, start)?;
        let is_in_line = memchr::memchr(b'\n', &body[start..end]).is_none();
        is_in_line.then_some(end)
    })
}

/// Where the value that begins at `start` ends, judged by brackets and quotes; `None` when it has no end.
fn end_of_value(body: &[u8], start: usize) -> Option<usize> {
    end_of(body, start, end_of_string)
}

fn end_of(
    body: &[u8],
    start: usize,
    end_of_string: impl Fn(&[u8], usize) -> Option<usize>,
) -> Option<usize> {
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
        let frames = frame(body.as_bytes(), usize::MAX);
        let found: Vec<&str> = frames.events().map(|range| &body[range]).collect();
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
    fn a_first_line_broken_inside_a_string_does_not_harm_its_neighbours() {
        // The quotes of both broken lines add up to what looks like one value of two lines.
        check(
            "{\"a\":\"x\n{\"b\":\"y}",
            &["{\"a\":\"x", "{\"b\":\"y}"],
            None,
        );
        check(
            "{\"a\":\"x\n{\"b\":1}\n{\"c\":\"y}\n{\"d\":2}\n",
            &["{\"a\":\"x", r#"{"b":1}"#, "{\"c\":\"y}", r#"{"d":2}"#],
            None,
        );
        check(
            "{\"a\":\"x\n\noops\n  7\n{\"b\":1}\r\n",
            &["{\"a\":\"x", "oops", "7", r#"{"b":1}"#],
            None,
        );
    }

    #[test]
    fn an_object_over_several_lines_is_one_event_whatever_is_within() {
        let pretty =
            "{\n  \"items\": [\n    {\"a\": 1},\n    {\"b\": 2}\n  ],\n  \"s\": \"}\\n{\"\n}";
        check(pretty, &[pretty], None);
        let cut = &pretty[..pretty.len() - 2];
        check(cut, &[cut], None);
        let flat = "{\"a\":[\n{\"b\":1}\n]}";
        check(flat, &[flat], None);
        check("{\"a\":\"x\ny\"}", &["{\"a\":\"x\ny\"}"], None);
    }

    #[test]
    fn no_more_events_are_framed_than_were_asked_for() {
        for (body, rest) in [
            ("1\n2\n\n3\n4", "3\n4"),
            ("[1, 2, 3, 4]", "3, 4]"),
            ("{}\n{}\n{}", "{}"),
        ] {
            let frames = frame(body.as_bytes(), 2);
            let broken = frames.broken.unwrap();
            assert_eq!((frames.n_events(), broken.flaw), (2, Flaw::TooMany));
            assert_eq!(&body[broken.offset..], rest);
        }
        assert_eq!(frame(b"[1,2]", 2).broken, None);
        assert_eq!(frame(b"1\n2\n\n", 2).broken, None);
        assert_eq!(frame(b"{}", 0).broken.unwrap().flaw, Flaw::TooMany);
        assert_eq!(frame(b" ", 0), Frames::default());
        assert_eq!(std::mem::size_of::<Place>(), 8);
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
            let frames = frame(body.as_bytes(), usize::MAX);
            let mut position = 0;
            let end = frames.broken.as_ref().map_or(body.len(), |broken| broken.offset);
            for range in frames.events().chain(std::iter::once(end..end)) {
                prop_assert!(position <= range.start && range.start <= range.end);
                let between = &body[position..range.start];
                prop_assert!(between.chars().all(|c| "[], \n".contains(c)), "{between:?} is in no piece");
                position = range.end;
            }
        }

        #[test]
        fn an_array_of_objects_is_framed_as_serde_reads_it(values in prop::collection::vec(value(), 0..8)) {
            let body = serde_json::to_string_pretty(&values).unwrap();
            let frames = frame(body.as_bytes(), usize::MAX);
            prop_assert!(frames.broken.is_none());
            let found: Vec<serde_json::Value> =
                frames.events().map(|range| serde_json::from_str(&body[range]).unwrap()).collect();
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
