//! Section 2: names, and who owns a column.

use arrow_schema::DataType;
use expect_test::expect;

use super::{check, table};

#[test]
fn keys_become_lower_case_ascii_words_joined_by_underscores() {
    check(
        table(),
        &[
            r#"{"user":{"Geo":{"city":"Oslo"}},"userId":1,"日本":2,"1st":3,"pos":4,"a b-c":5,"É":6,"":7}"#,
        ],
        expect![[r#"
            + user_geo_city string /user/Geo/city
            + userid long /userId
            + __ long /日本
            + _1st long /1st
            + pos_ long /pos
            + a_b_c long /a b-c
            + _ long /É
            row: _doc = {"":7}, user_geo_city = Oslo, userid = 1, __ = 2, _1st = 3, pos_ = 4, a_b_c = 5, _ = 6
            rescued: 1
        "#]],
    );
}

#[test]
fn reserved_names_get_an_underscore_behind() {
    check(
        table().reserved("Event_Time_Day"),
        &[
            r#"{"_doc":1,"_INGESTED_AT":2,"event_time_day":3,"_spec_id":4,"file_path":5,"event":{"time":6},"_metadata":7}"#,
        ],
        expect![[r#"
            + _doc_ long /_doc
            + _ingested_at_ long /_INGESTED_AT
            + event_time_day_ long /event_time_day
            + _spec_id_ long /_spec_id
            + file_path_ long /file_path
            + event_time_ long /event/time
            + _metadata_ long /_metadata
            row: _doc_ = 1, _ingested_at_ = 2, event_time_day_ = 3, _spec_id_ = 4, file_path_ = 5, event_time_ = 6, _metadata_ = 7
        "#]],
    );
}

#[test]
fn an_underscore_behind_may_meet_another_name() {
    check(
        table(),
        &[r#"{"pos":1,"pos_":2}"#, r#"{"pos_":3}"#],
        expect![[r#"
        + pos_ long /pos
        row: _doc = {"pos_":2}, pos_ = 1
        row: _doc = {"pos_":3}
        rescued: 2
    "#]],
    );
}

#[test]
fn pointers_escape_slashes_and_tildes() {
    check(
        table(),
        &[r#"{"a/b":1,"c~d":2,"~1":{"/":3}}"#],
        expect![[r#"
        + a_b long /a~1b
        + c_d long /c~0d
        + _1__ long /~01/~1
        row: a_b = 1, c_d = 2, _1__ = 3
    "#]],
    );
}

#[test]
fn a_name_longer_than_128_bytes_gets_no_column() {
    let event = |length: usize| format!("{{\"{}\":1}}", "k".repeat(length));
    check(
        table(),
        &[event(128), event(129)],
        expect![[r#"
        + kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk long /kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
        row: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk = 1
        row: _doc = {"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk":1}
    "#]],
    );
}

#[test]
fn of_two_new_paths_with_one_name_the_first_in_the_batch_wins() {
    check(
        table(),
        &[
            r#"{"userId":1,"userid":2}"#,
            r#"{"user":{"id":3}}"#,
            r#"{"user_id":4,"user-id":"five"}"#,
        ],
        expect![[r#"
            + userid long /userId
            + user_id long /user/id
            row: _doc = {"userid":2}, userid = 1
            row: user_id = 3
            row: _doc = {"user_id":4,"user-id":"five"}
            rescued: 3
        "#]],
    );
}

#[test]
fn a_column_belongs_to_the_path_in_its_doc() {
    check(
        table().column("renamed", Some("/user/id"), DataType::Int64),
        &[r#"{"user":{"id":1},"renamed":2}"#],
        expect![[r#"
            row: _doc = {"renamed":2}, renamed = 1
            rescued: 1
        "#]],
    );
}

#[test]
fn a_column_without_a_pointer_belongs_to_the_top_level_key_of_exactly_that_name() {
    let table = || {
        table()
            .column("userId", None, DataType::Int64)
            .column("note", Some("what the user wrote"), DataType::Utf8)
            .column("a/b", Some("/~2"), DataType::Int64)
    };
    check(
        table(),
        &[r#"{"userId":1,"userid":2,"note":"n","a/b":3}"#],
        expect![[r#"
        row: _doc = {"userid":2}, userId = 1, note = n, a/b = 3
        rescued: 1
    "#]],
    );
}

#[test]
fn a_column_without_a_pointer_has_no_path_when_another_holds_it() {
    check(
        table()
            .column("id", None, DataType::Int64)
            .column("number", Some("/id"), DataType::Int64),
        &[r#"{"id":1}"#],
        expect![[r#"
            row: number = 1
        "#]],
    );
}

#[test]
fn of_several_columns_with_one_pointer_the_first_is_the_paths() {
    check(
        table().column("one", Some("/a"), DataType::Int64).column(
            "two",
            Some("/a"),
            DataType::Utf8,
        ),
        &[r#"{"a":1}"#, r#"{"a":"x"}"#],
        expect![[r#"
            row: one = 1
            row: _doc = {"a":"x"}
            rescued: 1
        "#]],
    );
}

#[test]
fn the_empty_pointer_owns_nothing() {
    check(
        table().column("whole", Some(""), DataType::Utf8),
        &[r#"{"whole":"x"}"#],
        expect![[r#"
        row: _doc = {"whole":"x"}
        rescued: 1
    "#]],
    );
}

#[test]
fn system_columns_belong_to_no_path() {
    check(
        table(),
        &[r#"{"_time_source":"x","_source_index":1,"_doc":{"a":1}}"#],
        expect![[r#"
        + _time_source_ string /_time_source
        + _source_index_ long /_source_index
        + _doc_a long /_doc/a
        row: _time_source_ = x, _source_index_ = 1, _doc_a = 1
    "#]],
    );
}

#[test]
fn names_are_compared_without_regard_to_case() {
    check(
        table().column("City", Some("/town"), DataType::Utf8),
        &[r#"{"city":"Oslo","town":"Bergen"}"#],
        expect![[r#"
        row: _doc = {"city":"Oslo"}, City = Bergen
        rescued: 1
    "#]],
    );
}
