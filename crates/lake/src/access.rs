use std::collections::HashMap;
use std::fmt;

/// What a catalog gives out for reading and writing the objects of one table: properties such as
/// `s3.access-key-id`, or none. Printing it shows their names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StorageAccess {
    properties: HashMap<String, String>,
}

impl StorageAccess {
    /// Returns the access that these properties give.
    pub fn new(properties: HashMap<String, String>) -> Self {
        Self { properties }
    }

    /// The property of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// Whether the catalog gives out nothing.
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }

    /// When it is no longer good, in milliseconds since 1970; nothing when the catalog does not say.
    pub fn expires_at_ms(&self) -> Option<i64> {
        self.get("s3.session-token-expires-at-ms")?.parse().ok()
    }
}

impl fmt::Debug for StorageAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&String> = self.properties.keys().collect();
        names.sort();
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_access_holds_names_and_no_secrets() {
        let secret = ("s3.secret-access-key".to_owned(), "hidden".to_owned());
        let access = StorageAccess::new(HashMap::from([secret]));
        assert_eq!(format!("{access:?}"), r#"{"s3.secret-access-key"}"#);
    }
}
