//! The servers that `scripts/servers.py` started, and settings that use them.

use std::{collections::BTreeMap, env};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Where the servers are.
#[derive(Debug)]
pub(crate) struct Servers {
    variables: BTreeMap<String, String>,
}

impl Servers {
    /// Takes them from the variables that `scripts/servers.py` sets.
    pub(crate) fn of_environment() -> Result<Self> {
        let variables = env::vars().filter(|(name, _)| name.starts_with("CALVE_TEST_"));
        let variables: BTreeMap<_, _> = variables.collect();
        if variables.is_empty() {
            return Err("no servers: start this with `scripts/servers.py run -- …`".into());
        }
        Ok(Self { variables })
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.variables
            .get(&format!("CALVE_TEST_{name}"))
            .map_or("", String::as_str)
    }

    /// The client id and secret of the catalog, as the settings want them.
    pub(crate) fn credential(&self) -> String {
        let [id, secret] =
            ["CATALOG_CLIENT_ID", "CATALOG_CLIENT_SECRET"].map(|name| self.get(name));
        format!("{id}:{secret}")
    }

    /// The variables of a process that uses this table, with the servers at these endpoints.
    pub(crate) fn variables(
        &self,
        warehouse: &str,
        table: &str,
        [storage, catalog, queue]: [&str; 3],
    ) -> BTreeMap<String, String> {
        let credential = self.credential();
        let all = [
            ("CALVE_WAREHOUSE", warehouse),
            ("CALVE_TABLE_NAME", table),
            ("CALVE_CATALOG_URI", catalog),
            ("CALVE_CATALOG_WAREHOUSE", self.get("CATALOG_WAREHOUSE")),
            ("CALVE_CATALOG_AUTH", "oauth2"),
            ("CALVE_CATALOG_CREDENTIAL", &credential),
            ("CALVE_S3_ENDPOINT", storage),
            ("CALVE_S3_REGION", self.get("S3_REGION")),
            ("CALVE_S3_PATH_STYLE", "true"),
            ("CALVE_SQS_ENDPOINT", queue),
            ("CALVE_EMBEDDED_METRICS", "false"),
            ("CALVE_DEADLINE_MARGIN_MS", "2000"),
            ("CALVE_THREADS", "1"),
            ("AWS_REGION", self.get("AWS_REGION")),
            ("AWS_ACCESS_KEY_ID", self.get("S3_ACCESS_KEY_ID")),
            ("AWS_SECRET_ACCESS_KEY", self.get("S3_SECRET_ACCESS_KEY")),
        ];
        all.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }
}
