//! Settings that cannot be used, and what would be right.

use std::path::PathBuf;

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
