mod cache;
mod segment;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

pub(crate) use self::cache::LedgerCache;
use self::cache::Walk;
use self::segment::{LEDGER_FORMAT, Segment};
use crate::range::RangeSet;
use crate::receipt::RecordRange;
use crate::storage::{Put, Storage};
use crate::token::Token;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The table property that names the newest segment.
pub(crate) const LEDGER_PROPERTY: &str = "calve.ledger";

/// The table property that names another place for segments than beside the table's metadata: for tables whose service
/// removes what no snapshot names, as S3 Tables does. It belongs to the lake's own storage.
pub const LEDGER_PATH_PROPERTY: &str = "calve.ledger-path";

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
    /// The records, by shard.
    pub(crate) ranges: HashMap<String, RangeSet>,
}

/// What a ledger knows of what was looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The snapshot that brought the batch.
    pub(crate) tokens: HashMap<Token, i64>,
    /// Those of the records that were taken, by shard.
    pub(crate) ranges: HashMap<String, RangeSet>,
}

/// So few tokens are found faster by comparing than by hashing.
const FEW_TOKENS: usize = 8;

/// How many segments are read side by side when many are looked through.
const N_READS: usize = 16;

/// A table's ledger as it was when the table was loaded.
#[derive(Debug, Clone)]
pub(crate) struct Ledger<'a> {
    /// What serves the table's objects.
    pub(crate) storage: &'a dyn Storage,
    /// Where these are: the table's location, and where its metadata objects lie.
    pub(crate) table_places: [String; 2],
    /// What serves all other places.
    pub(crate) lake_storage: &'a dyn Storage,
    /// Where new segments are written, if not beside the table's metadata.
    pub(crate) path: Option<&'a str>,
    pub(crate) cache: &'a LedgerCache,
    /// The newest segment, if any commit was made yet.
    pub(crate) head: Option<&'a str>,
}

impl Ledger<'_> {
    /// Returns what it knows of the tokens and records.
    ///
    /// It goes back to `since_ms` and no further.
    pub(crate) async fn find(&self, wanted: &Wanted, since_ms: i64) -> Result<Known, Cause> {
        let walk = self.cache.walk();
        let mut known = Known::default();
        let mut next: Vec<String> = self.head.map(str::to_owned).into_iter().collect();
        let mut n_next = 1;
        loop {
            let reads: Vec<_> = next.iter().map(|at| self.segment(at, walk)).collect();
            let segments = stream::iter(reads).buffered(N_READS);
            let segments: Vec<Arc<Segment>> = segments.try_collect().await?;
            for segment in &segments {
                known.add(segment, wanted);
            }
            let last = segments.last().filter(|_| !known.has_all(wanted));
            next = last.map_or_else(Vec::new, |last| last.before(since_ms, n_next));
            if next.is_empty() {
                return Ok(known);
            }
            n_next = (n_next * 2).min(N_READS); // Most often the first few segments tell.
        }
    }

    /// Writes the newest segment with this commit added, and new ones behind it when it would grow too large.
    /// Returns the location of the newest.
    pub(crate) async fn with(
        &self,
        commit: &NewCommit,
        segment_bytes: usize,
    ) -> Result<String, Cause> {
        let walk = self.cache.walk();
        let mut location = self.head.map(str::to_owned);
        let mut newest = match self.head {
            Some(head) => self.segment(head, walk).await?.as_ref().clone(),
            None => Segment::first(commit.committed_ms),
        };
        for batch in &commit.batches {
            if newest.bytes_with(commit, batch) > segment_bytes && !newest.commits.is_empty() {
                let begun_ms = commit.committed_ms;
                let previous = match location.take() {
                    Some(location) => location,
                    None => self.put(newest.clone(), walk).await?,
                };
                newest = Segment::behind(&newest, previous, begun_ms, segment_bytes);
            }
            newest.add(commit, batch);
            if let Some(location) = location.take() {
                self.cache.outdate(&location);
            }
        }
        if commit.batches.is_empty() {
            return Err("a commit without tokens has no place in the ledger".into());
        }
        self.put(newest, walk).await
    }

    fn storage(&self, location: &str) -> &dyn Storage {
        let directory = location.rsplit_once('/').map(|(directory, _)| directory);
        let is_at_path = self
            .path
            .is_some_and(|path| directory == Some(path.trim_end_matches('/')));
        let is_below = |place: &String| {
            let rest = location.strip_prefix(place.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        if !is_at_path && self.table_places.iter().any(is_below) {
            return self.storage;
        }
        self.lake_storage
    }

    /// Writes a segment under a new name and returns its location.
    async fn put(&self, segment: Segment, walk: Walk) -> Result<String, Cause> {
        let directory = self.path.unwrap_or(&self.table_places[1]);
        let directory = directory.trim_end_matches('/');
        // Table buckets take objects of a few kinds of names alone. Of these `.stats` misleads nobody: engines read
        // such objects only where the metadata names them.
        let location = format!("{directory}/calve-ledger-{}.stats", Uuid::new_v4());
        let bytes = Bytes::from(serde_json::to_vec(&segment)?);
        if self.storage(&location).put_new(&location, bytes).await? == Put::AlreadyThere {
            return Err(format!("`{location}` is there already").into());
        }
        self.cache.keep(&location, Arc::new(segment), walk);
        Ok(location)
    }

    async fn segment(&self, location: &str, walk: Walk) -> Result<Arc<Segment>, Cause> {
        if let Some(segment) = self.cache.get(location, walk) {
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
        self.cache.keep(location, segment.clone(), walk);
        Ok(segment)
    }
}

impl Known {
    fn add(&mut self, segment: &Segment, wanted: &Wanted) {
        // Most often one token or a few are wanted, of ten thousands that are there: then hashing each would cost the most.
        let few: Option<Vec<Token>> =
            (wanted.tokens.len() <= FEW_TOKENS).then(|| wanted.tokens.iter().copied().collect());
        let is_wanted = |token: &Token| match &few {
            Some(few) => few.contains(token),
            None => wanted.tokens.contains(token),
        };
        for commit in &segment.commits {
            for token in commit.tokens.iter().filter(|token| is_wanted(token)) {
                self.tokens.insert(*token, commit.snapshot_id);
            }
        }
        for (shard, records) in &wanted.ranges {
            let taken = segment.ranges.get(shard);
            let taken = taken.map(|taken| taken.overlap(records));
            if let Some(taken) = taken.filter(|taken| !taken.is_empty()) {
                self.ranges.entry(shard.clone()).or_default().extend(&taken);
            }
        }
    }

    fn has_all(&self, wanted: &Wanted) -> bool {
        let mut ranges = wanted.ranges.iter();
        self.tokens.len() == wanted.tokens.len()
            && ranges.all(|(shard, records)| {
                let taken = self.ranges.get(shard);
                taken.is_some_and(|taken| taken.covers_all(records))
            })
    }
}

#[cfg(test)]
mod tests;
