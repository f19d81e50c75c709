use std::fmt;
use std::str::FromStr;

use iceberg::NamespaceIdent;
use serde::{Deserialize, Serialize};

/// The name of a table: one or more namespace levels and the table's own name, as in `analytics.events`.
///
/// Each part holds only ASCII letters, digits, `_` and `-`, so that it can stand in a path and in a dotted name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    namespace: Vec<String>,
    name: String,
}

impl TableName {
    /// Returns the name made of these parts.
    ///
    /// # Errors
    ///
    /// A namespace without levels, or a part that is empty or holds another character, is refused.
    pub fn new(namespace: Vec<String>, name: String) -> Result<Self, InvalidTableName> {
        let valid = |part: &String| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if namespace.is_empty() || !namespace.iter().all(valid) || !valid(&name) {
            let mut parts = namespace;
            parts.push(name);
            return Err(InvalidTableName {
                name: parts.join("."),
            });
        }
        Ok(Self { namespace, name })
    }

    /// The levels of the namespace, outermost first; never empty.
    pub fn namespace(&self) -> &[String] {
        &self.namespace
    }

    /// The table's own name, without its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace as one dotted name.
    pub(crate) fn dotted_namespace(&self) -> String {
        self.namespace.join(".")
    }

    /// The namespace as Iceberg's REST protocol and the `iceberg` crate know it.
    ///
    /// # Errors
    ///
    /// Never: a `TableName` always has a namespace. The `iceberg` crate asks again.
    pub fn namespace_ident(&self) -> iceberg::Result<NamespaceIdent> {
        NamespaceIdent::from_vec(self.namespace.clone())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for level in &self.namespace {
            write!(f, "{level}.")?;
        }
        f.write_str(&self.name)
    }
}

impl FromStr for TableName {
    type Err = InvalidTableName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let name = parts.pop().unwrap_or_default();
        Self::new(parts, name)
    }
}

impl TryFrom<String> for TableName {
    type Error = InvalidTableName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

/// A text that does not name a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a table name: write it as `namespace.table`, with letters, digits, `_` and `-`"
)]
pub struct InvalidTableName {
    /// What was given.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&[&str], &str)>) {
        let parsed = text.parse::<TableName>().ok();
        let found = parsed.as_ref().map(|n| {
            let levels: Vec<&str> = n.namespace().iter().map(String::as_str).collect();
            (levels, n.name())
        });
        assert_eq!(
            found,
            expected.map(|(levels, name)| (levels.to_vec(), name))
        );
        if let Some(name) = parsed {
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn a_name_has_a_namespace_and_prints_as_it_was_read() {
        check("analytics.events", Some((&["analytics"], "events")));
        check("a.b-2.c_3", Some((&["a", "b-2"], "c_3")));
    }

    #[test]
    fn a_name_without_a_namespace_or_with_odd_characters_is_refused() {
        for text in [
            "events", "", ".", "a.", ".b", "a..b", "a.b/c", "a. b", "ä.b",
        ] {
            check(text, None);
        }
    }
}
