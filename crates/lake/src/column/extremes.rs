//! The least and the greatest value of a page or of a whole column chunk.

use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

/// So many bytes of a text are kept in statistics and page indexes.
const KEPT_BYTES: usize = 64;

/// The least and the greatest of at least one value, in Parquet's order.
#[derive(Debug, Clone)]
pub(crate) enum Extremes {
    Boolean(bool, bool),
    Long(i64, i64),
    /// Neither is NaN.
    Double(f64, f64),
    Text(Vec<u8>, Vec<u8>),
}

/// A value as statistics keep it, and whether it is the value itself.
type Kept = (Vec<u8>, bool);

impl Extremes {
    /// Takes in those of other values of the column.
    pub(crate) fn widen(&mut self, other: &Self) {
        match (self, other) {
            (Self::Boolean(min, max), Self::Boolean(lower, upper)) => {
                (*min, *max) = (*min && *lower, *max || *upper);
            }
            (Self::Long(min, max), Self::Long(lower, upper)) => {
                (*min, *max) = ((*min).min(*lower), (*max).max(*upper));
            }
            (Self::Double(min, max), Self::Double(lower, upper)) => {
                (*min, *max) = (min.min(*lower), max.max(*upper));
            }
            (Self::Text(min, max), Self::Text(lower, upper)) => {
                if lower < min {
                    min.clone_from(lower);
                }
                if upper > max {
                    max.clone_from(upper);
                }
            }
            _ => {} // A column has one type.
        }
    }

    /// Whether both, as a page index keeps them, are at least those of `before`. Shortening may turn their order around: a
    /// shorter front is the lower one.
    pub(crate) fn ascends_from(&self, before: &Self) -> bool {
        match (before, self) {
            (Self::Boolean(a, b), Self::Boolean(c, d)) => a <= c && b <= d,
            (Self::Long(a, b), Self::Long(c, d)) => a <= c && b <= d,
            (Self::Double(a, b), Self::Double(c, d)) => a <= c && b <= d,
            (Self::Text(a, b), Self::Text(c, d)) => {
                shortened(a).0 <= shortened(c).0 && raised(b).0 <= raised(d).0
            }
            _ => false,
        }
    }

    /// Both as a page index keeps them; a shortened greatest value is raised.
    pub(crate) fn kept(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Boolean(min, max) => (vec![u8::from(*min)], vec![u8::from(*max)]),
            Self::Long(min, max) => (min.to_le_bytes().to_vec(), max.to_le_bytes().to_vec()),
            Self::Double(min, max) => {
                let (min, max) = zeros_widened(*min, *max);
                (min.to_le_bytes().to_vec(), max.to_le_bytes().to_vec())
            }
            Self::Text(min, max) => (shortened(min).0, raised(max).0),
        }
    }

    /// The same, but of long texts only what a page index keeps of them.
    pub(crate) fn shortened(self) -> Self {
        match self {
            Self::Text(min, max) if min.len().max(max.len()) > KEPT_BYTES => {
                Self::Text(shortened(&min).0, raised(&max).0)
            }
            all => all,
        }
    }

    /// The statistics of a column chunk.
    pub(crate) fn statistics(&self, n_nulls: u64) -> Statistics {
        let nulls = Some(n_nulls);
        match self {
            Self::Boolean(min, max) => {
                Statistics::boolean(Some(*min), Some(*max), None, nulls, false)
            }
            Self::Long(min, max) => Statistics::int64(Some(*min), Some(*max), None, nulls, false),
            Self::Double(min, max) => {
                let (min, max) = zeros_widened(*min, *max);
                Statistics::double(Some(min), Some(max), None, nulls, false)
            }
            Self::Text(min, max) => {
                let ((min, min_exact), (max, max_exact)) = (shortened(min), raised(max));
                let (min, max) = (ByteArray::from(min), ByteArray::from(max));
                Statistics::ByteArray(
                    ValueStatistics::new(Some(min), Some(max), None, nulls, false)
                        .with_min_is_exact(min_exact)
                        .with_max_is_exact(max_exact),
                )
            }
        }
    }
}

/// The extremes of doubles; none when each is NaN.
pub(crate) fn of_doubles(values: impl Iterator<Item = f64>) -> Option<Extremes> {
    // `f64::min` passes NaN over.
    let (min, max) = values.fold((f64::NAN, f64::NAN), |(min, max), value| {
        (min.min(value), max.max(value))
    });
    (!min.is_nan()).then_some(Extremes::Double(min, max))
}

