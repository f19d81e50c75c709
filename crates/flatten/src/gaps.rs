//! The rows of a column under construction that have no value.
//!
//! Most columns have one in every row or in hardly any, so runs are noted, and bits are made of them at the end.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

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
        let mut bits = BooleanBufferBuilder::new(n_rows);
        for &(begin, n_missing) in &self.runs {
            bits.append_n(begin - bits.len(), true);
            bits.append_n(n_missing, false);
        }
        bits.append_n(n_rows - bits.len(), true);
        Some(bits.finish().into())
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
}
