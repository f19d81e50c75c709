use std::path::Path;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[track_caller]
fn check(file: &str, pairs: &[(&str, &str)], key: &str, text: &str, source: &str) {
    let file = Some((Path::new("calve.toml"), file)).filter(|(_, text)| !text.is_empty());
    let settings = Settings::from_parts(&variables(pairs), file).unwrap();
    let values = settings.values();
    let value = values.iter().find(|value| value.key == key).unwrap();
    assert_eq!(
        (value.text.as_str(), value.source.to_string().as_str()),
        (text, source)
    );
}

#[track_caller]
fn check_error(file: &str, pairs: &[(&str, &str)], message: &str, hint: &str) {
    let file = Some((Path::new("calve.toml"), file)).filter(|(_, text)| !text.is_empty());
    let error = Settings::from_parts(&variables(pairs), file).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.hint().as_deref()),
        (message, Some(hint))
    );
}

#[test]
fn a_function_takes_no_payload_that_its_memory_cannot_hold() {
    let within = |memory_mib: u64, set: &[(&str, &str)]| {
        let settings = Settings::from_parts(&variables(set), None).unwrap();
        let settings = settings.within(memory_mib);
        settings.max_payload_inflated_bytes.to_string()
    };
    assert_eq!(within(128, &[]), "32 MiB");
    assert_eq!(within(3008, &[]), "256 MiB");
    assert_eq!(within(u64::MAX, &[]), "256 MiB");
    // Whoever sets it knows better.
    let set = [("CALVE_MAX_PAYLOAD_INFLATED_BYTES", "100 MiB")];
    assert_eq!(within(128, &set), "100 MiB");
}

#[test]
fn what_nobody_sets_has_its_default() {
    check("", &[], "target_file_bytes", "128 MiB", "default");
    check(
        "",
        &[],
        "table.shape.event_id",
        "/event_id, /id, /message_id",
        "default",
    );
    check("", &[("HOME", "/root")], "threads", "0", "default");
}

#[test]
fn the_file_wins_over_the_default_and_the_environment_over_the_file() {
    let file = "zstd_level = 5\n[table]\nname = \"a.b\"\n[table.shape]\nmax_depth = 4\n";
    check(file, &[], "zstd_level", "5", "calve.toml");
    check(file, &[], "table.name", "a.b", "calve.toml");
    check(file, &[], "table.shape.max_depth", "4", "calve.toml");
    check(
        file,
        &[("CALVE_ZSTD_LEVEL", "7")],
        "zstd_level",
        "7",
        "CALVE_ZSTD_LEVEL",
    );
    let variable = "CALVE_TABLE_SHAPE_MAX_DEPTH";
    check(
        file,
        &[(variable, "6")],
        "table.shape.max_depth",
        "6",
        variable,
    );
}

#[test]
fn every_kind_of_value_can_be_written_in_a_variable() {
    let set = |name, value| Settings::from_parts(&variables(&[(name, value)]), None).unwrap();
    assert!(!set("CALVE_TABLE_CREATE", "false").table.create);
    assert_eq!(
        set("CALVE_ROW_GROUP_BYTES", "1 MiB")
            .row_group_bytes
            .bytes(),
        1 << 20
    );
    assert_eq!(
        set("CALVE_ROW_GROUP_BYTES", "4096").row_group_bytes.bytes(),
        4096
    );
    let terms = ["day(event_time)", "bucket(16, user_id)"];
    for text in [
        "day(event_time), bucket(16, user_id)",
        r#"["day(event_time)", "bucket(16, user_id)"]"#,
    ] {
        assert_eq!(
            set("CALVE_TABLE_PARTITIONING", text).table.partitioning,
            terms
        );
    }
    assert!(
        set("CALVE_TABLE_PARTITIONING", "")
            .table
            .partitioning
            .is_empty()
    );
    for text in [
        r#"{ "/price" = "decimal(12,2)" }"#,
        r#"{"/price":"decimal(12,2)"}"#,
    ] {
        let columns = set("CALVE_TABLE_SHAPE_COLUMNS", text).table.shape.columns;
        assert_eq!(String::from(columns["/price"]), "decimal(12,2)");
    }
    let offset = set("CALVE_TABLE_SHAPE_ASSUME_OFFSET", "+02:00")
        .table
        .shape
        .assume_offset;
    assert_eq!(offset.as_deref(), Some("+02:00"));
}

#[test]
fn a_misspelt_key_is_refused_by_name() {
    check_error(
        "",
        &[("CALVE_ZSTD_LEVLE", "3")],
        "`CALVE_ZSTD_LEVLE` is not a setting",
        "did you mean `CALVE_ZSTD_LEVEL`?",
    );
    check_error(
        "[table]\nnmae = \"a.b\"",
        &[],
        "`table.nmae` is not a setting",
        "did you mean `table.name`?",
    );
    check_error(
        "",
        &[("CALVE_COFFEE_MACHINE", "on")],
        "`CALVE_COFFEE_MACHINE` is not a setting",
        "see the settings table in the README for every name",
    );
}

