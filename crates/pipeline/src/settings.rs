//! Everything a deployment may change, read once: `calve.toml`, then the environment, which wins.
//!
//! Nothing here reads the environment: the caller passes it in.

mod byte_size;
mod reference;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use flatten::{Shape, ShapeError};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use self::reference::{KEYS, Key, Kind};
pub use self::{byte_size::ByteSize, reference::reference};

/// The variable that names the settings file.
const CONFIG: &str = "CALVE_CONFIG";
/// What every variable of ours begins with.
const PREFIX: &str = "CALVE_";
/// The settings file that is read when [`CONFIG`] names none and it is there.
const DEFAULT_FILE: &str = "calve.toml";

/// All settings. `settings::reference` prints what each means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Directory of the embedded warehouse. Default: `.calve/warehouse`.
    pub warehouse: PathBuf,
    /// Size to aim for in one Parquet file. Default: 128 MiB.
    pub target_file_bytes: ByteSize,
    /// Size to aim for in one row group, in memory. Default: 64 MiB.
    pub row_group_bytes: ByteSize,
    /// Zstandard level of data files, 1 to 22. Default: 3.
    pub zstd_level: i32,
    /// Most that one payload may have once inflated. Default: 256 MiB.
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
    /// How events become rows of a table that is created; it lives on in the table's properties.
    pub shape: Shape,
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
    /// The level as filters spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
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

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A key or variable that is no setting.
    #[error("`{name}` is not a setting")]
    Unknown {
        /// The key or variable.
        name: String,
        /// The setting that was probably meant.
        suggestion: Option<String>,
    },
    /// A setting whose value is wrong.
    #[error("`{name}` cannot be `{value}`")]
    Value {
        /// The key (with its file) or the variable.
        name: String,
        /// The value as written.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// The settings file cannot be read.
    #[error("cannot read the settings file `{path}`")]
    ReadFile {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The settings file is not TOML.
    #[error("the settings file `{path}` is not TOML")]
    ParseFile {
        /// Its path.
        path: PathBuf,
        /// Why, with line and column.
        source: Box<toml::de::Error>,
    },
    /// The settings file is where this version cannot read.
    #[error("`CALVE_CONFIG` cannot be `{location}`: settings are read from local files only")]
    RemoteFile {
        /// What it names.
        location: String,
    },
}

impl SettingsError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { suggestion, .. } => {
                let meant = suggestion.as_ref();
                Some(meant.map_or_else(
                    || "see the settings table in the README for every name".to_owned(),
                    |name| format!("did you mean `{name}`?"),
                ))
            }
            Self::Value { expected, .. } => Some(expected.clone()),
            Self::ReadFile { .. } => {
                Some("name a readable file in `CALVE_CONFIG`, or unset it".to_owned())
            }
            Self::RemoteFile { .. } => {
                Some("put `calve.toml` beside the function and name its path".to_owned())
            }
            Self::ParseFile { .. } => None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            warehouse: PathBuf::from(".calve/warehouse"),
            target_file_bytes: ByteSize::new(128 << 20),
            row_group_bytes: ByteSize::new(64 << 20),
            zstd_level: 3,
            max_payload_inflated_bytes: ByteSize::new(256 << 20),
            deadline_margin_ms: 5_000,
            threads: 0,
            quarantine_prefix: "quarantine".to_owned(),
            receipt_horizon_days: 14,
            log_level: LogLevel::default(),
            embedded_metrics: true,
            table: TableSettings::default(),
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
            shape: Shape::default(),
        }
    }
}

