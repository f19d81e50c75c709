//! Where the servers are, and settings that use them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use benches::Result;
use pipeline::Settings;
use serde_json::Value;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The servers that `scripts/servers.py` started.
#[derive(Debug)]
pub(crate) struct Servers {
    python: PathBuf,
    /// Apart from all others that measured here.
    namespace: String,
    variables: BTreeMap<String, String>,
}

impl Servers {
    /// Takes them from the variables that `scripts/servers.py` sets.
    pub(crate) fn of_environment(python: &Path) -> Result<Self> {
        let variables = std::env::vars().filter(|(name, _)| name.starts_with("CALVE_TEST_"));
        let variables: BTreeMap<_, _> = variables.collect();
        if variables.is_empty() {
            return Err("no servers: start this with `scripts/bench.sh --writers`".into());
        }
        Ok(Self {
            python: python.to_owned(),
            namespace: format!("bench_{}", std::process::id()),
            variables,
        })
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.variables
            .get(&format!("CALVE_TEST_{name}"))
            .map_or("", String::as_str)
    }

    /// The full name of a table.
    pub(crate) fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.namespace)
    }

    /// Settings for this table; one thread each, as in a small function.
    pub(crate) fn settings(&self, table: &str, more: &[(&str, &str)]) -> Result<Settings> {
        let credential = format!(
            "{}:{}",
            self.get("CATALOG_CLIENT_ID"),
            self.get("CATALOG_CLIENT_SECRET")
        );
        let warehouse = format!("s3://{}/{}", self.get("S3_BUCKET"), self.namespace);
        let ours = [
            ("CALVE_WAREHOUSE", warehouse.as_str()),
            ("CALVE_TABLE_NAME", table),
            ("CALVE_CATALOG_URI", self.get("CATALOG_URI")),
            ("CALVE_CATALOG_WAREHOUSE", self.get("CATALOG_WAREHOUSE")),
            ("CALVE_CATALOG_AUTH", "oauth2"),
            ("CALVE_CATALOG_CREDENTIAL", &credential),
            ("CALVE_S3_ENDPOINT", self.get("S3_ENDPOINT")),
            ("CALVE_S3_REGION", self.get("S3_REGION")),
            ("CALVE_S3_PATH_STYLE", "true"),
            ("CALVE_SQS_ENDPOINT", self.get("SQS_ENDPOINT")),
            ("CALVE_THREADS", "1"),
        ];
        let all = ours.iter().chain(more);
        let all = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Settings::from_parts(&all.collect(), None)?)
    }

    /// How many rows DuckDB reads from the table, and how many distinct events.
    pub(crate) fn read_back(&self, table: &str) -> Result<(u64, u64)> {
        self.read_back_from(self.get("CATALOG_URI"), table)
    }

    /// The same from a warehouse: the URL of a REST catalog, or the directory of an embedded one.
    pub(crate) fn read_back_from(&self, warehouse: &str, table: &str) -> Result<(u64, u64)> {
        let script = format!("{SCRIPTS}/tests/readers/readers.py");
        let seen = self.python(&[&script, "duckdb", warehouse, table])?;
        let count = |name: &str| seen[name].as_u64();
        let counts = count("n_rows").zip(count("n_distinct"));
        counts.ok_or_else(|| format!("DuckDB's answer is {seen}").into())
    }

    /// Runs a script that prints one JSON object, with what reading the servers needs in its environment.
    pub(crate) fn python(&self, arguments: &[&str]) -> Result<Value> {
        let credential = format!(
            "{}:{}",
            self.get("CATALOG_CLIENT_ID"),
            self.get("CATALOG_CLIENT_SECRET")
        );
        let output = Command::new(&self.python)
            .args(arguments)
            .env(
                "CALVE_READ_CATALOG_WAREHOUSE",
                self.get("CATALOG_WAREHOUSE"),
            )
            .env("CALVE_READ_CATALOG_CREDENTIAL", credential)
            .env("CALVE_READ_S3_ENDPOINT", self.get("S3_ENDPOINT"))
            .env("CALVE_READ_S3_ACCESS_KEY_ID", self.get("S3_ACCESS_KEY_ID"))
            .env(
                "CALVE_READ_S3_SECRET_ACCESS_KEY",
                self.get("S3_SECRET_ACCESS_KEY"),
            )
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot start `{}`: {error}", self.python.display()))?;
        if !output.status.success() {
            return Err(format!("`{}` failed: {}", arguments.join(" "), output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
