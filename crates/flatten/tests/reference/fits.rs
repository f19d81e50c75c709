//! Section 5: which value fits which column, and as what it is stored.

use arrow_schema::{DataType, TimeUnit};

use super::walk::Scalar;
use super::{Cell, Decimal, event_time, times};

/// A value in its column.
pub(crate) struct Stored {
    pub(crate) cell: Cell,
    /// Whether the cell prints the original back.
    pub(crate) prints_back: bool,
}

/// The cell of a scalar, `None` when it does not fit the type.
pub(crate) fn store(
    scalar: &Scalar,
    data_type: &DataType,
    assume_offset: Option<&str>,
) -> Option<Stored> {
    let cell = match (data_type, scalar) {
        (DataType::Boolean, Scalar::Boolean(value)) => Cell::Boolean(*value),
        (DataType::Int32, Scalar::Number(token)) => {
            Cell::Long(i32::try_from(Decimal::read(token).integer()?).ok()?.into())
        }
        (DataType::Int64, Scalar::Number(token)) => {
            Cell::Long(i64::try_from(Decimal::read(token).integer()?).ok()?)
        }
        (DataType::Float32, Scalar::Number(token)) => float(token)?,
        (DataType::Float64, Scalar::Number(token)) => double(token)?,
        (DataType::Decimal128(precision, scale), Scalar::Number(token)) => {
            let unscaled = Decimal::read(token).shifted(i64::from(*scale));
            if !unscaled.is_below_ten_to(i64::from(*precision)) {
                return None;
            }
            Cell::Decimal(unscaled.integer()?)
        }
        (DataType::Utf8, Scalar::String(text)) => Cell::Text(text.clone()),
        (DataType::Date32, Scalar::String(text)) => {
            let (year, month, day) = times::read_date(text).filter(|(year, ..)| *year >= 1)?;
            Cell::Long(i64::try_from(times::days(year, month, day)?).ok()?)
        }
        (DataType::Timestamp(TimeUnit::Microsecond, zone), _)
            if zone.as_deref().is_none_or(|zone| zone == "+00:00") =>
        {
            return timestamp(scalar, assume_offset);
        }
        (DataType::FixedSizeBinary(16), Scalar::String(text)) => Cell::Bytes(uuid(text)?),
        _ => return None,
    };
    Some(Stored {
        cell,
        prints_back: true,
    })
}

/// The double whose shortest decimal form is the token.
fn double(token: &str) -> Option<Cell> {
    let nearest: f64 = if token == "-0" {
        0.0
    } else {
        token.parse().ok()?
    };
    (shortest_double(nearest)? == Decimal::read(token)).then_some(Cell::Double(nearest.to_bits()))
}

/// The float whose shortest decimal form is the token.
fn float(token: &str) -> Option<Cell> {
    let nearest: f32 = if token == "-0" {
        0.0
    } else {
        token.parse().ok()?
    };
    (shortest_float(nearest)? == Decimal::read(token)).then_some(Cell::Float(nearest.to_bits()))
}

/// No double has more than 767 digits.
pub(crate) fn shortest_double(number: f64) -> Option<Decimal> {
    Decimal::shortest(&format!("{number:.800e}"), |text| {
        text.parse() == Ok(number)
    })
}

pub(crate) fn shortest_float(number: f32) -> Option<Decimal> {
    Decimal::shortest(&format!("{number:.800e}"), |text| {
        text.parse() == Ok(number)
    })
}

fn timestamp(scalar: &Scalar, assume_offset: Option<&str>) -> Option<Stored> {
    let time_us = event_time::read(scalar, assume_offset)?.time_us;
    if !times::is_in_years(time_us, 1, 9999) {
        return None;
    }
    let prints_back =
        matches!(scalar, Scalar::String(text) if *text == times::print_column(time_us));
    Some(Stored {
        cell: Cell::Long(i64::try_from(time_us).ok()?),
        prints_back,
    })
}

/// The sixteen bytes of `8-4-4-4-12` lower-case hex digits.
fn uuid(text: &str) -> Option<Vec<u8>> {
    let groups: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    if lengths != [8, 4, 4, 4, 12] {
        return None;
    }
    let digits: Vec<u8> = groups
        .concat()
        .chars()
        .map(|digit| {
            "0123456789abcdef"
                .find(digit)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect::<Option<_>>()?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] * 16 + pair[1])
            .collect(),
    )
}

/// The text of sixteen bytes as a UUID.
pub(crate) fn print_uuid(bytes: &[u8]) -> String {
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..4], &hex[4..6], &hex[6..8], &hex[8..10], &hex[10..]]
        .map(<[String]>::concat)
        .join("-")
}
