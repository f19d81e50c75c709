//! Undoing the escapes of strings.

use crate::special::plain_prefix;

/// Appends the content of an escaped string whose escapes [`crate::scan::Scanner::text`] has checked.
pub(crate) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    unescape_front(raw, raw.len(), out);
}

/// The same for the string that is the first `n_bytes` bytes; more bytes behind them make it faster.
pub(crate) fn unescape_front(ahead: &[u8], n_bytes: usize, out: &mut Vec<u8>) {
    let mut at = 0;
    while at < n_bytes {
        at += copy_plain(&ahead[at..], n_bytes - at, out);
        if at < n_bytes {
            at += unescape_one(&ahead[at..n_bytes], out);
        }
    }
}

/// Appends what stands in front of the first escape of the first `n_bytes` bytes, and returns how many these are. Most escapes
/// are close to each other, so short copies without a call count; long ones are left to what is made for them.
fn copy_plain(ahead: &[u8], n_bytes: usize, out: &mut Vec<u8>) -> usize {
    const BLOCK: usize = 32;
    let mut at = 0;
    while at <= BLOCK
        && let Some(block) = ahead[at..].first_chunk::<BLOCK>()
    {
        out.extend_from_slice(block);
        let n_plain = plain_prefix(block).min(n_bytes - at);
        at += n_plain;
        if n_plain < BLOCK {
            out.truncate(out.len() - (BLOCK - n_plain));
            return at;
        }
    }
    let rest = &ahead[at..n_bytes];
    let n_plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
    out.extend_from_slice(&rest[..n_plain]);
    at + n_plain
}

/// Appends what the escape at the front stands for, and returns how many bytes it takes.
fn unescape_one(escape: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(match escape[1] {
        b'b' => 0x8,
        b'f' => 0xC,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let (scalar, n_taken) = unescape_hex(escape);
            out.extend_from_slice(scalar.encode_utf8(&mut [0; 4]).as_bytes());
            return n_taken;
        }
        other => other,
    });
    2
}

/// The scalar of the escape by hexadecimal digits at the front, which may be a pair of surrogates, and how many bytes it takes.
fn unescape_hex(escape: &[u8]) -> (char, usize) {
    let hex = |at: usize| {
        escape[at..at + 4].iter().fold(0, |value, &digit| {
            value * 16 + char::from(digit).to_digit(16).unwrap_or_default()
        })
    };
    let first = hex(2);
    let (scalar, n_taken) = if (0xD800..0xDC00).contains(&first) {
        (0x10000 + ((first - 0xD800) << 10) + (hex(8) - 0xDC00), 12)
    } else {
        (first, 6)
    };
    (
        char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER),
        n_taken,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_wherever_they_stand() {
        const ESCAPES: [&str; 6] = [r"\n", r#"\""#, r"\\", r"\u0041", r"\u20ac", r"\ud83d\ude00"];
        let plain =
            "plain text of more bytes than two blocks have, with €uros in it, and a quote behind";
        let ends = plain.char_indices().map(|(at, _)| at);
        let strings = ends.flat_map(|at| {
            ESCAPES.map(|escape| format!("\"{}{escape}{}\"", &plain[..at], &plain[at..]))
        });
        let many = format!("\"{}\"", ESCAPES.concat().repeat(20));
        for string in strings.chain([many]) {
            let expected: String = serde_json::from_str(&string).expect("a string");
            // Whatever stands behind it.
            for behind in [
                "",
                r#","\"#,
                r#","key":"and a value that is longer than a block \n""#,
            ] {
                let ahead = format!("{}{behind}", &string[1..]);
                let mut content = b"before".to_vec();
                unescape_front(ahead.as_bytes(), string.len() - 2, &mut content);
                assert_eq!(content, format!("before{expected}").as_bytes(), "{ahead}");
            }
        }
    }
}
