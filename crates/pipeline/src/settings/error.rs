//! Settings that cannot be used, and what would be right.

use std::path::{Path, PathBuf};

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
    /// The settings file is not TOML. The text around the place is not told, since it may hold a secret.
    #[error("the settings file `{path}` is not TOML: line {line}: {reason}")]
    ParseFile {
        /// Its path.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A setting asks for another one, which has no value.
    #[error("`{name}` has to be set {because}")]
    Missing {
        /// The setting that has no value.
        name: &'static str,
        /// What asks for it.
        because: &'static str,
        /// What would be right.
        expected: String,
    },
    /// The settings file is where this version cannot read.
    #[error("`CALVE_CONFIG` cannot be `{location}`: settings are read from local files only")]
    RemoteFile {
        /// What it names.
        location: String,
    },
}

impl SettingsError {
    pub(super) fn parse_file(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start));
        Self::ParseFile {
            path: path.to_owned(),
            line: before.map_or(1, |before| before.matches('\n').count() + 1),
            reason: error.message().to_owned(),
        }
    }

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
            Self::Value { expected, .. } | Self::Missing { expected, .. } => Some(expected.clone()),
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
