use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::storage::{Listed, StorageError};

/// A store that counts what is read, and how often it has to be waited for: reads that were begun together count as one.
#[derive(Debug, Default)]
struct Counted {
    reads: AtomicUsize,
    waits: AtomicUsize,
    open: AtomicUsize,
}

#[async_trait]
impl Storage for Counted {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        LocalStorage.put_new(location, bytes).await
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.open.fetch_add(1, Ordering::Relaxed) == 0 {
            self.waits.fetch_add(1, Ordering::Relaxed);
        }
        tokio::task::yield_now().await; // Whoever reads at the same time begins before this one ends.
        let bytes = LocalStorage.get(location).await;
        self.open.fetch_sub(1, Ordering::Relaxed);
        bytes
    }

    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError> {
        LocalStorage.size(location).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        LocalStorage.list(prefix).await
    }

    async fn delete(&self, location: &str) -> Result<(), StorageError> {
        LocalStorage.delete(location).await
    }
}

impl Counted {
    /// How many segments a walk back to the time (of that commit) reads, and how often it waits.
    async fn walk(&self, head: &str, cache: &LedgerCache, since_ms: i64) -> (usize, usize) {
        self.reads.store(0, Ordering::Relaxed);
        self.waits.store(0, Ordering::Relaxed);
        let ledger = Ledger {
            lake_storage: self,
            ..ledger("file:///another/table", cache, Some(head))
        };
        ledger.find(&tokens([u32::MAX]), since_ms).await.unwrap();
        let counts = [&self.reads, &self.waits];
        let [n_reads, n_waits] = counts.map(|count| count.load(Ordering::Relaxed));
        (n_reads, n_waits)
    }
}

/// A segment of this size names the four before it.
const SMALL_BYTES: usize = 16 << 10;

/// A chain of so many segments, the n-th begun at n.
async fn chain(directory: &str, n_segments: u32) -> String {
    chain_without(directory, n_segments, |_| false).await
}

/// The same, where some were written by a program that names one segment before alone.
async fn chain_without(directory: &str, n_segments: u32, is_old: impl Fn(u32) -> bool) -> String {
    let mut newest: Option<(Segment, String)> = None;
    for n in 0..n_segments {
        let commit = commit(n);
        let mut segment = match newest {
            None => Segment::first(commit.committed_ms),
            Some((previous, location)) => {
                Segment::behind(&previous, location, commit.committed_ms, SMALL_BYTES)
            }
        };
        segment.add(&commit, &commit.batches[0]);
        let mut json = serde_json::to_value(&segment).unwrap();
        if is_old(n) {
            json.as_object_mut().unwrap().remove("earlier");
        }
        let location = format!("{directory}/{}.stats", Uuid::new_v4());
        let bytes = Bytes::from(json.to_string());
        LocalStorage.put_new(&location, bytes).await.unwrap();
        newest = Some((serde_json::from_value(json).unwrap(), location));
    }
    newest.unwrap().1
}

/// The n-th commit, made at n.
fn commit(n: u32) -> NewCommit {
    NewCommit {
        snapshot_id: i64::from(n),
        committed_ms: i64::from(n),
        batches: vec![(token(n), None)],
    }
}

#[tokio::test]
async fn a_long_chain_is_read_side_by_side_and_no_further_than_needed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let head = chain(&directory, 100).await;
    assert_eq!(n_segments(Some(&head)).await, 100);
    let storage = Counted::default();
    let cold = LedgerCache::default;
    // Four names in each segment of this size.
    assert_eq!(storage.walk(&head, &cold(), i64::MIN).await, (100, 27));
    for (since_ms, n_reads) in [(100, 1), (99, 2), (98, 3), (90, 11)] {
        let (n_read, _) = storage.walk(&head, &cold(), since_ms).await;
        assert_eq!(n_read, n_reads, "back to {since_ms}");
    }
}

#[tokio::test]
async fn a_chain_longer_than_the_cache_is_kept_in_part() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let head = chain(&directory, 30).await;
    let storage = Counted::default();
    let cache = LedgerCache::new(32_000);
    let n_reads = async || storage.walk(&head, &cache, i64::MIN).await.0;
    assert_eq!(n_reads().await, 30);
    let n_kept = cache.n_segments();
    assert!((10..25).contains(&n_kept), "{n_kept}");
    assert_eq!(n_reads().await, 30 - n_kept);
    // Another table's chain takes the place of what has not been used for longest.
    let other = chain(&directory, 5).await;
    assert_eq!(storage.walk(&other, &cache, i64::MIN).await.0, 5);
    assert_eq!(storage.walk(&other, &cache, i64::MIN).await.0, 0);
    assert!(n_reads().await < 30);
}

#[tokio::test]
async fn a_chain_written_in_turns_by_programs_that_name_one_segment_alone_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let head = chain_without(&directory, 24, |n| n % 7 == 2).await;
    let cache = LedgerCache::default();
    let ledger = ledger(&directory, &cache, Some(&head));
    let found = ledger.find(&tokens(0..30), i64::MIN).await.unwrap();
    assert_eq!(found.tokens.len(), 24);
}

#[test]
fn each_segment_is_read_from_where_it_was_written() {
    let (of_table, of_lake) = (Counted::default(), LocalStorage);
    let cache = LedgerCache::default();
    let check = |path: Option<&str>, location: &str, is_tables: bool| {
        let ledger = Ledger {
            storage: &of_table,
            table_places: ["s3://b/lake/t".to_owned(), "s3://meta/t".to_owned()],
            lake_storage: &of_lake,
            path,
            cache: &cache,
            head: None,
        };
        let storage = format!("{:?}", ledger.storage(location));
        let expected = if is_tables { "Counted" } else { "LocalStorage" };
        assert!(storage.starts_with(expected), "{path:?} {location}");
    };
    let ledger = Some("s3://b/ledger/");
    check(ledger, "s3://b/ledger/calve-ledger-1.stats", false);
    check(ledger, "s3://b/lake/t/metadata/calve-ledger-1.stats", true);
    check(ledger, "s3://meta/t/calve-ledger-1.stats", true);
    // Written before the table named another place, or none.
    check(
        Some("s3://b/ledger2"),
        "s3://b/ledger/calve-ledger-1.stats",
        false,
    );
    check(None, "s3://b/ledger/calve-ledger-1.stats", false);
    // A place that is above the table, or within it.
    check(
        Some("s3://b/lake"),
        "s3://b/lake/t/metadata/calve-ledger-1.stats",
        true,
    );
    check(
        Some("s3://b/lake"),
        "s3://b/lake/calve-ledger-1.stats",
        false,
    );
    check(
        Some("s3://b/lake/t/own"),
        "s3://b/lake/t/own/calve-ledger-1.stats",
        false,
    );
    // Names that begin alike.
    check(
        Some("s3://b/lake/t/own"),
        "s3://b/lake/t/own2/calve-ledger-1.stats",
        true,
    );
    check(None, "s3://b/lake/t2/metadata/calve-ledger-1.stats", false);
}