impl Settings {
    /// Reads the file that `CALVE_CONFIG` names (or `calve.toml` in the working directory, if it is there), then
    /// the variables, which win. Variables without `CALVE_` in front are not looked at.
    pub fn load<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Result<Self, SettingsError>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let ours = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let ours: BTreeMap<String, String> = ours
            .filter(|(name, _): &(String, String)| name.starts_with(PREFIX))
            .collect();
        let file = match ours.get(CONFIG) {
            Some(location) if location.contains("://") => {
                return Err(SettingsError::RemoteFile {
                    location: location.clone(),
                });
            }
            Some(path) => Some(PathBuf::from(path)),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.is_file()),
        };
        let Some(path) = file else {
            return Self::from_parts(&ours, None);
        };
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| SettingsError::ReadFile {
            path: path.clone(),
            source,
        })?;
        Self::from_parts(&ours, Some((&path, &text)))
    }

    /// The settings that these variables and the text of this file give, without looking anywhere else.
    pub fn from_parts(
        variables: &BTreeMap<String, String>,
        file: Option<(&Path, &str)>,
    ) -> Result<Self, SettingsError> {
        let mut merged = Table::new();
        let mut sources = BTreeMap::new();
        if let Some((path, text)) = file {
            let parsed: Table = text.parse().map_err(|source| SettingsError::ParseFile {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
            for (key, value) in leaves(parsed, path)? {
                let name = format!("{}` in `{}", key.path, path.display());
                check_alone(key, &value, &name)?;
                sources.insert(key.path, Source::File(path.to_owned()));
                insert(&mut merged, key.path, value);
            }
        }
        for (name, text) in variables {
            if name == CONFIG || !name.starts_with(PREFIX) {
                continue;
            }
            let key = KEYS.iter().find(|key| key.variable() == *name);
            let key = key.ok_or_else(|| unknown(name, KEYS.iter().map(Key::variable)))?;
            let value = from_text(key, text).ok_or_else(|| wrong(key, name, text))?;
            check_alone(key, &value, name)?;
            sources.insert(key.path, Source::Environment(name.clone()));
            insert(&mut merged, key.path, value);
        }
        // Each value was read by itself above, so all of them together can be read.
        let mut settings: Self = Value::Table(merged).try_into().unwrap_or_default();
        settings.sources = sources;
        Ok(settings)
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

    /// Checks what the types cannot: ranges and spellings.
    fn check(&self) -> Result<(), Wrong> {
        let wrong = |key, value: String| {
            Err(Wrong {
                key,
                value,
                expected: None,
            })
        };
        if !(1..=22).contains(&self.zstd_level) {
            return wrong("zstd_level", self.zstd_level.to_string());
        }
        if !(1..=365).contains(&self.receipt_horizon_days) {
            return wrong(
                "receipt_horizon_days",
                self.receipt_horizon_days.to_string(),
            );
        }
        if self.warehouse.as_os_str().is_empty() {
            return wrong("warehouse", String::new());
        }
        for (key, size) in [
            ("target_file_bytes", self.target_file_bytes),
            ("row_group_bytes", self.row_group_bytes),
            (
                "max_payload_inflated_bytes",
                self.max_payload_inflated_bytes,
            ),
        ] {
            if size.is_empty() {
                return wrong(key, size.to_string());
            }
        }
        let prefix = self.quarantine_prefix.split('/');
        if prefix
            .clone()
            .any(|part| part.is_empty() || part == "." || part == "..")
        {
            return wrong("quarantine_prefix", self.quarantine_prefix.clone());
        }
        match self.table.shape.check() {
            Err(ShapeError::Value {
                key,
                value,
                expected,
            }) => {
                let field = key.strip_prefix("calve.").unwrap_or(key).replace('-', "_");
                let path = format!("table.shape.{field}");
                let key = KEYS.iter().find(|key| key.path == path);
                let key = key.map_or("table.shape.columns", |key| key.path);
                Err(Wrong {
                    key,
                    value,
                    expected: Some(expected),
                })
            }
            _ => Ok(()),
        }
    }
}

/// A value of the right type that is wrong nevertheless.
struct Wrong {
    key: &'static str,
    value: String,
    expected: Option<String>,
}

/// Reads one value as if it were the only one set, so that the error can name it.
fn check_alone(key: &Key, value: &Value, name: &str) -> Result<(), SettingsError> {
    let mut alone = Table::new();
    insert(&mut alone, key.path, value.clone());
    let settings: Result<Settings, _> = Value::Table(alone).try_into();
    let settings = settings.map_err(|_| wrong(key, name, &print_toml(value)))?;
    settings.check().map_err(|wrong| SettingsError::Value {
        name: name.to_owned(),
        value: wrong.value,
        expected: wrong
            .expected
            .unwrap_or_else(|| expected_of(wrong.key).to_owned()),
    })
}

fn expected_of(path: &str) -> &'static str {
    KEYS.iter()
        .find(|key| key.path == path)
        .map_or("", |key| key.expected)
}

fn wrong(key: &Key, name: &str, value: &str) -> SettingsError {
    let (name, value, expected) = (name.to_owned(), value.to_owned(), key.expected.to_owned());
    SettingsError::Value {
        name,
        value,
        expected,
    }
}

/// The values of a file by their keys.
fn leaves(table: Table, path: &Path) -> Result<Vec<(&'static Key, Value)>, SettingsError> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), table)];
    while let Some((prefix, table)) = open.pop() {
        for (name, value) in table {
            let full = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}.{name}")
            };
            let is_section = KEYS.iter().any(|key| {
                key.path
                    .strip_prefix(full.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
            });
            match (KEYS.iter().find(|key| key.path == full), value) {
                (Some(key), value) => found.push((key, value)),
                (None, Value::Table(table)) if is_section => open.push((full, table)),
                (None, value) if is_section => {
                    return Err(SettingsError::Value {
                        name: format!("{full}` in `{}", path.display()),
                        value: print_toml(&value),
                        expected: format!("write a section `[{full}]`"),
                    });
                }
                (None, _) => {
                    return Err(unknown(&full, KEYS.iter().map(|key| key.path.to_owned())));
                }
            }
        }
    }
    Ok(found)
}

/// The value that the text of a variable means; `None` when it is not of the kind.
fn from_text(key: &Key, text: &str) -> Option<Value> {
    Some(match key.kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Number => Value::Integer(text.trim().parse().ok()?),
        Kind::Flag => Value::Boolean(text.trim().parse().ok()?),
        Kind::List if text.trim_start().starts_with('[') => inline(text)?,
        Kind::List => Value::Array(split_list(text).into_iter().map(Value::String).collect()),
        Kind::Map => match serde_json::from_str::<BTreeMap<String, String>>(text) {
            Ok(map) => Value::Table(
                map.into_iter()
                    .map(|(k, v)| (k, Value::String(v)))
                    .collect(),
            ),
            Err(_) => inline(text)?,
        },
    })
}

/// A value in the grammar of TOML.
fn inline(text: &str) -> Option<Value> {
    format!("value = {text}")
        .parse::<Table>()
        .ok()?
        .remove("value")
}

/// Splits at commas outside brackets: `day(event_time), bucket(16, user_id)` has two parts.
fn split_list(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for scalar in text.chars() {
        match scalar {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if scalar == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(scalar);
        }
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// Puts a value at a path of tables.
fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                insert(section, rest, value);
            }
        }
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

fn print_toml(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn unknown(name: &str, known: impl Iterator<Item = String>) -> SettingsError {
    let nearest = known.map(|known| (distance(name, &known), known)).min();
    let suggestion = nearest
        .filter(|&(distance, _)| distance <= 3)
        .map(|(_, known)| known);
    SettingsError::Unknown {
        name: name.to_owned(),
        suggestion,
    }
}

/// How many characters must be added, removed or changed to make one text of the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (position, scalar) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = position + 1;
        for (column, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(scalar != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests;
