use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::segment::Segment;

/// How much is kept at hand, in bytes of segments: those of two weeks in which 60,000 source batches a day were committed.
const MAX_BYTES: usize = 32 << 20;

/// Segments at hand, by location. A segment never changes.
///
/// The least recently used gives way to a new one; but none that the same walk used, or a chain longer than what is kept would
/// be read as a whole each time.
#[derive(Debug)]
pub(crate) struct LedgerCache {
    kept: Mutex<Kept>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    segments: HashMap<String, Entry>,
    bytes: usize,
    n_walks: u64,
}

#[derive(Debug)]
struct Entry {
    segment: Arc<Segment>,
    bytes: usize,
    last_walk: u64,
}

/// One way through a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Walk(u64);

impl Default for LedgerCache {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

impl LedgerCache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            kept: Mutex::default(),
            max_bytes,
        }
    }

    pub(super) fn walk(&self) -> Walk {
        let mut kept = self.kept();
        kept.n_walks += 1;
        Walk(kept.n_walks)
    }

    pub(super) fn get(&self, location: &str, walk: Walk) -> Option<Arc<Segment>> {
        let mut kept = self.kept();
        let entry = kept.segments.get_mut(location)?;
        entry.last_walk = entry.last_walk.max(walk.0);
        Some(entry.segment.clone())
    }

    pub(super) fn keep(&self, location: &str, segment: Arc<Segment>, walk: Walk) {
        let bytes = segment.bytes();
        let mut kept = self.kept();
        while kept.bytes + bytes > self.max_bytes {
            if !kept.drop_one_before(walk) {
                return;
            }
        }
        let entry = Entry {
            segment,
            bytes,
            last_walk: walk.0,
        };
        kept.bytes += bytes;
        if let Some(same) = kept.segments.insert(location.to_owned(), entry) {
            kept.bytes -= same.bytes;
        }
    }

    /// Says that another one has taken the place of this segment, which is wanted again only if a commit fails.
    pub(super) fn outdate(&self, location: &str) {
        if let Some(entry) = self.kept().segments.get_mut(location) {
            entry.last_walk = 0;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn n_segments(&self) -> usize {
        self.kept().segments.len()
    }
}

impl Kept {
    /// Drops the least recently used segment, unless this walk or a later one used it. Says whether it did.
    fn drop_one_before(&mut self, walk: Walk) -> bool {
        let before = self
            .segments
            .iter()
            .filter(|(_, entry)| entry.last_walk < walk.0);
        let oldest = before.min_by_key(|(_, entry)| entry.last_walk);
        let Some(location) = oldest.map(|(location, _)| location.clone()) else {
            return false;
        };
        if let Some(entry) = self.segments.remove(&location) {
            self.bytes -= entry.bytes;
        }
        true
    }
}
