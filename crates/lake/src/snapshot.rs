use std::collections::{HashMap, HashSet};

use iceberg::spec::{Operation, Snapshot, Summary, TableMetadata};

use crate::data_file::DataFile;

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
