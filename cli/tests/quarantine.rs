//! `calve quarantine` as a person meets it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A warehouse with three refused events of two kinds in its quarantine, one of them with bytes that a terminal would obey.
fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    let events = "{\"id\":1,\"ts\":\"1980-01-01T00:00:00Z\"}\n{\"id\":2,\"ts\":1772323201}\n\
                  {\"id\":3,\"ts\":\"1981-01-01T00:00:00Z\"}\n\u{1b}[2J{oops\n";
    std::fs::write(desk.path().join("events.ndjson"), events).unwrap();
    let arrival = ["--arrival", "2026-03-01T12:00:00Z"];
    success(
        &desk,
        &[&["ingest", "events.ndjson"], &arrival[..]].concat(),
    );
    desk
}

fn run(desk: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_calve"));
    command.args(arguments).current_dir(desk.path()).env_clear();
    command.output().unwrap()
}

/// What a command prints that succeeds.
#[track_caller]
fn success(desk: &TempDir, arguments: &[&str]) -> String {
    let output = run(desk, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn json(desk: &TempDir, arguments: &[&str]) -> Value {
    let printed = success(desk, &[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&printed).unwrap()
}

/// Lets times of the last century be.
fn correct_the_shape(desk: &TempDir) {
    let settings = "[table.shape]\nearliest = \"1970-01-01T00:00:00Z\"\n";
    std::fs::write(desk.path().join("calve.toml"), settings).unwrap();
    success(desk, &["table", "configure"]);
}

#[test]
fn the_list_names_objects_with_what_they_hold() {
    let desk = desk();
    let list = json(&desk, &["quarantine", "list"]);
    let kinds = json!({"not_json": 1, "time_out_of_range": 2});
    assert_eq!(list["objects"][0]["n_by_kind"], kinds);
    assert_eq!(list["objects"][0]["table"], "analytics.events");
    assert_eq!(list["objects"][0]["day"], "2026-03-01");
    assert_eq!(list["totals"]["n_events"], 3);
    let text = success(&desk, &["quarantine", "list"]);
    assert!(
        text.starts_with(
            "2026-03-01  analytics.events  3 events (not_json 1, time_out_of_range 2)"
        )
    );
    let n_objects = |arguments: &[&str]| {
        let list = json(&desk, &[&["quarantine", "list"], arguments].concat());
        list["totals"]["n_objects"].as_u64().unwrap()
    };
    assert_eq!(n_objects(&["--since", "2026-03-01"]), 1);
    assert_eq!(n_objects(&["--since", "2026-03-02"]), 0);
    assert_eq!(n_objects(&["--reason", "not_json"]), 1);
    assert_eq!(n_objects(&["--reason", "too_long"]), 0);
    assert_eq!(n_objects(&["--table", "analytics.events"]), 1);
    assert_eq!(n_objects(&["--table", "analytics.others"]), 0);
}

#[test]
fn what_is_shown_cannot_command_the_terminal_and_raw_bytes_are_exact() {
    let desk = desk();
    let list = json(&desk, &["quarantine", "list"]);
    let object = list["objects"][0]["object"].as_str().unwrap();
    let text = success(&desk, &["quarantine", "show", object]);
    assert!(text.contains("\\u{1b}[2J{oops"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("#3 at byte 99"), "{text}");
    let reason = ["--reason", "not_json"];
    let raw = success(
        &desk,
        &[&["quarantine", "show", object, "--raw"], &reason[..]].concat(),
    );
    assert_eq!(raw, "\u{1b}[2J{oops");
    let shown = json(&desk, &["quarantine", "show", "--all", "--limit", "2"]);
    assert_eq!(shown["events"].as_array().unwrap().len(), 2);
    assert_eq!(shown["events"][1]["source_index"], 2);
}

#[test]
fn a_replay_lands_what_the_table_takes_by_now_and_keeps_the_rest() {
    let desk = desk();
    let replay = || json(&desk, &["quarantine", "replay", "--all"]);
    assert_eq!(replay()["objects"][0]["outcome"], "refused");
    correct_the_shape(&desk);
    let dry = json(&desk, &["quarantine", "replay", "--all", "--dry-run"]);
    assert_eq!(dry["objects"][0]["outcome"], "would_land");
    let replayed = replay();
    assert_eq!(replayed["objects"][0]["outcome"], "landed");
    assert_eq!(replayed["totals"]["n_rows"], 2);
    let list = json(&desk, &["quarantine", "list"]);
    assert_eq!(list["totals"]["n_by_kind"], json!({"not_json": 1}));
    assert_eq!(json(&desk, &["table", "show"])["n_rows"], 3);
    assert_eq!(replay()["totals"]["n_rows"], 0);
    assert_eq!(json(&desk, &["table", "show"])["n_rows"], 3);
}

#[test]
fn an_object_that_is_not_there_is_named() {
    let desk = desk();
    let output = run(
        &desk,
        &[
            "quarantine",
            "show",
            "analytics.events/2026-03-01/x.ndjson.zst",
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("analytics.events/2026-03-01/x.ndjson.zst` is not there"),
        "{said}"
    );
}
