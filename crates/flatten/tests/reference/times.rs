//! Days and microseconds, counted one civil date at a time by plain arithmetic; texts in RFC 3339.

/// Microseconds in a second.
const SECOND_US: i128 = 1_000_000;
const DAY_SECONDS: i128 = 86_400;

/// An RFC 3339 text taken apart.
pub(crate) struct Rfc3339<'a> {
    /// Since 1970-01-01T00:00:00Z, floored.
    pub(crate) time_us: i128,
    /// The byte between date and time.
    pub(crate) separator: u8,
    pub(crate) second: i128,
    pub(crate) fraction: &'a str,
    /// Empty when the text has none.
    pub(crate) offset: &'a str,
}

/// The days from 1970-01-01 to a date of the Gregorian calendar, `None` when there is no such date.
pub(crate) fn days(year: i128, month: i128, day: i128) -> Option<i128> {
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let days_before_year = |year: i128| {
        let past = year - 1;
        past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
    };
    let months: i128 = (1..month).map(|month| days_in_month(year, month)).sum();
    Some(days_before_year(year) + months + (day - 1) - days_before_year(1970))
}

fn days_in_month(year: i128, month: i128) -> i128 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i128::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of a day since 1970-01-01.
pub(crate) fn date(days_since_1970: i128) -> (i128, i128, i128) {
    let first_of = |year, month| days(year, month, 1).unwrap_or(i128::MAX);
    let mut year = 1970 + days_since_1970.div_euclid(366); // Never too late for years before 1970, nor after.
    if days_since_1970 < 0 {
        year = 1970 + days_since_1970.div_euclid(365) - 1;
    }
    while first_of(year + 1, 1) <= days_since_1970 {
        year += 1;
    }
    let month = (1..=12)
        .rev()
        .find(|&month| first_of(year, month) <= days_since_1970)
        .unwrap_or(1);
    (year, month, days_since_1970 - first_of(year, month) + 1)
}

/// Whether a time is within these years.
pub(crate) fn is_in_years(time_us: i128, first: i128, last: i128) -> bool {
    (first..=last).contains(&date(time_us.div_euclid(DAY_SECONDS * SECOND_US)).0)
}

/// Reads `YYYY-MM-DD`.
pub(crate) fn read_date(text: &str) -> Option<(i128, i128, i128)> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        number(&bytes[..4])?,
        number(&bytes[5..7])?,
        number(&bytes[8..])?,
    );
    days(year, month, day).map(|_| (year, month, day))
}

/// Reads the RFC 3339 texts of section 6; `assumed` is the offset of those without one.
pub(crate) fn read_rfc3339<'a>(text: &'a str, assumed: Option<&str>) -> Option<Rfc3339<'a>> {
    if !text.is_ascii() || text.len() < 19 {
        return None;
    }
    let (year, month, day) = read_date(&text[..10])?;
    let separator = text.as_bytes()[10];
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let clock = &text.as_bytes()[11..19];
    if clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute) = (number(&clock[..2])?, number(&clock[3..5])?);
    let second = number(&clock[6..])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, offset) = match text[19..].strip_prefix('.') {
        None => ("", &text[19..]),
        Some(rest) => {
            let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if n_digits == 0 {
                return None;
            }
            rest.split_at(n_digits)
        }
    };
    let offset_seconds = if offset.is_empty() {
        read_offset(assumed?)?
    } else {
        read_offset(offset)?
    };
    let seconds =
        days(year, month, day)? * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset_seconds;
    let six_digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(Rfc3339 {
        time_us: seconds * SECOND_US + number(six_digits.as_bytes())?,
        separator,
        second,
        fraction,
        offset,
    })
}

/// Reads `Z`, `z` or `±HH:MM` into seconds east of UTC.
pub(crate) fn read_offset(text: &str) -> Option<i128> {
    let sign = match text.as_bytes() {
        b"Z" | b"z" => return Some(0),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let (hours, minutes) = (
        number(&text.as_bytes()[1..3])?,
        number(&text.as_bytes()[4..6])?,
    );
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `YYYY-MM-DDTHH:MM:SS`, the first `n_digits` of nine digits of fraction, and the offset as it is.
pub(crate) fn print(time_us: i128, n_digits: usize, offset: &str) -> String {
    let seconds = time_us.div_euclid(SECOND_US);
    let clock = seconds.rem_euclid(DAY_SECONDS);
    let nine_digits = format!("{:06}000", time_us.rem_euclid(SECOND_US));
    let point = if n_digits == 0 { "" } else { "." };
    format!(
        "{}T{:02}:{:02}:{:02}{point}{}{offset}",
        print_date(seconds.div_euclid(DAY_SECONDS)),
        clock / 3600,
        clock / 60 % 60,
        clock % 60,
        &nine_digits[..n_digits],
    )
}

/// Section 5: the text that a `timestamptz` prints back.
pub(crate) fn print_column(time_us: i128) -> String {
    let n_digits = match time_us.rem_euclid(SECOND_US) {
        0 => 0,
        micros if micros % 1000 == 0 => 3,
        _ => 6,
    };
    print(time_us, n_digits, "Z")
}

pub(crate) fn print_date(days_since_1970: i128) -> String {
    let (year, month, day) = date(days_since_1970);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The number that the bytes, all of them digits, denote.
fn number(digits: &[u8]) -> Option<i128> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i128::from(digit - b'0'))
    })
}

#[test]
fn dates_count_from_1970() {
    for (text, expected) in [
        ("1970-01-01", 0),
        ("1969-12-31", -1),
        ("2000-02-29", 11_016),
        ("0000-01-01", -719_528),
        ("0001-01-01", -719_162),
        ("9999-12-31", 2_932_896),
    ] {
        let (year, month, day) = read_date(text).unwrap();
        assert_eq!(days(year, month, day), Some(expected), "{text}");
        assert_eq!(print_date(expected), text);
    }
    for day in (-719_528..2_932_896).step_by(97) {
        let (year, month, day_of_month) = date(day);
        assert_eq!(days(year, month, day_of_month), Some(day));
    }
    for text in [
        "1900-02-29",
        "2001-00-01",
        "2001-13-01",
        "2001-04-31",
        "2001-4-30",
        "+001-01-01",
    ] {
        assert_eq!(read_date(text), None, "{text}");
    }
}
