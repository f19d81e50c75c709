//! Columns of booleans: one bit each.

use arrow_array::{Array, BooleanArray};
use arrow_buffer::BooleanBufferBuilder;
use parquet::basic::Encoding;
use parquet::errors::ParquetError;

use super::extremes::Extremes;
use super::page::{ColumnChunk, DataPage, PAGE_ROWS, Pages, with_body};
use super::presence::Presence;

/// A column chunk of booleans under construction.
pub(crate) struct BooleanColumn {
    pages: Pages,
    presence: Presence,
    /// The values of the page.
    values: BooleanBufferBuilder,
    n_true: usize,
}

impl BooleanColumn {
    pub(crate) fn new(pages: Pages) -> Self {
        Self {
            presence: Presence::new(pages.nullable()),
            pages,
            values: BooleanBufferBuilder::new(0),
            n_true: 0,
        }
    }

    /// About how many bytes the chunk has so far.
    pub(crate) fn estimated_bytes(&self) -> usize {
        self.pages.compressed_bytes() + self.values.len() / 8
    }

    /// Takes values.
    pub(crate) fn write(&mut self, values: &BooleanArray) -> Result<(), ParquetError> {
        let mut at = 0;
        while at < values.len() {
            let n_rows = (PAGE_ROWS - self.presence.n_rows()).min(values.len() - at);
            let step = values.slice(at, n_rows);
            self.presence.append(step.nulls(), n_rows);
            match step.nulls().filter(|nulls| nulls.null_count() > 0) {
                None => self.values.append_buffer(step.values()),
                Some(nulls) => {
                    let set = nulls.valid_indices().map(|row| step.values().value(row));
                    set.for_each(|value| self.values.append(value));
                }
            }
            self.n_true += step.true_count();
            if self.presence.n_rows() >= PAGE_ROWS {
                self.end_page()?;
            }
            at += n_rows;
        }
        Ok(())
    }

    /// Takes rows without a value.
    pub(crate) fn write_nulls(&mut self, mut n_rows: usize) -> Result<(), ParquetError> {
        while n_rows > 0 {
            let n_taken = n_rows.min(PAGE_ROWS - self.presence.n_rows());
            self.presence.append_nulls(n_taken);
            if self.presence.n_rows() >= PAGE_ROWS {
                self.end_page()?;
            }
            n_rows -= n_taken;
        }
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), ParquetError> {
        let (n_rows, n_nulls) = (self.presence.n_rows(), self.presence.n_nulls());
        let n_values = self.values.len();
        let all_are_true = self.n_true == n_values;
        with_body(|body| {
            self.presence.take_levels(body);
            body.extend_from_slice(self.values.as_slice());
            self.pages.add(DataPage {
                body,
                encoding: Encoding::PLAIN,
                n_rows,
                n_nulls,
                extremes: (n_values > 0)
                    .then_some(Extremes::Boolean(all_are_true, self.n_true > 0)),
            })
        })?;
        self.values.truncate(0);
        self.n_true = 0;
        Ok(())
    }

    /// The column chunk.
    pub(crate) fn close(mut self) -> Result<ColumnChunk, ParquetError> {
        if self.presence.n_rows() > 0 {
            self.end_page()?;
        }
        self.pages.finish(None, None)
    }
}
