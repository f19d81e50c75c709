//! Reading JSON bytes: accepts exactly what `serde_json` accepts as a `Value` (section 1).

use std::ops::Range;

use crate::number::Number;
use crate::special::{plain_prefix, plain_text_len};

/// As deep as objects and arrays may nest, the outermost counted.
pub(crate) const MAX_NESTING: usize = 127;

/// Why the walk through an event stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The bytes are not JSON.
    NotJson,
    /// An object repeats a key: the event is walked again with the earlier members left out.
    RepeatedKey,
}

/// A position in the bytes of one event. The bytes are known to be UTF-8.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

/// A string as it stands in the event.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// Between the quotes.
    pub(crate) inner: Range<usize>,
    /// Whether it holds escapes, so that its content is not its bytes.
    pub(crate) escaped: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What has not been taken.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is not white space, without taking it.
    #[inline]
    pub(crate) fn peek_token(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        // Most JSON is written without white space.
        if byte > b' ' {
            return Some(byte);
        }
        self.at = behind_spaces(self.bytes, self.at);
        self.peek()
    }

    /// Takes the next byte that is not white space if it is `byte`.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek_token() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(Stop::NotJson)
        }
    }

    /// Whether nothing but white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.peek_token().is_none()
    }

    /// Takes a string, the opening quote having been taken.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Text, Stop> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_prefix(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    let inner = start..self.at;
                    self.at += 1;
                    return Ok(Text { inner, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Stop::NotJson), // The end, or a raw control character.
            }
        }
    }

    /// Takes a string that begins right here and holds no escape, and returns where its content stands; `None` leaves it to
    /// [`Self::text`].
    #[inline]
    pub(crate) fn plain_text(&mut self) -> Option<Range<usize>> {
        let [b'"', content @ ..] = self.rest() else {
            return None;
        };
        let start = self.at + 1;
        let end = start + plain_text_len(content)?;
        self.at = end + 1;
        Some(start..end)
    }

    /// Takes one escape sequence; a surrogate must be the first half of a pair.
    fn escape(&mut self) -> Result<(), Stop> {
        let kind = self.bytes.get(self.at + 1).ok_or(Stop::NotJson)?;
        self.at += 2;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let first = self.hex4()?;
                if (0xD800..0xDC00).contains(&first) {
                    if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                        return Err(Stop::NotJson);
                    }
                    self.at += 2;
                    let second = self.hex4()?;
                    return if (0xDC00..0xE000).contains(&second) {
                        Ok(())
                    } else {
                        Err(Stop::NotJson)
                    };
                }
                if (0xDC00..0xE000).contains(&first) {
                    Err(Stop::NotJson)
                } else {
                    Ok(())
                }
            }
            _ => Err(Stop::NotJson),
        }
    }

    fn hex4(&mut self) -> Result<u32, Stop> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(Stop::NotJson)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, &digit| {
            let digit = char::from(digit).to_digit(16).ok_or(Stop::NotJson)?;
            Ok(value * 16 + digit)
        })
    }

    /// Takes `true`, `false` or `null`.
    #[inline]
    pub(crate) fn literal(&mut self, word: &[u8]) -> Result<(), Stop> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(Stop::NotJson)
        }
    }

    /// Takes a number; refuses those beyond the range of a double.
    pub(crate) fn number(&mut self) -> Result<Number<'a>, Stop> {
        let number = Number::scan(&self.bytes[self.at..]).ok_or(Stop::NotJson)?;
        self.at += number.token.len();
        Ok(number)
    }

    /// Takes a number of few digits; `None` leaves it to [`Self::number`].
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "its result is too large for registers"
    )]
    pub(crate) fn short_number(&mut self) -> Option<Number<'a>> {
        let number = Number::scan_short(&self.bytes[self.at..])?;
        self.at += number.token.len();
        Some(number)
    }

    /// Takes any value and returns where it stands; `nesting` counts the objects and arrays around it.
    pub(crate) fn skip(&mut self, nesting: usize) -> Result<Range<usize>, Stop> {
        let first = self.peek_token().ok_or(Stop::NotJson)?;
        let start = self.at;
        match first {
            b'"' => {
                self.at += 1;
                self.text()?;
            }
            b'{' => self.skip_members(nesting + 1)?,
            b'[' => self.skip_elements(nesting + 1)?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
            _ => {
                self.number()?;
            }
        }
        Ok(start..self.at)
    }

    fn skip_members(&mut self, nesting: usize) -> Result<(), Stop> {
        self.at += 1;
        if nesting > MAX_NESTING {
            return Err(Stop::NotJson);
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.expect(b'"')?;
            self.text()?;
            self.expect(b':')?;
            self.skip(nesting)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn skip_elements(&mut self, nesting: usize) -> Result<(), Stop> {
        self.at += 1;
        if nesting > MAX_NESTING {
            return Err(Stop::NotJson);
        }
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.skip(nesting)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }
}

/// Where something else than white space stands, or the end. It is given a position rather than a scanner, so that one can live
/// in registers.
#[cold]
fn behind_spaces(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &[u8]) {
        let ours = std::str::from_utf8(json).is_ok() && {
            let mut scanner = Scanner::new(json);
            scanner.skip(0).is_ok() && scanner.at_end()
        };
        let theirs = serde_json::from_slice::<serde_json::Value>(json);
        assert_eq!(
            ours,
            theirs.is_ok(),
            "{}: {theirs:?}",
            String::from_utf8_lossy(json)
        );
    }

    #[test]
    fn accepts_what_serde_json_accepts() {
        for json in [
            r#"{"a":[1,-0,1.5e+3,true,false,null,"\u00e9\ud83d\ude00\n"]}"#,
            " [ ] ",
            "{ }",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "--1",
            "+1",
            "1e400",
            "-1e400",
            "1e-400",
            "0e999999999999999999999",
            "1e999999999999999999999",
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            r#""\x""#,
            "\"\t\"",
            "\"\u{7f}\"",
            r#"{"a":1,}"#,
            "[1,]",
            r#"{"a" 1}"#,
            r"{1:2}",
            "nul",
            "truex",
            "",
            " ",
            "1 2",
            "\u{feff}1",
            r#""\u12G4""#,
            r#""\u+123""#,
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1.7976931348623159e308",
            "179769313486231570000e289",
        ] {
            check(json.as_bytes());
        }
        check(b"\"\xff\"");
        check(b"\"\x00\"");
        for n in [308, 309, 310, 400] {
            check("9".repeat(n).as_bytes());
            check(format!("0.{}", "9".repeat(n)).as_bytes());
        }
        for depth in [126, 127, 128, 129] {
            check([b"[".repeat(depth), b"]".repeat(depth)].concat().as_slice());
            check(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).as_bytes());
        }
    }
}
