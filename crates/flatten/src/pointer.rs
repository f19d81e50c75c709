//! Paths as RFC 6901 pointers, and the column names made from them (section 2).

use std::fmt;

/// A column name longer than this many bytes is not given.
pub(crate) const MAX_NAME_BYTES: usize = 128;

/// Names that readers and writers of Iceberg tables keep for themselves.
const RESERVED: [&str; 13] = [
    "_file",
    "_pos",
    "_deleted",
    "_spec_id",
    "_partition",
    "_row_id",
    "_last_updated_sequence_number",
    "_change_type",
    "_change_ordinal",
    "_commit_snapshot_id",
    "file_path",
    "pos",
    "_metadata",
];

/// The path of a value in an event: the keys from the top, printed as an RFC 6901 pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Pointer {
    keys: Vec<String>,
}

impl Pointer {
    /// The path with these keys.
    pub fn from_keys(keys: Vec<String>) -> Self {
        Self { keys }
    }

    /// Reads a pointer: empty, or `/` before each key, `~1` for `/` and `~0` for `~`. `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(keys) = text.strip_prefix('/') else {
            return text.is_empty().then(Self::default);
        };
        keys.split('/')
            .map(unescape)
            .collect::<Option<_>>()
            .map(Self::from_keys)
    }

    /// The keys from the top.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The column name of the path, reserved names not yet looked at.
    pub(crate) fn plain_name(&self) -> String {
        let mut name = String::new();
        for (position, key) in self.keys.iter().enumerate() {
            if position > 0 {
                name.push('_');
            }
            name.extend(key.chars().map(|scalar| match scalar.to_ascii_lowercase() {
                kept @ ('a'..='z' | '0'..='9' | '_') => kept,
                _ => '_',
            }));
        }
        if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
            name.insert(0, '_');
        }
        name
    }

    /// The column name of the path, `reserved` holding further lower-case names that no path may have.
    ///
    /// ```text
    /// /user/Geo/city → user_geo_city      /1st → _1st      /pos → pos_
    /// ```
    pub fn column_name(&self, reserved: &[String]) -> String {
        let mut name = self.plain_name();
        while is_reserved(&name, reserved) {
            name.push('_');
        }
        name
    }
}

/// Whether no path may have this name; `further` are the table's own.
pub(crate) fn is_reserved(name: &str, further: &[String]) -> bool {
    let is = |reserved: &&str| reserved.eq_ignore_ascii_case(name);
    RESERVED.iter().any(is)
        || crate::system::NAMES.iter().any(is)
        || further
            .iter()
            .any(|reserved| reserved.eq_ignore_ascii_case(name))
}

fn unescape(key: &str) -> Option<String> {
    let mut parts = key.split('~');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let rest = match part.as_bytes().first()? {
            b'0' => "~",
            b'1' => "/",
            _ => return None,
        };
        plain.push_str(rest);
        plain.push_str(&part[1..]);
    }
    Some(plain)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in &self.keys {
            write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(pointer: &str, expected: &str) {
        let name = Pointer::parse(pointer)
            .unwrap()
            .column_name(&["event_time_day".to_owned()]);
        assert_eq!(name, expected);
    }

    #[test]
    fn names_are_lower_case_ascii_words_joined_by_underscores() {
        check_name("/user/Geo/city", "user_geo_city");
        check_name("/userId", "userid");
        check_name("/日本", "__");
        check_name("/a b/c-d", "a_b_c_d");
    }

    #[test]
    fn empty_names_and_names_that_begin_with_a_digit_get_an_underscore_in_front() {
        check_name("/", "_");
        check_name("/1st", "_1st");
        check_name("//a", "_a");
    }

    #[test]
    fn reserved_names_get_an_underscore_behind() {
        check_name("/pos", "pos_");
        check_name("/event_time", "event_time_");
        check_name("/event/time", "event_time_");
        check_name("/event_time_day", "event_time_day_");
        check_name("/_doc", "_doc_");
    }

    #[test]
    fn a_pointer_prints_as_it_was_read() {
        for text in ["", "/", "/a~1b/~0c", "/a//b"] {
            assert_eq!(Pointer::parse(text).unwrap().to_string(), text);
        }
        for text in ["a", "/~", "/a~2", "user's name"] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }
}
