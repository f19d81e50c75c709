//! Metadata that is written again and again, each time with one snapshot more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use iceberg::spec::{
    FormatVersion, MetadataLog, PartitionSpecRef, PartitionStatisticsFile, SchemaRef, Snapshot,
    SnapshotLog, SortOrderRef, StatisticsFile, Summary, TableMetadata,
};
use iceberg::{TableRequirement, TableUpdate};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{UpdateError, metadata_in, updated};
use crate::references::References;
use crate::storage::Storage;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A table's metadata, and what is kept of its JSON.
///
/// The snapshots are nearly all of a `metadata.json`, and of a thousand of them a commit changes none. So their text is kept and
/// copied; the rest is written by [`KeptMetadata::to_json`], since the `iceberg` crate copies all that it serialises.
#[derive(Debug)]
pub(crate) struct KeptMetadata {
    pub(crate) metadata: Arc<TableMetadata>,
    pub(crate) references: Arc<References>,
    snapshots: HashMap<i64, Arc<RawValue>>,
}

impl KeptMetadata {
    /// What a table is when it is made.
    pub(crate) fn new(metadata: TableMetadata) -> serde_json::Result<Self> {
        let references = References::default().within(&metadata);
        Self::of(metadata, references, None)
    }

    /// Reads a `metadata.json`, compressed or not.
    pub(crate) async fn read(storage: &dyn Storage, location: &str) -> Result<Self, Cause> {
        let bytes = storage.get(location).await?;
        let metadata = metadata_in(bytes.clone(), location).await?;
        let references = if bytes.starts_with(b"{") {
            References::in_json(&bytes)?
        } else {
            References::of(&metadata)? // It is compressed, most probably.
        };
        let references = references.within(&metadata);
        Ok(Self::of(metadata, references, None)?)
    }

    /// Checks the requirements and applies the updates, as every catalog must. A snapshot that has a name is not removed: who
    /// wants that has not seen the name.
    ///
    /// # Errors
    ///
    /// As [`updated`].
    pub(crate) fn updated(
        &self,
        location: &str,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<Self, UpdateError> {
        let metadata = updated(&self.metadata, location, requirements, updates)?;
        let references = self.references.moved(updates);
        for update in updates {
            if let TableUpdate::RemoveSnapshots { snapshot_ids } = update
                && let Some(name) = references.at_one_of(snapshot_ids)
            {
                let message = format!("a snapshot to be removed is at the end of `{name}`");
                return Err(refused(message));
            }
        }
        let references = references.within(&metadata);
        Self::of(metadata, references, Some(self))
            .map_err(|error| refused(format!("the new metadata cannot be written: {error}")))
    }

    /// The metadata with the texts of its snapshots, those of `base` where it has the same ones.
    fn of(
        metadata: TableMetadata,
        references: References,
        base: Option<&Self>,
    ) -> serde_json::Result<Self> {
        let known = |snapshot: &Arc<Snapshot>| {
            let id = snapshot.snapshot_id();
            let base = base?;
            let is_same = Arc::ptr_eq(base.metadata.snapshot_by_id(id)?, snapshot);
            base.snapshots.get(&id).filter(|_| is_same).cloned()
        };
        let text = |snapshot: &Arc<Snapshot>| match known(snapshot) {
            Some(text) => Ok((snapshot.snapshot_id(), text)),
            None => Ok((snapshot.snapshot_id(), SnapshotJson::of(snapshot).text()?)),
        };
        let snapshots = metadata.snapshots().map(text);
        Ok(Self {
            snapshots: snapshots.collect::<serde_json::Result<_>>()?,
            references: Arc::new(references),
            metadata: Arc::new(metadata),
        })
    }

    /// The metadata as a `metadata.json` has it, with everything in the order of its ids or of time.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        if self.metadata.format_version() != FormatVersion::V2 {
            return serde_json::to_vec(self.metadata.as_ref()); // Other versions have other fields.
        }
        let mut json = Vec::with_capacity(self.snapshots.len() * 1024 + (16 << 10));
        serde_json::to_writer(&mut json, &MetadataJson::of(self))?;
        Ok(json)
    }
}

