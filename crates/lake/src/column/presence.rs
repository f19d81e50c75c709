//! Which rows of a page have a value.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

use super::indices::write_levels;

/// The rows of the page under construction.
pub(crate) struct Presence {
    nullable: bool,
    rows: BooleanBufferBuilder,
    n_nulls: usize,
}

impl Presence {
    /// No rows yet.
    pub(crate) fn new(nullable: bool) -> Self {
        Self {
            nullable,
            rows: BooleanBufferBuilder::new(0),
            n_nulls: 0,
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn n_nulls(&self) -> usize {
        self.n_nulls
    }

    /// Adds rows; without `nulls` each has a value.
    pub(crate) fn append(&mut self, nulls: Option<&NullBuffer>, n_rows: usize) {
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => {
                self.rows.append_buffer(nulls.inner());
                self.n_nulls += nulls.null_count();
            }
            None => self.rows.append_n(n_rows, true),
        }
    }

    /// Adds rows without a value.
    pub(crate) fn append_nulls(&mut self, n_rows: usize) {
        self.rows.append_n(n_rows, false);
        self.n_nulls += n_rows;
    }

    /// Writes the definition levels of the page in front of its values, and begins the next page. Columns that the
    /// table requires have none.
    pub(crate) fn take_levels(&mut self, out: &mut Vec<u8>) {
        if self.nullable {
            let begin = out.len();
            out.extend_from_slice(&[0; 4]);
            write_levels(self.rows.as_slice(), self.rows.len(), self.n_nulls, out);
            let level_bytes = u32::try_from(out.len() - begin - 4).unwrap_or(u32::MAX);
            out[begin..begin + 4].copy_from_slice(&level_bytes.to_le_bytes());
        }
        self.rows.truncate(0);
        self.n_nulls = 0;
    }
}
