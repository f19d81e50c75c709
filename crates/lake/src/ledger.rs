use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::storage::{Put, Storage};
use crate::token::Token;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The table property that names the newest segment.
pub(crate) const LEDGER_PROPERTY: &str = "calve.ledger";

/// The table property that names another place for segments than beside the table's metadata: for tables whose service
/// removes what no snapshot names, as S3 Tables does. It belongs to the lake's own storage.
pub(crate) const LEDGER_PATH_PROPERTY: &str = "calve.ledger-path";

const LEDGER_FORMAT: u32 = 1;

/// What one token takes in a segment, in bytes, and a generous allowance for all else.
const TOKEN_BYTES: usize = 35;
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
}

/// What one commit brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerEntry {
    pub(crate) snapshot_id: i64,
    pub(crate) committed_ms: i64,
    pub(crate) tokens: Vec<Token>,
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
    /// Returns the snapshot that brought each of the tokens, for those that are known.
    ///
    /// It goes back to `since_ms` and no further.
    pub(crate) async fn find(
        &self,
        tokens: &HashSet<Token>,
        since_ms: i64,
    ) -> Result<HashMap<Token, i64>, Cause> {
        let mut found = HashMap::new();
        let mut next = self.head.map(str::to_owned);
        while let Some(location) = next.take() {
            let segment = self.segment(&location).await?;
            for commit in &segment.commits {
                let known = commit.tokens.iter().filter(|token| tokens.contains(token));
                found.extend(known.map(|token| (*token, commit.snapshot_id)));
            }
            if found.len() == tokens.len() || segment.begun_ms < since_ms {
                break;
            }
            next.clone_from(&segment.previous);
        }
        Ok(found)
    }

    /// Writes the newest segment with this commit added, and a new one behind it when it would grow too large.
    /// Returns the location of the newest.
    pub(crate) async fn with(
        &self,
        entry: LedgerEntry,
        directory: &str,
        segment_bytes: usize,
    ) -> Result<String, Cause> {
        let directory = self.elsewhere.map_or(directory, |(path, _)| path);
        let directory = directory.trim_end_matches('/');
        let mut newest = match self.head {
            Some(head) => Some((head.to_owned(), self.segment(head).await?.as_ref().clone())),
            None => None,
        };
        let n_tokens = (segment_bytes.saturating_sub(FRAME_BYTES) / TOKEN_BYTES).max(1);
        for tokens in entry.tokens.chunks(n_tokens) {
            let entry = LedgerEntry {
                tokens: tokens.to_vec(),
                ..entry
            };
            let segment = match newest.take() {
                Some((_, mut segment)) if segment.bytes() + entry.bytes() <= segment_bytes => {
                    segment.commits.push(entry);
                    segment
                }
                full => Segment {
                    format: LEDGER_FORMAT,
                    begun_ms: entry.committed_ms,
                    previous: full.map(|(location, _)| location),
                    commits: vec![entry],
                },
            };
            // Table buckets take objects of a few kinds of names alone. Of these `.stats` misleads nobody: engines
            // read such objects only where the metadata names them.
            let location = format!("{directory}/calve-ledger-{}.stats", Uuid::new_v4());
            self.put(&location, &segment).await?;
            newest = Some((location, segment));
        }
        let (location, _) = newest.ok_or("a commit without tokens has no place in the ledger")?;
        Ok(location)
    }

    fn storage(&self, location: &str) -> &dyn Storage {
        match self.elsewhere {
            Some((path, storage)) if location.starts_with(path) => storage,
            _ => self.storage,
        }
    }

    async fn put(&self, location: &str, segment: &Segment) -> Result<(), Cause> {
        let bytes = Bytes::from(serde_json::to_vec(segment)?);
        if self.storage(location).put_new(location, bytes).await? == Put::AlreadyThere {
            return Err(format!("`{location}` is there already").into());
        }
        self.cache.keep(location, Arc::new(segment.clone()));
        Ok(())
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
    /// About its size as an object, never less.
    fn bytes(&self) -> usize {
        FRAME_BYTES + self.commits.iter().map(LedgerEntry::bytes).sum::<usize>()
    }
}

impl LedgerEntry {
    fn bytes(&self) -> usize {
        const NUMBERS_BYTES: usize = 100;
        NUMBERS_BYTES + TOKEN_BYTES * self.tokens.len()
    }
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
mod tests {
    use super::*;
    use crate::local::LocalStorage;

