//! Section 3: what `_doc` holds, byte for byte.

use expect_test::expect;
use flatten::Doc;

use super::{check, table};

#[test]
fn the_doc_keeps_nesting_order_and_original_bytes() {
    check(
        table(),
        &[
            r#"{ "z" : [ 1 ,2 ], "a" : { "n" : 1, "\u0062" : [ "\u0063" ], "c" : { "d" : [] } }, "e" : 1.50, "f":[] }"#,
        ],
        expect![[r#"
            + a_n long /a/n
            + e double /e
            row: _doc = {"z":[ 1 ,2 ],"a":{"\u0062":[ "\u0063" ],"c":{"d":[]}},"f":[]}, a_n = 1, e = 1.5
        "#]],
    );
}

#[test]
fn members_of_one_object_stay_together_where_the_last_of_a_repeated_key_is() {
    check(
        table(),
        &[r#"{"a":{"x":[1]},"b":[2],"a":{"y":[3]},"c":[4]}"#],
        expect![[r#"
        row: _doc = {"b":[2],"a":{"y":[3]},"c":[4]}
    "#]],
    );
}

#[test]
fn the_full_doc_is_the_whole_event() {
    check(
        table().shape(|shape| shape.doc = Doc::Full),
        &[
            r#"{ "a" : 1, "b" : null, "a" : [ 2 ] }"#,
            "{}",
            " {\"c\":1}\n",
        ],
        expect![[r#"
            + c long /c
            row: _doc = { "a" : 1, "b" : null, "a" : [ 2 ] }
            row: _doc = {}
            row: _doc = {"c":1}, c = 1
        "#]],
    );
}

#[test]
fn the_full_doc_is_compact_where_something_was_dropped_or_hashed() {
    check(
        table()
            .shape(|shape| shape.doc = Doc::Full)
            .declare("/s", "sha256")
            .declare("/o/d", "drop"),
        &[
            r#"{ "a" : [ 1 ], "s" : "abc", "n" : null }"#,
            r#"{ "s" : null, "a" : 1 }"#,
            r#"{ "o" : { "d" : 1 }, "p" : { "d" : 1 } }"#,
        ],
        expect![[r#"
            + s string /s
            + a long /a
            + p_d long /p/d
            row: _doc = {"a":[ 1 ],"s":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","n":null}, s = ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
            row: _doc = { "s" : null, "a" : 1 }, a = 1
            row: _doc = {"o":{},"p":{ "d" : 1 }}, p_d = 1
        "#]],
    );
}

#[test]
fn what_is_copied_whole_lacks_what_is_dropped_below() {
    check(
        table()
            .declare("/r", "rescue")
            .declare("/r/s/secret", "drop")
            .declare("/r/hash", "sha256"),
        &[
            r#"{"r":{ "s" : { "secret" : 1, "x" : [ 2 ] }, "y" : { "z" : null } }}"#,
            r#"{"r":{ "hash" : "abc", "y" : 1 }}"#,
            r#"{"r":{ "s" : { "x" : 1 } }}"#,
        ],
        expect![[r#"
            row: _doc = {"r":{"s":{"x":[ 2 ]},"y":{ "z" : null }}}
            row: _doc = {"r":{"hash":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","y":1}}
            row: _doc = {"r":{ "s" : { "x" : 1 } }}
        "#]],
    );
}

#[test]
fn a_dropped_value_is_gone_also_where_a_later_key_replaces_what_held_it() {
    check(
        table()
            .declare("/r", "rescue")
            .declare("/r/s/secret", "drop"),
        &[r#"{"r":{ "s" : { "secret" : 1 }, "s" : 2 }}"#],
        expect![[r#"
            row: _doc = {"r":{"s":2}}
        "#]],
    );
}

#[test]
fn objects_below_the_greatest_depth_lack_what_is_dropped_below() {
    check(
        table()
            .shape(|shape| shape.max_depth = 1)
            .declare("/a/b", "drop"),
        &[r#"{"a":{ "b" : 1, "c" : 2 }}"#],
        expect![[r#"
            row: _doc = {"a":{"c":2}}
        "#]],
    );
}

#[test]
fn a_json_column_lacks_what_is_dropped_below() {
    check(
        table()
            .declare("/a", "json")
            .declare("/a/b", "drop")
            .declare("/a/c", "sha256"),
        &[
            r#"{"a":{ "b" : 1, "c" : "abc", "d" : [ 2 ] }}"#,
            r#"{"a":{ "c" : null, "d" : [ 2 ] }}"#,
            r#"{"a":{ "b" : 1 }}"#,
        ],
        expect![[r#"
            + a string /a
            row: a = {"c":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","d":[ 2 ]}
            row: a = { "c" : null, "d" : [ 2 ] }
            row: a = {}
        "#]],
    );
}
