//! Event times: milliseconds since 1970 to RFC 3339 and back.

use crate::json::two_digits;

/// 2026-01-15T00:00:00Z: where the days of a corpus begin unless told otherwise, so that its bytes can be had again.
pub const DEFAULT_START_MS: i64 = 1_768_435_200_000;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Reads an RFC 3339 time, or a date alone, as milliseconds since 1970-01-01T00:00:00Z.
///
/// `None` for anything else, and for years that RFC 3339 cannot write.
pub fn parse_start_ms(text: &str) -> Option<i64> {
    let with_time = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    let instant: jiff::Timestamp = with_time.parse().ok()?;
    (0..=253_402_300_799_999)
        .contains(&instant.as_millisecond())
        .then(|| instant.as_millisecond())
}

/// Writes `YYYY-MM-DDTHH:MM:SS.mmmZ`; times before 1970 are written as 1970.
pub(crate) fn write(out: &mut Vec<u8>, time_ms: i64) {
    let time_ms = time_ms.max(0);
    let (year, month, day) = civil(time_ms / DAY_MS);
    let ms = (time_ms % DAY_MS).cast_unsigned();
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (at, n) in [
        (0, year / 100),
        (2, year),
        (5, month),
        (8, day),
        (11, ms / 3_600_000),
        (14, ms / 60_000 % 60),
        (17, ms / 1_000 % 60),
        (20, ms % 1_000 / 10),
    ] {
        text[at..at + 2].copy_from_slice(&two_digits(n));
    }
    text[22] = b'0' + (ms % 10) as u8;
    out.extend_from_slice(&text);
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (u64, u64, u64) {
    // Years are counted from March, so that the leap day is the last of its year.
    let days = days.unsigned_abs() + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_another_library_writes_it() {
        for time_ms in (0..253_402_300_799_999).step_by(86_400_000 * 37 + 12_345_678) {
            let mut out = Vec::new();
            write(&mut out, time_ms);
            let text = String::from_utf8(out).unwrap();
            let expected = jiff::Timestamp::from_millisecond(time_ms).unwrap();
            assert_eq!(text, format!("{expected:.3}"));
        }
    }

    #[test]
    fn a_start_may_be_a_day_or_a_moment() {
        assert_eq!(parse_start_ms("2026-01-15"), Some(DEFAULT_START_MS));
        assert_eq!(
            parse_start_ms("2026-01-15T00:00:00.001Z"),
            Some(DEFAULT_START_MS + 1)
        );
        assert_eq!(
            parse_start_ms("2026-01-15T01:00:00+01:00"),
            Some(DEFAULT_START_MS)
        );
        assert_eq!(parse_start_ms("tomorrow"), None);
        assert_eq!(parse_start_ms("1969-12-31"), None);
    }
}
