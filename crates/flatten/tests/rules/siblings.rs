//! Section 4: `conflict = "sibling"`.

use arrow_schema::DataType;
use expect_test::expect;
use flatten::Conflict;

use super::{Table, check};

fn table() -> Table {
    super::table().shape(|shape| shape.conflict = Conflict::Sibling)
}

#[test]
fn a_value_that_does_not_fit_goes_to_the_column_of_its_own_type() {
    check(
        table(),
        &[
            r#"{"a":"x"}"#,
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":true}"#,
            r#"{"a":-0}"#,
            r#"{"a":[1]}"#,
        ],
        expect![[r#"
            + a string /a
            + a__long long /a
            + a__double double /a
            + a__boolean boolean /a
            row: a = x
            row: a__long = 1
            row: a__double = 1.0
            row: a__boolean = true
            row: a__long = 0
            row: _doc = {"a":[1]}
        "#]],
    );
}

#[test]
fn an_integer_beyond_a_long_goes_to_a_double() {
    check(
        table(),
        &[r#"{"a":"x"}"#, r#"{"a":1000000000000000000000}"#],
        expect![[r#"
        + a string /a
        + a__double double /a
        row: a = x
        row: a__double = 1e21
    "#]],
    );
}

#[test]
fn what_fits_no_sibling_is_rescued_and_siblings_have_no_siblings() {
    check(
        table(),
        &[
            r#"{"a":"x"}"#,
            r#"{"a":0.12345678901234567891}"#,
            r#"{"a":0.5}"#,
        ],
        expect![[r#"
            + a string /a
            + a__double double /a
            row: a = x
            row: _doc = {"a":0.12345678901234567891}
            row: a__double = 0.5
            rescued: 1
        "#]],
    );
}

#[test]
fn siblings_appear_among_the_other_new_columns() {
    check(
        table(),
        &[r#"{"a":1,"b":2}"#, r#"{"a":"x","c":3}"#],
        expect![[r#"
        + a long /a
        + b long /b
        + a__string string /a
        + c long /c
        row: a = 1, b = 2
        row: a__string = x, c = 3
    "#]],
    );
}

#[test]
fn siblings_count_for_the_limits() {
    check(
        table().shape(|shape| shape.max_new_columns = 2),
        &[r#"{"a":1}"#, r#"{"a":"x"}"#, r#"{"a":true}"#, r#"{"b":1}"#],
        expect![[r#"
            + a long /a
            + a__string string /a
            row: a = 1
            row: a__string = x
            row: _doc = {"a":true}
            row: _doc = {"b":1}
            rescued: 1
        "#]],
    );
}

#[test]
fn a_sibling_whose_name_belongs_to_another_path_is_not_used() {
    check(
        table(),
        &[r#"{"a__string":"mine","a":1}"#, r#"{"a":"x"}"#],
        expect![[r#"
        + a__string string /a__string
        + a long /a
        row: a__string = mine, a = 1
        row: _doc = {"a":"x"}
        rescued: 1
    "#]],
    );
}

#[test]
fn an_existing_sibling_is_used_also_with_another_type() {
    check(
        table().column("a", Some("/a"), DataType::Int64).column(
            "a__string",
            Some("/a"),
            DataType::Date32,
        ),
        &[r#"{"a":"2025-01-01"}"#, r#"{"a":"x"}"#],
        expect![[r#"
            row: a__string = 20089
            row: _doc = {"a":"x"}
            rescued: 1
        "#]],
    );
}

#[test]
fn a_sibling_with_too_long_a_name_cannot_be_added() {
    let key = "k".repeat(121);
    check(
        table(),
        &[
            format!("{{\"{key}\":1}}"),
            format!("{{\"{key}\":\"x\"}}"),
            format!("{{\"{key}\":true}}"),
        ],
        expect![[r#"
        + kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk long /kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
        row: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk = 1
        row: _doc = {"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk":"x"}
        row: _doc = {"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk":true}
        rescued: 2
    "#]],
    );
}

#[test]
fn a_column_without_a_pointer_keeps_its_path_when_it_has_siblings() {
    check(
        table()
            .column("a__long", Some("/a"), DataType::Int64)
            .column("a", None, DataType::Boolean),
        &[r#"{"a":true}"#, r#"{"a":1}"#, r#"{"a":"x"}"#],
        expect![[r#"
            + a__string string /a
            row: a = true
            row: a__long = 1
            row: a__string = x
        "#]],
    );
}

#[test]
fn a_sibling_whose_name_is_reserved_is_not_added() {
    check(
        table().reserved("A__Long"),
        &[r#"{"a":"x"}"#, r#"{"a":1}"#],
        expect![[r#"
        + a string /a
        row: a = x
        row: _doc = {"a":1}
        rescued: 1
    "#]],
    );
}
