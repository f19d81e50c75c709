//! Number tokens, and what they fit without loss (section 5).

use std::cmp::Ordering;

/// A number token and what scanning it has shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    /// Its original bytes.
    pub(crate) token: &'a [u8],
    /// Whether it has neither `.`, `e` nor `E`.
    pub(crate) is_integer: bool,
    negative: bool,
    has_exponent: bool,
    /// All digits in front of an exponent as a number, modulo 2^64.
    magnitude: u64,
    n_whole: usize,
    n_fraction: usize,
}

/// Up to so many digits are an exact double before and after division by their power of ten, and so the quotient is the
/// nearest double; and the nearest double of so many digits prints as them.
const SAFE_DIGITS: usize = 15;

/// The exact powers of ten up to [`SAFE_DIGITS`].
const POWERS_OF_TEN: [f64; SAFE_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// The powers of ten by which a short fraction shifts what is in front of it.
const SHORT_POWERS_OF_TEN: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// A number of so many digits without an exponent may be beyond the range of a double.
const LONG_DIGITS: usize = 309;

impl<'a> Number<'a> {
    /// Reads the number at the front of `bytes`; `None` when there is none, or it is beyond the range of a double.
    pub(crate) fn scan(bytes: &'a [u8]) -> Option<Self> {
        Self::scan_short(bytes).or_else(|| Self::scan_any(bytes))
    }

    /// Reads a number of up to seven digits in front of the point and as many behind it, without a loop: how many digits there
    /// are is hard to predict. `None` leaves it to [`Self::scan`].
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "its result is too large for registers"
    )]
    pub(crate) fn scan_short(bytes: &'a [u8]) -> Option<Self> {
        let negative = bytes.first() == Some(&b'-');
        let digits_at = usize::from(negative);
        let (whole, n_whole) = short_digits(bytes.get(digits_at..)?)?;
        let mut end = digits_at + n_whole;
        let mut number = Self {
            token: &[],
            is_integer: true,
            negative,
            has_exponent: false,
            magnitude: whole,
            n_whole,
            n_fraction: 0,
        };
        if *bytes.get(end)? == b'.' {
            let (fraction, n_fraction) = short_digits(bytes.get(end + 1..)?)?;
            end += 1 + n_fraction;
            number.is_integer = false;
            number.n_fraction = n_fraction;
            number.magnitude = whole * SHORT_POWERS_OF_TEN[n_fraction] + fraction;
        }
        if is_zero_led(bytes[digits_at], n_whole) | matches!(bytes.get(end)?, b'e' | b'E') {
            return None;
        }
        number.token = &bytes[..end];
        Some(number)
    }

    /// Reads an integer of up to seven digits, and how many bytes it takes. `None` leaves it to [`Self::scan`].
    #[inline]
    pub(crate) fn short_long(bytes: &[u8]) -> Option<(i64, usize)> {
        let negative = bytes.first() == Some(&b'-');
        let digits_at = usize::from(negative);
        let (whole, n_whole) = short_digits(bytes.get(digits_at..)?)?;
        let end = digits_at + n_whole;
        if is_zero_led(bytes[digits_at], n_whole) | matches!(bytes.get(end)?, b'.' | b'e' | b'E') {
            return None;
        }
        let whole = whole.cast_signed();
        Some((if negative { -whole } else { whole }, end))
    }

    /// Reads a number as [`Self::scan_short`] does, as the double that denotes exactly it, and how many bytes it takes.
    #[inline]
    pub(crate) fn short_double(bytes: &'a [u8]) -> Option<(f64, usize)> {
        let number = Self::scan_short(bytes)?;
        let magnitude = number.magnitude;
        // An integer has no negative zero.
        let negative = number.negative && !(number.is_integer && magnitude == 0);
        let double = short_double(negative, magnitude, number.n_fraction);
        Some((double, number.token.len()))
    }

    /// Reads any number.
    fn scan_any(bytes: &'a [u8]) -> Option<Self> {
        let negative = bytes.first() == Some(&b'-');
        let digits_at = usize::from(negative);
        let mut at = digits_at;
        // Wraps beyond 19 digits, and is not used then.
        let mut magnitude: u64 = 0;
        scan_digits(bytes, &mut at, &mut magnitude);
        let n_whole = at - digits_at;
        if n_whole == 0 || (n_whole > 1 && bytes[digits_at] == b'0') {
            return None;
        }
        let mut is_integer = true;
        let mut n_fraction = 0;
        if bytes.get(at) == Some(&b'.') {
            is_integer = false;
            at += 1;
            n_fraction = scan_digits(bytes, &mut at, &mut magnitude);
            if n_fraction == 0 {
                return None;
            }
        }
        let has_exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
        if has_exponent {
            is_integer = false;
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            if scan_digits(bytes, &mut at, &mut 0) == 0 {
                return None;
            }
        }
        let token = &bytes[..at];
        if (has_exponent || n_whole >= LONG_DIGITS) && parse_double(token).is_infinite() {
            return None;
        }
        Some(Self {
            token,
            is_integer,
            negative,
            has_exponent,
            magnitude,
            n_whole,
            n_fraction,
        })
    }

    /// Its value, if that is an integer in the range of a long, however it is spelt.
    #[inline]
    pub(crate) fn to_long(self) -> Option<i64> {
        if self.is_integer {
            return long_of(self.negative, self.magnitude, self.n_whole);
        }
        let n_digits = self.n_whole + self.n_fraction;
        match SHORT_POWERS_OF_TEN.get(self.n_fraction) {
            Some(unit) if !self.has_exponent && n_digits <= SAFE_DIGITS => {
                let is_whole = self.magnitude.is_multiple_of(*unit);
                is_whole.then(|| long_of(self.negative, self.magnitude / unit, self.n_whole))?
            }
            _ => i64::try_from(Decimal::parse(self.token).to_scaled(0)?).ok(),
        }
    }

    /// Its value, if that is an integer in the range of an int.
    pub(crate) fn to_int(self) -> Option<i32> {
        i32::try_from(self.to_long()?).ok()
    }

    /// The nearest double, if that denotes exactly the number.
    #[inline]
    pub(crate) fn to_double(self) -> Option<f64> {
        if !self.has_exponent && self.n_whole + self.n_fraction <= SAFE_DIGITS {
            // An integer has no negative zero.
            let negative = self.negative && !(self.is_integer && self.magnitude == 0);
            return Some(short_double(negative, self.magnitude, self.n_fraction));
        }
        self.long_double()
    }

    /// [`Self::to_double`] for numbers that are not short.
    #[cold]
    fn long_double(self) -> Option<f64> {
        let double = parse_double(self.token);
        let shortest = zmij::Buffer::new().format_finite(double).to_owned();
        (Decimal::parse(self.token) == Decimal::parse(shortest.as_bytes())).then_some(double)
    }

    /// The nearest float, if that denotes exactly the number.
    pub(crate) fn to_float(self) -> Option<f32> {
        if self.token == b"-0" {
            return Some(0.0);
        }
        let float: f32 = std::str::from_utf8(self.token).ok()?.parse().ok()?;
        (float.is_finite()
            && Decimal::parse(self.token)
                == Decimal::parse(zmij::Buffer::new().format_finite(float).as_bytes()))
        .then_some(float)
    }

    /// The number times 10^scale, if that is an integer of at most `precision` digits.
    pub(crate) fn to_decimal(self, precision: u8, scale: i8) -> Option<i128> {
        let scaled = Decimal::parse(self.token).to_scaled(i64::from(scale))?;
        (scaled.unsigned_abs() < 10_u128.checked_pow(u32::from(precision))?).then_some(scaled)
    }
}

