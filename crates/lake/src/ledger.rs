use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::range::{RangeSet, range_bytes};
use crate::receipt::RecordRange;
use crate::storage::{Put, Storage};
use crate::token::Token;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The table property that names the newest segment.
pub(crate) const LEDGER_PROPERTY: &str = "calve.ledger";

/// The table property that names another place for segments than beside the table's metadata: for tables whose service
/// removes what no snapshot names, as S3 Tables does. It belongs to the lake's own storage.
pub(crate) const LEDGER_PATH_PROPERTY: &str = "calve.ledger-path";

/// The newest format of a segment: 1 has tokens alone, 2 has ranges too. A segment says the least that its reader must know,
/// since a program that passed over ranges would lose them with the next segment that it writes.
const LEDGER_FORMAT: u32 = 2;
const FORMAT_WITHOUT_RANGES: u32 = 1;

/// What one token takes in a segment, in bytes, with what is around the tokens of a commit, and a generous allowance for all else.
const TOKEN_BYTES: usize = 35;
const COMMIT_BYTES: usize = 100;
const FRAME_BYTES: usize = 1024;

/// Which source batches were committed since the segment was begun, and where the segment before is.
///
/// A commit writes the newest segment anew, its own tokens added, and points the table to it: so the chain holds exactly
/// what was committed, whatever becomes of the snapshots.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Segment {
    format: u32,
    /// When its first commit was made, in milliseconds since 1970. All segments before are older.
    begun_ms: i64,
    previous: Option<String>,
    commits: Vec<LedgerEntry>,
    /// By shard, the records that these commits took.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ranges: BTreeMap<String, RangeSet>,
}

/// The tokens that one commit brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LedgerEntry {
    snapshot_id: i64,
    committed_ms: i64,
    tokens: Vec<Token>,
}

/// What one commit brings: source batches, and the ranges of those that have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewCommit {
    pub(crate) snapshot_id: i64,
    pub(crate) committed_ms: i64,
    pub(crate) batches: Vec<(Token, Option<RecordRange>)>,
}

/// What is looked for in a ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) tokens: HashSet<Token>,
    pub(crate) shards: HashSet<String>,
}

/// What a ledger knows of what was looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The snapshot that brought the batch.
    pub(crate) tokens: HashMap<Token, i64>,
    /// The records taken, by shard.
    pub(crate) ranges: HashMap<String, RangeSet>,
}

/// Segments at hand, by location. A segment never changes.
#[derive(Debug, Default)]
pub(crate) struct LedgerCache {
    segments: Mutex<HashMap<String, Arc<Segment>>>,
}

/// A table's ledger as it was when the table was loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ledger<'a> {
    /// Where segments are that lie beside the table's metadata.
    pub(crate) storage: &'a dyn Storage,
    /// Where they lie elsewhere, and what serves that place.
    pub(crate) elsewhere: Option<(&'a str, &'a dyn Storage)>,
    pub(crate) cache: &'a LedgerCache,
    /// The newest segment, if any commit was made yet.
    pub(crate) head: Option<&'a str>,
}

