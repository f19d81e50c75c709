use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::NewCommit;
use crate::range::{RangeSet, range_bytes};
use crate::receipt::RecordRange;
use crate::token::Token;

/// The newest format of a segment: 1 has tokens alone, 2 has ranges too. A segment says the least that its reader must know,
/// since a program that passed over ranges would lose them with the next segment that it writes.
pub(super) const LEDGER_FORMAT: u32 = 2;
const FORMAT_WITHOUT_RANGES: u32 = 1;

/// What one token takes in a segment, in bytes, with what is around the tokens of a commit, and a generous allowance for all else.
const TOKEN_BYTES: usize = 35;
const COMMIT_BYTES: usize = 100;
const FRAME_BYTES: usize = 1024;

/// What naming one segment takes beside its location, in bytes.
const EARLIER_BYTES: usize = 60;

/// A segment names so many of those before it, so that they can be read side by side; fewer when it is to be small.
const MAX_EARLIER: usize = 16;
const SEGMENT_BYTES_PER_EARLIER: usize = 4 << 10;

/// Which source batches were committed since the segment was begun, and where the segment before is.
///
/// A commit writes the newest segment anew, its own tokens added, and points the table to it: so the chain holds exactly
/// what was committed, whatever becomes of the snapshots.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(super) format: u32,
    /// When its first commit was made, in milliseconds since 1970. All segments before are older.
    begun_ms: i64,
    pub(super) previous: Option<String>,
    pub(super) commits: Vec<LedgerEntry>,
    /// The segments before it, the newest first, so `previous` too. They save time and nothing depends on them: programs that
    /// do not know them leave them out of the segments that they write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Earlier>,
    /// By shard, the records that these commits took.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ranges: BTreeMap<String, RangeSet>,
}

/// A segment that is before another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Earlier {
    location: String,
    begun_ms: i64,
}

/// The tokens that one commit brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LedgerEntry {
    pub(super) snapshot_id: i64,
    committed_ms: i64,
    pub(super) tokens: Vec<Token>,
}

impl Segment {
    /// The first one of a table.
    pub(super) fn first(begun_ms: i64) -> Self {
        Self {
            format: FORMAT_WITHOUT_RANGES,
            begun_ms,
            previous: None,
            commits: Vec::new(),
            earlier: Vec::new(),
            ranges: BTreeMap::new(),
        }
    }

    /// An empty one behind the one that is at this location.
    pub(super) fn behind(
        previous: &Self,
        location: String,
        begun_ms: i64,
        segment_bytes: usize,
    ) -> Self {
        let n_earlier = (segment_bytes / SEGMENT_BYTES_PER_EARLIER).min(MAX_EARLIER);
        let newest = Earlier {
            location: location.clone(),
            begun_ms: previous.begun_ms,
        };
        let earlier = std::iter::once(newest).chain(previous.earlier.iter().cloned());
        Self {
            previous: Some(location),
            earlier: earlier.take(n_earlier).collect(),
            ..Self::first(begun_ms)
        }
    }

    /// The locations of up to `n` segments before it, the newest first, as far as they may hold what is not older than
    /// `since_ms`.
    pub(super) fn before(&self, since_ms: i64, n: usize) -> Vec<String> {
        let Some(previous) = &self.previous else {
            return Vec::new();
        };
        if self.begun_ms < since_ms {
            return Vec::new();
        }
        let known = self.earlier.first();
        if known.is_none_or(|newest| newest.location != *previous) {
            return vec![previous.clone()];
        }
        // One is needed when the one behind it was not begun before that time.
        let young = self.earlier.iter();
        let young = young.take_while(|segment| segment.begun_ms >= since_ms);
        let n_needed = young.count() + 1;
        let needed = self.earlier.iter().take(n_needed.min(n));
        needed.map(|segment| segment.location.clone()).collect()
    }

    pub(super) fn add(
        &mut self,
        commit: &NewCommit,
        (token, range): &(Token, Option<RecordRange>),
    ) {
        match self.commits.last_mut() {
            Some(last) if last.snapshot_id == commit.snapshot_id => last.tokens.push(*token),
            _ => self.commits.push(LedgerEntry {
                snapshot_id: commit.snapshot_id,
                committed_ms: commit.committed_ms,
                tokens: vec![*token],
            }),
        }
        if let Some(range) = range {
            self.format = LEDGER_FORMAT;
            let ranges = self.ranges.entry(range.shard.clone()).or_default();
            ranges.insert(&range.first, &range.last);
        }
    }

    /// About its size as an object with this batch added, never less. Ranges that touch take less.
    pub(super) fn bytes_with(
        &self,
        commit: &NewCommit,
        (_, range): &(Token, Option<RecordRange>),
    ) -> usize {
        let is_another = self
            .commits
            .last()
            .is_none_or(|last| last.snapshot_id != commit.snapshot_id);
        let mut bytes = self.bytes() + TOKEN_BYTES;
        if is_another {
            bytes += COMMIT_BYTES;
        }
        if let Some(range) = range {
            bytes += range_bytes(&range.first, &range.last);
            if !self.ranges.contains_key(&range.shard) {
                bytes += shard_bytes(&range.shard);
            }
        }
        bytes
    }

    /// About its size as an object, never less.
    pub(super) fn bytes(&self) -> usize {
        let commits = self.commits.iter();
        let commits = commits.map(|commit| COMMIT_BYTES + TOKEN_BYTES * commit.tokens.len());
        let ranges = self.ranges.iter();
        let ranges = ranges.map(|(shard, ranges)| shard_bytes(shard) + ranges.json_bytes());
        let earlier = self.earlier.iter();
        let earlier = earlier.map(|segment| EARLIER_BYTES + segment.location.len());
        FRAME_BYTES + earlier.sum::<usize>() + commits.sum::<usize>() + ranges.sum::<usize>()
    }
}

/// What the name of a shard takes as a key, in bytes; a character takes six at most.
fn shard_bytes(shard: &str) -> usize {
    let escaped = |byte: u8| matches!(byte, b'"' | b'\\') || byte < b' ';
    let n_escaped = shard.bytes().filter(|byte| escaped(*byte)).count();
    shard.len() + 5 * n_escaped + 8
}
