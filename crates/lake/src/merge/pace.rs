use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use iceberg::spec::{ManifestFile, TableMetadata};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{Merged, groups, merge};
use crate::storage::Storage;

/// How much is merged at once, in bytes of manifests, when the table does not say.
const DEFAULT_TARGET_BYTES: i64 = 8 << 20;

/// Which share of the time that a commit has left its merge may take.
const SHARE_OF_TIME: u32 = 4;

/// After that many failures in a row no fewer bytes are tried, and no rarer.
const MAX_FAILURES: u32 = 8;

/// How many tables are remembered. Forgetting one costs a merge in vain.
const MAX_TABLES: usize = 256;

/// How merges went lately, by table, so that those that cannot be done in time do not cost every commit its share again.
///
/// Each failure in a row halves what the next merge takes, and doubles how many commits go without trying; a success takes one
/// failure back.
#[derive(Debug, Default)]
pub(crate) struct MergePace {
    tables: Mutex<HashMap<Uuid, Pace>>,
}

#[derive(Debug, Default)]
struct Pace {
    n_failures: u32,
    /// How many commits are to go without a merge.
    n_waiting: u32,
}

impl MergePace {
    /// Merges one group of manifests, if there is one to be merged; see [`groups`].
    ///
    /// It takes a quarter of the time left at most. No merge harms nothing: the list is longer than it might be.
    pub(crate) async fn merge(
        &self,
        storage: &dyn Storage,
        metadata: &TableMetadata,
        manifests: &[ManifestFile],
        deadline: Option<Instant>,
    ) -> Option<Merged> {
        let target_bytes = metadata
            .properties()
            .get("commit.manifest.target-size-bytes");
        let target_bytes = target_bytes.and_then(|bytes| bytes.parse().ok());
        let max_bytes = self.max_bytes(
            metadata.uuid(),
            target_bytes.unwrap_or(DEFAULT_TARGET_BYTES),
        );
        let groups = groups(metadata, manifests, max_bytes);
        if groups.is_empty() || !self.may_try(metadata.uuid()) {
            return None;
        }
        let merging = merge(storage, metadata, groups);
        let merged = match deadline {
            None => merging.await,
            Some(deadline) => {
                let now = Instant::now();
                let share = deadline.saturating_duration_since(now) / SHARE_OF_TIME;
                timeout_at(now + share, merging).await.unwrap_or(None)
            }
        };
        self.ended(metadata.uuid(), merged.is_some());
        merged
    }

    /// How much may be merged at once.
    fn max_bytes(&self, table: Uuid, target_bytes: i64) -> i64 {
        let n_failures = self.tables().get(&table).map_or(0, |pace| pace.n_failures);
        target_bytes >> n_failures
    }

    /// Whether it is this commit's turn.
    fn may_try(&self, table: Uuid) -> bool {
        match self.tables().get_mut(&table) {
            Some(pace) if pace.n_waiting > 0 => {
                pace.n_waiting -= 1;
                false
            }
            _ => true,
        }
    }

    fn ended(&self, table: Uuid, is_merged: bool) {
        let mut tables = self.tables();
        if tables.len() >= MAX_TABLES {
            tables.clear();
        }
        let pace = tables.entry(table).or_default();
        if is_merged {
            pace.n_failures = pace.n_failures.saturating_sub(1);
        } else {
            pace.n_failures = (pace.n_failures + 1).min(MAX_FAILURES);
            pace.n_waiting = (1 << pace.n_failures) - 1;
        }
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<Uuid, Pace>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many failures in a row: of the next commits, how many go without trying, and what the next one may take.
    #[track_caller]
    fn check(n_failures: u32, expected: (u32, i64)) {
        let (pace, table) = (MergePace::default(), Uuid::nil());
        for _ in 0..n_failures {
            pace.ended(table, false);
        }
        let n_waiting = (0..1000).find(|_| pace.may_try(table)).unwrap();
        assert_eq!((n_waiting, pace.max_bytes(table, 1 << 20)), expected);
        pace.ended(table, true);
        assert!(pace.may_try(table));
    }

    #[test]
    fn what_failed_is_tried_more_rarely_and_with_less() {
        check(0, (0, 1 << 20));
        check(1, (1, 1 << 19));
        check(3, (7, 1 << 17));
        check(100, (255, 1 << 12));
    }

    #[test]
    fn successes_lead_back_to_the_whole_step_by_step() {
        let (pace, table) = (MergePace::default(), Uuid::nil());
        pace.ended(table, false);
        pace.ended(table, false);
        let sizes = [1, 2, 3].map(|_| {
            pace.ended(table, true);
            pace.max_bytes(table, 1000)
        });
        assert_eq!(sizes, [500, 1000, 1000]);
    }
}
