//! Bytes of unknown senders on a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::printer::thousands;

/// The bytes as a terminal may show them: what could move the cursor, colour or reorder text is written as an escape, and so
/// is what is not UTF-8.
pub(super) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || reorders(character) {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}"); // Writing to a string cannot fail.
        }
    }
    text
}

/// Marks and isolates that change the direction of what follows.
fn reorders(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// `not_json 2, too_long 1`.
pub(super) fn kinds<K: AsRef<str>>(n_by_kind: &BTreeMap<K, u64>) -> String {
    let kinds = n_by_kind
        .iter()
        .map(|(kind, n)| format!("{} {}", printable(kind.as_ref().as_bytes()), thousands(*n)));
    kinds.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(printable(bytes), expected);
    }

    #[test]
    fn text_is_printed_as_it_is() {
        check(
            "{\"a\": \"Zürich 日本\"}".as_bytes(),
            "{\"a\": \"Zürich 日本\"}",
        );
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        check(b"\x1b[2Jgone", "\\u{1b}[2Jgone");
        check(b"a\r\nb\tc\0", "a\\r\\nb\\tc\\u{0}");
        check(
            "\u{9b}31m\u{202e}evil".as_bytes(),
            "\\u{9b}31m\\u{202e}evil",
        );
        check(&[b'a', 0xff, 0xc3], "a\\xff\\xc3");
    }
}
