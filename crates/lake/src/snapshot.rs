use std::collections::{HashMap, HashSet};

use iceberg::spec::{
    MAIN_BRANCH, Operation, Snapshot, SnapshotReference, SnapshotRetention, Summary, TableMetadata,
};
use serde::Deserialize;

use crate::data_file::DataFile;

/// Snapshots younger than this are never expired, when `calve.min-snapshot-age-ms` does not say otherwise: it is longer than
/// any invocation and its repeats may take, and a query.
const DEFAULT_MIN_SNAPSHOT_AGE_MS: i64 = 60 * 60 * 1000;

/// How many snapshots a table keeps when `history.max-snapshots` does not say.
const DEFAULT_MAX_SNAPSHOTS: usize = 1000;

/// What a commit adds to a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) n_files: u64,
    pub(crate) n_rows: u64,
    pub(crate) file_bytes: u64,
    pub(crate) n_partitions: usize,
}

impl Added {
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a DataFile>) -> Self {
        let mut added = Self::default();
        let mut partitions = HashSet::new();
        for file in files {
            added.n_files += 1;
            added.n_rows += file.n_rows;
            added.file_bytes += file.file_bytes;
            partitions.insert((
                file.spec_id,
                serde_json::Value::from(file.partition.clone()).to_string(),
            ));
        }
        added.n_partitions = partitions.len();
        added
    }
}

/// When a snapshot on top of this metadata may say that it was made: now, but always after what was before.
pub(crate) fn timestamp_ms(metadata: &TableMetadata, now_ms: i64) -> i64 {
    now_ms.max(metadata.last_updated_ms() + 1)
}

/// Returns the snapshot that appends what was added to the current one.
pub(crate) fn append(
    metadata: &TableMetadata,
    snapshot_id: i64,
    timestamp_ms: i64,
    manifest_list: &str,
    added: &Added,
) -> Snapshot {
    let parent = metadata.current_snapshot();
    let properties = totals(
        parent.map(|parent| &parent.summary().additional_properties),
        added,
    );
    Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(parent.map(|parent| parent.snapshot_id()))
        .with_sequence_number(metadata.next_sequence_number())
        .with_timestamp_ms(timestamp_ms)
        .with_manifest_list(manifest_list)
        .with_summary(Summary {
            operation: Operation::Append,
            additional_properties: properties,
        })
        .with_schema_id(metadata.current_schema_id())
        .build()
}

/// Returns the snapshot that puts files in the place of others.
pub(crate) fn overwrite(
    metadata: &TableMetadata,
    snapshot_id: i64,
    timestamp_ms: i64,
    manifest_list: &str,
    added: &Added,
    removed: &Added,
) -> Snapshot {
    let mut snapshot = append(metadata, snapshot_id, timestamp_ms, manifest_list, added);
    let mut summary = snapshot.summary().additional_properties.clone();
    for (key, shrunk_by) in [
        ("total-data-files", removed.n_files),
        ("total-records", removed.n_rows),
        ("total-files-size", removed.file_bytes),
    ] {
        let total = summary.get(key).and_then(|total| total.parse::<u64>().ok());
        if let Some(total) = total {
            summary.insert(key.to_owned(), total.saturating_sub(shrunk_by).to_string());
        }
    }
    let n_partitions = added.n_partitions.max(removed.n_partitions);
    for (key, value) in [
        ("deleted-data-files", removed.n_files),
        ("deleted-records", removed.n_rows),
        ("removed-files-size", removed.file_bytes),
        ("changed-partition-count", n_partitions as u64),
    ] {
        summary.insert(key.to_owned(), value.to_string());
    }
    snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(snapshot.parent_snapshot_id())
        .with_sequence_number(snapshot.sequence_number())
        .with_timestamp_ms(timestamp_ms)
        .with_manifest_list(manifest_list)
        .with_summary(Summary {
            operation: Operation::Overwrite,
            additional_properties: summary,
        })
        .with_schema_id(metadata.current_schema_id())
        .build();
    snapshot
}

/// The summary: what was added, and the parent's totals with it.
fn totals(parent: Option<&HashMap<String, String>>, added: &Added) -> HashMap<String, String> {
    let mut summary: HashMap<String, String> = [
        ("added-data-files", added.n_files),
        ("added-records", added.n_rows),
        ("added-files-size", added.file_bytes),
        ("changed-partition-count", added.n_partitions as u64),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_string()))
    .collect();
    for (key, grown_by) in [
        ("total-data-files", added.n_files),
        ("total-records", added.n_rows),
        ("total-files-size", added.file_bytes),
        ("total-delete-files", 0),
        ("total-position-deletes", 0),
        ("total-equality-deletes", 0),
    ] {
        // A parent that does not know its total leaves it unknown from then on.
        let before = match parent {
            None => Some(0),
            Some(parent) => parent.get(key).and_then(|total| total.parse::<u64>().ok()),
        };
        if let Some(before) = before {
            summary.insert(key.to_owned(), (before + grown_by).to_string());
        }
    }
    summary
}

/// The branches and tags of a table, which the `iceberg` crate shows to nobody.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct References {
    #[serde(default)]
    refs: HashMap<String, SnapshotReference>,
}

impl References {
    pub(crate) fn of(metadata: &TableMetadata) -> serde_json::Result<Self> {
        serde_json::from_slice(&serde_json::to_vec(metadata)?)
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
    /// Those beyond the newest `history.max-snapshots`, older than `calve.min-snapshot-age-ms` (an hour), and not at the end of
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
