//! What is written is read back by engines that share no code with Calve: DuckDB and `PyIceberg`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::HashMap;
use std::path::PathBuf;

use generator::{Generator, Shape};
use serde_json::{Value, json};
use support::{Read, Warehouse, canonical, events_of, rebuild};

/// Lets both engines read the table, holds them against each other and every row against its event.
#[track_caller]
fn check(warehouse: &Warehouse, files: &[PathBuf], n_expected: usize) -> Read {
    let (duckdb, pyiceberg) = warehouse.read_with_both();
    assert_eq!(duckdb.columns, pyiceberg.columns);
    assert_eq!(
        (duckdb.lines.len(), pyiceberg.lines.len()),
        (n_expected, n_expected)
    );
    for (ours, theirs) in duckdb.lines.iter().zip(&pyiceberg.lines) {
        assert_eq!(ours, theirs, "DuckDB and PyIceberg read different rows");
    }
    assert_eq!((duckdb.n_rows, pyiceberg.n_rows), (n_expected, n_expected));
    assert_eq!(duckdb.by_day, pyiceberg.by_day);
    assert_eq!(duckdb.by_type, pyiceberg.by_type);

    let columns = warehouse.columns();
    let by_path = files
        .iter()
        .map(|path| (path.canonicalize().unwrap(), events_of(path)));
    let events: HashMap<PathBuf, Vec<Value>> = by_path.collect();
    for line in &duckdb.lines {
        let row: Value = serde_json::from_str(line).unwrap();
        let (file, index) = support::source_of(&row);
        let event = canonical(&events[&file][index]);
        assert_eq!(
            rebuild(&row, &columns).unwrap(),
            event,
            "row {index} of {}",
            file.display()
        );
    }
    duckdb
}

#[test]
fn files_of_every_form_read_back_as_the_events_they_hold() {
    let warehouse = Warehouse::new();
    let fixture = support::fixture("repository_events.ndjson");
    let text = std::fs::read_to_string(&fixture).unwrap();
    let array = format!("[{}]", text.trim().replace('\n', ",\n"));
    let files = [
        fixture,
        warehouse.file("array.json", array.as_bytes()),
        warehouse.file("lines.ndjson.gz", &support::gzip(text.as_bytes())),
        warehouse.file("array.json.zst", &support::zstd(array.as_bytes())),
    ];
    let summary = warehouse.ingest(&files);
    assert_eq!(summary["n_rows"], 48);
    assert_eq!(summary["n_refused"], 0);
    let read = check(&warehouse, &files, 48);
    assert_eq!(read.by_type["PushEvent"], 8);
    assert_eq!(read.by_day["2026-03-02"], 16);
}

#[test]
fn generated_events_read_back_with_one_row_for_each_id() {
    let warehouse = Warehouse::new();
    let mut events = Vec::new();
    let settings = generator::Settings {
        seed: 11,
        ..generator::Settings::default()
    };
    Generator::new(&settings).write_events(2_000, &mut events);
    let files = [warehouse.file("generated.ndjson", &events)];
    warehouse.ingest(&files);
    let read = check(&warehouse, &files, 2_000);
    assert_eq!(read.n_distinct, Some(2_000));
}

#[test]
fn events_that_go_to_several_tables_read_back_from_each() {
    let warehouse = Warehouse::new();
    let mut events = Vec::new();
    let settings = generator::Settings {
        seed: 5,
        ..generator::Settings::default()
    };
    Generator::new(&settings).write_events(1_000, &mut events);
    let files = [warehouse.file("generated.ndjson", &events)];
    let routes =
        "[routes]\nfield = \"/event_type\"\ntables = [\"click\"]\nto = { search = \"Searches\" }\n";
    warehouse.file("calve.toml", routes.as_bytes());
    let summary = warehouse.ingest(&files);
    assert_eq!(summary["n_rows"], 1_000);
    let events = events_of(&files[0]);
    let n_of = |of: &[&str]| {
        let types = events
            .iter()
            .filter_map(|event| event["event_type"].as_str());
        types.filter(|of_event| of.contains(of_event)).count()
    };
    let (n_clicks, n_searches) = (n_of(&["click"]), n_of(&["search"]));
    assert!(n_clicks > 0 && n_searches > 0);
    check(&warehouse, &files, 1_000 - n_clicks - n_searches);
    let warehouse = warehouse.with_table("analytics.click");
    let read = check(&warehouse, &files, n_clicks);
    assert_eq!(read.n_rows, n_clicks);
    let warehouse = warehouse.with_table("analytics.Searches");
    check(&warehouse, &files, n_searches);
}

