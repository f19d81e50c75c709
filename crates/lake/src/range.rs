use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A record's place in its shard: a decimal number of any length, compared as a number.
///
/// Those of Kinesis have 56 digits and more, so no integer type holds them.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SequenceNumber(Box<str>);

/// A text that is no [`SequenceNumber`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a sequence number: decimal digits, {MAX_DIGITS} at most")]
pub struct InvalidSequenceNumber(String);

/// AWS promises 128 digits at most.
const MAX_DIGITS: usize = 128;

impl SequenceNumber {
    /// The number that follows.
    fn successor(&self) -> Self {
        let mut digits = self.0.as_bytes().to_vec();
        for digit in digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return Self::of_digits(&digits);
            }
            *digit = b'0';
        }
        digits.insert(0, b'1');
        Self::of_digits(&digits)
    }

    fn of_digits(digits: &[u8]) -> Self {
        Self(String::from_utf8_lossy(digits).into())
    }

    fn n_digits(&self) -> usize {
        self.0.len()
    }
}

impl FromStr for SequenceNumber {
    type Err = InvalidSequenceNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = (1..=MAX_DIGITS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(InvalidSequenceNumber(text.chars().take(200).collect()));
        }
        let digits = text.trim_start_matches('0');
        Ok(Self(if digits.is_empty() { "0" } else { digits }.into()))
    }
}