/// Whether a number of so many digits in front of the point has a zero at its front that JSON does not allow.
#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "whether a number has one digit is hard to predict, so there is to be no branch"
)]
fn is_zero_led(first: u8, n_whole: usize) -> bool {
    (n_whole > 1) & (first == b'0')
}

/// The value of the one to seven digits at the front, and how many they are. `None` when there are none or more, or fewer
/// than eight bytes to look at.
#[inline]
fn short_digits(bytes: &[u8]) -> Option<(u64, usize)> {
    const NIBBLES: u64 = 0x0F0F_0F0F_0F0F_0F0F;
    // What is a digit becomes 0 to 9; adding 0x76 sets the highest bit of everything else. A carry out of a byte that is no
    // digit can only spoil the bytes behind it.
    let digits = u64::from_le_bytes(*bytes.first_chunk()?) ^ 0x3030_3030_3030_3030;
    let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    let n_digits = (others.trailing_zeros() / 8) as usize;
    if !(1..8).contains(&n_digits) {
        return None;
    }
    // The last digit to the highest byte, zeros in front of the first; then neighbours are joined to pairs, and so on.
    let digits = (digits << (64 - 8 * n_digits)) & NIBBLES;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    let all = (fours * 10_000 + (fours >> 32)) & 0xFFFF_FFFF;
    Some((all, n_digits))
}

