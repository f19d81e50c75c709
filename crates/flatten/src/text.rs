//! A column of texts under construction: each text once and a key per row while texts repeat, else one behind the other.
//!
//! A key is cheaper than its text in every later step: it is copied, compressed and compared once per entry, not once per row.

mod table;

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use self::table::{FIRST_TEXTS, Table};

/// When so many texts have been put and none came twice, most will not.
const TEXTS_TO_JUDGE_BY: usize = 48;

/// Keys are worth their while up to this share of texts that are new, judged once a quarter of the rows may have come.
const MAX_NEW_SHARE: f64 = 0.8;

/// Room for the first texts of a column. It stays with the array, and in a wide table many columns have one short text.
const FIRST_BYTES: usize = 64;

/// So many bytes of texts are expected at most of the rows to come.
const MAX_EXPECTED_BYTES: usize = 1 << 20;

/// The key of a row without a text.
const NO_KEY: i32 = -1;

/// The texts of one column of one chunk. Rows without a text have an empty one, or no key; the validity is kept elsewhere.
#[derive(Debug)]
pub(crate) struct TextBuilder {
    /// The key of each row, while there is a table.
    keys: Vec<i32>,
    /// The texts: of the entries while there is a table, else of the rows.
    texts: Texts,
    /// None before the first row, and once keys are given up.
    table: Option<Table>,
    /// How many texts have been put, those taken back included.
    n_put: usize,
}

/// Texts one behind the other; an Arrow offset in front of each and one at the end.
#[derive(Debug)]
struct Texts {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl TextBuilder {
    pub(crate) fn new() -> Self {
        Self {
            keys: Vec::new(),
            texts: Texts::new(),
            table: None,
            n_put: 0,
        }
    }

    /// Makes room for so many rows, before the first one.
    pub(crate) fn begin(&mut self, max_rows: usize) {
        self.keys.reserve_exact(max_rows);
        self.texts.offsets.reserve_exact(FIRST_TEXTS.min(max_rows));
        self.texts.bytes.reserve_exact(FIRST_BYTES);
        self.table = Some(Table::new());
    }

    /// Puts the text of the next row, which is at most the `max_rows`th: the first `n_bytes` bytes, and more bytes behind them
    /// make it faster.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "one frame instead of two for each text"
    )]
    pub(crate) fn push(&mut self, ahead: &[u8], n_bytes: usize, max_rows: usize) {
        let Some(table) = &mut self.table else {
            self.texts.push(&ahead[..n_bytes], max_rows);
            return;
        };
        self.n_put += 1;
        match table.find(ahead, n_bytes, &self.texts) {
            Ok(key) => self.keys.push(key),
            Err(unknown) => {
                let key = table.add(unknown, &ahead[..n_bytes], &mut self.texts);
                self.keys.push(key);
                if self.is_not_worth_it(max_rows) {
                    self.give_up(max_rows);
                }
            }
        }
    }

    /// Puts the text of the last row once more, which is `text`.
    #[inline]
    pub(crate) fn push_again(&mut self, text: &[u8], max_rows: usize) {
        match self.keys.last() {
            Some(&key) if key != NO_KEY => {
                self.n_put += 1;
                self.keys.push(key);
            }
            _ => self.push(text, text.len(), max_rows),
        }
    }

    /// Whether texts repeat too rarely for keys; looked at when there was a new one.
    fn is_not_worth_it(&self, max_rows: usize) -> bool {
        let n_entries = self.texts.len();
        match self.n_put {
            TEXTS_TO_JUDGE_BY => n_entries == TEXTS_TO_JUDGE_BY,
            n_put if n_put > TEXTS_TO_JUDGE_BY && n_put * 4 >= max_rows => {
                n_entries as f64 > MAX_NEW_SHARE * n_put as f64
            }
            _ => false,
        }
    }

    /// Writes out the texts of the rows so far, and from now on.
    #[cold]
    fn give_up(&mut self, max_rows: usize) {
        self.table = None;
        let keys = std::mem::take(&mut self.keys);
        let entries = std::mem::replace(&mut self.texts, Texts::new());
        self.texts.offsets.reserve_exact(max_rows);
        for key in keys {
            let text = usize::try_from(key).map_or(&[][..], |key| entries.get(key));
            self.texts.push(text, max_rows);
        }
    }

    /// Puts rows without a text.
    pub(crate) fn append_nulls(&mut self, n_nulls: usize) {
        if self.table.is_some() {
            self.keys.resize(self.keys.len() + n_nulls, NO_KEY);
        } else {
            let end = self.texts.end();
            let n_rows = self.texts.offsets.len() + n_nulls;
            self.texts.offsets.resize(n_rows, end);
        }
    }

    /// Takes back the rows from `n_rows` on. Entries stay, since nothing points to them any more.
    pub(crate) fn truncate(&mut self, n_rows: usize) {
        if self.table.is_some() {
            self.keys.truncate(n_rows);
        } else {
            self.texts.truncate(n_rows);
        }
    }

    /// The array of these rows: `Dictionary(Int32, Utf8)` or `Utf8`.
    pub(crate) fn finish(self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        if self.table.is_none() {
            return Ok(Arc::new(self.texts.into_array(nulls)?));
        }
        if self.texts.len() == 0 {
            return Ok(Arc::new(StringArray::new_null(self.keys.len())));
        }
        let entries = self.texts.into_array(None)?;
        Ok(Arc::new(keyed(self.keys, nulls, entries)?))
    }
}

