//! Section 1: what an event may be.

use arrow_schema::DataType;
use expect_test::expect;

use super::{check, table};

#[test]
fn an_object_becomes_a_row_and_white_space_around_it_is_allowed() {
    check(
        table(),
        &[" \t\r\n{ \"a\" : 1 } \n"],
        expect![[r#"
        + a long /a
        row: a = 1
    "#]],
    );
}

#[test]
fn an_event_without_members_is_a_row_without_values() {
    check(
        table(),
        &["{}", "{\"a\":null}", " { } "],
        expect![[r#"
        row: 
        row: 
        row: 
    "#]],
    );
}

#[test]
fn what_is_not_json_is_refused_and_its_neighbours_are_not() {
    let events: &[&[u8]] = &[
        b"{\"a\":1}",
        b"",
        b"{",
        b"{\"a\":1}}",
        b"{\"a\":1,}",
        b"{'a':1}",
        b"{\"a\":01}",
        b"{\"a\":1.}",
        b"{\"a\":+1}",
        b"{\"a\":NaN}",
        b"{\"a\":\"\t\"}",
        b"{\"a\":\"\\x\"}",
        b"\xef\xbb\xbf{\"a\":1}",
        b"{\"a\":2}",
    ];
    check(
        table(),
        events,
        expect![[r#"
        + a long /a
        row: a = 1
        row: a = 2
        refused 1: not JSON: EOF while parsing a value at line 1 column 0
        refused 2: not JSON: EOF while parsing an object at line 1 column 1
        refused 3: not JSON: trailing characters at line 1 column 8
        refused 4: not JSON: trailing comma at line 1 column 8
        refused 5: not JSON: key must be a string at line 1 column 2
        refused 6: not JSON: invalid number at line 1 column 7
        refused 7: not JSON: invalid number at line 1 column 8
        refused 8: not JSON: expected value at line 1 column 6
        refused 9: not JSON: expected value at line 1 column 6
        refused 10: not JSON: control character (\u0000-\u001F) found while parsing a string at line 1 column 7
        refused 11: not JSON: invalid escape at line 1 column 8
        refused 12: not JSON: expected value at line 1 column 1
    "#]],
    );
}

#[test]
fn invalid_utf8_and_lone_surrogates_are_refused() {
    let events: &[&[u8]] = &[
        b"{\"a\":\"\xff\"}",
        b"{\"\xc3\x28\":1}",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\\udc00\\ud800\"}",
        b"{\"\\ud800\":1}",
        b"{\"a\":[\"\\ud83d\\u0020\"]}",
        b"{\"a\":\"\\ud83d\\ude00 \xf0\x9f\x98\x80\"}",
    ];
    check(
        table(),
        events,
        expect![[r#"
        + a string /a
        row: a = 😀 😀
        refused 0: not JSON: invalid unicode code point at line 1 column 7
        refused 1: not JSON: invalid unicode code point at line 1 column 3
        refused 2: not JSON: unexpected end of hex escape at line 1 column 13
        refused 3: not JSON: lone leading surrogate in hex escape at line 1 column 12
        refused 4: not JSON: unexpected end of hex escape at line 1 column 9
        refused 5: not JSON: lone leading surrogate in hex escape at line 1 column 19
    "#]],
    );
}

#[test]
fn numbers_beyond_the_range_of_a_double_are_refused() {
    check(
        table(),
        &[
            r#"{"a":1e309}"#,
            r#"{"a":[-1e400]}"#,
            r#"{"a":1e308}"#,
            r#"{"a":0e999999}"#,
        ],
        expect![[r#"
        + a double /a
        row: a = 1e308
        row: a = 0.0
        refused 0: not JSON: number out of range at line 1 column 10
        refused 1: not JSON: number out of range at line 1 column 12
    "#]],
    );
}

#[test]
fn nesting_of_127_is_allowed_and_of_128_refused() {
    let nested = |depth: usize| {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    check(
        table(),
        &[nested(127), nested(128)],
        expect![[r#"
        row: _doc = {"a":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}
        refused 1: not JSON: recursion limit exceeded at line 1 column 132
    "#]],
    );
}

#[test]
fn only_objects_are_events() {
    check(
        table(),
        &["[{}]", "\"a\"", "1", "true", "null"],
        expect![[r#"
        refused 0: the event is an array, not an object
        refused 1: the event is a string, not an object
        refused 2: the event is a number, not an object
        refused 3: the event is a boolean, not an object
        refused 4: the event is null, not an object
    "#]],
    );
}

#[test]
fn an_event_longer_than_the_limit_is_refused_whatever_it_is() {
    check(
        table().shape(|shape| shape.max_event_bytes = 8),
        &["{\"a\":12}", "{\"a\":123}", "broken and too long"],
        expect![[r#"
            + a long /a
            row: a = 12
            refused 1: the event has 9 bytes, more than `max_event_bytes` = 8
            refused 2: the event has 19 bytes, more than `max_event_bytes` = 8
        "#]],
    );
}

#[test]
fn an_event_without_a_value_for_a_required_column_is_refused() {
    check(
        table().column("id", None, DataType::Int64).required(),
        &[
            r#"{"id":1}"#,
            r#"{"id":"x"}"#,
            r#"{"id":null}"#,
            r#"{"other":true}"#,
            r#"{"id":1.5,"new":1}"#,
        ],
        expect![[r#"
            row: id = 1
            refused 1: no value for the required column `id`
            refused 2: no value for the required column `id`
            refused 3: no value for the required column `id`
            refused 4: no value for the required column `id`
        "#]],
    );
}

#[test]
fn the_first_check_that_fails_gives_the_reason() {
    let table = || table().column("id", None, DataType::Int64).required();
    check(
        table(),
        &[
            r#"{"ts":"never"}"#,
            r#"{"ts":1}"#,
            r#"{"ts":"never"#,
            r#"["ts"]"#,
        ],
        expect![[r#"
        refused 0: no readable event time at `/ts`
        refused 1: the event time at `/ts` is out of range: 1000000 µs since 1970
        refused 2: not JSON: EOF while parsing a string at line 1 column 12
        refused 3: the event is an array, not an object
    "#]],
    );
}

#[test]
fn of_a_repeated_key_the_last_counts_and_keeps_its_place() {
    check(
        table(),
        &[
            r#"{"a":[1],"b":[2],"a":[3]}"#,
            r#"{"a":{"x":[1]},"a":{"y":[2]}}"#,
            r#"{"c":1,"c":"one"}"#,
        ],
        expect![[r#"
            + c string /c
            row: _doc = {"b":[2],"a":[3]}
            row: _doc = {"a":{"y":[2]}}
            row: c = one
        "#]],
    );
}

#[test]
fn keys_are_equal_when_they_are_equal_after_unescaping() {
    check(
        table(),
        &[r#"{"a":[1],"\u0061":[2]}"#, r#"{"\u0061b":1,"ab":2}"#],
        expect![[r#"
        + ab long /ab
        row: _doc = {"\u0061":[2]}
        row: ab = 2
    "#]],
    );
}

#[test]
fn no_key_means_anything_to_the_parser() {
    check(
        table(),
        &[
            r#"{"$serde_json::private::RawValue":"{\"a\":1}"}"#,
            r#"{"$serde_json::private::RawValue":1}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
        ],
        expect![[r#"
            + _serde_json__private__rawvalue string /$serde_json::private::RawValue
            + _serde_json__private__number string /$serde_json::private::Number
            row: _serde_json__private__rawvalue = {"a":1}
            row: _doc = {"$serde_json::private::RawValue":1}
            row: _serde_json__private__number = 1
            rescued: 1
        "#]],
    );
}