/// Moves `at` behind the digits there, appends them to `magnitude`, and returns how many they are.
#[inline]
fn scan_digits(bytes: &[u8], at: &mut usize, magnitude: &mut u64) -> usize {
    let start = *at;
    while let Some(digit) = bytes
        .get(*at)
        .map(|byte| byte.wrapping_sub(b'0'))
        .filter(|&digit| digit < 10)
    {
        *magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit));
        *at += 1;
    }
    *at - start
}

/// The double nearest to at most [`SAFE_DIGITS`] digits, the last `n_fraction` of them behind the point.
#[inline]
fn short_double(negative: bool, magnitude: u64, n_fraction: usize) -> f64 {
    let double = magnitude as f64 / POWERS_OF_TEN[n_fraction];
    if negative { -double } else { double }
}

#[inline]
fn long_of(negative: bool, magnitude: u64, n_digits: usize) -> Option<i64> {
    if n_digits > 19 {
        return None;
    }
    if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// The nearest double of a token in the grammar of JSON, infinite when it is beyond the range.
fn parse_double(token: &[u8]) -> f64 {
    // The grammar of JSON numbers is part of Rust's, so neither step can fail; infinity would refuse the event.
    std::str::from_utf8(token)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(f64::INFINITY)
}

/// A decimal number, exactly: ± 0.d₁d₂d₃… × 10^point, without zeros at either end. Zero has no digits and no sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// Reads a token of the grammar of JSON numbers, leading zeros allowed.
    pub(crate) fn parse(token: &[u8]) -> Self {
        let negative = token.first() == Some(&b'-');
        let unsigned = &token[usize::from(negative)..];
        let exponent_at = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = match exponent_at {
            Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &[][..]),
        };
        let digits: Vec<u8> = whole
            .iter()
            .chain(fraction)
            .map(|byte| byte - b'0')
            .collect();
        let Some(first) = digits.iter().position(|&digit| digit != 0) else {
            return Self {
                negative: false,
                digits: Vec::new(),
                point: 0,
            };
        };
        let last = digits
            .iter()
            .rposition(|&digit| digit != 0)
            .unwrap_or(first);
        // A token is far shorter than 2^63 bytes, so only the exponent can overflow.
        let whole_digits =
            i64::try_from(whole.len()).unwrap_or(i64::MAX) - i64::try_from(first).unwrap_or(0);
        Self {
            negative,
            digits: digits[first..=last].to_vec(),
            point: whole_digits.saturating_add(exponent),
        }
    }

    /// The number times 10^scale, if that is an integer of at most 38 digits.
    pub(crate) fn to_scaled(&self, scale: i64) -> Option<i128> {
        let n_digits = i64::try_from(self.digits.len()).ok()?;
        let wanted = self.point.saturating_add(scale);
        if self.digits.is_empty() {
            return Some(0);
        }
        if wanted < n_digits || wanted > 38 {
            return None;
        }
        self.floor_scaled(scale)
    }

    /// The number times 10^scale, floored, if that has at most 38 digits.
    pub(crate) fn floor_scaled(&self, scale: i64) -> Option<i128> {
        let wanted = self.point.saturating_add(scale);
        if wanted > 38 {
            return None;
        }
        let wanted = usize::try_from(wanted.max(0)).ok()?;
        let kept = self
            .digits
            .iter()
            .copied()
            .chain(std::iter::repeat(0))
            .take(wanted);
        let magnitude = kept.fold(0_i128, |value, digit| value * 10 + i128::from(digit));
        let inexact = self.digits.len() > wanted;
        Some(if self.negative {
            -magnitude - i128::from(inexact)
        } else {
            magnitude
        })
    }

    /// Compares the magnitude with 10^power.
    pub(crate) fn cmp_magnitude_to_power_of_ten(&self, power: i64) -> Ordering {
        if self.digits.is_empty() {
            return Ordering::Less;
        }
        // 10^power is 0.1 × 10^(power + 1).
        self.point.cmp(&(power + 1)).then_with(|| {
            if self.digits == [1] {
                Ordering::Equal
            } else {
                Ordering::Greater
            }
        })
    }
}

