//! Columns of texts: by dictionary, each behind its length, or all behind all lengths.

mod dictionary;

use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, StringArray};
use arrow_buffer::NullBuffer;
use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;

use self::dictionary::Dictionary;
use super::delta::write_delta;
use super::extremes::Extremes;
use super::indices::{index_width, write_hybrid};
use super::page::{ColumnChunk, DataPage, PAGE_BYTES, PAGE_ROWS, Pages, with_body};
use super::presence::Presence;
use crate::encoding::ColumnEncoding;

/// So many rows are taken before the size of the page is looked at again.
const STEP_ROWS: usize = 1024;

/// A dictionary that has reached this size takes no more entries: what follows is written as it is.
const DICTIONARY_BYTES: usize = 1 << 20;

/// What stands in front of each text.
const LENGTH_BYTES: usize = size_of::<u32>();

/// The place of an entry that has not been looked up.
const NO_PLACE: u32 = u32::MAX;

/// A column chunk of texts under construction.
pub(crate) struct TextColumn {
    pages: Pages,
    presence: Presence,
    dictionary: Option<Dictionary>,
    /// Whether values still go by dictionary.
    by_dictionary: bool,
    /// The values of the page by dictionary…
    indices: Vec<u32>,
    /// …or plain, each behind its length…
    plain: Vec<u8>,
    /// …which stand here instead when they are written as differences.
    lengths: Option<Vec<i64>>,
    /// Of the plain values of the page.
    extremes: PlainExtremes,
    bloom_filter: Option<Sbbf>,
}

impl TextColumn {
    pub(crate) fn new(pages: Pages, encoding: ColumnEncoding, bloom_filter: Option<Sbbf>) -> Self {
        let by_dictionary = encoding == ColumnEncoding::Dictionary;
        Self {
            presence: Presence::new(pages.nullable()),
            pages,
            dictionary: by_dictionary.then(Dictionary::default),
            by_dictionary,
            indices: Vec::new(),
            plain: Vec::new(),
            lengths: (encoding == ColumnEncoding::Delta).then(Vec::new),
            extremes: PlainExtremes::default(),
            bloom_filter,
        }
    }

    /// About how many bytes the chunk has so far, compressed as far as it is.
    pub(crate) fn estimated_bytes(&self) -> usize {
        let dictionary_bytes = self.dictionary.as_ref().map_or(0, |d| d.plain.len());
        self.pages.compressed_bytes()
            + dictionary_bytes / 2
            + self.plain.len() / 2
            + self.indices.len()
    }