#[test]
fn every_shape_of_event_reads_back_and_what_is_refused_is_counted() {
    for shape in [Shape::Wide, Shape::Deep, Shape::Sparse, Shape::Hostile] {
        let warehouse = Warehouse::new();
        let mut events = Vec::new();
        let settings = generator::Settings {
            shape,
            ..generator::Settings::default()
        };
        Generator::new(&settings).write_events(200, &mut events);
        let files = [warehouse.file("generated.ndjson", &events)];
        let summary = warehouse.ingest(&files);
        let n_rows = summary["n_rows"].as_u64().unwrap();
        let n_refused = summary["n_refused"].as_u64().unwrap();
        assert_eq!(
            n_rows + n_refused,
            summary["n_events"].as_u64().unwrap(),
            "{shape:?}"
        );
        assert_eq!(n_refused > 0, shape == Shape::Hostile, "{shape:?}");
        assert_eq!(summary["n_quarantined"], n_refused);
        check(&warehouse, &files, usize::try_from(n_rows).unwrap());
    }
}

#[test]
fn both_engines_read_the_table_without_the_rows_that_were_there_twice() {
    let warehouse = Warehouse::new();
    let fixture = support::fixture("repository_events.ndjson");
    let text = std::fs::read_to_string(&fixture).unwrap();
    let array = format!("[{}]", text.trim().replace('\n', ",\n"));
    let one = text.lines().next().unwrap();
    let files = [
        fixture,
        warehouse.file("array.json", array.as_bytes()),
        warehouse.file("one.ndjson", one.as_bytes()),
    ];
    for file in &files {
        warehouse.ingest(std::slice::from_ref(file));
    }
    let arguments = [
        "table", "dedupe", "--by", "event_id", "--all", "--output", "json",
    ];
    let summary = warehouse.calve(&arguments);
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["n_rows_repeated"], 13);
    check(&warehouse, &files, 12);
    let again: Value = serde_json::from_str(&warehouse.calve(&arguments)).unwrap();
    assert_eq!(
        (&again["n_rows_repeated"], &again["snapshot_id"]),
        (&json!(0), &Value::Null)
    );
}

#[test]
fn a_filter_by_day_gives_the_rows_of_that_day_and_opens_its_files_only() {
    let warehouse = Warehouse::new();
    let files = [support::fixture("repository_events.ndjson")];
    warehouse.ingest(&files);
    let days = [
        ("2026-02-28", 0),
        ("2026-03-01", 1),
        ("2026-03-02", 4),
        ("2026-03-03", 4),
        ("2026-03-04", 3),
    ];
    for engine in ["duckdb", "pyiceberg"] {
        let read = warehouse.read(engine, &days.map(|(day, _)| day));
        for (day, n_rows) in days {
            let expected = json!({ "n_rows": n_rows, "n_files": usize::from(n_rows > 0) });
            assert_eq!(read.days[day], expected, "{engine} {day}");
        }
    }
}

#[test]
fn a_file_that_is_ingested_again_adds_nothing() {
    let warehouse = Warehouse::new();
    let files = [support::fixture("repository_events.ndjson")];
    assert_eq!(warehouse.ingest(&files)["n_rows"], 12);
    let read = check(&warehouse, &files, 12);
    check_ingested_again(&warehouse, &files, 12, &read);
}

