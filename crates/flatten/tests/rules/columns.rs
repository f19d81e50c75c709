//! Section 4: new columns, their types and limits.

use arrow_schema::DataType;
use expect_test::expect;

use super::{check, table};

#[test]
fn a_new_column_takes_its_type_from_all_values_of_the_batch() {
    check(
        table(),
        &[
            r#"{"i":1,"d":1,"s":"x","b":true}"#,
            r#"{"i":-0,"d":2.0,"s":"y","b":false}"#,
            r#"{"d":1e1}"#,
        ],
        expect![[r#"
            + i long /i
            + d double /d
            + s string /s
            + b boolean /b
            row: i = 1, d = 1.0, s = x, b = true
            row: i = 0, d = 2.0, s = y, b = false
            row: d = 10.0
        "#]],
    );
}

#[test]
fn of_several_kinds_the_first_value_counts() {
    check(
        table(),
        &[
            r#"{"a":1,"b":"x","c":true}"#,
            r#"{"a":"one","b":1,"c":0}"#,
            r#"{"a":1.5}"#,
        ],
        expect![[r#"
            + a double /a
            + b string /b
            + c boolean /c
            row: a = 1.0, b = x, c = true
            row: _doc = {"a":"one","b":1,"c":0}
            row: a = 1.5
            rescued: 3
        "#]],
    );
}

#[test]
fn an_integer_beyond_a_long_still_makes_a_long_column() {
    check(
        table(),
        &[
            r#"{"a":9223372036854775808}"#,
            r#"{"a":-9223372036854775808}"#,
        ],
        expect![[r#"
        + a long /a
        row: _doc = {"a":9223372036854775808}
        row: a = -9223372036854775808
        rescued: 1
    "#]],
    );
}

#[test]
fn declared_types_win() {
    check(
        table()
            .declare("/a", "double")
            .declare("/b", "decimal(9,2)")
            .declare("/c", "timestamptz")
            .declare("/d", "date")
            .declare("/e", "string")
            .declare("/f", "boolean")
            .declare("/g", "long"),
        &[
            r#"{"a":1,"b":1.50,"c":"2025-01-01T00:00:00Z","d":"2025-01-01","e":"x","f":true,"g":1e3}"#,
            r#"{"g":"x"}"#,
        ],
        expect![[r#"
            + a double /a
            + b Decimal128(9, 2) /b
            + c Timestamp(µs, "+00:00") /c
            + d Date32 /d
            + e string /e
            + f boolean /f
            + g long /g
            row: a = 1.0, b = 150 unscaled, c = 2025-01-01T00:00:00Z, d = 20089, e = x, f = true, g = 1000
            row: _doc = {"g":"x"}
            rescued: 1
        "#]],
    );
}

#[test]
fn columns_come_in_the_order_of_appearance() {
    check(
        table(),
        &[r#"{"b":[1],"c":1}"#, r#"{"a":1,"b":2}"#],
        expect![[r#"
        + c long /c
        + a long /a
        + b long /b
        row: _doc = {"b":[1]}, c = 1
        row: a = 1, b = 2
    "#]],
    );
}

#[test]
fn refused_events_bring_no_columns_and_no_types() {
    check(
        table(),
        &[
            r#"{"ts":"never","a":"x","z":1}"#,
            r#"{"a":1}"#,
            r#"{"a":2,"ts":1}"#,
        ],
        expect![[r#"
            + a long /a
            row: a = 1
            refused 0: no readable event time at `/ts`
            refused 2: the event time at `/ts` is out of range: 1000000 µs since 1970
        "#]],
    );
}

#[test]
fn a_batch_adds_no_more_columns_than_allowed() {
    check(
        table().shape(|shape| shape.max_new_columns = 2),
        &[r#"{"a":1,"b":2,"c":3}"#, r#"{"c":4,"a":5,"A":6}"#],
        expect![[r#"
            + a long /a
            + b long /b
            row: _doc = {"c":3}, a = 1, b = 2
            row: _doc = {"c":4,"A":6}, a = 5
            rescued: 1
        "#]],
    );
}

#[test]
fn the_table_gets_no_more_columns_than_allowed_all_counted() {
    check(
        table().shape(|shape| shape.max_columns = 7),
        &[r#"{"a":1,"b":2}"#],
        expect![[r#"
        + a long /a
        row: _doc = {"b":2}, a = 1
    "#]],
    );
}

#[test]
fn a_name_that_is_taken_is_found_before_the_limits() {
    check(
        table()
            .shape(|shape| shape.max_new_columns = 0)
            .column("a", Some("/x"), DataType::Int64),
        &[r#"{"a":1,"b":2}"#],
        expect![[r#"
            row: _doc = {"a":1,"b":2}
            rescued: 1
        "#]],
    );
}

#[test]
fn a_json_path_appears_with_any_value() {
    check(
        table().declare("/a", "json"),
        &[r#"{"a":null,"b":1}"#, r#"{"a":[]}"#],
        expect![[r#"
        + b long /b
        + a string /a
        row: b = 1
        row: a = []
    "#]],
    );
}