/// Readers may not tell the zeros apart, so a zero stands for both.
///
/// <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift> (`ColumnOrder`)
fn zeros_widened(min: f64, max: f64) -> (f64, f64) {
    let widened = |value, zero| if value == 0.0 { zero } else { value };
    (widened(min, -0.0), widened(max, 0.0))
}

/// The front of a text: not above the text.
fn shortened(text: &[u8]) -> Kept {
    let kept = front(text);
    (kept.to_vec(), kept.len() == text.len())
}

/// The front of a text, its last raisable character raised: above all texts that begin so. The text itself where nothing can be raised.
fn raised(text: &[u8]) -> Kept {
    let kept = front(text);
    if kept.len() == text.len() {
        return (text.to_vec(), true);
    }
    let kept = std::str::from_utf8(kept).unwrap_or_default();
    for (at, last) in kept.char_indices().rev() {
        let next = char::from_u32(u32::from(last) + 1);
        if let Some(next) = next.filter(|next| next.len_utf8() == last.len_utf8()) {
            let mut raised = kept.as_bytes()[..at].to_vec();
            raised.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
            return (raised, false);
        }
    }
    (text.to_vec(), true)
}

/// At most 64 bytes, of whole characters.
fn front(text: &[u8]) -> &[u8] {
    if text.len() <= KEPT_BYTES {
        return text;
    }
    let is_boundary = |at: &usize| text[*at] & 0xC0 != 0x80;
    let end = (0..=KEPT_BYTES).rev().find(is_boundary).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened_at_a_character_and_the_greatest_is_raised() {
        let text = format!("{}äz", "a".repeat(63));
        let (min, max) = Extremes::Text(text.clone().into(), text.clone().into()).kept();
        assert_eq!(min, "a".repeat(63).into_bytes());
        assert_eq!(max, format!("{}b", "a".repeat(62)).into_bytes());
        assert!(min.as_slice() < text.as_bytes() && max.as_slice() > text.as_bytes());
    }

    #[test]
    fn a_text_that_cannot_be_raised_is_kept_whole() {
        let text = "\u{10FFFF}".repeat(20);
        let (_, max) = Extremes::Text(text.clone().into(), text.clone().into()).kept();
        assert_eq!(max, text.into_bytes());
    }

    #[test]
    fn what_was_shortened_is_kept_as_it_would_have_been() {
        for text in [
            "short".to_owned(),
            "é".repeat(50),
            "\u{10FFFF}".repeat(20),
            "a\u{7f}".repeat(40),
        ] {
            let whole = Extremes::Text(text.clone().into(), text.into());
            let shortened = whole.clone().shortened();
            assert_eq!(shortened.kept(), whole.kept());
            assert!(whole.ascends_from(&shortened) && shortened.ascends_from(&whole));
        }
    }

    #[test]
    fn pages_ascend_only_when_what_is_kept_of_them_does() {
        let page = |text: String| Extremes::Text(text.clone().into(), text.into());
        let ascend = |lower: &Extremes, upper: &Extremes| {
            let ((min, max), (next_min, next_max)) = (lower.kept(), upper.kept());
            assert_eq!(
                upper.ascends_from(lower),
                min <= next_min && max <= next_max
            );
            upper.ascends_from(lower)
        };
        let front = "a".repeat(62);
        // The second one is cut in front of its last character, which does not fit.
        assert!(!ascend(
            &page(format!("{front}é and more")),
            &page(format!("{front}\u{1234} and more"))
        ));
        // The first one is raised by a character further in front, above the second one.
        assert!(!ascend(
            &page(format!("{front}\u{7f}\u{7f} and more")),
            &page(format!("{front}\u{80}"))
        ));
        assert!(ascend(&page("a".repeat(70)), &page("b".repeat(70))));
    }

    #[test]
    fn zeros_stand_for_both_zeros_and_nan_for_nothing() {
        let extremes = of_doubles([0.0, f64::NAN, -0.0].into_iter());
        let (min, max) = extremes.expect("two numbers").kept();
        assert_eq!(
            (min, max),
            (
                (-0.0_f64).to_le_bytes().to_vec(),
                0.0_f64.to_le_bytes().to_vec()
            )
        );
        assert!(of_doubles([f64::NAN].into_iter()).is_none());
    }
}
