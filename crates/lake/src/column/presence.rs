//! Which rows of a page have a value.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

use super::indices::write_levels;

/// The rows of the page under construction.
pub(crate) struct Presence {
    nullable: bool,
    n_rows: usize,
    n_nulls: usize,
    /// None as long as all rows have a value, or none has.
    rows: Option<BooleanBufferBuilder>,
}

impl Presence {
    /// No rows yet.
    pub(crate) fn new(nullable: bool) -> Self {
        Self {
            nullable,
            n_rows: 0,
            n_nulls: 0,
            rows: None,
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub(crate) fn n_nulls(&self) -> usize {
        self.n_nulls
    }

    /// Adds rows; without `nulls` each has a value.
    pub(crate) fn append(&mut self, nulls: Option<&NullBuffer>, n_rows: usize) {
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) if nulls.null_count() == n_rows => return self.append_nulls(n_rows),
            Some(nulls) => {
                self.rows().append_buffer(nulls.inner());
                self.n_nulls += nulls.null_count();
            }
            None if self.n_nulls > 0 => self.rows().append_n(n_rows, true),
            None => {}
        }
        self.n_rows += n_rows;
    }

    /// Adds rows without a value.
    pub(crate) fn append_nulls(&mut self, n_rows: usize) {
        if self.n_nulls < self.n_rows {
            self.rows().append_n(n_rows, false);
        }
        self.n_rows += n_rows;
        self.n_nulls += n_rows;
    }

    /// A bit for each row so far.
    fn rows(&mut self) -> &mut BooleanBufferBuilder {
        let (n_rows, have_values) = (self.n_rows, self.n_nulls == 0);
        self.rows.get_or_insert_with(|| {
            let mut rows = BooleanBufferBuilder::new(n_rows + 1024);
            rows.append_n(n_rows, have_values);
            rows
        })
    }

    /// Writes the definition levels of the page in front of its values, and begins the next page. Columns that the
    /// table requires have none.
    pub(crate) fn take_levels(&mut self, out: &mut Vec<u8>) {
        if self.nullable {
            let begin = out.len();
            out.extend_from_slice(&[0; 4]);
            let rows = self.rows.as_ref().map_or(&[][..], |rows| rows.as_slice());
            write_levels(rows, self.n_rows, self.n_nulls, out);
            let level_bytes = u32::try_from(out.len() - begin - 4).unwrap_or(u32::MAX);
            out[begin..begin + 4].copy_from_slice(&level_bytes.to_le_bytes());
        }
        self.rows = None;
        (self.n_rows, self.n_nulls) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn levels_are_those_of_all_rows_however_they_came(
            steps in prop::collection::vec((prop::collection::vec(any::<bool>(), 1..12), 0..4_u8), 0..12),
        ) {
            let mut presence = Presence::new(true);
            let mut rows = Vec::new();
            for (mut step, kind) in steps {
                match kind {
                    0 => step.fill(true),
                    1 | 2 => step.fill(false),
                    _ => {}
                }
                if kind == 1 {
                    presence.append_nulls(step.len());
                } else {
                    presence.append(Some(&NullBuffer::from(step.as_slice())), step.len());
                }
                rows.extend(step);
            }
            let n_nulls = rows.iter().filter(|has_value| !**has_value).count();
            prop_assert_eq!((presence.n_rows(), presence.n_nulls()), (rows.len(), n_nulls));
            let (mut levels, mut expected) = (Vec::new(), vec![0; 4]);
            presence.take_levels(&mut levels);
            let mut bits = BooleanBufferBuilder::new(rows.len());
            bits.append_slice(&rows);
            write_levels(bits.as_slice(), rows.len(), n_nulls, &mut expected);
            prop_assert_eq!(&levels[4..], &expected[4..]);
        }
    }
}
