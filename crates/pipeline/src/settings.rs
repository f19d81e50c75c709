//! Everything a deployment may change, read once: `calve.toml`, then the environment, which wins.
//!
//! Nothing here reads the environment: the caller passes it in.

mod byte_size;
mod check;
mod error;
mod load;
mod reference;
mod routes;
mod secret;
mod warehouse;

use std::{collections::BTreeMap, fmt, path::PathBuf};

use flatten::Shape;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

use self::reference::KEYS;
pub(crate) use self::routes::beside;
pub(crate) use self::warehouse::place_in;
pub use self::{
    byte_size::ByteSize, error::SettingsError, reference::reference, routes::RouteSettings,
    secret::Secret, warehouse::Warehouse,
};

/// All settings. `settings::reference` prints what each means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own in `calve.toml`"
)]
pub struct Settings {
    /// A directory, or `s3://bucket/prefix`. Default: `.calve/warehouse`.
    pub warehouse: Warehouse,
    /// The Iceberg REST catalog. Default: none, which is a SQLite file in the directory.
    pub catalog_uri: Option<String>,
    /// How the catalog is told who asks. Default: `none`.
    pub catalog_auth: CatalogAuth,
    /// The bearer token. Default: none.
    pub catalog_token: Option<Secret>,
    /// Client id and secret of `oauth2`, a `:` between them. Default: none.
    pub catalog_credential: Option<Secret>,
    /// The scope that is asked for with `oauth2`. Default: `catalog`.
    pub catalog_scope: String,
    /// Where tokens are fetched with `oauth2`. Default: none, which is `v1/oauth/tokens` of the catalog.
    pub catalog_oauth2_uri: Option<String>,
    /// What the catalog calls the warehouse. Default: none.
    pub catalog_warehouse: Option<String>,
    /// Whether the catalog gives out the credentials for each table's objects. Default: false.
    pub catalog_vended_credentials: bool,
    /// The service that requests are signed for with `sigv4`. Default: `glue`.
    pub catalog_signing_name: String,
    /// The region that they are signed for. Default: none, which is the region of the environment.
    pub catalog_signing_region: Option<String>,
    /// The URL of what speaks S3. Default: none, which is AWS.
    pub s3_endpoint: Option<String>,
    /// The region of the buckets. Default: none, which is the region of the environment.
    pub s3_region: Option<String>,
    /// Whether the bucket stands in the path of a request. Default: false.
    pub s3_path_style: bool,
    /// The buckets, or prefixes of them, whose objects are read when a notification tells of them. Default: none.
    pub source_buckets: Vec<String>,
    /// Whether ingest commits or sends receipts. Default: `direct`.
    pub mode: Mode,
    /// The SQS queue of the receipts. Default: none.
    pub receipt_queue_url: Option<String>,
    /// Where receipts too large for a message are: below the warehouse, or `s3://…`. Default: `receipts`.
    pub receipt_bucket_prefix: String,
    /// The URL of what speaks SQS. Default: none, which is AWS.
    pub sqs_endpoint: Option<String>,
    /// How long the commits of one table may take in one invocation, in milliseconds. Default: 30,000.
    pub commit_timeout_ms: u64,
    /// Size to aim for in one Parquet file. Default: 128 MiB.
    pub target_file_bytes: ByteSize,
    /// Size at which a row group is closed, encoded. Default: 32 MiB.
    pub row_group_bytes: ByteSize,
    /// Zstandard level of data files, 1 to 22. Default: 1.
    pub zstd_level: i32,
    /// Whether data files may have Parquet's delta encodings, which not every reader knows. Default: false.
    pub delta_encodings: bool,
    /// Most that one payload may have once inflated, where each event counts [`crate::EVENT_BYTES`] at least. Default: 256 MiB,
    /// but in `ingest` on Lambda no more than a quarter of its memory.
    pub max_payload_inflated_bytes: ByteSize,
    /// Time kept free before the deadline to answer, in milliseconds. Default: 5,000.
    pub deadline_margin_ms: u64,
    /// Threads that flatten; 0 for one per core. Default: 0.
    pub threads: usize,
    /// Where the quarantine is, below the warehouse. Default: `quarantine`.
    pub quarantine_prefix: String,
    /// How long a repeated delivery is recognised, in days. Default: 14.
    pub receipt_horizon_days: u32,
    /// How much is logged. Default: `info`.
    pub log_level: LogLevel,
    /// Whether each invocation prints its facts as CloudWatch embedded metrics. Default: true.
    pub embedded_metrics: bool,
    /// The table that events go to.
    pub table: TableSettings,
    /// The other tables that some go to.
    pub routes: RouteSettings,
    /// Where each value that is not a default came from, by key.
    #[serde(skip)]
    sources: BTreeMap<&'static str, Source>,
}

