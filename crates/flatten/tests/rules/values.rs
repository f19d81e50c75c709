//! Section 3: what happens to each value.

use arrow_schema::DataType;
use expect_test::expect;

use super::{check, table};

#[test]
fn scalars_go_to_columns_and_null_is_gone() {
    check(
        table(),
        &[r#"{"a":1,"b":"x","c":true,"d":null,"e":{"f":1.5}}"#],
        expect![[r#"
        + a long /a
        + b string /b
        + c boolean /c
        + e_f double /e/f
        row: a = 1, b = x, c = true, e_f = 1.5
    "#]],
    );
}

#[test]
fn arrays_and_empty_objects_are_left_over() {
    check(
        table(),
        &[r#"{"a":[ 1, null ],"b":{},"c":{ "d" : { } },"e":{"f":null}}"#],
        expect![[r#"
        row: _doc = {"a":[ 1, null ],"b":{},"c":{"d":{}},"e":{}}
    "#]],
    );
}

#[test]
fn an_object_whose_members_are_all_gone_is_left_over_as_empty() {
    check(
        table().declare("/a/b", "drop"),
        &[
            r#"{"a":{"b":1,"c":null}}"#,
            r#"{"a":{"b":1,"c":{"d":null}}}"#,
        ],
        expect![[r#"
            row: _doc = {"a":{}}
            row: _doc = {"a":{"c":{}}}
        "#]],
    );
}

#[test]
fn objects_below_the_greatest_depth_are_left_over_whole() {
    check(
        table().shape(|shape| shape.max_depth = 2),
        &[r#"{"a":{"b":1,"c":{ "d" : null, "e": 2 },"f":{},"g":{"h":null}}}"#],
        expect![[r#"
            + a_b long /a/b
            row: _doc = {"a":{"c":{ "d" : null, "e": 2 },"f":{},"g":{}}}, a_b = 1
        "#]],
    );
}

#[test]
fn the_default_depth_is_eight_keys() {
    check(
        table(),
        &[r#"{"1":{"2":{"3":{"4":{"5":{"6":{"7":{"8":1,"x":{"9":2}}}}}}}}}"#],
        expect![[r#"
        + _1_2_3_4_5_6_7_8 long /1/2/3/4/5/6/7/8
        row: _doc = {"1":{"2":{"3":{"4":{"5":{"6":{"7":{"x":{"9":2}}}}}}}}}, _1_2_3_4_5_6_7_8 = 1
    "#]],
    );
}

#[test]
fn dropped_values_are_in_no_column_and_not_in_the_doc() {
    check(
        table().declare("/a", "drop").declare("/b/c", "drop"),
        &[
            r#"{"a":{"x":1},"b":{"c":[1],"d":[2]}}"#,
            r#"{"a":1,"b":{"c":2,"e":3}}"#,
        ],
        expect![[r#"
            + b_e long /b/e
            row: _doc = {"b":{"d":[2]}}
            row: b_e = 3
        "#]],
    );
}

#[test]
fn hashed_values_are_strings_of_64_digits() {
    check(
        table().declare("/a", "sha256"),
        &[
            r#"{"a":"abc"}"#,
            r#"{"a":"\u0061bc"}"#,
            r#"{"a":[1, 2]}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":12}"#,
            r#"{"a":null}"#,
        ],
        expect![[r#"
            + a string /a
            row: a = ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
            row: a = ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
            row: a = 3a316d6d3226f84c1e46e4447fa8d5fd800bff4a1bc6498152523cd4a602b69b
            row: a = eb8ed3ccb5023093b56f490a46501e88d09736687e609fdbc1c71b3df8b9ccd3
            row: a = 6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbba918
            row: 
        "#]],
    );
}

#[test]
fn a_hash_that_does_not_fit_its_column_is_rescued_as_the_hash() {
    check(
        table()
            .declare("/a", "sha256")
            .column("a", Some("/a"), DataType::Int64),
        &[r#"{"a":7}"#],
        expect![[r#"
            row: _doc = {"a":"7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451"}
            rescued: 1
        "#]],
    );
}

#[test]
fn json_columns_hold_the_original_bytes_of_any_value() {
    check(
        table().declare("/a", "json"),
        &[
            r#"{"a":{ "b" : [1.0] }}"#,
            r#"{"a":"x\u0061"}"#,
            r#"{"a":1e2}"#,
            r#"{"a":null}"#,
            r#"{"a":{}}"#,
            r#"{"a":false}"#,
        ],
        expect![[r#"
            + a string /a
            row: a = { "b" : [1.0] }
            row: a = "x\u0061"
            row: a = 1e2
            row: 
            row: a = {}
            row: a = false
        "#]],
    );
}

#[test]
fn json_without_a_string_column_is_left_over() {
    check(
        table()
            .declare("/a", "json")
            .column("a", Some("/a"), DataType::Int64),
        &[r#"{"a":[1]}"#, r#"{"a":1}"#],
        expect![[r#"
            row: _doc = {"a":[1]}
            row: _doc = {"a":1}
            rescued: 2
        "#]],
    );
}

#[test]
fn a_path_declared_rescue_is_never_a_column() {
    check(
        table().declare("/a", "rescue"),
        &[r#"{"a":1}"#, r#"{"a":{ "b" : 2 }}"#, r#"{"a":null}"#],
        expect![[r#"
        row: _doc = {"a":1}
        row: _doc = {"a":{ "b" : 2 }}
        row: 
    "#]],
    );
}

#[test]
fn a_declared_scalar_type_says_nothing_about_the_members_of_an_object() {
    check(
        table().declare("/a", "long"),
        &[r#"{"a":{"b":"x"}}"#, r#"{"a":1}"#],
        expect![[r#"
        + a_b string /a/b
        + a long /a
        row: a_b = x
        row: a = 1
    "#]],
    );
}

#[test]
fn scalars_at_the_path_of_a_foreign_struct_are_rescued_and_its_members_get_columns() {
    let fields = vec![arrow_schema::Field::new("id", DataType::Int64, true)];
    check(
        table().column("user", None, DataType::Struct(fields.into())),
        &[r#"{"user":"me"}"#, r#"{"user":{"id":7}}"#],
        expect![[r#"
            + user_id long /user/id
            row: _doc = {"user":"me"}
            row: user_id = 7
            rescued: 1
        "#]],
    );
}
