//! Settings out of a file and variables.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{
    ByteSize, Settings, SettingsError, Source,
    check::{check_alone, wrong},
    reference::{KEYS, Key, Kind},
};

/// The variable that names the settings file.
const CONFIG: &str = "CALVE_CONFIG";
/// What every variable of ours begins with.
const PREFIX: &str = "CALVE_";
/// What is less by default in a function with little memory.
const MAX_INFLATED: &str = "max_payload_inflated_bytes";
/// The settings file that is read when [`CONFIG`] names none and it is there.
const DEFAULT_FILE: &str = "calve.toml";

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

    /// The same for a process with so much memory that lands payloads. What nobody set must not ask for more than it has: a
    /// payload takes up to two and a half times its inflated bytes.
    #[must_use]
    pub fn within(mut self, memory_mib: u64) -> Self {
        if !self.sources.contains_key(MAX_INFLATED) {
            let most = memory_mib.saturating_mul(1 << 20) / 4;
            let default = self.max_payload_inflated_bytes.len() as u64;
            self.max_payload_inflated_bytes = ByteSize::new(default.min(most));
        }
        self
    }

    /// The settings that these variables and the text of this file give, without looking anywhere else.
    pub fn from_parts(
        variables: &BTreeMap<String, String>,
        file: Option<(&Path, &str)>,
    ) -> Result<Self, SettingsError> {
        let mut merged = Table::new();
        let mut sources = BTreeMap::new();
        if let Some((path, text)) = file {
            let parsed: Table = text
                .parse()
                .map_err(|error| SettingsError::parse_file(path, text, &error))?;
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
        settings.check_together()?;
        Ok(settings)
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
        Kind::Text | Kind::Secret => Value::String(text.to_owned()),
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
pub(super) fn insert(table: &mut Table, path: &str, value: Value) {
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

pub(super) fn print_toml(value: &Value) -> String {
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
