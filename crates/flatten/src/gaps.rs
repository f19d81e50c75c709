//! The rows of a column under construction that have no value.
//!
//! Most columns have one in every row or in hardly any, so runs are noted, and bits are made of them at the end.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

/// So many runs there is room for at once: most columns that have one have more.
const FIRST_RUNS: usize = 32;

/// Runs of rows without a value, in their order.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Where each begins, and how many rows it has.
    runs: Vec<(usize, usize)>,
}

impl Gaps {
    /// Notes that the `n_rows` rows from `begin` on have no value; it is behind all rows noted before.
    #[inline]
    pub(crate) fn add(&mut self, begin: usize, n_rows: usize) {
        if self.runs.capacity() == 0 {
            self.runs.reserve_exact(FIRST_RUNS);
        }
        self.runs.push((begin, n_rows));
    }

    /// Forgets the rows from `n_rows` on.
    pub(crate) fn truncate(&mut self, n_rows: usize) {
        while let Some((begin, n_missing)) = self.runs.last_mut()
            && *begin + *n_missing > n_rows
        {
            *n_missing = n_rows.saturating_sub(*begin);
            if *n_missing > 0 {
                return;
            }
            self.runs.pop();
        }
    }

    /// Which of the first `n_rows` rows, behind which none is noted, have a value; none when all have.
    pub(crate) fn validity(&self, n_rows: usize) -> Option<NullBuffer> {
        if self.runs.is_empty() {
            return None;
        }
        let mut bits = vec![u8::MAX; n_rows.div_ceil(8)];
        for &(begin, n_missing) in &self.runs {
            clear(&mut bits, begin, begin + n_missing);
        }
        let bits = BooleanBuffer::new(Buffer::from_vec(bits), 0, n_rows);
        Some(NullBuffer::new(bits))
    }
}

/// Clears the bits from `begin` on, up to `end`.
fn clear(bits: &mut [u8], begin: usize, end: usize) {
    // Those of a byte that stand below a bit.
    let below = |bit: usize| (1_u8 << (bit % 8)) - 1;
    let (first, last) = (begin / 8, end / 8);
    if first == last {
        bits[first] &= below(begin) | !below(end);
        return;
    }
    bits[first] &= below(begin);
    bits[first + 1..last].fill(0);
    if !end.is_multiple_of(8) {
        bits[last] &= !below(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which rows have a value when those from `n_kept` on are taken back, and all up to `n_rows` then have one.
    fn kept(gaps: &[(usize, usize)], n_kept: usize, n_rows: usize) -> Option<Vec<bool>> {
        let mut noted = Gaps::default();
        for &(begin, n_missing) in gaps {
            noted.add(begin, n_missing);
        }
        noted.truncate(n_kept);
        let validity = noted.validity(n_rows);
        validity.map(|validity| validity.iter().collect())
    }

    #[test]
    fn rows_that_are_taken_back_leave_no_gap() {
        const T: bool = true;
        const F: bool = false;
        assert_eq!(kept(&[], 2, 2), None);
        assert_eq!(kept(&[(0, 2)], 2, 3), Some(vec![F, F, T]));
        assert_eq!(kept(&[(1, 1), (3, 2)], 5, 6), Some(vec![T, F, T, F, F, T]));
        // Taken back in the middle of a gap, at its ends, and with all of it.
        assert_eq!(kept(&[(1, 4)], 3, 5), Some(vec![T, F, F, T, T]));
        assert_eq!(kept(&[(1, 4)], 5, 6), Some(vec![T, F, F, F, F, T]));
        assert_eq!(kept(&[(1, 4)], 1, 3), None);
        assert_eq!(kept(&[(1, 1), (3, 1), (5, 1)], 2, 3), Some(vec![T, F, T]));
        assert_eq!(kept(&[(0, 3), (4, 1)], 0, 2), None);
    }

    #[test]
    fn gaps_of_any_length_are_missing_wherever_they_begin() {
        for (begin, end) in (0..40).flat_map(|begin| (begin + 1..=40).map(move |end| (begin, end)))
        {
            let expected: Vec<bool> = (0..40).map(|row| !(begin..end).contains(&row)).collect();
            assert_eq!(kept(&[(begin, end - begin)], 40, 40), Some(expected));
        }
    }
}