    fn token(n: u32) -> Token {
        Token::new(Uuid::nil(), "test", &n.to_le_bytes())
    }

    async fn fill(
        directory: &str,
        cache: &LedgerCache,
        n_commits: u32,
        bytes: usize,
    ) -> Option<String> {
        let mut head: Option<String> = None;
        for n in 0..n_commits {
            let ledger = Ledger {
                storage: &LocalStorage,
                elsewhere: None,
                cache,
                head: head.as_deref(),
            };
            let entry = LedgerEntry {
                snapshot_id: i64::from(n),
                committed_ms: i64::from(n) * 1000,
                tokens: vec![token(n)],
            };
            head = Some(ledger.with(entry, directory, bytes).await.unwrap());
        }
        head
    }

    async fn n_segments(head: Option<&str>) -> usize {
        let mut n_segments = 0;
        let mut next = head.map(str::to_owned);
        while let Some(location) = next {
            n_segments += 1;
            let bytes = LocalStorage.get(&location).await.unwrap();
            next = serde_json::from_slice::<Segment>(&bytes).unwrap().previous;
        }
        n_segments
    }

    #[tokio::test]
    async fn every_commit_is_found_across_segments_by_a_process_that_saw_none_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let directory = format!("file://{}", directory.path().display());
        let head = fill(&directory, &LedgerCache::default(), 40, 2000).await;
        assert!(n_segments(head.as_deref()).await > 4);

        let cache = LedgerCache::default();
        let ledger = Ledger {
            storage: &LocalStorage,
            elsewhere: None,
            cache: &cache,
            head: head.as_deref(),
        };
        let all: HashSet<Token> = (0..50).map(token).collect();
        let found = ledger.find(&all, i64::MIN).await.unwrap();
        assert_eq!(found.len(), 40);
        assert_eq!(found[&token(0)], 0);
        assert_eq!(found[&token(39)], 39);
    }

    #[tokio::test]
    async fn the_look_up_stops_at_the_time_it_is_given() {
        let directory = tempfile::tempdir().unwrap();
        let directory = format!("file://{}", directory.path().display());
        let head = fill(&directory, &LedgerCache::default(), 40, 2000).await;
        let cache = LedgerCache::default();
        let ledger = Ledger {
            storage: &LocalStorage,
            elsewhere: None,
            cache: &cache,
            head: head.as_deref(),
        };
        let found = ledger
            .find(&HashSet::from([token(0), token(39)]), 38_000)
            .await
            .unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [token(39)]);
        assert!(cache.segments.lock().unwrap().len() <= 2);
    }

    #[tokio::test]
    async fn many_tokens_of_one_commit_are_spread_over_segments() {
        let directory = tempfile::tempdir().unwrap();
        let directory = format!("file://{}", directory.path().display());
        let cache = LedgerCache::default();
        let ledger = Ledger {
            storage: &LocalStorage,
            elsewhere: None,
            cache: &cache,
            head: None,
        };
        let tokens: Vec<Token> = (0..5000).map(token).collect();
        let entry = LedgerEntry {
            snapshot_id: 7,
            committed_ms: 1,
            tokens: tokens.clone(),
        };
        let head = ledger.with(entry, &directory, 64 << 10).await.unwrap();
        for listed in LocalStorage.list(&directory).await.unwrap() {
            assert!(listed.bytes <= 64 << 10, "{listed:?}");
        }
        let ledger = Ledger {
            head: Some(&head),
            ..ledger
        };
        let found = ledger
            .find(&tokens.iter().copied().collect(), 0)
            .await
            .unwrap();
        assert_eq!(found.len(), 5000);
    }

    #[tokio::test]
    async fn a_segment_that_is_gone_is_an_error_and_not_an_empty_ledger() {
        let directory = tempfile::tempdir().unwrap();
        let head = format!("file://{}/gone.json", directory.path().display());
        let cache = LedgerCache::default();
        let ledger = Ledger {
            storage: &LocalStorage,
            elsewhere: None,
            cache: &cache,
            head: Some(&head),
        };
        let error = ledger
            .find(&HashSet::from([token(1)]), 0)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("gone.json"), "{error}");
    }
}
