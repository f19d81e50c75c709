//! Section 6: event time.

use arrow_schema::DataType;
use expect_test::expect;
use flatten::UnreadableTime;

use super::{Table, check};

/// A table whose event time is at `/t`, from the year 0000 on.
fn table() -> Table {
    super::table().shape(|shape| {
        shape.time = vec!["/t".to_owned()];
        shape.earliest = "0000-01-01T00:00:00Z".to_owned();
        shape.latest_seconds = u32::MAX;
    })
}

#[test]
fn without_a_time_the_arrival_counts() {
    check(
        table(),
        &[r#"{"a":[]}"#, r#"{"t":null}"#],
        expect![[r#"
        row: _doc = {"a":[]}
        row: 
    "#]],
    );
}

#[test]
fn texts_that_print_back_are_kept_nowhere_else() {
    check(
        table(),
        &[
            r#"{"t":"2025-01-01T00:00:00Z"}"#,
            r#"{"t":"2025-01-01T00:00:00.120Z"}"#,
            r#"{"t":"2025-01-01T00:00:00.000001+00:00"}"#,
            r#"{"t":"2025-01-01T00:00:00.120000000Z"}"#,
            r#"{"t":"0000-01-01T00:00:00Z"}"#,
        ],
        expect![[r#"
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t rfc3339/0/Z
            row: event_time = 2025-01-01T00:00:00.120Z, _time_source = /t rfc3339/3/Z
            row: event_time = 2025-01-01T00:00:00.000001Z, _time_source = /t rfc3339/6/+00:00
            row: event_time = 2025-01-01T00:00:00.120Z, _time_source = /t rfc3339/9/Z
            row: event_time = 0000-01-01T00:00:00Z, _time_source = /t rfc3339/0/Z
        "#]],
    );
}

#[test]
fn texts_that_do_not_print_back_stay_in_the_doc() {
    check(
        table(),
        &[
            r#"{"t":"2025-01-01t00:00:00Z"}"#,
            r#"{"t":"2025-01-01 00:00:00z"}"#,
            r#"{"t":"2025-01-01T00:00:00.1Z"}"#,
            r#"{"t":"2025-01-01T00:00:00.123456789Z"}"#,
            r#"{"t":"2025-01-01T00:00:00-00:00"}"#,
            r#"{"t":"2025-01-01T01:30:00+01:30"}"#,
            r#"{"t":"2016-12-31T23:59:60Z"}"#,
            r#"{"t":"2016-12-31T23:59:60.5Z"}"#,
        ],
        expect![[r#"
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":"2025-01-01t00:00:00Z"}
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":"2025-01-01 00:00:00z"}
            row: event_time = 2025-01-01T00:00:00.100Z, _time_source = /t other, _doc = {"t":"2025-01-01T00:00:00.1Z"}
            row: event_time = 2025-01-01T00:00:00.123456Z, _time_source = /t other, _doc = {"t":"2025-01-01T00:00:00.123456789Z"}
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":"2025-01-01T00:00:00-00:00"}
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":"2025-01-01T01:30:00+01:30"}
            row: event_time = 2017-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":"2016-12-31T23:59:60Z"}
            row: event_time = 2017-01-01T00:00:00.500Z, _time_source = /t other, _doc = {"t":"2016-12-31T23:59:60.5Z"}
        "#]],
    );
}

#[test]
fn what_is_no_time_is_unreadable() {
    check(
        table(),
        &[
            r#"{"t":"2025-01-01T00:00:00"}"#,
            r#"{"t":"2025-01-01"}"#,
            r#"{"t":"2025-02-29T00:00:00Z"}"#,
            r#"{"t":"2025-01-01T24:00:00Z"}"#,
            r#"{"t":"2025-01-01T00:60:00Z"}"#,
            r#"{"t":"2025-01-01T00:00:61Z"}"#,
            r#"{"t":"2025-01-01T00:00:00.Z"}"#,
            r#"{"t":"2025-01-01T00:00:00+24:00"}"#,
            r#"{"t":"2025-01-01T00:00:00+0000"}"#,
            r#"{"t":"2025-01-01T00:00:00Z "}"#,
            r#"{"t":"9999-12-31T23:59:60Z"}"#,
            r#"{"t":"0000-01-01T00:00:00+00:01"}"#,
            r#"{"t":true}"#,
            r#"{"t":[1]}"#,
            r#"{"t":{"a":1}}"#,
            r#"{"t":""}"#,
            r#"{"t":"1e9"}"#,
            r#"{"t":"+1"}"#,
            r#"{"t":"1."}"#,
            r#"{"t":253402300800}"#,
            r#"{"t":1e300}"#,
        ],
        expect![[r#"
            row: event_time = 1978-01-11T21:31:40.800Z, _time_source = /t ms
            refused 0: no readable event time at `/t`
            refused 1: no readable event time at `/t`
            refused 2: no readable event time at `/t`
            refused 3: no readable event time at `/t`
            refused 4: no readable event time at `/t`
            refused 5: no readable event time at `/t`
            refused 6: no readable event time at `/t`
            refused 7: no readable event time at `/t`
            refused 8: no readable event time at `/t`
            refused 9: no readable event time at `/t`
            refused 10: no readable event time at `/t`
            refused 11: no readable event time at `/t`
            refused 12: no readable event time at `/t`
            refused 13: no readable event time at `/t`
            refused 14: no readable event time at `/t`
            refused 15: no readable event time at `/t`
            refused 16: no readable event time at `/t`
            refused 17: no readable event time at `/t`
            refused 18: no readable event time at `/t`
            refused 20: no readable event time at `/t`
        "#]],
    );
}

#[test]
fn the_size_of_a_number_gives_its_unit() {
    check(
        table(),
        &[
            r#"{"t":1735689600}"#,
            r#"{"t":99999999999}"#,
            r#"{"t":100000000000}"#,
            r#"{"t":99999999999999}"#,
            r#"{"t":100000000000000}"#,
            r#"{"t":99999999999999999}"#,
            r#"{"t":100000000000000001}"#,
            r#"{"t":-1}"#,
            r#"{"t":0}"#,
            r#"{"t":-0}"#,
        ],
        expect![[r#"
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t s
            row: event_time = 1973-03-03T09:46:40Z, _time_source = /t ms
            row: event_time = 1973-03-03T09:46:40Z, _time_source = /t us
            row: event_time = 1973-03-03T09:46:40Z, _time_source = /t other, _doc = {"t":100000000000000001}
            row: event_time = 1969-12-31T23:59:59Z, _time_source = /t s
            row: event_time = 1970-01-01T00:00:00Z, _time_source = /t s
            row: event_time = 1970-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":-0}
            refused 1: the event time at `/t` is out of range: 99999999999000000 µs since 1970
            refused 3: the event time at `/t` is out of range: 99999999999999000 µs since 1970
            refused 5: the event time at `/t` is out of range: 99999999999999999 µs since 1970
        "#]],
    );
}

#[test]
fn numbers_are_read_as_decimals_and_floored() {
    check(
        table(),
        &[
            r#"{"t":1735689600.1234567}"#,
            r#"{"t":-0.0000001}"#,
            r#"{"t":1.7356896e9}"#,
            r#"{"t":1735689600123.4567}"#,
            r#"{"t":1735689600000000.9}"#,
            r#"{"t":-1735689600000000001}"#,
            r#"{"t":99999999999.9999999}"#,
            r#"{"t":1e-400}"#,
            r#"{"t":"1735689600"}"#,
            r#"{"t":"-001735689600.5"}"#,
        ],
        expect![[r#"
            row: event_time = 2025-01-01T00:00:00.123456Z, _time_source = /t other, _doc = {"t":1735689600.1234567}
            row: event_time = 1969-12-31T23:59:59.999999Z, _time_source = /t other, _doc = {"t":-0.0000001}
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":1.7356896e9}
            row: event_time = 2025-01-01T00:00:00.123456Z, _time_source = /t other, _doc = {"t":1735689600123.4567}
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":1735689600000000.9}
            row: event_time = 1914-12-31T23:59:59.999999Z, _time_source = /t other, _doc = {"t":-1735689600000000001}
            row: event_time = 1970-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":1e-400}
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":"1735689600"}
            row: event_time = 1914-12-31T23:59:59.500Z, _time_source = /t other, _doc = {"t":"-001735689600.5"}
            refused 6: the event time at `/t` is out of range: 99999999999999999 µs since 1970
        "#]],
    );
}

#[test]
fn the_first_readable_of_the_list_is_the_event_time() {
    check(
        table()
            .shape(|shape| shape.time = vec!["/a/t".to_owned(), "/b".to_owned(), "/c".to_owned()]),
        &[
            r#"{"c":3,"b":2,"a":{"t":1}}"#,
            r#"{"a":{"t":"never"},"b":2}"#,
            r#"{"a":{"t":null},"c":3}"#,
            r#"{"a":5,"c":3}"#,
            r#"{"a":{"t":"never"},"c":[]}"#,
        ],
        expect![[r#"
            + c long /c
            + b long /b
            + a_t string /a/t
            + a long /a
            row: event_time = 1970-01-01T00:00:01Z, _time_source = /a/t s, c = 3, b = 2
            row: event_time = 1970-01-01T00:00:02Z, _time_source = /b s, a_t = never
            row: event_time = 1970-01-01T00:00:03Z, _time_source = /c s, _doc = {"a":{}}
            row: event_time = 1970-01-01T00:00:03Z, _time_source = /c s, a = 5
            refused 4: no readable event time at `/a/t`, `/c`
        "#]],
    );
}

#[test]
fn unreadable_times_may_be_filed_under_arrival() {
    check(
        table().shape(|shape| shape.unreadable_time = UnreadableTime::Arrival),
        &[r#"{"t":"never"}"#, r#"{"t":5}"#],
        expect![[r#"
            + t string /t
            row: t = never
            row: event_time = 1970-01-01T00:00:05Z, _time_source = /t s
        "#]],
    );
}

#[test]
fn times_out_of_range_are_refused() {
    check(
        super::table(),
        &[
            r#"{"ts":631152000}"#,
            r#"{"ts":631151999.999999}"#,
            r#"{"ts":1760086400}"#,
            r#"{"ts":1760086400.000001}"#,
            r#"{"ts":"1969-01-01T00:00:00Z"}"#,
        ],
        expect![[r#"
            row: event_time = 1990-01-01T00:00:00Z, _time_source = /ts s
            row: event_time = 2025-10-10T08:53:20Z, _time_source = /ts s
            refused 1: the event time at `/ts` is out of range: 631151999999999 µs since 1970
            refused 3: the event time at `/ts` is out of range: 1760086400000001 µs since 1970
            refused 4: the event time at `/ts` is out of range: -31536000000000 µs since 1970
        "#]],
    );
}

#[test]
fn a_time_in_use_fills_no_column() {
    check(
        table().column("t", Some("/t"), DataType::Int64),
        &[r#"{"t":1735689600}"#, r#"{"t":"1735689600"}"#],
        expect![[r#"
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t s
            row: event_time = 2025-01-01T00:00:00Z, _time_source = /t other, _doc = {"t":"1735689600"}
        "#]],
    );
}

#[test]
fn a_dropped_time_is_not_seen() {
    check(
        table().declare("/t", "drop"),
        &[r#"{"t":1}"#],
        expect![[r#"
        row: 
    "#]],
    );
    check(
        table().declare("/t", "sha256"),
        &[r#"{"t":1}"#, r#"{"t":null}"#],
        expect![[r#"
        row: 
        refused 0: no readable event time at `/t`
    "#]],
    );
}

#[test]
fn a_time_below_a_json_or_rescued_path_is_found_and_stays_there() {
    let table = || table().shape(|shape| shape.time = vec!["/m/t".to_owned()]);
    check(
        table().declare("/m", "json"),
        &[r#"{"m":{"t":5, "x":"y"}}"#],
        expect![[r#"
        + m string /m
        row: event_time = 1970-01-01T00:00:05Z, _time_source = /m/t s, m = {"t":5, "x":"y"}
    "#]],
    );
    check(
        table().declare("/m", "rescue"),
        &[r#"{"m":{"t":5, "x":"y"}}"#],
        expect![[r#"
        row: event_time = 1970-01-01T00:00:05Z, _time_source = /m/t s, _doc = {"m":{"t":5, "x":"y"}}
    "#]],
    );
    check(
        table().shape(|shape| shape.max_depth = 1),
        &[r#"{"m":{"t":5, "x":"y"}}"#],
        expect![[r#"
        row: event_time = 1970-01-01T00:00:05Z, _time_source = /m/t s, _doc = {"m":{"t":5, "x":"y"}}
    "#]],
    );
}

#[test]
fn an_object_that_held_only_the_time_leaves_nothing() {
    check(
        table().shape(|shape| shape.time = vec!["/m/t".to_owned()]),
        &[r#"{"m":{"t":5}}"#, r#"{"m":{"t":"5"}}"#],
        expect![[r#"
            row: event_time = 1970-01-01T00:00:05Z, _time_source = /m/t s
            row: event_time = 1970-01-01T00:00:05Z, _time_source = /m/t other, _doc = {"m":{"t":"5"}}
        "#]],
    );
}

#[test]
fn a_repeated_time_is_read_from_the_last() {
    check(
        table(),
        &[r#"{"t":1,"t":2}"#, r#"{"t":1,"t":null}"#],
        expect![[r#"
        row: event_time = 1970-01-01T00:00:02Z, _time_source = /t s
        row: 
    "#]],
    );
}
