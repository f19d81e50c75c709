//! The branches and tags of a table, and which snapshots a commit expires besides them.

use std::collections::{BTreeMap, HashSet};

use iceberg::TableUpdate;
use iceberg::spec::{MAIN_BRANCH, SnapshotReference, SnapshotRetention, TableMetadata};
use serde::{Deserialize, Serialize};

/// Snapshots younger than this are never expired, when `calve.min-snapshot-age-ms` does not say otherwise: long enough to plan a
/// query, and for jobs that read every few minutes what was added. Nothing of ours needs them: what was committed is known
/// from the ledger.
const DEFAULT_MIN_SNAPSHOT_AGE_MS: i64 = 10 * 60 * 1000;

/// How many snapshots a table keeps when `history.max-snapshots` does not say. Each commit writes them all anew, and each reader
/// reads them all: with so many a commit still takes no more than half as long again as with few.
const DEFAULT_MAX_SNAPSHOTS: usize = 300;

/// The branches and tags of a table, which the `iceberg` crate shows to nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct References {
    refs: BTreeMap<String, SnapshotReference>,
}

impl References {
    /// Those of metadata of which nothing else is at hand; takes a walk through all of it and back.
    pub(crate) fn of(metadata: &TableMetadata) -> serde_json::Result<Self> {
        Self::in_json(&serde_json::to_vec(metadata)?)
    }

    /// Those that the JSON of a table's metadata names.
    pub(crate) fn in_json(json: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Named {
            refs: Option<BTreeMap<String, SnapshotReference>>,
        }
        let named: Named = serde_json::from_slice(json)?;
        let refs = named.refs.unwrap_or_default();
        Ok(Self { refs })
    }

    /// Those that the updates leave, apart from those of snapshots that they remove.
    pub(crate) fn moved(&self, updates: &[TableUpdate]) -> Self {
        let mut refs = self.refs.clone();
        for update in updates {
            match update {
                TableUpdate::SetSnapshotRef {
                    ref_name,
                    reference,
                } => {
                    refs.insert(ref_name.clone(), reference.clone());
                }
                TableUpdate::RemoveSnapshotRef { ref_name } => {
                    refs.remove(ref_name);
                }
                _ => {}
            }
        }
        Self { refs }
    }

    /// Those of them that are in this metadata, with the main branch, which metadata has whether or not it names it.
    pub(crate) fn within(mut self, metadata: &TableMetadata) -> Self {
        let refs = &mut self.refs;
        refs.retain(|_, reference| metadata.snapshot_by_id(reference.snapshot_id).is_some());
        if let Some(snapshot_id) = metadata.current_snapshot_id() {
            let main = refs.entry(MAIN_BRANCH.to_owned());
            main.or_insert_with(|| Self::default().main_at(snapshot_id));
        }
        self
    }

    /// The name of a branch or tag at one of these snapshots.
    pub(crate) fn at_one_of(&self, snapshot_ids: &[i64]) -> Option<&str> {
        let mut refs = self.refs.iter();
        let found = refs.find(|(_, reference)| snapshot_ids.contains(&reference.snapshot_id));
        found.map(|(name, _)| name.as_str())
    }

    /// The main branch at this snapshot, with the retention that it has.
    pub(crate) fn main_at(&self, snapshot_id: i64) -> SnapshotReference {
        let retention = self
            .refs
            .get(MAIN_BRANCH)
            .map(|main| main.retention.clone());
        let retention = retention.unwrap_or_else(|| SnapshotRetention::branch(None, None, None));
        SnapshotReference::new(snapshot_id, retention)
    }

    /// The snapshots that a commit made at `timestamp_ms` expires.
    ///
    /// Those beyond the newest `history.max-snapshots`, older than `calve.min-snapshot-age-ms` (ten minutes), and not at the end of
    /// a branch or a tag; at most once a minute, or in that age if it is shorter: in the first commit of each.
    pub(crate) fn expired(&self, metadata: &TableMetadata, timestamp_ms: i64) -> Vec<i64> {
        let Some(parent) = metadata.current_snapshot() else {
            return Vec::new();
        };
        if !may_expire(metadata, timestamp_ms) {
            return Vec::new();
        }
        let min_age_ms = min_snapshot_age_ms(metadata);
        let max_snapshots = number(metadata, "history.max-snapshots")
            .unwrap_or(DEFAULT_MAX_SNAPSHOTS)
            .max(1);
        let kept: HashSet<i64> = self
            .refs
            .values()
            .map(|reference| reference.snapshot_id)
            .collect();
        let mut snapshots: Vec<_> = metadata.snapshots().collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence_number()));
        snapshots
            .iter()
            .skip(max_snapshots - 1) // The one that is being made counts too.
            .filter(|snapshot| snapshot.timestamp_ms() < timestamp_ms - min_age_ms)
            .map(|snapshot| snapshot.snapshot_id())
            .filter(|id| !kept.contains(id) && *id != parent.snapshot_id())
            .collect()
    }
}

/// Whether a commit made at `timestamp_ms` is the first of its minute, and so one that expires snapshots.
pub(crate) fn may_expire(metadata: &TableMetadata, timestamp_ms: i64) -> bool {
    const MINUTE_MS: i64 = 60_000;
    let interval_ms = min_snapshot_age_ms(metadata).min(MINUTE_MS);
    metadata.current_snapshot().is_some_and(|parent| {
        parent.timestamp_ms().div_euclid(interval_ms) != timestamp_ms.div_euclid(interval_ms)
    })
}

/// At least 1.
fn min_snapshot_age_ms(metadata: &TableMetadata) -> i64 {
    number(metadata, "calve.min-snapshot-age-ms")
        .unwrap_or(DEFAULT_MIN_SNAPSHOT_AGE_MS)
        .max(1)
}

/// The number that a property of the table holds.
fn number<T: std::str::FromStr>(metadata: &TableMetadata, property: &str) -> Option<T> {
    metadata.properties().get(property)?.parse().ok()
}