/// An exponent, saturating far beyond anything that matters.
fn parse_exponent(text: &[u8]) -> i64 {
    let negative = text.first() == Some(&b'-');
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let magnitude = digits.fold(0_i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(1_000_000_000_000)
    });
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number<'_> {
        Number::scan(text.as_bytes())
            .filter(|number| number.token.len() == text.len())
            .unwrap()
    }

    #[test]
    fn a_long_takes_integers_in_range_however_they_are_spelt() {
        for (text, expected) in [
            ("-0", Some(0)),
            ("1.0", Some(1)),
            ("1e3", Some(1000)),
            ("-1.5e1", Some(-15)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("99999999999999999999", None),
            ("9.223372036854775807e18", Some(i64::MAX)),
            ("1.5", None),
            ("-20.00", Some(-20)),
            ("-0.0", Some(0)),
            ("123456789012345.0", Some(123_456_789_012_345)),
            ("123456789012345.5", None),
            ("12345678.0000000", Some(12_345_678)),
            ("1234567.00000000", Some(1_234_567)),
            ("1.0000001", None),
            ("1.00000001", None),
            ("1e-1", None),
            ("1e300", None),
            ("0.000", Some(0)),
            ("0e99999999999", Some(0)),
        ] {
            assert_eq!(number(text).to_long(), expected, "{text}");
        }
    }

    #[test]
    fn a_double_takes_what_it_denotes_exactly() {
        for (text, fits) in [
            ("0.1", true),
            ("123456789012345", true),
            ("9007199254740993", false),
            ("9007199254740992", true),
            ("0.1000000000000000055511151231257827", false),
            ("1e-400", false),
            ("5e-324", true),
            ("4e-324", false),
            ("1e22", true),
            ("1e23", true),
            ("100000000000000000000000", true),
            ("1.7976931348623157e308", true),
            ("0.30000000000000004", true),
        ] {
            assert_eq!(number(text).to_double().is_some(), fits, "{text}");
        }
        assert!(number("-0").to_double().is_some_and(f64::is_sign_positive));
        assert!(
            number("-0.0")
                .to_double()
                .is_some_and(f64::is_sign_negative)
        );
    }

    #[test]
    fn a_decimal_takes_what_needs_no_rounding() {
        for (text, expected) in [
            ("1.50", Some(150)),
            ("1.505", None),
            ("999.99", Some(99_999)),
            ("1000", None),
            ("-0.01", Some(-1)),
            ("1e2", Some(10_000)),
        ] {
            assert_eq!(number(text).to_decimal(5, 2), expected, "{text}");
        }
    }

    #[test]
    fn short_numbers_are_read_as_any_others() {
        let digits = [
            "0", "7", "10", "999", "0012", "1234567", "12345678", "9999999", "",
        ];
        let tails = ["", ",", "}", "e1,", "E", ".", "-", "\u{ff}", " 12345678"];
        for (whole, fraction) in digits.iter().flat_map(|whole| digits.map(|f| (*whole, f))) {
            for tail in tails {
                for text in [
                    format!("{whole}{tail}        "),
                    format!("-{whole}.{fraction}{tail}        "),
                    format!("{whole}.{fraction}{tail}"),
                ] {
                    let bytes = text.as_bytes();
                    let any = Number::scan_any(bytes);
                    let found = Number::scan(bytes);
                    assert_eq!(format!("{found:?}"), format!("{any:?}"), "{text}");
                }
            }
        }
    }

    #[test]
    fn flooring_goes_down_also_below_zero() {
        for (text, expected) in [
            ("1.9999999", 1_999_999),
            ("-1.0000001", -1_000_001),
            ("-0.0000001", -1),
            ("0", 0),
        ] {
            assert_eq!(
                Decimal::parse(text.as_bytes()).floor_scaled(6),
                Some(expected),
                "{text}"
            );
        }
    }
}
