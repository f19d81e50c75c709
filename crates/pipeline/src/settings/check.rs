//! What the types of settings cannot say: ranges and spellings.

use flatten::ShapeError;
use toml::{Table, Value};

use super::{
    Settings, SettingsError,
    load::{insert, print_toml},
    reference::{KEYS, Key},
};

impl Settings {
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
        if self.max_payload_inflated_bytes.len() > crate::MAX_BODY_BYTES {
            return Err(Wrong {
                key: "max_payload_inflated_bytes",
                value: self.max_payload_inflated_bytes.to_string(),
                expected: Some("a size below `4 GiB`".to_owned()),
            });
        }
        let prefix = self.quarantine_prefix.split('/');
        if prefix
            .clone()
            .any(|part| part.is_empty() || part == "." || part == "..")
        {
            return wrong("quarantine_prefix", self.quarantine_prefix.clone());
        }
        if self.table.name.parse::<lake::TableName>().is_err() {
            return wrong("table.name", self.table.name.clone());
        }
        for term in &self.table.partitioning {
            if let Err(error) = term.parse::<lake::PartitionTerm>() {
                let expected = Some(error.reason.to_owned());
                return Err(Wrong {
                    key: "table.partitioning",
                    value: term.clone(),
                    expected,
                });
            }
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
pub(super) fn check_alone(key: &Key, value: &Value, name: &str) -> Result<(), SettingsError> {
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

pub(super) fn wrong(key: &Key, name: &str, value: &str) -> SettingsError {
    wrong_value(key.path, name, value)
}

/// The error of the setting at this path, which the reader knows by this name.
pub(super) fn wrong_value(path: &str, name: &str, value: &str) -> SettingsError {
    SettingsError::Value {
        name: name.to_owned(),
        value: value.to_owned(),
        expected: expected_of(path).to_owned(),
    }
}