/// The `[table]` of `calve.toml`: what decides at creation, and which table it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableSettings {
    /// Namespace and name. Default: `analytics.events`.
    pub name: String,
    /// Whether the table is created when absent. Default: true.
    pub create: bool,
    /// Partition terms of a table that is created. Default: `day(event_time)`.
    pub partitioning: Vec<String>,
    /// Where the ledgers of tables that are created are: below the warehouse, or `s3://…`. Default: none, which is beside each
    /// table's metadata.
    pub ledger_path: Option<String>,
    /// How events become rows of a table that is created; it lives on in the table's properties.
    pub shape: Shape,
}

/// Who commits what ingest writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The ingest function by itself (the default): for low volume and the laptop.
    #[default]
    Direct,
    /// The commit function, which gets receipts through a queue: for many writers.
    Staged,
}

/// How a catalog is told who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogAuth {
    /// Not at all (the default).
    #[default]
    None,
    /// By `catalog_token`.
    Bearer,
    /// By a token that `catalog_credential` buys, renewed before it expires.
    Oauth2,
    /// By AWS's signature of each request.
    Sigv4,
}

/// How much is logged, each level including those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Data at risk, or an operator is needed.
    Error,
    /// Something failed and was recovered.
    Warn,
    /// One line per invocation (the default).
    #[default]
    Info,
    /// Steps.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// What lets this level and those before it through.
    pub fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "from", content = "name")]
pub enum Source {
    /// Nobody set it.
    #[default]
    Default,
    /// A settings file; its path.
    File(PathBuf),
    /// An environment variable; its name.
    Environment(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
        }
    }
}

/// One setting as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingValue {
    /// Its place in `calve.toml`.
    pub key: &'static str,
    /// The environment variable that overrides it.
    pub variable: String,
    /// Its value; empty when it has none.
    pub text: String,
    /// What it decides.
    pub meaning: &'static str,
    /// Where the value came from.
    pub source: Source,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            warehouse: Warehouse::Directory(PathBuf::from(".calve/warehouse")),
            catalog_uri: None,
            catalog_auth: CatalogAuth::default(),
            catalog_token: None,
            catalog_credential: None,
            catalog_scope: "catalog".to_owned(),
            catalog_oauth2_uri: None,
            catalog_warehouse: None,
            catalog_vended_credentials: false,
            catalog_signing_name: "glue".to_owned(),
            catalog_signing_region: None,
            s3_endpoint: None,
            s3_region: None,
            s3_path_style: false,
            source_buckets: Vec::new(),
            mode: Mode::default(),
            receipt_queue_url: None,
            receipt_bucket_prefix: "receipts".to_owned(),
            sqs_endpoint: None,
            commit_timeout_ms: 30_000,
            target_file_bytes: ByteSize::new(128 << 20),
            row_group_bytes: ByteSize::new(32 << 20),
            zstd_level: 1,
            delta_encodings: false,
            max_payload_inflated_bytes: ByteSize::new(256 << 20),
            deadline_margin_ms: 5_000,
            threads: 0,
            quarantine_prefix: "quarantine".to_owned(),
            receipt_horizon_days: 14,
            log_level: LogLevel::default(),
            embedded_metrics: true,
            table: TableSettings::default(),
            routes: RouteSettings::default(),
            sources: BTreeMap::new(),
        }
    }
}

impl Default for TableSettings {
    fn default() -> Self {
        Self {
            name: "analytics.events".to_owned(),
            create: true,
            partitioning: vec!["day(event_time)".to_owned()],
            ledger_path: None,
            shape: Shape::default(),
        }
    }
}

impl Settings {
    /// The table that events go to.
    pub fn table_name(&self) -> Result<lake::TableName, SettingsError> {
        let name = &self.table.name;
        name.parse()
            .map_err(|_| check::wrong_value("table.name", "table.name", name))
    }

    /// The location of the ledgers of tables that are created, if it is not beside each table's metadata.
    pub fn ledgers_root(&self) -> Option<String> {
        let path = self.table.ledger_path.as_ref()?;
        Some(place_in(&self.warehouse.root(), path))
    }

    /// Every setting with its value and where it came from, in the order of the reference table.
    pub fn values(&self) -> Vec<SettingValue> {
        // Serialising a struct of plain values into a JSON value cannot fail.
        let all = serde_json::to_value(self).unwrap_or_default();
        let values = KEYS.iter().map(|key| SettingValue {
            key: key.path,
            variable: key.variable(),
            text: all
                .pointer(&format!("/{}", key.path.replace('.', "/")))
                .map(print)
                .unwrap_or_default(),
            meaning: key.meaning,
            source: self.sources.get(key.path).cloned().unwrap_or_default(),
        });
        values.collect()
    }
}

/// A value as a person would write it in a variable.
fn print(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(values) => values.iter().map(print).collect::<Vec<_>>().join(", "),
        serde_json::Value::Object(members) if members.is_empty() => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
