//! What is said when it cannot start; needs no servers.

use crate::desk::Desk;

/// A port of the loopback that nothing listens to.
const NOWHERE: &str = "http://127.0.0.1:9/000000000000/events";

#[track_caller]
fn check(options: &[&str], code: i32, expected: &[&str]) {
    let output = Desk::new().command(options).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for line in expected {
        assert!(said.contains(line), "`{line}` is not in:\n{said}");
    }
}

#[test]
fn a_function_that_ends_at_once_is_told_before_anything_is_received() {
    check(
        &["--ingest", "/bin/false", "--events-queue", NOWHERE],
        1,
        &[
            "error: the function `ingest` cannot start: it ended with exit status: 1",
            "hint: its own message",
        ],
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    check(
        &["--ingest", "/nonexistent", "--events-queue", NOWHERE],
        1,
        &["error: cannot run `/nonexistent`", "No such file", "hint: "],
    );
}

#[test]
fn a_function_without_a_source_or_a_source_without_a_function_is_refused() {
    check(&[], 2, &["--ingest <PATH>", "--commit <PATH>"]);
    check(&["--ingest", "/bin/false"], 2, &["--events-queue <URL>"]);
    check(&["--events-queue", NOWHERE], 2, &["--ingest <PATH>"]);
    check(
        &["--commit", "/bin/false"],
        1,
        &["`--commit` needs the queue of receipts", "--receipts-queue"],
    );
}