impl TryFrom<String> for SequenceNumber {
    type Error = InvalidSequenceNumber;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SequenceNumber> for String {
    fn from(number: SequenceNumber) -> Self {
        number.0.into()
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        // There are no leading zeros: the longer number is the larger one.
        (self.n_digits(), &self.0).cmp(&(other.n_digits(), &other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ranges of records of one shard, both ends included: in order, apart from each other, joined where they touch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RangeSet {
    ranges: Vec<(SequenceNumber, SequenceNumber)>,
}

impl RangeSet {
    /// Adds the records from the first to the last. Nothing is added when the last lies before the first.
    pub fn insert(&mut self, first: &SequenceNumber, last: &SequenceNumber) {
        if last < first {
            return;
        }
        // Those that end before it, but not right before it, stay in front; likewise behind it.
        let start = self
            .ranges
            .partition_point(|(_, end)| end < first && end.successor() < *first);
        let next = last.successor();
        let end = start + self.ranges[start..].partition_point(|(begin, _)| *begin <= next);
        let (mut first, mut last) = (first.clone(), last.clone());
        if let [touched, ..] = &self.ranges[start..end] {
            first = first.min(touched.0.clone());
        }
        if let [.., touched] = &self.ranges[start..end] {
            last = last.max(touched.1.clone());
        }
        self.ranges.splice(start..end, [(first, last)]);
    }

    /// Adds all of the other's.
    pub fn extend(&mut self, other: &Self) {
        for (first, last) in &other.ranges {
            self.insert(first, last);
        }
    }

    /// Whether the record is in it.
    pub fn contains(&self, number: &SequenceNumber) -> bool {
        self.covers(number, number)
    }

    /// Whether all records from the first to the last are in it.
    pub fn covers(&self, first: &SequenceNumber, last: &SequenceNumber) -> bool {
        let place = self.ranges.partition_point(|(_, end)| end < first);
        let range = self.ranges.get(place);
        range.is_some_and(|(begin, end)| begin <= first && last <= end)
    }

    /// Whether all records of the other are in it.
    pub(crate) fn covers_all(&self, other: &Self) -> bool {
        let mut ranges = other.ranges.iter();
        ranges.all(|(first, last)| self.covers(first, last))
    }

    /// What it has of the records from the first to the last.
    #[must_use]
    pub fn within(&self, first: &SequenceNumber, last: &SequenceNumber) -> Self {
        Self {
            ranges: self.between(first, last).collect(),
        }
    }

    /// The records that are in both.
    pub(crate) fn overlap(&self, other: &Self) -> Self {
        let ranges = other.ranges.iter();
        Self {
            ranges: ranges
                .flat_map(|(first, last)| self.between(first, last))
                .collect(),
        }
    }

    fn between<'a>(
        &'a self,
        first: &'a SequenceNumber,
        last: &'a SequenceNumber,
    ) -> impl Iterator<Item = (SequenceNumber, SequenceNumber)> + 'a {
        let start = self.ranges.partition_point(|(_, end)| end < first);
        let overlapping = self.ranges[start..].iter();
        overlapping
            .take_while(move |(begin, _)| begin <= last)
            .map(move |(begin, end)| (begin.max(first).clone(), end.min(last).clone()))
    }

    /// Whether there is no record in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// About its size as JSON in bytes, never less.
    pub(crate) fn json_bytes(&self) -> usize {
        let bytes = |(first, last): &(SequenceNumber, SequenceNumber)| range_bytes(first, last);
        2 + self.ranges.iter().map(bytes).sum::<usize>()
    }
}

/// What one range takes as JSON, in bytes: two texts in brackets, and a comma.
pub(crate) fn range_bytes(first: &SequenceNumber, last: &SequenceNumber) -> usize {
    first.n_digits() + last.n_digits() + 8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn number(n: u32) -> SequenceNumber {
        n.to_string().parse().unwrap()
    }

    #[test]
    fn numbers_of_any_length_are_compared_as_numbers() {
        let parse = |text: &str| text.parse::<SequenceNumber>();
        let long = "49590338271490256608559692538361571095921575989136588898";
        assert!(parse("9").unwrap() < parse("10").unwrap());
        assert!(parse("99").unwrap() < parse(long).unwrap());
        assert_eq!(parse("007"), parse("7"));
        assert_eq!(parse("000"), parse("0"));
        assert_eq!(parse("999").unwrap().successor(), parse("1000").unwrap());
        for wrong in ["", "-1", "1.0", "12a", "LATEST", &"1".repeat(129)] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let json = serde_json::to_string(&parse(long).unwrap()).unwrap();
        assert_eq!(json, format!("\"{long}\""));
        assert!(serde_json::from_str::<SequenceNumber>("\"x\"").is_err());
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let mut set = RangeSet::default();
        for (first, last) in [(5, 6), (9, 9), (7, 8), (1, 2)] {
            set.insert(&number(first), &number(last));
        }
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"[["1","2"],["5","9"]]"#);
        assert_eq!(serde_json::from_str::<RangeSet>(&json).unwrap(), set);
        assert!(json.len() <= set.json_bytes());
    }

    proptest! {
        #[test]
        fn a_set_of_ranges_holds_what_a_set_of_numbers_holds(
            ranges in prop::collection::vec((0..120_u32, 0..12_u32), 0..12),
            looks in prop::collection::vec((0..130_u32, 0..20_u32), 1..20),
        ) {
            let (mut set, mut model) = (RangeSet::default(), BTreeSet::new());
            for (first, more) in ranges {
                set.insert(&number(first), &number(first + more));
                model.extend(first..=first + more);
            }
            for pair in set.ranges.windows(2) {
                prop_assert!(pair[0].1.successor() < pair[1].0);
            }
            for (first, more) in looks {
                let last = first + more;
                prop_assert_eq!(set.contains(&number(first)), model.contains(&first));
                let covered = (first..=last).all(|n| model.contains(&n));
                prop_assert_eq!(set.covers(&number(first), &number(last)), covered);
                let within = set.within(&number(first), &number(last));
                let mut other = RangeSet::default();
                other.insert(&number(first), &number(last));
                prop_assert_eq!(&set.overlap(&other), &within);
                prop_assert_eq!(set.covers_all(&other), covered);
                for n in 0..140 {
                    let expected = (first..=last).contains(&n) && model.contains(&n);
                    prop_assert_eq!(within.contains(&number(n)), expected);
                }
            }
        }
    }
}
