use std::cmp::Ordering;

use iceberg::spec::PrimitiveType;
use parquet::file::statistics::Statistics;

/// How many characters of a text, or bytes of a binary value, a bound keeps.
const BOUND_LENGTH: usize = 16;

/// Collects the bounds of one column over the row groups of a file, from Parquet's statistics.
#[derive(Debug)]
pub(crate) struct Bounds<'a> {
    column_type: &'a PrimitiveType,
    lower: Bound,
    upper: Bound,
}

/// A bound so far.
#[derive(Debug)]
enum Bound {
    /// No value yet.
    Open,
    /// The least, or greatest, value so far.
    At(Value),
    /// There are values, but nothing is known about them: there can be no bound.
    Unknown,
}

/// A value of a column, ordered as Iceberg orders it.
#[derive(Debug, Clone)]
enum Value {
    Boolean(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Decimal(i128),
    Bytes(Vec<u8>),
}

impl<'a> Bounds<'a> {
    pub(crate) fn new(column_type: &'a PrimitiveType) -> Self {
        Self {
            column_type,
            lower: Bound::Open,
            upper: Bound::Open,
        }
    }

    /// Adds a row group with `n_values` values that are not null.
    pub(crate) fn add(&mut self, statistics: Option<&Statistics>, n_values: u64) {
        if n_values == 0 {
            return;
        }
        let (min, max) = match statistics {
            Some(statistics) => extremes(statistics, self.column_type),
            None => (None, None),
        };
        self.lower.add(min, Ordering::Less);
        self.upper.add(max, Ordering::Greater);
    }

    /// Returns the lower and the upper bound in Iceberg's binary single-value form.
    pub(crate) fn finish(self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let text = *self.column_type == PrimitiveType::String;
        let lower = self.lower.value().map(|value| match value {
            Value::Bytes(bytes) if text => lower_text(&bytes),
            Value::Bytes(bytes) if *self.column_type == PrimitiveType::Binary => {
                bytes[..bytes.len().min(BOUND_LENGTH)].to_vec()
            }
            value => serialized(value),
        });
        let upper = self.upper.value().and_then(|value| match value {
            Value::Bytes(bytes) if text => upper_text(&bytes),
            Value::Bytes(bytes) if *self.column_type == PrimitiveType::Binary => {
                upper_bytes(&bytes)
            }
            value => Some(serialized(value)),
        });
        (lower, upper)
    }
}

impl Bound {
    fn add(&mut self, value: Option<Value>, wins: Ordering) {
        match (&self, value) {
            (Self::Unknown, _) => {}
            (_, None) => *self = Self::Unknown,
            (Self::Open, Some(value)) => *self = Self::At(value),
            (Self::At(so_far), Some(value)) => {
                if value.compare(so_far) == wins {
                    *self = Self::At(value);
                }
            }
        }
    }

    fn value(self) -> Option<Value> {
        match self {
            Self::At(value) => Some(value),
            Self::Open | Self::Unknown => None,
        }
    }
}

impl Value {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Long(a), Self::Long(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Double(a), Self::Double(b)) => a.total_cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            _ => Ordering::Equal, // A column has one type.
        }
    }
}

/// The least and the greatest value of a row group.
///
/// Parquet shortens long texts and binary values. A shortened minimum is still below all values, a shortened maximum was
/// raised and is still above them, so both serve as they are; only fixed-length values would change their length.
fn extremes(
    statistics: &Statistics,
    column_type: &PrimitiveType,
) -> (Option<Value>, Option<Value>) {
    let decimal = matches!(column_type, PrimitiveType::Decimal { .. });
    let bytes = |bytes: Option<&[u8]>, exact: bool| match (bytes, column_type) {
        (Some(bytes), _) if decimal => decimal_value(bytes),
        (Some(bytes), PrimitiveType::String | PrimitiveType::Binary) => {
            Some(Value::Bytes(bytes.to_vec()))
        }
        (Some(bytes), PrimitiveType::Fixed(_) | PrimitiveType::Uuid) if exact => {
            Some(Value::Bytes(bytes.to_vec()))
        }
        _ => None,
    };
    match statistics {
        Statistics::Boolean(s) => (
            s.min_opt().copied().map(Value::Boolean),
            s.max_opt().copied().map(Value::Boolean),
        ),
        Statistics::Int32(s) => {
            let value = |v: Option<&i32>| {
                v.map(|v| {
                    if decimal {
                        Value::Decimal((*v).into())
                    } else {
                        Value::Int(*v)
                    }
                })
            };
            (value(s.min_opt()), value(s.max_opt()))
        }
        Statistics::Int64(s) => {
            let value = |v: Option<&i64>| {
                v.map(|v| {
                    if decimal {
                        Value::Decimal((*v).into())
                    } else {
                        Value::Long(*v)
                    }
                })
            };
            (value(s.min_opt()), value(s.max_opt()))
        }
        // A zero at either end may stand for the other zero: widen to the one that is farther out.
        Statistics::Float(s) => {
            let wide = |v: &f32, zero| if *v == 0.0 { zero } else { *v };
            let min = s
                .min_opt()
                .filter(|v| !v.is_nan())
                .map(|v| Value::Float(wide(v, -0.0)));
            let max = s
                .max_opt()
                .filter(|v| !v.is_nan())
                .map(|v| Value::Float(wide(v, 0.0)));
            (min, max)
        }
        Statistics::Double(s) => {
            let wide = |v: &f64, zero| if *v == 0.0 { zero } else { *v };
            let min = s
                .min_opt()
                .filter(|v| !v.is_nan())
                .map(|v| Value::Double(wide(v, -0.0)));
            let max = s
                .max_opt()
                .filter(|v| !v.is_nan())
                .map(|v| Value::Double(wide(v, 0.0)));
            (min, max)
        }
        Statistics::ByteArray(s) => (
            bytes(s.min_bytes_opt(), s.min_is_exact()),
            bytes(s.max_bytes_opt(), s.max_is_exact()),
        ),
        Statistics::FixedLenByteArray(s) => (
            bytes(s.min_bytes_opt(), s.min_is_exact()),
            bytes(s.max_bytes_opt(), s.max_is_exact()),
        ),
        Statistics::Int96(_) => (None, None),
    }
}

