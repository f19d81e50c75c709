//! The dictionary of a column of texts.

use std::hash::BuildHasher;

use arrow_array::{Array, StringArray};
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{DICTIONARY_BYTES, LENGTH_BYTES, STEP_ROWS, push_plain};
use crate::column::extremes::Extremes;

/// The texts of a column chunk, each once, in the order in which they came first.
#[derive(Default)]
pub(super) struct Dictionary {
    /// The dictionary page.
    pub(super) plain: Vec<u8>,
    /// Where each text stands in it.
    entries: Vec<(u32, u32)>,
    table: HashTable<u32>,
    /// Seeded per process, so that nobody can choose texts that collide; the order of the table is never looked at.
    hasher: RandomState,
    /// The page in which an entry was met last.
    met: Vec<u32>,
    page: u32,
}

impl Dictionary {
    pub(super) fn n_entries(&self) -> usize {
        self.entries.len()
    }

    /// Makes room for these texts, as far as so many rows and a page may well have them.
    pub(super) fn reserve(&mut self, texts: &StringArray, n_rows: usize) {
        let n_texts = texts.len().min(n_rows).min(STEP_ROWS);
        let ends = texts.value_offsets();
        let text_bytes = (ends[n_texts] - ends[0]).unsigned_abs() as usize;
        let plain_bytes = text_bytes + LENGTH_BYTES * n_texts;
        self.plain.reserve(plain_bytes.min(DICTIONARY_BYTES));
        self.entries.reserve(n_texts);
        // It is empty, so nothing is hashed.
        self.table.reserve(n_texts, |_| 0);
    }

    pub(super) fn text(&self, entry: usize) -> &[u8] {
        text_at(&self.plain, self.entries[entry])
    }

    /// The place of the text; a new one becomes an entry.
    #[inline]
    pub(super) fn index(&mut self, text: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(text);
        let (plain, entries) = (&self.plain, &self.entries);
        let is_it = |&place: &u32| text_at(plain, entries[place as usize]) == text;
        if let Some(&place) = self.table.find(hash, is_it) {
            return place;
        }
        let place = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let begin = u32::try_from(self.plain.len() + 4).unwrap_or(u32::MAX);
        push_plain(text, &mut self.plain);
        let end = u32::try_from(self.plain.len()).unwrap_or(u32::MAX);
        self.entries.push((begin, end));
        let (plain, entries, hasher) = (&self.plain, &self.entries, &self.hasher);
        self.table.insert_unique(hash, place, |&place| {
            hasher.hash_one(text_at(plain, entries[place as usize]))
        });
        place
    }

    /// The least and the greatest of the texts with these places. Each entry is compared once a page.
    pub(super) fn extremes(&mut self, places: &[u32]) -> Option<Extremes> {
        self.page += 1;
        self.met.resize(self.entries.len(), 0);
        let mut ends: Option<(u32, u32)> = None;
        for &place in places {
            if std::mem::replace(&mut self.met[place as usize], self.page) == self.page {
                continue;
            }
            let text = self.text(place as usize);
            ends = Some(match ends {
                None => (place, place),
                Some((min, max)) => (
                    if text < self.text(min as usize) {
                        place
                    } else {
                        min
                    },
                    if text > self.text(max as usize) {
                        place
                    } else {
                        max
                    },
                ),
            });
        }
        let (min, max) = ends?;
        Some(Extremes::Text(
            self.text(min as usize).to_vec(),
            self.text(max as usize).to_vec(),
        ))
    }
}

#[inline]
fn text_at(plain: &[u8], (begin, end): (u32, u32)) -> &[u8] {
    &plain[begin as usize..end as usize]
}
