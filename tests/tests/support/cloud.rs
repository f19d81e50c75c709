//! The servers that `scripts/servers.py` starts, as one test uses them: a namespace and a warehouse of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Read, columns_of, program_path};

/// What a program that uses the servers finds in its environment, and a directory to run it in.
pub(crate) struct Cloud {
    pub(crate) name: String,
    pub(crate) variables: BTreeMap<&'static str, String>,
    directory: tempfile::TempDir,
}

impl Cloud {
    /// Settings with a table `events` that is not there yet.
    pub(crate) fn new(kind: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let unique = directory.path().file_name().unwrap().to_string_lossy();
        let unique: String = unique.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = format!("{kind}_{}{}", unique.to_lowercase(), std::process::id());
        let credential = ["CLIENT_ID", "CLIENT_SECRET"]
            .map(|part| variable(&format!("CALVE_TEST_CATALOG_{part}")));
        let s3 = |name: &str| variable(&format!("CALVE_TEST_S3_{name}"));
        let variables = BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", s3("ACCESS_KEY_ID")),
            ("AWS_SECRET_ACCESS_KEY", s3("SECRET_ACCESS_KEY")),
            ("AWS_REGION", s3("REGION")),
            ("CALVE_WAREHOUSE", format!("s3://{}/{name}", s3("BUCKET"))),
            ("CALVE_TABLE_NAME", format!("{name}.events")),
            ("CALVE_CATALOG_URI", variable("CALVE_TEST_CATALOG_URI")),
            (
                "CALVE_CATALOG_WAREHOUSE",
                variable("CALVE_TEST_CATALOG_WAREHOUSE"),
            ),
            ("CALVE_CATALOG_AUTH", "oauth2".to_owned()),
            ("CALVE_CATALOG_CREDENTIAL", credential.join(":")),
            ("CALVE_S3_ENDPOINT", s3("ENDPOINT")),
            ("CALVE_S3_REGION", s3("REGION")),
            ("CALVE_S3_PATH_STYLE", "true".to_owned()),
        ]);
        Self {
            name,
            variables,
            directory,
        }
    }

    /// A program of ours with these settings and no others.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program_path(program));
        command
            .current_dir(&self.directory)
            .env_clear()
            .envs(&self.variables);
        command
    }

    /// What the program says.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        output_of(self.command(program).args(arguments))
    }

    /// What `calve table show` tells.
    pub(crate) fn facts(&self) -> Value {
        let facts = self.run("calve", &["table", "show", "--output", "json"]);
        serde_json::from_str(&facts).unwrap()
    }

    /// The source path and the type of each column.
    pub(crate) fn columns(&self) -> BTreeMap<String, (String, String)> {
        columns_of(&self.facts())
    }

    /// What `DuckDB` sees.
    #[track_caller]
    pub(crate) fn read(&self) -> Read {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let reading = [
            ("CALVE_READ_CATALOG_WAREHOUSE", "CALVE_CATALOG_WAREHOUSE"),
            ("CALVE_READ_CATALOG_CREDENTIAL", "CALVE_CATALOG_CREDENTIAL"),
            ("CALVE_READ_S3_ENDPOINT", "CALVE_S3_ENDPOINT"),
            ("CALVE_READ_S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"),
            ("CALVE_READ_S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"),
        ];
        let reading = reading.map(|(name, ours)| (name, &self.variables[ours]));
        let seen = output_of(
            Command::new(here.join("../.venv/bin/python"))
                .arg(here.join("readers/readers.py"))
                .args(["duckdb", &self.variables["CALVE_CATALOG_URI"]])
                .args([&self.variables["CALVE_TABLE_NAME"], "--lines"])
                .envs(reading),
        );
        serde_json::from_str(&seen).unwrap()
    }
}

#[track_caller]
fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the servers of a test are no setting of Calve"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `scripts/servers.py run -- cargo test … -- --ignored`")
    })
}
