//! Section 6: which value is the event time, and in which form it was.

use flatten::{Refusal, Shape, UnreadableTime};

use super::json::{Node, Value};
use super::walk::Scalar;
use super::{Decimal, doc, names, times, walk};

/// Where an event's time comes from.
pub(crate) enum EventTime {
    Arrival,
    At {
        pointer: String,
        time_us: i64,
        /// Of `_time_source`; `other` when it does not print back.
        form: String,
    },
}

/// A readable time and its form.
pub(crate) struct Readable {
    pub(crate) time_us: i128,
    pub(crate) form: String,
}

impl EventTime {
    /// The pointer chosen as event time, and whether its form prints back.
    pub(crate) fn chosen(&self) -> Option<(&str, bool)> {
        match self {
            Self::Arrival => None,
            Self::At { pointer, form, .. } => Some((pointer, form != "other")),
        }
    }

    pub(crate) fn time_us(&self, arrival_us: i64) -> i64 {
        match self {
            Self::Arrival => arrival_us,
            Self::At { time_us, .. } => *time_us,
        }
    }

    /// The text of `_time_source`.
    pub(crate) fn source(&self) -> String {
        match self {
            Self::Arrival => "arrival".to_owned(),
            Self::At { pointer, form, .. } => format!("{pointer} {form}"),
        }
    }
}

/// The first of the list that is present, not null, and readable; then whether it is in range.
pub(crate) fn find(root: &Node<'_>, shape: &Shape, arrival_us: i64) -> Result<EventTime, Refusal> {
    let mut present = Vec::new();
    for pointer in &shape.time {
        let Some(value) = at(root, pointer, shape) else {
            continue;
        };
        present.push(pointer.clone());
        let readable = match value {
            Present::Scalar(scalar) => read(&scalar, shape.assume_offset.as_deref()),
            Present::Other => None,
        };
        let Some(readable) = readable else {
            continue;
        };
        let pointer = pointer.clone();
        let earliest_us =
            times::read_rfc3339(&shape.earliest, None).map_or(i128::MIN, |time| time.time_us);
        let latest_us = i128::from(arrival_us) + i128::from(shape.latest_seconds) * 1_000_000;
        let time_us = i64::try_from(readable.time_us).expect("readable times have 64 bits");
        if readable.time_us < earliest_us || readable.time_us > latest_us {
            return Err(Refusal::TimeOutOfRange {
                pointer: pointer.into(),
                time_us,
            });
        }
        return Ok(EventTime::At {
            pointer,
            time_us,
            form: readable.form,
        });
    }
    if present.is_empty() || shape.unreadable_time == UnreadableTime::Arrival {
        Ok(EventTime::Arrival)
    } else {
        Err(Refusal::UnreadableTime(present.into()))
    }
}

/// What is at a pointer when it is present and not null.
enum Present {
    Scalar(Scalar),
    /// An array or an object.
    Other,
}

/// The value at a pointer after rule 1: `None` when absent or null.
fn at(root: &Node<'_>, pointer: &str, shape: &Shape) -> Option<Present> {
    let keys = names::keys(pointer)?;
    let mut node = root;
    for n_keys in 1..=keys.len() {
        node = &node
            .members()
            .find(|member| member.key == keys[n_keys - 1])?
            .value;
        let path = names::pointer(keys[..n_keys].iter().map(String::as_str));
        match shape.columns.get(&path) {
            Some(flatten::DeclaredType::Drop) => return None,
            Some(flatten::DeclaredType::Sha256) if n_keys < keys.len() || node.is_null() => {
                return None;
            }
            Some(flatten::DeclaredType::Sha256) => {
                return Some(Present::Scalar(Scalar::String(doc::sha256(node))));
            }
            _ => {}
        }
    }
    match &node.value {
        Value::Null => None,
        _ => Some(walk::scalar(node).map_or(Present::Other, Present::Scalar)),
    }
}

/// Reads a string in RFC 3339, a number, or a string that is a number.
pub(crate) fn read(scalar: &Scalar, assume_offset: Option<&str>) -> Option<Readable> {
    let readable = match scalar {
        Scalar::Boolean(_) => return None,
        Scalar::Number(token) => read_number(token),
        Scalar::String(text) if is_plain_number(text) => Readable {
            form: "other".to_owned(),
            ..read_number(text)
        },
        Scalar::String(text) => read_text(text, assume_offset)?,
    };
    let has_64_bits = i64::try_from(readable.time_us).is_ok();
    (has_64_bits && times::is_in_years(readable.time_us, 0, 9999)).then_some(readable)
}

fn read_text(text: &str, assume_offset: Option<&str>) -> Option<Readable> {
    let time = times::read_rfc3339(text, assume_offset)?;
    let n_digits = time.fraction.len();
    let prints_back = time.separator == b'T'
        && (matches!(n_digits, 0 | 3 | 6) || (n_digits == 9 && time.fraction.ends_with("000")))
        && time.second != 60
        && (time.offset == "Z" || time.offset == "+00:00");
    Some(Readable {
        time_us: time.time_us,
        form: if prints_back {
            format!("rfc3339/{n_digits}/{}", time.offset)
        } else {
            "other".to_owned()
        },
    })
}

fn read_number(token: &str) -> Readable {
    let number = Decimal::read(token);
    let (unit, power_to_us) = if number.is_below_ten_to(11) {
        ("s", 6)
    } else if number.is_below_ten_to(14) {
        ("ms", 3)
    } else if number.is_below_ten_to(17) {
        ("us", 0)
    } else {
        ("other", -3)
    };
    let micros = number.shifted(power_to_us);
    let is_integer_token = !token.contains(['.', 'e', 'E']);
    Readable {
        // Beyond 10^37 microseconds nothing is readable.
        time_us: if micros.is_below_ten_to(37) {
            micros.floor()
        } else {
            i128::MAX / 4
        },
        form: if is_integer_token && token != "-0" {
            unit
        } else {
            "other"
        }
        .to_owned(),
    }
}

/// `-?[0-9]+(\.[0-9]+)?`
fn is_plain_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        None => digits(unsigned),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
    }
}