    /// Takes texts.
    pub(crate) fn write(&mut self, texts: &StringArray) -> Result<(), ParquetError> {
        let mut at = 0;
        while at < texts.len() {
            let ends = texts.value_offsets()[at..].windows(2);
            let n_rows = self.room(ends.map(|ends| ends[1] - ends[0]));
            let step = texts.slice(at, n_rows);
            self.presence.append(step.nulls(), n_rows);
            let by_dictionary = self.by_dictionary;
            if by_dictionary {
                self.indices.reserve(n_rows);
            } else {
                let ends = step.value_offsets();
                let text_bytes = (ends[n_rows] - ends[0]).unsigned_abs() as usize;
                self.plain.reserve(text_bytes + LENGTH_BYTES * n_rows);
            }
            for_each_set(step.nulls(), n_rows, |row| {
                let text = step.value(row).as_bytes();
                match &mut self.dictionary {
                    Some(dictionary) if by_dictionary => self.indices.push(dictionary.index(text)),
                    _ => self.push_plain(text),
                }
            });
            self.page_is_complete()?;
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

    /// Takes texts of which each one stands once in `texts`, so that it is looked up once.
    pub(crate) fn write_keyed(
        &mut self,
        keyed: &DictionaryArray<Int32Type>,
        texts: &StringArray,
    ) -> Result<(), ParquetError> {
        let mut places = vec![NO_PLACE; texts.len()];
        if let Some(dictionary) = self.dictionary.as_mut().filter(|d| d.n_entries() == 0) {
            dictionary.reserve(texts, keyed.len());
        }
        // Whatever stands where a row is null.
        let known = |key: &i32| usize::try_from(*key).ok().filter(|&key| key < texts.len());
        let length = |key: &i32| known(key).map_or(0, |key| texts.value_length(key));
        // Then the dictionary cannot grow by much more than a page within one step, and lengths need not be looked at.
        let texts_are_few = texts.values().len() <= PAGE_BYTES;
        let all_keys: &[i32] = keyed.keys().values();
        let all_nulls = keyed.nulls().filter(|nulls| nulls.null_count() > 0);
        let mut at = 0;
        while at < keyed.len() {
            let keys = &all_keys[at..keyed.len().min(at + STEP_ROWS)];
            let n_rows = if self.by_dictionary && texts_are_few {
                keys.len().min(PAGE_ROWS - self.presence.n_rows())
            } else {
                self.room(keys.iter().map(length))
            };
            let nulls = all_nulls.map(|nulls| nulls.slice(at, n_rows));
            self.presence.append(nulls.as_ref(), n_rows);
            match &mut self.dictionary {
                Some(dictionary) if self.by_dictionary => {
                    let place = |key: i32| {
                        // A key of a row that is not null is none but that of an entry.
                        let key = usize::try_from(key).unwrap_or_default();
                        if places[key] == NO_PLACE {
                            places[key] = dictionary.index(texts.value(key).as_bytes());
                        }
                        places[key]
                    };
                    push_places(&keys[..n_rows], nulls.as_ref(), place, &mut self.indices);
                }
                _ => for_each_set(nulls.as_ref(), n_rows, |row| {
                    let key = usize::try_from(keys[row]).unwrap_or_default();
                    self.push_plain(texts.value(key).as_bytes());
                }),
            }
            self.page_is_complete()?;
            at += n_rows;
        }
        Ok(())
    }

    /// How many of the next rows, whose texts have these lengths, the page takes before it is looked at again: at least
    /// one, and not many more bytes than a page has.
    fn room(&self, lengths: impl Iterator<Item = i32>) -> usize {
        let n_rows = STEP_ROWS.min(PAGE_ROWS - self.presence.n_rows());
        let lengths = lengths
            .take(n_rows)
            .map(|length| length.unsigned_abs() as usize);
        let within = lengths.scan(0, |sum, length| {
            let before = *sum;
            *sum += length;
            (before < PAGE_BYTES).then_some(())
        });
        within.count()
    }

    #[inline]
    fn push_plain(&mut self, text: &[u8]) {
        self.extremes.note(text);
        match &mut self.lengths {
            Some(lengths) => {
                lengths.push(i64::try_from(text.len()).unwrap_or(i64::MAX));
                self.plain.extend_from_slice(text);
            }
            None => push_plain(text, &mut self.plain),
        }
        if let Some(filter) = &mut self.bloom_filter {
            filter.insert(text);
        }
    }

    fn page_is_complete(&mut self) -> Result<(), ParquetError> {
        let is_full = self
            .dictionary
            .as_ref()
            .is_some_and(|d| d.plain.len() >= DICTIONARY_BYTES);
        if self.presence.n_rows() >= PAGE_ROWS
            || self.plain.len() >= PAGE_BYTES
            || (self.by_dictionary && is_full)
        {
            self.end_page()?;
        }
        self.by_dictionary &= !is_full;
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), ParquetError> {
        let (n_rows, n_nulls) = (self.presence.n_rows(), self.presence.n_nulls());
        with_body(|body| {
            self.presence.take_levels(body);
            let (encoding, extremes) = match &mut self.dictionary {
                Some(dictionary) if self.by_dictionary => {
                    let width = index_width(dictionary.n_entries());
                    body.extend_from_slice(&width.to_le_bytes()[..1]);
                    write_hybrid(&self.indices, width, body);
                    (Encoding::RLE_DICTIONARY, dictionary.extremes(&self.indices))
                }
                _ => {
                    let encoding = match &mut self.lengths {
                        Some(lengths) => {
                            write_delta(lengths, body);
                            lengths.clear();
                            Encoding::DELTA_LENGTH_BYTE_ARRAY
                        }
                        None => Encoding::PLAIN,
                    };
                    body.extend_from_slice(&self.plain);
                    (encoding, self.extremes.take())
                }
            };
            self.pages.add(DataPage {
                body,
                encoding,
                n_rows,
                n_nulls,
                extremes,
            })
        })?;
        self.indices.clear();
        self.plain.clear();
        Ok(())
    }

    /// The column chunk.
    pub(crate) fn close(mut self) -> Result<ColumnChunk, ParquetError> {
        if self.presence.n_rows() > 0 {
            self.end_page()?;
        }
        if let (Some(filter), Some(dictionary)) = (&mut self.bloom_filter, &self.dictionary) {
            (0..dictionary.n_entries()).for_each(|entry| filter.insert(dictionary.text(entry)));
        }
        let dictionary = self.dictionary.as_ref();
        let dictionary = dictionary.map(|d| (d.plain.as_slice(), d.n_entries()));
        self.pages.finish(dictionary, self.bloom_filter)
    }
}

/// Appends the place of each row that is not null. Most columns have no nulls, and room is then looked at once.
#[inline]
fn push_places(
    keys: &[i32],
    nulls: Option<&NullBuffer>,
    mut place: impl FnMut(i32) -> u32,
    places: &mut Vec<u32>,
) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) => {
            places.reserve(keys.len() - nulls.null_count());
            let rows = nulls.valid_indices();
            rows.for_each(|row| places.push(place(keys[row])));
        }
        None => places.extend(keys.iter().map(|&key| place(key))),
    }
}