/// Metadata of format version 2, as the table specification has it (appendix C).
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct MetadataJson<'a> {
    format_version: u8,
    table_uuid: String,
    location: &'a str,
    last_sequence_number: i64,
    last_updated_ms: i64,
    last_column_id: i32,
    schemas: Vec<&'a SchemaRef>,
    current_schema_id: i32,
    partition_specs: Vec<&'a PartitionSpecRef>,
    default_spec_id: i32,
    last_partition_id: i32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_snapshot_id: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    snapshots: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    snapshot_log: &'a [SnapshotLog],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    metadata_log: &'a [MetadataLog],
    sort_orders: Vec<&'a SortOrderRef>,
    default_sort_order_id: i64,
    /// Brings `refs`.
    #[serde(flatten)]
    references: &'a References,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statistics: Vec<&'a StatisticsFile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    partition_statistics: Vec<&'a PartitionStatisticsFile>,
}

impl<'a> MetadataJson<'a> {
    fn of(kept: &'a KeptMetadata) -> Self {
        let metadata = kept.metadata.as_ref();
        let properties = metadata.properties().iter();
        let mut in_order: Vec<_> = metadata.snapshots().collect();
        in_order
            .sort_unstable_by_key(|snapshot| (snapshot.sequence_number(), snapshot.snapshot_id()));
        let text = |snapshot: &&Arc<Snapshot>| kept.snapshots.get(&snapshot.snapshot_id());
        Self {
            format_version: 2,
            table_uuid: metadata.uuid().to_string(),
            location: metadata.location(),
            last_sequence_number: metadata.last_sequence_number(),
            last_updated_ms: metadata.last_updated_ms(),
            last_column_id: metadata.last_column_id(),
            schemas: sorted(metadata.schemas_iter(), |schema| schema.schema_id()),
            current_schema_id: metadata.current_schema_id(),
            partition_specs: sorted(metadata.partition_specs_iter(), |spec| spec.spec_id()),
            default_spec_id: metadata.default_partition_spec_id(),
            last_partition_id: metadata.last_partition_id(),
            properties: properties
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
            current_snapshot_id: metadata.current_snapshot_id(),
            snapshots: in_order.iter().filter_map(text).map(Arc::as_ref).collect(),
            snapshot_log: metadata.history(),
            metadata_log: metadata.metadata_log(),
            sort_orders: sorted(metadata.sort_orders_iter(), |order| order.order_id),
            default_sort_order_id: metadata.default_sort_order_id(),
            references: &kept.references,
            statistics: sorted(metadata.statistics_iter(), |file| file.snapshot_id),
            partition_statistics: sorted(metadata.partition_statistics_iter(), |file| {
                file.snapshot_id
            }),
        }
    }
}

fn refused(message: String) -> UpdateError {
    UpdateError::Update(iceberg::Error::new(
        iceberg::ErrorKind::PreconditionFailed,
        message,
    ))
}

fn sorted<'a, T, K: Ord>(items: impl Iterator<Item = &'a T>, key: impl Fn(&T) -> K) -> Vec<&'a T> {
    let mut items: Vec<&T> = items.collect();
    items.sort_by_key(|item| key(item));
    items
}

/// A snapshot of format version 2.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SnapshotJson<'a> {
    snapshot_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_snapshot_id: Option<i64>,
    sequence_number: i64,
    timestamp_ms: i64,
    manifest_list: &'a str,
    summary: &'a Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_id: Option<i32>,
}

impl<'a> SnapshotJson<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot_id: snapshot.snapshot_id(),
            parent_snapshot_id: snapshot.parent_snapshot_id(),
            sequence_number: snapshot.sequence_number(),
            timestamp_ms: snapshot.timestamp_ms(),
            manifest_list: snapshot.manifest_list(),
            summary: snapshot.summary(),
            schema_id: snapshot.schema_id(),
        }
    }

    fn text(&self) -> serde_json::Result<Arc<RawValue>> {
        Ok(serde_json::value::to_raw_value(self)?.into())
    }
}

#[cfg(test)]
mod tests;
