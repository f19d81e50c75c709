//! Times as they are written most often, many of them on the same day.

use super::{Form, Reading, S_PER_DAY, US_PER_S, parse_date};

/// A day that was read, so that the next time of the same day need not work it out.
#[derive(Debug)]
pub(crate) struct LastDay {
    text: [u8; 10],
    /// Days since 1970-01-01.
    day: i64,
}

impl Default for LastDay {
    fn default() -> Self {
        Self {
            text: *b"1970-01-01",
            day: 0,
        }
    }
}

impl LastDay {
    /// Reads a time in quotes at the front, spelt `YYYY-MM-DDTHH:MM:SS.sssZ` or `YYYY-MM-DDTHH:MM:SSZ`, as [`read_text`] does, and
    /// how many bytes it takes with the quotes. `None` leaves it to that.
    pub(crate) fn read_quoted(&mut self, bytes: &[u8]) -> Option<(Reading, usize)> {
        let &[
            b'"',
            ref date @ ..,
            b'T',
            c0,
            c1,
            c2,
            c3,
            c4,
            c5,
            c6,
            c7,
            end,
        ] = bytes.first_chunk::<21>()?
        else {
            return None;
        };
        let clock = [c0, c1, c2, c3, c4, c5, c6, c7];
        let second = second_of_day(clock)?;
        let (millis, digits, behind) = match end {
            b'Z' => (0, 0, 21),
            b'.' => {
                let &[a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'Z'] =
                    bytes[21..].first_chunk::<4>()?
                else {
                    return None;
                };
                let value = |digit: u8| i64::from(digit - b'0');
                (value(a) * 100 + value(b) * 10 + value(c), 3, 25)
            }
            _ => return None,
        };
        if bytes.get(behind) != Some(&b'"') {
            return None;
        }
        let seconds = self.day(*date)? * S_PER_DAY + second;
        let reading = Reading {
            time_us: seconds * US_PER_S + millis * 1000,
            form: Form::Rfc3339 { digits, zulu: true },
        };
        Some((reading, behind + 1))
    }

    #[inline]
    fn day(&mut self, text: [u8; 10]) -> Option<i64> {
        if text != self.text {
            self.day = parse_date(&text)?;
            self.text = text;
        }
        Some(self.day)
    }
}

/// Reads `HH:MM:SS`, without leap seconds, as seconds since midnight.
#[inline]
fn second_of_day(clock: [u8; 8]) -> Option<i64> {
    let value = |at: usize| {
        let (tens, ones) = (
            clock[at].wrapping_sub(b'0'),
            clock[at + 1].wrapping_sub(b'0'),
        );
        (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    if clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (value(0)?, value(3)?, value(6)?);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::read_text;

    #[test]
    fn the_short_way_reads_what_the_long_way_reads_or_leaves_it() {
        let mut last_day = LastDay::default();
        let mut check = |text: &[u8], is_short: Option<bool>| {
            let quoted = [b"\"", text, b"\",\"next\""].concat();
            let short = last_day.read_quoted(&quoted);
            let long = read_text(text, None).map(|reading| (reading, text.len() + 2));
            assert!(short.is_none() || short == long, "{short:?} {long:?}");
            assert!(is_short.is_none_or(|is| is == short.is_some()), "{text:?}");
        };
        for text in [
            "2013-01-10T07:58:30Z",
            "2013-01-10T23:59:59.120Z",
            "2013-01-11T00:00:00.999Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            check(text.as_bytes(), Some(true));
            // And with each byte that may follow upon another one.
            for (at, other) in (0..text.len()).flat_map(|at| (0..=u8::MAX).map(move |b| (at, b))) {
                let mut changed = text.as_bytes().to_vec();
                changed[at] = other;
                check(&changed, None);
            }
        }
        for text in [
            "2013-02-29T00:00:00Z",
            "2013-01-10T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2013-01-10T07:58:30.12Z",
            "2013-01-10T07:58:30.120+00:00",
            "2013-01-10T07:58:30",
            "",
        ] {
            check(text.as_bytes(), Some(false));
        }
        let mut none_yet = LastDay::default();
        for quoted in [
            b"\"\0\0\0\0\0\0\0\0\0\0T12:00:00Z\"",
            b"\"0000-00-00T12:00:00Z\"",
        ] {
            assert_eq!(none_yet.read_quoted(quoted), None);
        }
        let epoch = none_yet.read_quoted(b"\"1970-01-01T00:00:01Z\"");
        assert_eq!(epoch.map(|(reading, _)| reading.time_us), Some(1_000_000));
        for n_bytes in 0..=22 {
            let cut = &b"\"2013-01-10T07:58:30Z\""[..n_bytes];
            assert_eq!(last_day.read_quoted(cut).is_some(), n_bytes == 22);
        }
    }
}