/// Ingests the files once more and holds the table against what was read before.
#[track_caller]
fn check_ingested_again(warehouse: &Warehouse, files: &[PathBuf], n_rows: u64, before: &Read) {
    let again = warehouse.ingest(files);
    assert_eq!(
        (&again["n_rows"], &again["n_rows_delivered_before"]),
        (&json!(0), &json!(n_rows))
    );
    for count in ["n_new_columns", "n_data_files", "n_snapshots"] {
        assert_eq!(again[count], 0, "{count}");
    }
    let n_expected = usize::try_from(n_rows).unwrap();
    assert_eq!(check(warehouse, files, n_expected).columns, before.columns);
}

#[test]
fn a_table_that_grows_new_columns_reads_back_whole() {
    let warehouse = Warehouse::new();
    let first = warehouse.file(
        "1.ndjson",
        b"{\"id\":1,\"created_at\":\"2026-03-01T00:00:00Z\",\"a\":1}\n",
    );
    let second = warehouse.file(
        "2.ndjson",
        b"{\"id\":2,\"b\":{\"c\":\"x\"},\"a\":\"no number\",\"ts\":1772323200}\n",
    );
    let third = warehouse.file(
        "3.ndjson",
        b"{\"id\":3,\"a\":2.5,\"b\":{\"c\":null,\"d\":[1]},\"ts\":1772323200123}\n",
    );
    let files = [first, second, third];
    for file in &files {
        warehouse.ingest(std::slice::from_ref(file));
    }
    let read = check(&warehouse, &files, 3);
    assert!(
        ["a", "b_c", "id"]
            .iter()
            .all(|name| read.columns.contains(&(*name).to_owned()))
    );
}

#[test]
fn a_table_that_another_tool_made_takes_events_and_keeps_its_partitioning() {
    let warehouse = Warehouse::new();
    warehouse.calve(&["table", "create", "--table", "analytics.events"]);
    support::python(&["create", warehouse.root(), "foreign.sales"]);
    let event = |id: u32, time: &str, city: &str| {
        json!({ "id": id, "event_time": time, "city": city, "price": 12.5, "small": 7, "ratio": 0.5,
                "bought_on": "2026-03-01", "tags": ["a"], "extra": { "x": true } })
    };
    let events = [
        event(1, "2026-03-01T10:00:00Z", "Tromsø"),
        event(2, "2026-03-01T11:00:00.5Z", "Trondheim"),
        event(3, "2026-03-02T12:00:00Z", "Oslo"),
        json!({ "event_time": "2026-03-02T12:00:00Z", "city": "no id: the column is required" }),
    ];
    let text = events.each_ref().map(Value::to_string).join("\n");
    let files = [warehouse.file("sales.ndjson", text.as_bytes())];
    let warehouse = warehouse.with_table("foreign.sales");
    let summary = warehouse.ingest(&files);
    assert_eq!(
        (&summary["n_rows"], &summary["n_refused"]),
        (&json!(3), &json!(1))
    );
    let read = check(&warehouse, &files, 3);
    let oslo = read
        .lines
        .iter()
        .find(|line| line.contains("Oslo"))
        .unwrap();
    let oslo: Value = serde_json::from_str(oslo).unwrap();
    assert_eq!(oslo["price"], "12.50");
    assert_eq!(
        (&oslo["small"], &oslo["bought_on"]),
        (&json!(7), &json!("2026-03-01"))
    );
    assert_eq!(oslo["tags"], Value::Null);
    assert_eq!(oslo["extra_x"], true);
}

#[test]
fn real_events_of_a_code_host_read_back_as_they_were() {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/github_events.ndjson");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let warehouse = Warehouse::new();
    let files = [path];
    assert_eq!(warehouse.ingest(&files)["n_rows"], 30);
    let read = check(&warehouse, &files, 30);
    check_ingested_again(&warehouse, &files, 30, &read);
}
