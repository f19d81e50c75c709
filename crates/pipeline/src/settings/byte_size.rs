//! Sizes in bytes as people write them.

use std::fmt;

use serde::{Deserialize, Serialize, de};

/// A size in bytes, read from `134217728` or `128 MiB` and printed in the largest unit that is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// The units, largest first. Decimal ones (`MB`) are refused: half the world means `MiB` by them.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl ByteSize {
    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in bytes as a length in memory, the largest such length if it is beyond it.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Whether the size is zero.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads a size; `None` when the text is not one or is beyond 64 bits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (digits, factor) = UNITS
            .iter()
            .find_map(|&(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), factor)))
            .unwrap_or((text, 1));
        let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = all_digits.then(|| digits.parse().ok()).flatten()?;
        number.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact =
            |&&(_, factor): &&(&str, u64)| self.0 >= factor && self.0.is_multiple_of(factor);
        match UNITS.iter().find(exact) {
            Some((unit, factor)) => write!(f, "{} {unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size like `128 MiB` or `134217728`")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                let bytes = u64::try_from(bytes);
                bytes
                    .map(ByteSize)
                    .map_err(|_| E::custom("a size is not negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                let unexpected = de::Unexpected::Str(text);
                ByteSize::parse(text).ok_or_else(|| E::invalid_value(unexpected, &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(
            ByteSize::parse(text).map(ByteSize::bytes),
            expected,
            "{text}"
        );
    }

    #[test]
    fn a_size_is_a_number_of_bytes_with_or_without_a_binary_unit() {
        check("134217728", Some(134_217_728));
        check("128 MiB", Some(134_217_728));
        check("128MiB", Some(134_217_728));
        check("3 GiB", Some(3 << 30));
        check("0", Some(0));
    }

    #[test]
    fn anything_else_is_not_a_size() {
        for text in [
            "",
            "MiB",
            "128 MiBs",
            "128 MB",
            "-1",
            "+1",
            "1.5 MiB",
            "99999999999999 GiB",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_size_prints_in_the_largest_exact_unit() {
        assert_eq!(ByteSize::new(134_217_728).to_string(), "128 MiB");
        assert_eq!(ByteSize::new(1 << 30).to_string(), "1 GiB");
        assert_eq!(ByteSize::new(1025).to_string(), "1025");
        assert_eq!(ByteSize::new(0).to_string(), "0");
    }
}