#[test]
fn a_wrong_value_is_refused_with_name_value_and_what_would_be_right() {
    let name = "CALVE_TARGET_FILE_BYTES";
    let expected = "write a size like `128 MiB` or `134217728`";
    check_error(
        "",
        &[(name, "128 MiBs")],
        &format!("`{name}` cannot be `128 MiBs`"),
        expected,
    );
    check_error(
        "",
        &[(name, "0")],
        &format!("`{name}` cannot be `0`"),
        expected,
    );
    check_error(
        "zstd_level = 23",
        &[],
        "`zstd_level` in `calve.toml` cannot be `23`",
        "write a number from 1 to 22",
    );
    check_error(
        "",
        &[("CALVE_ZSTD_LEVEL", "high")],
        "`CALVE_ZSTD_LEVEL` cannot be `high`",
        "write a number from 1 to 22",
    );
    check_error(
        "[table.shape]\nmax_depth = 0",
        &[],
        "`table.shape.max_depth` in `calve.toml` cannot be `0`",
        "write a number from 1 to 127",
    );
    check_error(
        "table = 7",
        &[],
        "`table` in `calve.toml` cannot be `7`",
        "write a section `[table]`",
    );
    check_error(
        "",
        &[("CALVE_QUARANTINE_PREFIX", "../up")],
        "`CALVE_QUARANTINE_PREFIX` cannot be `../up`",
        "write a relative path like `quarantine`",
    );
    check_error(
        "",
        &[("CALVE_TABLE_NAME", "events")],
        "`CALVE_TABLE_NAME` cannot be `events`",
        "write a namespace and a name like `analytics.events`",
    );
}

#[test]
fn ledgers_are_below_the_warehouse_or_elsewhere_in_s3_where_that_is_in_s3_too() {
    let path = "CALVE_TABLE_LEDGER_PATH";
    let in_s3 = |ledgers: &str| {
        let pairs = [
            ("CALVE_WAREHOUSE", "s3://lake/warehouse"),
            ("CALVE_CATALOG_URI", "http://localhost:1"),
            (path, ledgers),
        ];
        let settings = Settings::from_parts(&variables(&pairs), None);
        settings.map(|settings| settings.ledgers_root().unwrap())
    };
    assert_eq!(in_s3("ledgers").unwrap(), "s3://lake/warehouse/ledgers");
    assert_eq!(in_s3("s3://other/a/b").unwrap(), "s3://other/a/b");
    assert_eq!(Settings::default().ledgers_root(), None);
    let hint =
        "write a relative path like `ledgers`, or `s3://bucket/prefix` when the warehouse is in S3";
    for wrong in ["/ledgers", "../ledgers", "ledgers/", "gs://a", "s3://", ""] {
        assert!(in_s3(wrong).is_err(), "{wrong}");
        let message = format!("`{path}` cannot be `{wrong}`");
        check_error("", &[(path, wrong)], &message, hint);
    }
    let message = "`table.ledger_path` cannot be `s3://other/a`";
    check_error("", &[(path, "s3://other/a")], message, hint);
}

#[test]
fn a_settings_file_elsewhere_is_refused() {
    let error = Settings::load([("CALVE_CONFIG", "s3://bucket/calve.toml")]).unwrap_err();
    assert!(
        error.to_string().contains("s3://bucket/calve.toml"),
        "{error}"
    );
    let error = Settings::load([("CALVE_CONFIG", "/nowhere/calve.toml")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the settings file `/nowhere/calve.toml`"
    );
}

#[test]
fn the_reference_lists_every_setting_once() {
    let all = serde_json::to_value(Settings::default()).unwrap();
    let mut fields = Vec::new();
    for (name, value) in all.as_object().unwrap() {
        collect(name, value, &mut fields);
    }
    let mut keys: Vec<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    fields.sort();
    keys.sort();
    assert_eq!(keys, fields);
}

fn collect(path: &str, value: &serde_json::Value, fields: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members)
            if matches!(path, "table" | "table.shape" | "routes") =>
        {
            for (name, value) in members {
                collect(&format!("{path}.{name}"), value, fields);
            }
        }
        _ => fields.push(path.to_owned()),
    }
}

#[test]
fn the_settings_table_of_the_readme_is_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, rest) = readme.split_once("<!-- settings:begin -->").unwrap();
    let (table, _) = rest.split_once("<!-- settings:end -->").unwrap();
    assert_eq!(
        table.trim(),
        reference().trim(),
        "put the output of `calve config reference` between the markers in README.md"
    );
}

#[test]
fn objects_are_read_from_the_places_that_are_named_and_never_from_the_lakes_own() {
    let settings = |sources: &str| {
        let pairs = [
            ("CALVE_WAREHOUSE", "s3://lake/warehouse"),
            ("CALVE_CATALOG_URI", "http://localhost:1"),
            ("CALVE_TABLE_LEDGER_PATH", "s3://ledgers/calve"),
            ("CALVE_SOURCE_BUCKETS", sources),
        ];
        Settings::from_parts(&variables(&pairs), None)
    };
    let named = settings("clicks, exports/json/").unwrap();
    for (bucket, key, is_source) in [
        ("clicks", "a", true),
        ("clicks2", "a", false),
        ("exports", "json/a", true),
        ("exports", "json2/a", false),
        ("exports", "a", false),
    ] {
        assert_eq!(named.is_source(bucket, key), is_source, "{bucket}/{key}");
    }
    assert!(named.is_source_bucket("exports") && !named.is_source_bucket("lake"));
    for (sources, is_own) in [
        ("clicks", false),
        ("lake/exports", false),
        ("lake/warehouse2", false),
        ("lake", true),
        ("clicks,lake/warehouse/a", true),
        ("clicks,ledgers", true),
    ] {
        let checked = settings(sources);
        assert_eq!(checked.is_err(), is_own, "{sources}");
        if let Err(error) = checked {
            assert!(error.to_string().contains("source_buckets"), "{error}");
        }
    }
    assert!(named.check_sources("s3://lake/elsewhere/t").is_ok());
    assert!(named.check_sources("s3://clicks/t").is_err());
    for wrong in ["s3://clicks", "clicks//a", ".."] {
        assert!(settings(wrong).is_err(), "{wrong}");
    }
}
