//! Event times in all their spellings (section 6), to microseconds.

mod last_day;

use std::cmp::Ordering;
use std::fmt;

pub(crate) use self::last_day::LastDay;
use crate::number::{Decimal, Number};

const US_PER_S: i64 = 1_000_000;
const S_PER_DAY: i64 = 86_400;
/// 0000-01-01T00:00:00Z.
const FIRST_US: i64 = -62_167_219_200 * US_PER_S;
/// 9999-12-31T23:59:59.999999Z.
const LAST_US: i64 = 253_402_300_800 * US_PER_S - 1;

/// 0001-01-01 in days: columns of dates and times begin here, since some readers know no year 0.
pub(crate) const FIRST_DAY: i64 = -719_162;

/// A time and the form it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(crate) time_us: i64,
    /// How to print it back.
    pub(crate) form: Form,
}

/// How a time was written, as far as it can be printed back exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// `YYYY-MM-DDTHH:MM:SS` with so many fraction digits, and `Z` or `+00:00`.
    Rfc3339 { digits: u8, zulu: bool },
    /// An integer number of seconds.
    Seconds,
    /// An integer number of milliseconds.
    Millis,
    /// An integer number of microseconds.
    Micros,
    /// Anything else: the original has to be kept.
    Other,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rfc3339 { digits, zulu } => {
                write!(f, "rfc3339/{digits}/{}", if *zulu { "Z" } else { "+00:00" })
            }
            Self::Seconds => f.write_str("s"),
            Self::Millis => f.write_str("ms"),
            Self::Micros => f.write_str("us"),
            Self::Other => f.write_str("other"),
        }
    }
}