/// Keys with their entries, of which there is at least one.
#[expect(
    unsafe_code,
    reason = "Arrow looks at one key after another, which takes 5 % of flattening, see ARCHITECTURE.md"
)]
fn keyed(
    mut keys: Vec<i32>,
    nulls: Option<NullBuffer>,
    entries: StringArray,
) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    // Without a branch for each key, so that many are looked at in one step. Where a row is null any key will do.
    for key in &mut keys {
        *key = (*key).max(0);
    }
    let greatest = keys.iter().copied().max().unwrap_or(0);
    let are_all_known = usize::try_from(greatest).is_ok_and(|key| key < entries.len());
    let keys = PrimitiveArray::<Int32Type>::try_new(keys.into(), nulls)?;
    if !are_all_known {
        return DictionaryArray::try_new(keys, Arc::new(entries));
    }
    // SAFETY: Each key, those of null rows too, is at least 0 and at most `greatest`, which is one of an entry.
    Ok(unsafe { DictionaryArray::new_unchecked(keys, Arc::new(entries)) })
}

impl Texts {
    fn new() -> Self {
        Self {
            offsets: vec![0],
            bytes: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn end(&self) -> i32 {
        offset(&self.bytes)
    }

    #[inline]
    fn get(&self, place: usize) -> &[u8] {
        let offset = |place: usize| usize::try_from(self.offsets[place]).unwrap_or_default();
        &self.bytes[offset(place)..offset(place + 1)]
    }

    #[inline]
    fn push(&mut self, text: &[u8], max_rows: usize) {
        if self.bytes.capacity() - self.bytes.len() < text.len() {
            grow(
                &mut self.bytes,
                text.len(),
                self.offsets.len() - 1,
                max_rows,
            );
        }
        self.bytes.extend_from_slice(text);
        self.offsets.push(self.end());
    }

    fn truncate(&mut self, n_rows: usize) {
        self.offsets.truncate(n_rows + 1);
        let end = self.offsets.last().copied().unwrap_or_default();
        self.bytes
            .truncate(usize::try_from(end).unwrap_or_default());
    }

    fn into_array(self, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        StringArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)
    }
}

/// The end of `bytes` as an Arrow offset. A chunk holds far less than 2 GiB of text: it is cut by bytes, and one event by
/// `max_event_bytes`.
#[inline]
fn offset(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

/// Makes room for the text of row `row`, and for the rows to come if they are like those before: a column then grows two or
/// three times rather than ten, and one that is rarely filled stays small. One long text among many short events says little:
/// room is made for no more than [`MAX_EXPECTED_BYTES`] of the rows to come, or for as much as there is.
#[cold]
fn grow(bytes: &mut Vec<u8>, text_bytes: usize, row: usize, max_rows: usize) {
    const ROWS_TO_JUDGE_BY: usize = 32;
    let needed = bytes.len() + text_bytes;
    let rows_before = (row + 1).max(ROWS_TO_JUDGE_BY);
    let expected = needed.saturating_mul(max_rows.max(rows_before)) / rows_before;
    let expected = (expected + expected / 16).min(needed + MAX_EXPECTED_BYTES);
    bytes.reserve_exact(expected.max(needed * 2) - bytes.len());
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    use super::*;

    /// Each second text has something else behind it, as in an event.
    fn push(builder: &mut TextBuilder, text: &str, max_rows: usize) {
        let ahead = format!("{text}\",\"next\":\"value\"");
        let ahead = if text.len().is_multiple_of(2) {
            &ahead
        } else {
            text
        };
        builder.push(ahead.as_bytes(), text.len(), max_rows);
    }

    /// Builds a column of these texts; whether it has keys, and its texts.
    fn build(texts: &[String]) -> (bool, Vec<String>) {
        let mut builder = TextBuilder::new();
        builder.begin(texts.len());
        for (row, text) in texts.iter().enumerate() {
            // In front of each third text another one is put and taken back.
            if row % 3 == 0 {
                push(&mut builder, &format!("taken back {row}"), texts.len());
                builder.truncate(row);
            }
            push(&mut builder, text, texts.len());
        }
        let array = builder.finish(None).expect("valid texts");
        if let Some(texts) = array.as_string_opt::<i32>() {
            return (false, texts.iter().flatten().map(str::to_owned).collect());
        }
        let keyed = array.as_dictionary::<Int32Type>();
        let entries = keyed.values().as_string::<i32>();
        let keys = keyed.keys().values().iter();
        let texts = keys.map(|&key| entries.value(key.unsigned_abs() as usize).to_owned());
        (true, texts.collect())
    }

    #[track_caller]
    fn check(texts: impl Iterator<Item = String>, expected_keys: bool) {
        let texts: Vec<String> = texts.collect();
        assert_eq!(build(&texts), (expected_keys, texts));
    }

    #[test]
    fn texts_that_repeat_have_keys_and_others_do_not() {
        check((0..1000).map(|n| format!("{}", n % 7)), true);
        check((0..1000).map(|n| format!("{}", n * 37 % 61 / 2)), true);
        check((0..1000).map(|n| format!("{n}")), false);
        // Some repeat at the beginning, and then none.
        check(
            (0..1000).map(|n: i32| format!("{}", (n - 40).max(0))),
            false,
        );
        check((0..30).map(|n| format!("{n}")), true);
    }

    #[test]
    fn a_long_text_among_many_short_events_makes_room_for_itself() {
        let mut builder = TextBuilder::new();
        builder.begin(250_000);
        for n in 0..100 {
            let text = format!("{n}");
            builder.push(text.as_bytes(), text.len(), 250_000);
        }
        let long = vec![b'x'; MAX_EXPECTED_BYTES / 2];
        builder.push(&long, long.len(), 250_000);
        assert!(builder.texts.bytes.capacity() <= 2 * MAX_EXPECTED_BYTES);
    }

    #[test]
    fn rows_without_a_text_count() {
        let mut builder = TextBuilder::new();
        builder.begin(200);
        builder.append_nulls(2);
        push(&mut builder, "a", 200);
        (0..100).for_each(|n| push(&mut builder, &format!("{n}"), 200));
        let array = builder.finish(None).expect("valid texts");
        let texts = array.as_string::<i32>();
        assert_eq!(
            (texts.len(), texts.value(2), texts.value(102)),
            (103, "a", "99")
        );
    }
}