/// Reads a big-endian two's complement number.
fn decimal_value(bytes: &[u8]) -> Option<Value> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 16];
    wide.get_mut(16_usize.checked_sub(bytes.len())?..)?
        .copy_from_slice(bytes);
    Some(Value::Decimal(i128::from_be_bytes(wide)))
}

fn serialized(value: Value) -> Vec<u8> {
    match value {
        Value::Boolean(v) => vec![u8::from(v)],
        Value::Int(v) => v.to_le_bytes().to_vec(),
        Value::Long(v) => v.to_le_bytes().to_vec(),
        Value::Float(v) => v.to_le_bytes().to_vec(),
        Value::Double(v) => v.to_le_bytes().to_vec(),
        Value::Decimal(v) => shortest(v),
        Value::Bytes(v) => v,
    }
}

/// The fewest big-endian bytes that hold the number with its sign.
fn shortest(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let spare = bytes
        .windows(2)
        .take_while(|pair| pair[0] == sign && (pair[1] & 0x80 != 0) == (value < 0))
        .count();
    bytes[spare..].to_vec()
}

/// The first characters of a text, which sort no later than the whole.
fn lower_text(bytes: &[u8]) -> Vec<u8> {
    let text = valid_text(bytes);
    text.char_indices()
        .nth(BOUND_LENGTH)
        .map_or(text, |(end, _)| &text[..end])
        .as_bytes()
        .to_vec()
}

/// The text if it is short; else its first characters with the last one raised, which sort after every text that begins so.
/// Nothing, if no character can be raised.
fn upper_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = valid_text(bytes);
    if text.len() < bytes.len() {
        return None; // Not a text: nothing is sure.
    }
    let Some((end, _)) = text.char_indices().nth(BOUND_LENGTH) else {
        return Some(bytes.to_vec());
    };
    let mut kept: Vec<char> = text[..end].chars().collect();
    while let Some(last) = kept.pop() {
        if let Some(raised) = raised(last) {
            kept.push(raised);
            return Some(kept.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}

/// The character after this one; surrogates are none.
fn raised(character: char) -> Option<char> {
    match character {
        '\u{d7ff}' => Some('\u{e000}'),
        _ => char::from_u32(u32::from(character) + 1),
    }
}

/// The beginning that is UTF-8; all of it, unless another kind of bytes found its way here.
fn valid_text(bytes: &[u8]) -> &str {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => return text,
        Err(error) => error.valid_up_to(),
    };
    std::str::from_utf8(&bytes[..valid]).unwrap_or_default()
}

fn upper_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() <= BOUND_LENGTH {
        return Some(bytes.to_vec());
    }
    let mut kept = bytes[..BOUND_LENGTH].to_vec();
    while let Some(last) = kept.pop() {
        if last < u8::MAX {
            kept.push(last + 1);
            return Some(kept);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bounds_of_any_text_enclose_it(text in any_text()) {
            let lower = lower_text(text.as_bytes());
            prop_assert!(lower.as_slice() <= text.as_bytes());
            prop_assert!(std::str::from_utf8(&lower).unwrap().chars().count() <= BOUND_LENGTH);
            if let Some(upper) = upper_text(text.as_bytes()) {
                prop_assert!(upper.as_slice() >= text.as_bytes());
                prop_assert!(std::str::from_utf8(&upper).unwrap().chars().count() <= BOUND_LENGTH);
            } else {
                prop_assert!(text.chars().take(BOUND_LENGTH).all(|c| c == char::MAX));
            }
        }

        #[test]
        fn the_bounds_of_any_bytes_enclose_them(bytes in prop::collection::vec(250_u8.., 0..40)) {
            match upper_bytes(&bytes) {
                Some(upper) => prop_assert!(upper >= bytes && upper.len() <= BOUND_LENGTH),
                None => prop_assert!(bytes.iter().take(BOUND_LENGTH).all(|b| *b == u8::MAX)),
            }
        }

        #[test]
        fn decimals_are_as_short_as_they_can_be_and_read_back(value in any::<i128>(), shift in 0..127) {
            let value = value >> shift;
            let bytes = shortest(value);
            let read = decimal_value(&bytes);
            prop_assert!(matches!(read, Some(Value::Decimal(read)) if read == value));
            let shorter = decimal_value(&bytes[1..]);
            prop_assert!(bytes.len() == 1 || !matches!(shorter, Some(Value::Decimal(v)) if v == value));
        }
    }

    /// Texts whose characters are likely to be the last of their kind.
    fn any_text() -> impl Strategy<Value = String> {
        let hostile = prop::sample::select(vec![
            'a',
            '\u{7f}',
            '\u{7ff}',
            '\u{d7ff}',
            '\u{ffff}',
            char::MAX,
        ]);
        let character = prop_oneof![3 => hostile, 1 => any::<char>()];
        prop::collection::vec(character, 0..40).prop_map(|chars| chars.into_iter().collect())
    }
}
