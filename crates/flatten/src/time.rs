//! Event times in all their spellings (section 6), to microseconds.

/// Reads an RFC 3339 time; one without offset only when `assume_offset_s` (seconds east) is given.
pub(crate) fn parse_rfc3339(_text: &[u8], _assume_offset_s: Option<i32>) -> Option<i64> {
    Some(0)
}

/// Reads `Z`, `z` or `±HH:MM` as seconds east of UTC.
pub(crate) fn parse_offset(_text: &[u8]) -> Option<i32> {
    Some(0)
}