impl Ledger<'_> {
    /// Returns what it knows of the tokens and shards.
    ///
    /// It goes back to `since_ms` and no further.
    pub(crate) async fn find(&self, wanted: &Wanted, since_ms: i64) -> Result<Known, Cause> {
        let mut known = Known::default();
        let mut next = self.head.map(str::to_owned);
        while let Some(location) = next.take() {
            let segment = self.segment(&location).await?;
            for commit in &segment.commits {
                let tokens = commit.tokens.iter();
                let found = tokens.filter(|token| wanted.tokens.contains(token));
                known
                    .tokens
                    .extend(found.map(|token| (*token, commit.snapshot_id)));
            }
            for shard in &wanted.shards {
                if let Some(ranges) = segment.ranges.get(shard) {
                    let all = known.ranges.entry(shard.clone()).or_default();
                    all.extend(ranges);
                }
            }
            let has_all = known.tokens.len() == wanted.tokens.len() && wanted.shards.is_empty();
            if has_all || segment.begun_ms < since_ms {
                break;
            }
            next.clone_from(&segment.previous);
        }
        Ok(known)
    }

    /// Writes the newest segment with this commit added, and new ones behind it when it would grow too large.
    /// Returns the location of the newest.
    pub(crate) async fn with(
        &self,
        commit: &NewCommit,
        directory: &str,
        segment_bytes: usize,
    ) -> Result<String, Cause> {
        let directory = self.elsewhere.map_or(directory, |(path, _)| path);
        let directory = directory.trim_end_matches('/');
        let mut previous = self.head.map(str::to_owned);
        let mut newest = match self.head {
            Some(head) => self.segment(head).await?.as_ref().clone(),
            None => Segment::begun(commit.committed_ms, None),
        };
        let mut is_changed = false;
        for batch in &commit.batches {
            if newest.bytes_with(commit, batch) > segment_bytes && !newest.commits.is_empty() {
                if is_changed {
                    previous = Some(self.put(directory, newest).await?);
                }
                newest = Segment::begun(commit.committed_ms, previous.take());
            }
            newest.add(commit, batch);
            is_changed = true;
        }
        if !is_changed {
            return Err("a commit without tokens has no place in the ledger".into());
        }
        self.put(directory, newest).await
    }

    fn storage(&self, location: &str) -> &dyn Storage {
        match self.elsewhere {
            Some((path, storage)) if location.starts_with(path) => storage,
            _ => self.storage,
        }
    }

    /// Writes a segment under a new name and returns its location.
    async fn put(&self, directory: &str, segment: Segment) -> Result<String, Cause> {
        // Table buckets take objects of a few kinds of names alone. Of these `.stats` misleads nobody: engines read
        // such objects only where the metadata names them.
        let location = format!("{directory}/calve-ledger-{}.stats", Uuid::new_v4());
        let bytes = Bytes::from(serde_json::to_vec(&segment)?);
        if self.storage(&location).put_new(&location, bytes).await? == Put::AlreadyThere {
            return Err(format!("`{location}` is there already").into());
        }
        self.cache.keep(&location, Arc::new(segment));
        Ok(location)
    }

    async fn segment(&self, location: &str) -> Result<Arc<Segment>, Cause> {
        if let Some(segment) = self.cache.get(location) {
            return Ok(segment);
        }
        let bytes = self.storage(location).get(location).await?;
        let segment: Segment = serde_json::from_slice(&bytes)
            .map_err(|error| format!("`{location}` is not a segment of a ledger: {error}"))?;
        if segment.format > LEDGER_FORMAT {
            return Err(format!(
                "`{location}` has format {}, and this program knows formats up to {LEDGER_FORMAT}",
                segment.format
            )
            .into());
        }
        let segment = Arc::new(segment);
        self.cache.keep(location, segment.clone());
        Ok(segment)
    }
}

impl Segment {
    fn begun(begun_ms: i64, previous: Option<String>) -> Self {
        Self {
            format: FORMAT_WITHOUT_RANGES,
            begun_ms,
            previous,
            commits: Vec::new(),
            ranges: BTreeMap::new(),
        }
    }

    fn add(&mut self, commit: &NewCommit, (token, range): &(Token, Option<RecordRange>)) {
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
    fn bytes_with(&self, commit: &NewCommit, (_, range): &(Token, Option<RecordRange>)) -> usize {
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
    fn bytes(&self) -> usize {
        let commits = self.commits.iter();
        let commits = commits.map(|commit| COMMIT_BYTES + TOKEN_BYTES * commit.tokens.len());
        let ranges = self.ranges.iter();
        let ranges = ranges.map(|(shard, ranges)| shard_bytes(shard) + ranges.json_bytes());
        FRAME_BYTES + commits.sum::<usize>() + ranges.sum::<usize>()
    }
}

/// What the name of a shard takes as a key, in bytes; a character takes six at most.
fn shard_bytes(shard: &str) -> usize {
    let escaped = |byte: u8| matches!(byte, b'"' | b'\\') || byte < b' ';
    let n_escaped = shard.bytes().filter(|byte| escaped(*byte)).count();
    shard.len() + 5 * n_escaped + 8
}

impl LedgerCache {
    const MAX_SEGMENTS: usize = 64;

    fn get(&self, location: &str) -> Option<Arc<Segment>> {
        self.segments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(location)
            .cloned()
    }

    fn keep(&self, location: &str, segment: Arc<Segment>) {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if segments.len() >= Self::MAX_SEGMENTS {
            segments.clear();
        }
        segments.insert(location.to_owned(), segment);
    }
}

#[cfg(test)]
mod tests;
