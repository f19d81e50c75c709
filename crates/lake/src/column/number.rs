//! Columns of 64 bits: integers, times and doubles.

use std::hash::BuildHasher;

use arrow_buffer::NullBuffer;
use foldhash::fast::RandomState;
use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;

use super::delta::write_delta;
use super::extremes::{Extremes, of_doubles};
use super::indices::{index_width, write_hybrid};
use super::page::{ColumnChunk, DataPage, PAGE_ROWS, Pages, with_body};
use super::presence::Presence;
use crate::encoding::ColumnEncoding;

/// A dictionary takes no more than so many entries: 1 MiB, like one of texts.
const DICTIONARY_ENTRIES: usize = (1 << 20) / 8;

/// A value of 64 bits.
pub(crate) trait Number: Copy {
    fn bits(self) -> u64;
    /// Other bits that readers take for the same value.
    fn equal_bits(bits: u64) -> Option<u64>;
    fn extremes(values: &[Self]) -> Option<Extremes>;
    /// Appends the values as `DELTA_BINARY_PACKED`, or plain where the type has no differences.
    fn write_delta(values: &[Self], out: &mut Vec<u8>) -> Encoding;
}

impl Number for i64 {
    fn bits(self) -> u64 {
        self.cast_unsigned()
    }

    fn equal_bits(_: u64) -> Option<u64> {
        None
    }

    fn extremes(values: &[Self]) -> Option<Extremes> {
        let first = *values.first()?;
        let (min, max) = values.iter().fold((first, first), |(min, max), &value| {
            (min.min(value), max.max(value))
        });
        Some(Extremes::Long(min, max))
    }

    fn write_delta(values: &[Self], out: &mut Vec<u8>) -> Encoding {
        write_delta(values, out);
        Encoding::DELTA_BINARY_PACKED
    }
}

impl Number for f64 {
    fn bits(self) -> u64 {
        self.to_bits()
    }

    fn equal_bits(bits: u64) -> Option<u64> {
        // A filter knows bits, and the two zeros differ in their sign.
        let zero = Self::from_bits(bits);
        (zero == 0.0).then(|| (-zero).to_bits())
    }

    fn extremes(values: &[Self]) -> Option<Extremes> {
        of_doubles(values.iter().copied())
    }

    fn write_delta(values: &[Self], out: &mut Vec<u8>) -> Encoding {
        write_plain(values, out);
        Encoding::PLAIN
    }
}

/// A column chunk of numbers under construction.
pub(crate) struct NumberColumn<T> {
    pages: Pages,
    presence: Presence,
    encoding: ColumnEncoding,
    dictionary: Option<Dictionary>,
    /// The values of the page.
    values: Vec<T>,
    /// Their places in the dictionary, as long as it takes entries.
    indices: Vec<u32>,
    bloom_filter: Option<Sbbf>,
}

impl<T: Number> NumberColumn<T> {
    pub(crate) fn new(pages: Pages, encoding: ColumnEncoding, bloom_filter: Option<Sbbf>) -> Self {
        Self {
            presence: Presence::new(pages.nullable()),
            pages,
            encoding,
            dictionary: (encoding == ColumnEncoding::Dictionary).then(Dictionary::default),
            values: Vec::new(),
            indices: Vec::new(),
            bloom_filter,
        }
    }

    /// About how many bytes the chunk has so far, compressed as far as it is.
    pub(crate) fn estimated_bytes(&self) -> usize {
        let n_entries = self.dictionary.as_ref().map_or(0, |d| d.entries.len());
        self.pages.compressed_bytes() + n_entries * 4 + self.values.len() * 2
    }