/// Reads the content of a string as a time.
pub(crate) fn read_text(text: &[u8], assume_offset_s: Option<i32>) -> Option<Reading> {
    if let Some(reading) = read_rfc3339(text, assume_offset_s) {
        return Some(reading);
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = unsigned.splitn(2, |&byte| byte == b'.');
    if !parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let (time_us, _) = read_decimal(&Decimal::parse(text))?;
    Some(Reading {
        time_us,
        form: Form::Other,
    })
}

/// Reads a number token as a time.
pub(crate) fn read_number(number: Number<'_>) -> Option<Reading> {
    let (time_us, unit) = match number.to_long().filter(|_| number.is_integer) {
        Some(long) => read_long(long)?,
        None => read_decimal(&Decimal::parse(number.token))?,
    };
    let prints_back = number.is_integer && number.token != b"-0";
    Some(Reading {
        time_us,
        form: if prints_back { unit } else { Form::Other },
    })
}

/// The common case of [`read_decimal`].
fn read_long(number: i64) -> Option<(i64, Form)> {
    let magnitude = number.unsigned_abs();
    let (time_us, unit) = if magnitude < 100_000_000_000 {
        (number.checked_mul(US_PER_S)?, Form::Seconds)
    } else if magnitude < 100_000_000_000_000 {
        (number.checked_mul(1000)?, Form::Millis)
    } else if magnitude < 100_000_000_000_000_000 {
        (number, Form::Micros)
    } else {
        (number.div_euclid(1000), Form::Other)
    };
    in_years(time_us).then_some((time_us, unit))
}

/// Below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds; floored to microseconds.
fn read_decimal(number: &Decimal) -> Option<(i64, Form)> {
    let below = |power| number.cmp_magnitude_to_power_of_ten(power) == Ordering::Less;
    let (scale, unit) = if below(11) {
        (6, Form::Seconds)
    } else if below(14) {
        (3, Form::Millis)
    } else if below(17) {
        (0, Form::Micros)
    } else {
        (-3, Form::Other)
    };
    let time_us = i64::try_from(number.floor_scaled(scale)?).ok()?;
    in_years(time_us).then_some((time_us, unit))
}

fn in_years(time_us: i64) -> bool {
    (FIRST_US..=LAST_US).contains(&time_us)
}

/// Reads an RFC 3339 time; one without offset only when `assume_offset_s` (seconds east) is given.
pub(crate) fn parse_rfc3339(text: &[u8], assume_offset_s: Option<i32>) -> Option<i64> {
    read_rfc3339(text, assume_offset_s).map(|reading| reading.time_us)
}

fn read_rfc3339(text: &[u8], assume_offset_s: Option<i32>) -> Option<Reading> {
    let day = parse_date(text.get(..10)?)?;
    let separator = text.get(10)?;
    let clock = text.get(11..19)?;
    if !matches!(separator, b'T' | b't' | b' ') || clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(&clock[..2])?, two(&clock[3..5])?, two(&clock[6..])?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = &text[19..];
    let fraction = match rest.strip_prefix(b".") {
        Some(behind) => {
            let n_digits = behind
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let (fraction, offset) = behind.split_at(n_digits);
            rest = offset;
            if fraction.is_empty() {
                return None;
            }
            fraction
        }
        None => &[],
    };
    let micros = fraction
        .iter()
        .copied()
        .chain(std::iter::repeat(b'0'))
        .take(6)
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    let offset_s = if rest.is_empty() {
        assume_offset_s?
    } else {
        parse_offset(rest)?
    };
    let seconds = day * S_PER_DAY + hour * 3600 + minute * 60 + second - i64::from(offset_s);
    let time_us = seconds * US_PER_S + micros;
    let prints_back = *separator == b'T'
        && second < 60
        && (rest == b"Z" || rest == b"+00:00")
        && matches!(fraction.len(), 0 | 3 | 6 | 9)
        && fraction.iter().skip(6).all(|&digit| digit == b'0');
    let form = match u8::try_from(fraction.len()) {
        Ok(digits) if prints_back => Form::Rfc3339 {
            digits,
            zulu: rest == b"Z",
        },
        _ => Form::Other,
    };
    in_years(time_us).then_some(Reading { time_us, form })
}

/// Reads `Z`, `z` or `±HH:MM` as seconds east of UTC.
pub(crate) fn parse_offset(text: &[u8]) -> Option<i32> {
    if matches!(text, b"Z" | b"z") {
        return Some(0);
    }
    let &[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = text else {
        return None;
    };
    let (hours, minutes) = (two(&[h1, h2])?, two(&[m1, m2])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    Some(if sign == b'-' { -seconds } else { seconds })
}

/// Reads `YYYY-MM-DD`, years 0000 to 9999, as days since 1970-01-01.
pub(crate) fn parse_date(text: &[u8]) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let year = two(&[y1, y2])? * 100 + two(&[y3, y4])?;
    let (month, day) = (two(&[m1, m2])?, two(&[d1, d2])?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let longest = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    (1..=longest)
        .contains(&day)
        .then(|| days_from_civil(year, month, day))
}

fn two(digits: &[u8]) -> Option<i64> {
    let &[tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = digits else {
        return None;
    };
    Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The string that a `timestamptz` value prints back as (section 5): the shortest of 0, 3 and 6 fraction digits.
pub(crate) fn canonical(time_us: i64) -> String {
    let (seconds, micros) = (time_us.div_euclid(US_PER_S), time_us.rem_euclid(US_PER_S));
    let (days, clock) = (seconds.div_euclid(S_PER_DAY), seconds.rem_euclid(S_PER_DAY));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let fraction = match (micros, micros % 1000) {
        (0, _) => String::new(),
        (_, 0) => format!(".{:03}", micros / 1000),
        _ => format!(".{micros:06}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(i64, &str)>) {
        let reading =
            read_text(text.as_bytes(), None).map(|found| (found.time_us, found.form.to_string()));
        assert_eq!(
            reading,
            expected.map(|(time_us, form)| (time_us, form.to_owned())),
            "{text}"
        );
    }

    #[test]
    fn rfc_3339_is_read_in_all_its_spellings() {
        check("1970-01-01T00:00:00Z", Some((0, "rfc3339/0/Z")));
        check(
            "2013-01-10T07:58:30Z",
            Some((1_357_804_710_000_000, "rfc3339/0/Z")),
        );
        check(
            "2013-01-10T07:58:30.120+00:00",
            Some((1_357_804_710_120_000, "rfc3339/3/+00:00")),
        );
        check(
            "2013-01-10T07:58:30.1234567Z",
            Some((1_357_804_710_123_456, "other")),
        );
        check(
            "2013-01-10T07:58:30.123456000Z",
            Some((1_357_804_710_123_456, "rfc3339/9/Z")),
        );
        check(
            "2013-01-10 07:58:30Z",
            Some((1_357_804_710_000_000, "other")),
        );
        check(
            "2013-01-10T09:58:30+02:00",
            Some((1_357_804_710_000_000, "other")),
        );
        check(
            "2016-12-31T23:59:60Z",
            Some((1_483_228_800_000_000, "other")),
        );
        check("1969-12-31T23:59:59.9999999Z", Some((-1, "other")));
        for unreadable in [
            "2013-02-29T00:00:00Z",
            "2013-01-10T07:58:30",
            "2013-01-10",
            "2013-01-10T24:00:00Z",
            "2013-01-10T07:58:30.Z",
            "",
        ] {
            check(unreadable, None);
        }
    }

    #[test]
    fn digits_are_read_by_their_size_and_never_through_a_double() {
        check("1357804710", Some((1_357_804_710_000_000, "other")));
        check("1357804710.1234567", Some((1_357_804_710_123_456, "other")));
        check("1357804710123", Some((1_357_804_710_123_000, "other")));
        check("-1.5", Some((-1_500_000, "other")));
        check("99999999999999999999999999", None);
        let number = |token: &str| read_number(Number::scan(token.as_bytes()).unwrap());
        assert_eq!(number("1357804710").unwrap().form, Form::Seconds);
        assert_eq!(number("1357804710123").unwrap().form, Form::Millis);
        assert_eq!(number("1357804710123456").unwrap().form, Form::Micros);
        assert_eq!(
            number("1357804710123456789").unwrap().time_us,
            1_357_804_710_123_456
        );
        assert_eq!(
            number("1.357804710e9").unwrap().time_us,
            1_357_804_710_000_000
        );
        assert_eq!(number("1e2").unwrap().form, Form::Other);
    }

    #[test]
    fn what_prints_is_read_back() {
        for time_us in [0, 1, 1000, -1, 1_357_804_710_123_456, FIRST_US, LAST_US] {
            assert_eq!(
                parse_rfc3339(canonical(time_us).as_bytes(), None),
                Some(time_us)
            );
        }
    }
}
