//! The `calve` command as a person meets it: what it prints, where, and its exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const EVENTS: &str = "{\"id\":1,\"type\":\"click\",\"ts\":1772323200,\"user\":{\"name\":\"Ada\"}}\n\
                      {\"id\":2,\"type\":\"click\",\"ts\":1772323201,\"tags\":[\"a\"]}\n";

/// A directory of its own, in which the command runs.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[], "")
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
        use std::io::Write as _;
        let mut command = Command::new(env!("CARGO_BIN_EXE_calve"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(variables.iter().copied());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that stops early does not read all of it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The result of a command that succeeds, as JSON.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--output", "json"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that fails, and checks that each of these lines is in what it says.
    #[track_caller]
    fn check_error(&self, arguments: &[&str], expected: &[&str]) {
        let output = self.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(text(&output.stdout), "");
        for line in expected {
            assert!(said.contains(line), "`{line}` is missing in:\n{said}");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn events_go_to_the_tables_that_routes_name_and_the_check_knows_of_them() {
    let desk = Desk::new();
    desk.write(
        "calve.toml",
        "[routes]\nfield = \"type\"\ntables = [\"click\"]\n",
    );
    desk.write("a.ndjson", &format!("{EVENTS}{{\"type\":\"view\"}}\n"));
    for (n_rows, n_before) in [([2, 1], 0), ([0, 0], 3)] {
        let summary = desk.json(&["ingest", "a.ndjson"]);
        let by_table = &summary["n_rows_by_table"];
        assert_eq!(by_table["analytics.click"], n_rows[0], "{summary}");
        assert_eq!(by_table["analytics.events"], n_rows[1], "{summary}");
        assert_eq!(summary["n_rows_delivered_before"], n_before, "{summary}");
    }
    let shown = desk.json(&["table", "show", "--table", "analytics.click"]);
    assert_eq!(shown["n_rows"], 2);
    let checked = desk.json(&["config", "check"]);
    let places = checked["locations"].as_array().unwrap().iter();
    let states: Vec<&str> = places
        .filter(|place| place["what"] == "table")
        .filter_map(|place| place["state"].as_str())
        .collect();
    assert!(states[0].starts_with("`analytics.events` is at"));
    assert!(states[1].starts_with("`analytics.click` is at"));
}

#[test]
fn a_file_becomes_rows_and_the_summary_says_so() {
    let desk = Desk::new();
    desk.write("events.ndjson", EVENTS);
    let output = desk.run(&["ingest", "events.ndjson"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    assert!(
        summary.starts_with("2 rows from 2 events of 1 file in `analytics.events`\n"),
        "{summary}"
    );
    assert_eq!(text(&output.stderr), "", "no progress where nobody looks");
    assert!(desk.path().join(".calve/warehouse/catalog.db").exists());
}

#[test]
fn refused_events_are_told_counted_and_kept() {
    let desk = Desk::new();
    desk.write("events.ndjson", &format!("{EVENTS}{{\"id\":3,\n[1]\n"));
    let output = desk.run(&["ingest", "events.ndjson", "--output", "json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["n_rows"], &summary["n_refused"]),
        (&2.into(), &2.into())
    );
    let quarantine = summary["quarantine"][0].as_str().unwrap();
    let quarantine = quarantine.strip_prefix("file://").unwrap_or(quarantine);
    assert!(desk.path().join(quarantine).exists(), "{quarantine}");
    assert!(
        text(&output.stderr).contains("refused: "),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_file_is_known_whatever_the_settings_say_about_payloads() {
    let desk = Desk::new();
    desk.write("events.ndjson", EVENTS);
    for limit in ["256 MiB", "80", "1 KiB"] {
        let variables = [("CALVE_MAX_PAYLOAD_INFLATED_BYTES", limit)];
        let output = desk.run_with(&["ingest", "events.ndjson"], &variables, "");
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(desk.json(&["table", "show"])["n_rows"], 2, "{limit}");
    }
}

#[test]
fn a_pipe_is_known_by_its_bytes_whatever_it_is_called() {
    let desk = Desk::new();
    let ingest = |path: &str, input: &str| {
        let output = desk.run_with(&["ingest", path, "--quiet"], &[], input);
        assert!(output.status.success(), "{}", text(&output.stderr));
        desk.json(&["table", "show"])["n_rows"].as_u64().unwrap()
    };
    assert_eq!(ingest("-", EVENTS), 2);
    assert_eq!(ingest("-", EVENTS), 2);
    assert_eq!(ingest("/dev/stdin", EVENTS), 2);
    assert_eq!(ingest("/dev/stdin", "{\"id\":3}\n"), 3);
    assert_eq!(ingest("-", "{\"id\":4}\n"), 4);
}

#[test]
fn the_output_of_a_command_can_stand_for_a_file() {
    let desk = Desk::new();
    desk.write("events.ndjson", EVENTS);
    let script = "exec \"$0\" ingest <(cat events.ndjson) events.ndjson --output json";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_calve")])
        .current_dir(desk.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["n_files"], &summary["n_rows"]),
        (&2.into(), &4.into())
    );
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_landing() {
    let desk = Desk::new();
    desk.write("a.ndjson", EVENTS);
    std::fs::write(desk.path().join("b.gz"), [0x1f, 0x8b, 8, 0, 1]).unwrap();
    desk.write("c.ndjson", "{\"id\":3}\n");
    let arguments = ["ingest", "a.ndjson", "b.gz", "c.ndjson", "--output", "json"];
    let output = desk.run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["n_files"], &summary["n_rows"]),
        (&2.into(), &3.into())
    );
    let said = text(&output.stderr);
    for line in [
        "error: cannot read `b.gz` to its end (0 rows of it are in the table)",
        "error: 2 of 3 files were ingested whole",
        "\nhint: ",
    ] {
        assert!(said.contains(line), "`{line}` is missing in:\n{said}");
    }
}

#[test]
fn when_the_table_takes_no_more_what_landed_before_is_summed_up() {
    let desk = Desk::new();
    desk.write("a.ndjson", EVENTS);
    desk.write("c.ndjson", "{\"id\":4,\"ts\":1772323200}\n");
    let partitioning = [(
        "CALVE_TABLE_PARTITIONING",
        "identity(_source_index), day(event_time)",
    )];
    let made = desk.run_with(&["table", "create"], &partitioning, "");
    assert!(made.status.success(), "{}", text(&made.stderr));
    // A file in the place of the directory that the second event of the second file goes to.
    let data = desk.path().join(".calve/warehouse/analytics/events/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("_source_index=2"), "in the way").unwrap();
    desk.write("b.ndjson", "{\"id\":3}\n{\"id\":4}\n{\"id\":5}\n");
    let output = desk.run(&[
        "ingest", "a.ndjson", "b.ndjson", "c.ndjson", "--output", "json",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["n_files"], &summary["n_rows"]),
        (&1.into(), &2.into())
    );
    let said = text(&output.stderr);
    assert!(
        said.contains("error: cannot ingest `b.ndjson` from byte 0 on"),
        "{said}"
    );
    assert!(
        said.contains("error: 1 of 3 files were ingested whole"),
        "{said}"
    );
}

#[test]
fn the_arrival_is_the_time_of_events_without_one() {
    let desk = Desk::new();
    desk.write("events.ndjson", "{\"id\":1}\n");
    desk.json(&[
        "ingest",
        "events.ndjson",
        "--arrival",
        "2026-03-05T12:00:00Z",
    ]);
    let facts = desk.json(&["table", "show"]);
    let location = facts["location"].as_str().unwrap();
    let location = location.strip_prefix("file://").unwrap_or(location);
    let mut folders = Vec::new();
    let mut open = vec![Path::new(location).join("data")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.file_name().to_string_lossy().into_owned());
                open.push(entry.path());
            }
        }
    }
    assert!(
        folders.iter().any(|name| name.contains("2026-03-05")),
        "{folders:?}"
    );
}

#[test]
fn a_table_shows_its_columns_with_their_sources() {
    let desk = Desk::new();
    desk.write("events.ndjson", EVENTS);
    desk.json(&["ingest", "events.ndjson"]);
    let facts = desk.json(&["table", "show"]);
    let name = facts["columns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|column| column["name"] == "user_name");
    let name = name.unwrap();
    assert_eq!(
        (&name["type"], &name["source"]),
        (&"string".into(), &"/user/name".into())
    );
    assert_eq!(facts["partitioning"][0], "day(event_time)");
    assert_eq!(facts["n_snapshots"], 1);
    let shown = text(&desk.run(&["table", "show"]).stdout);
    for part in [
        "analytics.events: 2 rows in 1 data file",
        "user_name",
        "/user/name",
        "calve.time",
        "snapshots (1)",
    ] {
        assert!(shown.contains(part), "`{part}` is missing in:\n{shown}");
    }
    assert_eq!(
        desk.json(&["table", "list"]),
        serde_json::json!(["analytics.events"])
    );
}

#[test]
fn a_table_is_created_once_and_configured_from_the_settings() {
    let desk = Desk::new();
    desk.write(
        "calve.toml",
        "[table]\npartitioning = [\"hour(event_time)\"]\n[table.shape]\nmax_depth = 4\n",
    );
    let facts = desk.json(&["table", "create"]);
    assert_eq!(facts["partitioning"][0], "hour(event_time)");
    assert_eq!(facts["shape"]["max_depth"], 4);
    desk.check_error(
        &["table", "create"],
        &[
            "error: the table `analytics.events` exists already",
            "\nhint: ",
        ],
    );

    desk.write("calve.toml", "[table.shape]\nmax_depth = 5\n");
    let changes = desk.json(&["table", "configure"]);
    assert_eq!(
        changes,
        serde_json::json!([{ "property": "calve.max-depth", "before": "4", "after": "5" }])
    );
    assert_eq!(desk.json(&["table", "show"])["shape"]["max_depth"], 5);
    assert_eq!(desk.json(&["table", "configure"]), serde_json::json!([]));
}

#[test]
fn a_table_that_is_there_keeps_its_ledger_elsewhere_from_when_it_is_configured_so() {
    let desk = Desk::new();
    desk.write("events.ndjson", "{\"id\":1}\n");
    desk.json(&["ingest", "events.ndjson"]);
    desk.write("calve.toml", "[table]\nledger_path = \"ledgers\"\n");
    let changes = desk.json(&["table", "configure"]);
    let [change] = &changes.as_array().unwrap()[..] else {
        panic!("one property is new, not {changes}")
    };
    assert_eq!(change["property"], "calve.ledger-path");
    let place = change["after"].as_str().unwrap();
    assert!(
        place.ends_with("/.calve/warehouse/ledgers/analytics.events"),
        "{place}"
    );
    desk.write("more.ndjson", "{\"id\":2}\n");
    desk.json(&["ingest", "more.ndjson"]);
    let place = Path::new(place.strip_prefix("file://").unwrap());
    assert_eq!(std::fs::read_dir(place).unwrap().count(), 1);
    let known = desk.json(&["ingest", "events.ndjson", "more.ndjson"]);
    assert_eq!(known["n_rows"], 0, "what was there before is known too");

    let checked = desk.json(&["config", "check"]);
    let mut locations = checked["locations"].as_array().unwrap().iter();
    assert!(locations.any(|location| location["what"] == "ledgers"));
    desk.write("calve.toml", "");
    assert_eq!(
        desk.json(&["table", "configure"]),
        serde_json::json!([]),
        "a setting that is gone moves no ledger"
    );
}

#[test]
fn looking_at_a_warehouse_does_not_make_one() {
    let desk = Desk::new();
    for command in [["table", "show"], ["table", "list"], ["table", "configure"]] {
        desk.check_error(
            &command,
            &[
                "error: there is no warehouse at `.calve/warehouse`",
                "\nhint: `calve ingest FILE`",
            ],
        );
    }
    desk.json(&["config", "check"]);
    assert!(!desk.path().join(".calve").exists());
    desk.json(&["table", "create"]);
    desk.check_error(
        &["table", "show", "--table", "a.b"],
        &[
            "error: there is no table `a.b` in `.calve/warehouse`",
            "\nhint: `calve table list`",
        ],
    );
}

#[test]
fn a_warehouse_that_may_not_be_written_to_can_be_looked_at() {
    let desk = Desk::new();
    desk.write("events.ndjson", EVENTS);
    desk.json(&["ingest", "events.ndjson"]);
    let bystander = Bystander::new(&desk);
    let facts = bystander.run(&["table", "show", "--output", "json"]);
    assert!(facts.status.success(), "{}", text(&facts.stderr));
    let facts: Value = serde_json::from_slice(&facts.stdout).unwrap();
    assert_eq!(facts["n_rows"], 2);
    let list = bystander.run(&["table", "list"]);
    assert_eq!(text(&list.stdout), "analytics.events\n");
    let ingested = bystander.run(&["ingest", "events.ndjson"]);
    assert_eq!(ingested.status.code(), Some(1), "it may not be written to");

    // What a killed process left in the log was committed: better no answer than an old one.
    bystander.leave_log();
    let facts = bystander.run(&["table", "show"]);
    assert_eq!(facts.status.code(), Some(1));
    assert!(
        text(&facts.stderr).contains("cannot open the warehouse"),
        "{}",
        text(&facts.stderr)
    );
}

/// Somebody who may read a desk and write nothing there: with the rights of nobody when the tests run with those of root,
/// whom no permission stops.
struct Bystander<'a> {
    desk: &'a Desk,
    place: TempDir,
    is_root: bool,
}

impl<'a> Bystander<'a> {
    fn new(desk: &'a Desk) -> Self {
        let bystander = Self {
            desk,
            place: tempfile::tempdir().unwrap(),
            is_root: std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0),
        };
        // Where the command was built nobody else may be able to go.
        let calve = env!("CARGO_BIN_EXE_calve");
        std::fs::copy(calve, bystander.place.path().join("calve")).unwrap();
        set_mode(bystander.place.path(), 0o755);
        bystander.close();
        bystander
    }

    /// Takes the right to write from all directories of the desk.
    fn close(&self) {
        each_directory(self.desk.path(), |directory| set_mode(directory, 0o555));
    }

    /// Puts something into the write-ahead log that is not in the catalog.
    fn leave_log(&self) {
        each_directory(self.desk.path(), |directory| set_mode(directory, 0o755));
        let log = self.desk.path().join(".calve/warehouse/catalog.db-wal");
        std::fs::write(log, [7; 4096]).unwrap();
        self.close();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.place.path().join("calve"));
        command
            .args(arguments)
            .current_dir(self.desk.path())
            .env_clear();
        if self.is_root {
            command.uid(65_534).gid(65_534);
        }
        command.output().unwrap()
    }
}

impl Drop for Bystander<'_> {
    fn drop(&mut self) {
        // So that the desk can be cleared away, whoever runs the test.
        each_directory(self.desk.path(), |directory| set_mode(directory, 0o755));
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn each_directory(root: &Path, change: impl Fn(&Path) + Copy) {
    for entry in std::fs::read_dir(root).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            each_directory(&entry.path(), change);
        }
    }
    change(root);
}

#[test]
fn every_setting_tells_its_value_and_where_it_came_from() {
    let desk = Desk::new();
    desk.write("calve.toml", "zstd_level = 7\n");
    let variables = [("CALVE_THREADS", "1")];
    let arguments = ["config", "check", "--warehouse", "here", "--output", "json"];
    let output = desk.run_with(&arguments, &variables, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let setting = |key: &str| {
        let settings = report["settings"].as_array().unwrap();
        let setting = settings
            .iter()
            .find(|setting| setting["key"] == key)
            .unwrap();
        (
            setting["value"].as_str().unwrap().to_owned(),
            setting["from"].as_str().unwrap().to_owned(),
        )
    };
    let pair = |value: &str, from: &str| (value.to_owned(), from.to_owned());
    assert_eq!(setting("zstd_level"), pair("7", "calve.toml"));
    assert_eq!(setting("threads"), pair("1", "CALVE_THREADS"));
    assert_eq!(setting("warehouse"), pair("here", "--warehouse"));
    assert_eq!(setting("table.name"), pair("analytics.events", "default"));
    let locations = report["locations"].as_array().unwrap();
    assert!(
        locations
            .iter()
            .all(|location| location["problem"].is_null()),
        "{locations:?}"
    );
}

#[test]
fn a_location_that_cannot_be_used_is_named_and_fails_the_check() {
    let desk = Desk::new();
    desk.write("file", "not a directory");
    let output = desk.run(&["config", "check", "--warehouse", "file/warehouse"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("FAILS  warehouse"),
        "{}",
        text(&output.stdout)
    );
    assert!(
        text(&output.stderr).starts_with("error: 2 of "),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_reference_needs_no_settings() {
    let desk = Desk::new();
    desk.write("calve.toml", "no setting = 1");
    let output = desk.run(&["config", "reference"]);
    assert!(text(&output.stdout).starts_with("| key | environment | default | meaning |"));
}

#[test]
fn what_is_wrong_is_named_with_its_cause_and_a_way_out() {
    let desk = Desk::new();
    desk.check_error(
        &["ingest", "gone.ndjson"],
        &["error: cannot open `gone.ndjson`\n  caused by: "],
    );
    desk.write("calve.toml", "zstd_levle = 3\n");
    desk.write("events.ndjson", EVENTS);
    desk.check_error(
        &["ingest", "events.ndjson"],
        &[
            "error: cannot use the settings\n  caused by: `zstd_levle",
            "is not a setting",
            "\nhint: did you mean `zstd_level`?",
        ],
    );
    desk.write("calve.toml", "");
    desk.write("file", "not a directory");
    desk.check_error(
        &["ingest", "events.ndjson", "--warehouse", "file/warehouse"],
        &["error: ", "file/warehouse"],
    );
    assert!(
        !desk.path().join(".calve").exists(),
        "nothing is written before every file is there"
    );
}

#[test]
fn words_that_are_no_command_are_a_usage_error() {
    let desk = Desk::new();
    for arguments in [
        &["table", "shwo"][..],
        &["ingest"],
        &["ingest", "x", "--table", "no-namespace"],
    ] {
        assert_eq!(desk.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert!(text(&desk.run(&["--help"]).stdout).contains("Land the events of files in a table"));
}

#[test]
fn a_file_cut_short_is_an_error_that_tells_what_landed() {
    let desk = Desk::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, EVENTS.as_bytes()).unwrap();
    let mut bytes = gzip.finish().unwrap();
    bytes.truncate(bytes.len() - 9);
    std::fs::write(desk.path().join("cut.gz"), bytes).unwrap();
    desk.check_error(
        &["ingest", "cut.gz"],
        &["error: cannot read `cut.gz` to its end (0 rows of it are in the table)"],
    );
}