/// Calls `take` with each row that is not null.
#[inline]
fn for_each_set(nulls: Option<&NullBuffer>, n_rows: usize, take: impl FnMut(usize)) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) => nulls.valid_indices().for_each(take),
        None => (0..n_rows).for_each(take),
    }
}

/// Appends a text as Parquet's `PLAIN` has it: behind its length.
#[inline]
fn push_plain(text: &[u8], plain: &mut Vec<u8>) {
    // Arrow's own offsets hold no longer text.
    let text_bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
    plain.extend_from_slice(&text_bytes.to_le_bytes());
    plain.extend_from_slice(text);
}

/// The extremes of the plain values of a page. Nearly all values are settled by their first eight bytes.
#[derive(Default)]
struct PlainExtremes {
    ends: Option<(Vec<u8>, Vec<u8>)>,
    min_head: u64,
    max_head: u64,
}

impl PlainExtremes {
    #[inline]
    fn note(&mut self, text: &[u8]) {
        let head = head(text);
        let Some((min, max)) = &mut self.ends else {
            self.ends = Some((text.to_vec(), text.to_vec()));
            (self.min_head, self.max_head) = (head, head);
            return;
        };
        if head <= self.min_head && text < min.as_slice() {
            min.clear();
            min.extend_from_slice(text);
            self.min_head = head;
        }
        if head >= self.max_head && text > max.as_slice() {
            max.clear();
            max.extend_from_slice(text);
            self.max_head = head;
        }
    }

    fn take(&mut self) -> Option<Extremes> {
        let (min, max) = self.ends.take()?;
        Some(Extremes::Text(min, max))
    }
}

/// The first eight bytes as a number that is ordered like the texts: equal numbers decide nothing.
#[inline]
fn head(text: &[u8]) -> u64 {
    if let Some(chunk) = text.first_chunk::<8>() {
        return u64::from_be_bytes(*chunk);
    }
    let mut padded = [0; 8];
    padded[..text.len()].copy_from_slice(text);
    u64::from_be_bytes(padded)
}
