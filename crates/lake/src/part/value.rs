//! Partition values as JSON, and as people read them in paths.

use iceberg::spec::{Literal, PrimitiveLiteral, PrimitiveType, Transform, Type};

use super::US_PER_DAY;

/// A partition value in Iceberg's JSON form.
///
/// Times are written here: the library's own text of a `timestamptz` panics on a fraction of a second before 1970.
pub(super) fn json_of(value: &Literal, value_type: &Type) -> iceberg::Result<serde_json::Value> {
    match (value_type, value) {
        (
            Type::Primitive(PrimitiveType::Timestamptz),
            Literal::Primitive(PrimitiveLiteral::Long(us)),
        ) => time_of(*us).map(|time| format!("{time}+00:00").into()),
        (
            Type::Primitive(PrimitiveType::Timestamp),
            Literal::Primitive(PrimitiveLiteral::Long(us)),
        ) => time_of(*us).map(Into::into),
        _ => value.clone().try_into_json(value_type),
    }
}

/// `1969-12-31T23:59:59.500`: date and time of microseconds since 1970, with 0, 3 or 6 digits of fraction.
fn time_of(us: i64) -> iceberg::Result<String> {
    const US_PER_SECOND: i64 = 1_000_000;
    let (days, us_of_day) = (us.div_euclid(US_PER_DAY), us.rem_euclid(US_PER_DAY));
    // 64 bits of microseconds are 2^28 days, some 292,000 years, and the library's dates end before.
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    let date = day_of(days)?;
    let (seconds, us) = (us_of_day / US_PER_SECOND, us_of_day % US_PER_SECOND);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = match us {
        0 => String::new(),
        _ if us % 1_000 == 0 => format!(".{:03}", us / 1_000),
        _ => format!(".{us:06}"),
    };
    Ok(format!(
        "{date}T{hours:02}:{minutes:02}:{seconds:02}{fraction}"
    ))
}

/// `2026-11-21`: the date of days since 1970.
fn day_of(days: i32) -> iceberg::Result<String> {
    // The library panics on dates beyond its calendar, the years -262143 to 262142.
    const FARTHEST: i32 = 95_000_000;
    if !(-FARTHEST..=FARTHEST).contains(&days) {
        let message = format!("day {days} since 1970 is beyond the calendar");
        return Err(iceberg::Error::new(
            iceberg::ErrorKind::DataInvalid,
            message,
        ));
    }
    let day = Literal::date(days).try_into_json(&Type::Primitive(PrimitiveType::Date))?;
    Ok(day.as_str().unwrap_or_default().to_owned())
}

/// A partition value as a person writes it: years, months and hours are counted from 1970 in Iceberg.
pub(super) fn for_people(
    transform: Transform,
    value: Option<&Literal>,
    json: &serde_json::Value,
) -> String {
    let Some(value) = value else {
        return "null".to_owned();
    };
    if let (
        Transform::Year | Transform::Month | Transform::Hour,
        Literal::Primitive(PrimitiveLiteral::Int(n)),
    ) = (transform, value)
    {
        let n = *n;
        return match transform {
            Transform::Year => format!("{}", 1970 + n),
            Transform::Month => format!("{}-{:02}", 1970 + n.div_euclid(12), n.rem_euclid(12) + 1),
            _ => {
                let day = day_of(n.div_euclid(24)).unwrap_or_default();
                format!("{day}-{:02}", n.rem_euclid(24))
            }
        };
    }
    json.as_str()
        .map_or_else(|| json.to_string(), str::to_owned)
}

/// Keeps what is safe in a path on every file system and in every engine's URL parser, and keeps it short.
pub(super) fn safe_level(level: &str) -> String {
    const LONGEST: usize = 100;
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "._=-".contains(c) {
            c
        } else {
            '_'
        }
    };
    level.chars().take(LONGEST).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a time is in JSON, and that the library reads it back as the same.
    #[track_caller]
    fn check(us: i64, expected: &str) {
        for (value_type, offset) in [
            (PrimitiveType::Timestamptz, "+00:00"),
            (PrimitiveType::Timestamp, ""),
        ] {
            let value_type = Type::Primitive(value_type);
            let json = json_of(&Literal::long(us), &value_type).unwrap();
            assert_eq!(json, format!("{expected}{offset}"));
            let read = Literal::try_from_json(json, &value_type).unwrap();
            assert_eq!(read, Some(Literal::long(us)));
        }
    }

    #[test]
    fn times_are_written_as_the_library_reads_them_before_1970_too() {
        check(0, "1970-01-01T00:00:00");
        check(1_763_640_000_123_000, "2025-11-20T12:00:00.123");
        check(-1, "1969-12-31T23:59:59.999999");
        check(-500_000, "1969-12-31T23:59:59.500");
        check(-86_400_000_000, "1969-12-31T00:00:00");
        check(-86_400_000_001, "1969-12-30T23:59:59.999999");
        check(-62_135_596_800_000_000, "0001-01-01T00:00:00");
        check(253_402_300_799_999_999, "9999-12-31T23:59:59.999999");
    }

    #[test]
    fn a_time_beyond_the_calendar_is_an_error() {
        for us in [i64::MIN, i64::MAX] {
            let value_type = Type::Primitive(PrimitiveType::Timestamptz);
            let error = json_of(&Literal::long(us), &value_type).unwrap_err();
            assert!(error.to_string().contains("beyond the calendar"), "{error}");
        }
    }
}
