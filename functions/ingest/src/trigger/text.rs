//! JSON strings of an envelope, made what they say within the bytes of the envelope itself: nothing is copied elsewhere.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

/// The bytes of an invocation, to be written to.
///
/// They are copied only if somebody else holds them, too.
pub(super) fn owned(body: Bytes) -> BytesMut {
    body.try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

/// Where the content of a string stands in the text that it is borrowed from: what is between its quotes. `None` for any other
/// value.
pub(super) fn place_of(value: &RawValue, text: &str) -> Option<Range<usize>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    let start = (inner.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let place = start..start + inner.len();
    text.get(place.clone()).is_some().then_some(place)
}

/// Resolves the escapes of a string where it stands; how many bytes it has then. `None` when an escape is none of JSON; the bytes
/// are worth nothing after that.
///
/// Half of a surrogate pair, which JSON lets escapes say and no text can hold, becomes the three bytes that UTF-8 would have for
/// it (WTF-8, as `serde_json` reads strings into bytes). So nothing of what came is lost, and since these bytes are no UTF-8, only
/// the event around them is refused: its neighbours in the record and the other records of the delivery land.
pub(super) fn unescape(string: &mut [u8]) -> Option<usize> {
    let first = memchr::memchr(b'\\', string).unwrap_or(string.len());
    let (mut from, mut to) = (first, first);
    while from < string.len() {
        // JSON in JSON has an escape every few bytes: a word at a time beats a search for the next one.
        if let Some(&word) = string[from..].first_chunk::<8>() {
            let n_plain = n_plain(word);
            if from - to >= 8 {
                string[to..to + 8].copy_from_slice(&word);
            } else {
                // A whole word would write over what is still to be read.
                string.copy_within(from..from + n_plain, to);
            }
            (from, to) = (from + n_plain, to + n_plain);
            if n_plain == 8 {
                continue;
            }
        } else if string[from] != b'\\' {
            string[to] = string[from];
            (from, to) = (from + 1, to + 1);
            continue;
        }
        let simple = match string.get(from + 1)? {
            plain @ (b'"' | b'\\' | b'/') => *plain,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x8,
            b'f' => 0xc,
            b'u' => {
                let (code_point, n_bytes) = code_point(&string[from..])?;
                // It has at most as many bytes as its escape, which is read.
                to += encode(code_point, &mut string[to..]);
                from += n_bytes;
                continue;
            }
            _ => return None,
        };
        string[to] = simple;
        (from, to) = (from + 2, to + 1);
    }
    Some(to)
}

/// How many bytes of the word stand before its first backslash.
fn n_plain(word: [u8; 8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero_where = u64::from_le_bytes(word) ^ (ONES * 0x5c);
    // The lowest bit set belongs to the first zero byte, whatever borrows do above it.
    let found = zero_where.wrapping_sub(ONES) & !zero_where & (ONES * 0x80);
    (found.trailing_zeros() / 8) as usize
}

/// The code point of the `\u` at the front, and how many bytes its escape has: twelve for a pair of surrogates. Half of a pair
/// stands for itself.
fn code_point(escape: &[u8]) -> Option<(u32, usize)> {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 4)?.iter();
        digits.copied().try_fold(0, |unit, digit| {
            Some(unit * 16 + char::from(digit).to_digit(16)?)
        })
    };
    let first = unit(2)?;
    let high = first.checked_sub(0xD800).filter(|&high| high < 0x400);
    let low = || {
        let second = escape.get(6..8).filter(|next| *next == b"\\u");
        let low = second.and_then(|_| unit(8))?.checked_sub(0xDC00)?;
        (low < 0x400).then_some(low)
    };
    Some(match high.and_then(|high| Some((high, low()?))) {
        Some((high, low)) => (0x10000 + (high << 10) + low, 12),
        None => (first, 6),
    })
}

/// Writes a code point to the front, as UTF-8 or, half of a pair, as UTF-8 would; how many bytes it has.
fn encode(code_point: u32, to: &mut [u8]) -> usize {
    if let Some(scalar) = char::from_u32(code_point) {
        return scalar.encode_utf8(to).len();
    }
    let [.., high, low] = code_point.to_be_bytes();
    to[..3].copy_from_slice(&[0xED, 0x80 | (high & 0xF) << 2 | low >> 6, 0x80 | low & 0x3F]);
    3
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use proptest::prelude::*;
    use serde::{Deserialize, Deserializer, de::Visitor};

    use super::*;

    /// The bytes of a string, as `serde_json` has them for those who can take halves of surrogate pairs.
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Content(#[serde(deserialize_with = "content")] Vec<u8>);

    fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }

    /// What becomes of the content of a string, and what `serde_json` says of it.
    #[track_caller]
    fn check(content: &str) -> Option<Vec<u8>> {
        let mut bytes = content.as_bytes().to_vec();
        let ours = unescape(&mut bytes).map(|n_bytes| bytes[..n_bytes].to_vec());
        let theirs: Option<Content> = serde_json::from_str(&format!("\"{content}\"")).ok();
        assert_eq!(ours, theirs.map(|Content(bytes)| bytes), "{content}");
        ours
    }

    #[test]
    fn halves_of_pairs_are_kept_and_are_no_text() {
        for content in [
            r"\ud83d",
            r"\ud83dx",
            r"\ud83d\n",
            r"\ud83d\u0041",
            r"\ude00",
            r"\ud83d\ud83d",
            r"\ud83d\ud83d\ude00",
            r"\udfff\ud800",
            r"\ud83d\\ude00",
        ] {
            let bytes = check(content).expect(content);
            assert!(std::str::from_utf8(&bytes).is_err(), "{content}");
        }
    }

    #[test]
    fn unknown_escapes_are_refused() {
        for content in [
            r"\x",
            r"\u12",
            r"\u12g4",
            r"\u+123",
            r"1234567\",
            r"\",
            r"12345\u00",
            r"\ud83d\u12",
        ] {
            assert_eq!(check(content), None);
        }
    }

    #[test]
    fn a_body_that_is_held_elsewhere_is_left_as_it_is() {
        let body = Bytes::from(br#"a\"b"#.to_vec());
        let mut own = owned(body.clone());
        assert_eq!(unescape(&mut own), Some(3));
        assert_eq!(&body[..], br#"a\"b"#);
    }

    #[test]
    fn the_place_of_a_string_is_between_its_quotes() {
        let text = r#" [ "a\"b" , 7, "" ] "#;
        let values: Vec<&RawValue> = serde_json::from_str(text).unwrap();
        let places: Vec<_> = values
            .iter()
            .map(|value| place_of(value, text).map(|place| &text[place]))
            .collect();
        assert_eq!(places, [Some(r#"a\"b"#), None, Some("")]);
        assert_eq!(place_of(values[0], "elsewhere"), None);
    }

    proptest! {
        #[test]
        fn escapes_are_resolved_as_serde_json_does(
            parts in prop::collection::vec(
                prop_oneof![
                    r#"[^"\\\x00-\x1f]{0,20}"#,
                    r#"\\["\\/bfnrtux]"#,
                    r"\\u[0-9a-fA-F]{4}",
                    r"\\u[dD][89abAB][0-9a-f]{2}\\u[dD][c-fC-F][0-9a-f]{2}",
                ],
                0..12,
            ),
        ) {
            check(&parts.concat());
        }
    }
}
