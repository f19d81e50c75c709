//! The command on tables of a REST catalog in S3: SeaweedFS, which `scripts/servers.py` starts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

#[expect(
    clippy::disallowed_methods,
    reason = "the servers of a test are no setting of Calve"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `scripts/servers.py run -- cargo test … -- --ignored`")
    })
}

/// A directory to work in, and a place in the bucket that no other test uses.
struct Desk {
    directory: tempfile::TempDir,
    prefix: String,
    namespace: String,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let unique = directory.path().file_name().unwrap().to_string_lossy();
        let unique: String = unique.chars().filter(char::is_ascii_alphanumeric).collect();
        let unique = format!("{}{}", unique.to_lowercase(), std::process::id());
        Self {
            prefix: format!("s3://{}/{unique}", variable("CALVE_TEST_S3_BUCKET")),
            namespace: format!("desk_{unique}"),
            directory,
        }
    }

    fn run(&self, arguments: &[&str], changes: &[(&str, &str)]) -> Output {
        let client = variable("CALVE_TEST_CATALOG_CLIENT_ID");
        let secret = variable("CALVE_TEST_CATALOG_CLIENT_SECRET");
        let settings = [
            ("CALVE_WAREHOUSE", self.prefix.clone()),
            ("CALVE_TABLE_NAME", format!("{}.events", self.namespace)),
            ("CALVE_CATALOG_URI", variable("CALVE_TEST_CATALOG_URI")),
            (
                "CALVE_CATALOG_WAREHOUSE",
                variable("CALVE_TEST_CATALOG_WAREHOUSE"),
            ),
            ("CALVE_CATALOG_AUTH", "oauth2".to_owned()),
            ("CALVE_CATALOG_CREDENTIAL", format!("{client}:{secret}")),
            ("CALVE_S3_ENDPOINT", variable("CALVE_TEST_S3_ENDPOINT")),
            ("CALVE_S3_PATH_STYLE", "true".to_owned()),
            ("CALVE_S3_REGION", variable("CALVE_TEST_S3_REGION")),
            ("AWS_ACCESS_KEY_ID", variable("CALVE_TEST_S3_ACCESS_KEY_ID")),
            (
                "AWS_SECRET_ACCESS_KEY",
                variable("CALVE_TEST_S3_SECRET_ACCESS_KEY"),
            ),
        ];
        Command::new(env!("CARGO_BIN_EXE_calve"))
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(settings)
            .envs(changes.iter().copied())
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
#[ignore = "needs servers: scripts/servers.py"]
fn events_become_rows_of_a_table_in_a_bucket_by_settings_alone() {
    let desk = Desk::new();
    let events = desk.directory.path().join("events.ndjson");
    std::fs::write(&events, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{oops\n").unwrap();
    for n_known in [0, 2] {
        let output = desk.run(&["ingest", "events.ndjson", "--output", "json"], &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&summary["n_rows"], &summary["n_rows_delivered_before"]),
            (&(2 - n_known).into(), &n_known.into())
        );
    }
    let output = desk.run(&["table", "list"], &[]);
    let name = format!("{}.events", desk.namespace);
    assert!(
        text(&output.stdout).contains(&name),
        "{}",
        text(&output.stderr)
    );

    let output = desk.run(&["config", "check"], &[]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    assert!(printed.contains("ok     warehouse"), "{printed}");
    assert!(printed.contains("(hidden)"), "{printed}");
    let secret = variable("CALVE_TEST_CATALOG_CLIENT_SECRET");
    assert!(!printed.contains(&secret), "{printed}");
}

#[test]
#[ignore = "needs servers: scripts/servers.py"]
fn a_wrong_secret_is_told_without_being_printed() {
    let desk = Desk::new();
    let wrong = [("CALVE_CATALOG_CREDENTIAL", "nobody:not-the-secret")];
    let output = desk.run(&["table", "list"], &wrong);
    assert!(!output.status.success());
    let printed = text(&output.stderr);
    assert!(!printed.contains("not-the-secret"), "{printed}");
}
