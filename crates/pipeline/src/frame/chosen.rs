//! Some of the events of a body, with the numbers that they have among all.

use super::Frames;

/// The numbers of events that do not follow each other, counted from the first of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbers {
    of_events: Box<[u32]>,
    n_all: usize,
}

impl Numbers {
    /// How many events there are with those between them.
    pub(super) fn n_events(&self) -> usize {
        self.n_all
    }
}

impl Frames {
    /// The events at these positions, rising, each with its number in the record; the broken rest only if asked for.
    pub(crate) fn chosen(&self, positions: &[u32], with_rest: bool) -> Self {
        let places = positions.iter();
        let number = |&position: &u32| match &self.numbers {
            Some(numbers) => numbers.of_events[position as usize],
            None => position,
        };
        Self {
            places: places
                .map(|&position| self.places[position as usize])
                .collect(),
            first_index: self.first_index,
            numbers: Some(Numbers {
                of_events: positions.iter().map(number).collect(),
                n_all: self
                    .numbers
                    .as_ref()
                    .map_or(self.n_events(), Numbers::n_events),
            }),
            broken: self.broken.filter(|_| with_rest),
        }
    }

    /// The number in the record of the event at this position.
    pub(super) fn index_of(&self, position: usize) -> i64 {
        let number = match &self.numbers {
            Some(numbers) => i64::from(numbers.of_events[position]),
            None => i64::try_from(position).unwrap_or(i64::MAX),
        };
        self.first_index.saturating_add(number)
    }
}

#[cfg(test)]
mod tests {
    use crate::frame::frame;

    #[test]
    fn chosen_events_keep_their_numbers_and_the_rest_keeps_its_own() {
        let body = b"[10,11,12,13,{";
        let all = frame(body, usize::MAX).numbered_from(7);
        let some = all.chosen(&[1, 3], true);
        let found: Vec<_> = some
            .numbered()
            .map(|(index, range)| (index, &body[range]))
            .collect();
        assert_eq!(found, [(8, b"11".as_slice()), (10, b"13")]);
        assert_eq!((some.n_events(), some.next_index()), (2, Some(11)));
        assert_eq!(some.broken, all.broken);

        let fewer = some.chosen(&[1], false);
        let found: Vec<_> = fewer.numbered().collect();
        assert_eq!(found, [(10, 10..12)]);
        assert_eq!((fewer.next_index(), fewer.broken), (Some(11), None));
    }
}