    /// Takes values; those of rows that are null do not count.
    pub(crate) fn write(
        &mut self,
        values: &[T],
        nulls: Option<&NullBuffer>,
    ) -> Result<(), ParquetError> {
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let mut at = 0;
        while at < values.len() {
            let n_rows = (PAGE_ROWS - self.presence.n_rows()).min(values.len() - at);
            let step = &values[at..at + n_rows];
            let step_nulls = nulls.map(|nulls| nulls.slice(at, n_rows));
            self.presence.append(step_nulls.as_ref(), n_rows);
            match step_nulls {
                None => self.values.extend_from_slice(step),
                Some(nulls) => {
                    self.values.reserve(n_rows - nulls.null_count());
                    let rows = nulls.valid_indices();
                    self.values.extend(rows.map(|row| step[row]));
                }
            }
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
        let encoding = with_body(|body| {
            self.presence.take_levels(body);
            let encoding = self.write_values(body);
            self.pages.add(DataPage {
                body,
                encoding,
                n_rows,
                n_nulls,
                extremes: T::extremes(&self.values),
            })?;
            Ok::<_, ParquetError>(encoding)
        })?;
        if let Some(filter) = self
            .bloom_filter
            .as_mut()
            .filter(|_| encoding != Encoding::RLE_DICTIONARY)
        {
            self.values
                .iter()
                .for_each(|value| note::<T>(value.bits(), filter));
        }
        self.values.clear();
        Ok(())
    }

    /// Writes the values of the page behind its levels.
    fn write_values(&mut self, body: &mut Vec<u8>) -> Encoding {
        if let Some(dictionary) = self.dictionary.as_mut().filter(|d| !d.is_full()) {
            self.indices.clear();
            self.indices.extend(
                self.values
                    .iter()
                    .map(|value| dictionary.index(value.bits())),
            );
            let width = index_width(dictionary.entries.len());
            body.extend_from_slice(&width.to_le_bytes()[..1]);
            write_hybrid(&self.indices, width, body);
            return Encoding::RLE_DICTIONARY;
        }
        if self.encoding == ColumnEncoding::Delta {
            return T::write_delta(&self.values, body);
        }
        write_plain(&self.values, body);
        Encoding::PLAIN
    }

    /// The column chunk.
    pub(crate) fn close(mut self) -> Result<ColumnChunk, ParquetError> {
        if self.presence.n_rows() > 0 {
            self.end_page()?;
        }
        if let (Some(filter), Some(dictionary)) = (&mut self.bloom_filter, &self.dictionary) {
            dictionary
                .entries
                .iter()
                .for_each(|&bits| note::<T>(bits, filter));
        }
        let plain = self.dictionary.map(|dictionary| {
            let mut plain = Vec::with_capacity(dictionary.entries.len() * 8);
            dictionary
                .entries
                .iter()
                .for_each(|bits| plain.extend_from_slice(&bits.to_le_bytes()));
            (plain, dictionary.entries.len())
        });
        let dictionary = plain
            .as_ref()
            .map(|(plain, n_entries)| (plain.as_slice(), *n_entries));
        self.pages.finish(dictionary, self.bloom_filter)
    }
}

/// Notes a value in the filter, under each of its spellings.
fn note<T: Number>(bits: u64, filter: &mut Sbbf) {
    filter.insert(bits.to_le_bytes().as_slice());
    if let Some(bits) = T::equal_bits(bits) {
        filter.insert(bits.to_le_bytes().as_slice());
    }
}

fn write_plain<T: Number>(values: &[T], out: &mut Vec<u8>) {
    out.reserve(size_of_val(values));
    out.extend(values.iter().flat_map(|value| value.bits().to_le_bytes()));
}

/// The values of a column chunk, each once, in the order in which they came first.
#[derive(Default)]
struct Dictionary {
    entries: Vec<u64>,
    /// Open addressing over a power of two of slots: the place of an entry plus one, or 0.
    slots: Vec<u32>,
    /// Seeded per process, so that nobody can choose values that collide; the order of the slots is never looked at.
    hasher: RandomState,
}

impl Dictionary {
    fn is_full(&self) -> bool {
        self.entries.len() >= DICTIONARY_ENTRIES
    }

    /// The place of the value; a new one becomes an entry.
    #[inline]
    fn index(&mut self, bits: u64) -> u32 {
        // At most half of the slots are taken, so that a search is short.
        if self.entries.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mut slot = self.slot(bits);
        loop {
            match self.slots[slot] {
                0 => {
                    self.entries.push(bits);
                    // A page brings at most 20,000 entries more than the limit.
                    self.slots[slot] = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
                    return self.slots[slot] - 1;
                }
                taken if self.entries[taken as usize - 1] == bits => return taken - 1,
                _ => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Where the search for a value begins.
    #[inline]
    fn slot(&self, bits: u64) -> usize {
        let hash = self.hasher.hash_one(bits);
        usize::try_from(hash).unwrap_or_default() & (self.slots.len() - 1)
    }

    #[cold]
    fn grow(&mut self) {
        self.slots = vec![0; (self.slots.len() * 4).max(64)];
        for place in 0..self.entries.len() {
            let mut slot = self.slot(self.entries[place]);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = u32::try_from(place + 1).unwrap_or(u32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_collide_under_a_known_factor_are_found_at_once() {
        // Times the golden ratio, whose inverse this is, all of them have the same highest bits.
        const INVERSE: u64 = 0xF1DE_83E1_9937_733D;
        assert_eq!(INVERSE.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1);
        let mut dictionary = Dictionary::default();
        for n in 0..1000 {
            let folded = INVERSE.wrapping_mul(n);
            dictionary.index(folded ^ (folded >> 32));
        }
        let last = dictionary.slots.len() - 1;
        let taken = dictionary.slots.iter().enumerate();
        let steps = taken.filter(|(_, entry)| **entry != 0).map(|(at, entry)| {
            let begin = dictionary.slot(dictionary.entries[*entry as usize - 1]);
            at.wrapping_sub(begin) & last
        });
        let n_steps: usize = steps.sum();
        assert!(n_steps < 4 * 1000, "{n_steps}");
    }
}
