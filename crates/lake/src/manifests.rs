use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use iceberg::io::FileWrite;
use iceberg::spec::{
    DataContentType, DataFile as IcebergDataFile, DataFileBuilder, DataFileFormat, Datum,
    FormatVersion, Literal, ManifestFile, ManifestList, ManifestListWriter, ManifestWriterBuilder,
    Struct, TableMetadata, UNASSIGNED_SEQUENCE_NUMBER,
};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::data_file::DataFile;
use crate::metadata::{MemoryFile, metadata_directory};
use crate::storage::{Put, Storage};

/// What a manifest that was written for no particular snapshot has for its snapshot.
const NO_SNAPSHOT: i64 = -1;

/// More than any file has of anything, so that sums of such counts are no larger than a manifest can hold.
const MAX_COUNT: u64 = 1 << 48;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Writes the files into new manifests, one for each partition spec.
///
/// The manifests name the snapshot, which they could leave to the list that they are in: then PyIceberg (0.11) takes the
/// snapshot that an entry inherits for its status, and can delete no file of the table.
pub(crate) async fn write_manifests<'a>(
    storage: &dyn Storage,
    metadata: &TableMetadata,
    snapshot_id: i64,
    files: impl Iterator<Item = &'a DataFile>,
) -> Result<Vec<ManifestFile>, Cause> {
    let mut by_spec: BTreeMap<i32, Vec<&DataFile>> = BTreeMap::new();
    for file in files {
        by_spec.entry(file.spec_id).or_default().push(file);
    }
    let mut manifests = Vec::with_capacity(by_spec.len());
    for (spec_id, files) in by_spec {
        manifests.push(write_manifest(storage, metadata, snapshot_id, spec_id, &files).await?);
    }
    Ok(manifests)
}

async fn write_manifest(
    storage: &dyn Storage,
    metadata: &TableMetadata,
    snapshot_id: i64,
    spec_id: i32,
    files: &[&DataFile],
) -> Result<ManifestFile, Cause> {
    let spec = metadata
        .partition_spec_by_id(spec_id)
        .ok_or_else(|| format!("the table has no partition spec {spec_id}"))?;
    let schema = metadata.current_schema();
    let partition_type = spec.partition_type(schema)?;
    let file = MemoryFile::new(new_manifest_location(metadata));
    let (schema, spec_fields) = (schema.clone(), spec.as_ref().clone());
    let mut writer =
        ManifestWriterBuilder::new(file.output(), Some(snapshot_id), schema, spec_fields)
            .build_v2_data();
    for data_file in files {
        writer.add_file(iceberg_data_file(data_file, partition_type.fields())?, -1)?;
    }
    let manifest = writer.write_manifest_file().await?;
    put_object(storage, file.location(), file.bytes().await?).await?;
    Ok(manifest)
}

/// A name that no other manifest has.
pub(crate) fn new_manifest_location(metadata: &TableMetadata) -> String {
    format!(
        "{}/{}-m0.avro",
        metadata_directory(metadata),
        Uuid::new_v4()
    )
}

/// A list of manifests and where it is.
#[derive(Debug)]
pub(crate) struct ListedManifests {
    pub(crate) location: String,
    pub(crate) manifests: Vec<ManifestFile>,
}

/// The manifests of the current snapshot; none when there is no snapshot.
pub(crate) async fn current_manifests(
    storage: &dyn Storage,
    metadata: &TableMetadata,
) -> Result<Vec<ManifestFile>, Cause> {
    match metadata.current_snapshot() {
        None => Ok(Vec::new()),
        Some(snapshot) => read_manifest_list(&storage.get(snapshot.manifest_list()).await?),
    }
}

/// Writes the list of these manifests, of which those that name no snapshot or this one are new, and returns it.
pub(crate) async fn write_manifest_list(
    storage: &dyn Storage,
    metadata: &TableMetadata,
    snapshot_id: i64,
    mut manifests: Vec<ManifestFile>,
) -> Result<ListedManifests, Cause> {
    let parent = metadata.current_snapshot();
    let sequence_number = metadata.next_sequence_number();
    for manifest in &mut manifests {
        if manifest.added_snapshot_id == NO_SNAPSHOT {
            manifest.added_snapshot_id = snapshot_id;
        }
        if manifest.added_snapshot_id == snapshot_id {
            for number in [
                &mut manifest.sequence_number,
                &mut manifest.min_sequence_number,
            ] {
                if *number == UNASSIGNED_SEQUENCE_NUMBER {
                    *number = sequence_number;
                }
            }
        }
    }
    let written = Arc::new(Mutex::new(Bytes::new()));
    let mut writer = ManifestListWriter::v2(
        Box::new(Capture(written.clone())),
        snapshot_id,
        parent.map(|parent| parent.snapshot_id()),
        sequence_number,
    );
    writer.add_manifests(manifests.iter().cloned())?;
    writer.close().await?;
    let directory = metadata_directory(metadata);
    let location = format!("{directory}/snap-{snapshot_id}-1-{}.avro", Uuid::new_v4());
    let bytes = written.lock().await.clone();
    put_object(storage, &location, bytes).await?;
    Ok(ListedManifests {
        location,
        manifests,
    })
}

/// A table that was once of format version 1 may still have a list of that version.
fn read_manifest_list(bytes: &[u8]) -> Result<Vec<ManifestFile>, Cause> {
    let list = ManifestList::parse_with_version(bytes, FormatVersion::V2).or_else(|error| {
        ManifestList::parse_with_version(bytes, FormatVersion::V1).map_err(|_| error)
    })?;
    Ok(list.consume_entries().into_iter().collect())
}

/// Writes an object under a name that holds a UUID, so that there can be none of that name.
pub(crate) async fn put_object(
    storage: &dyn Storage,
    location: &str,
    bytes: Bytes,
) -> Result<(), Cause> {
    match storage.put_new(location, bytes).await? {
        Put::Written => Ok(()),
        Put::AlreadyThere => Err(format!("`{location}` is there already").into()),
    }
}

/// Keeps what a writer writes.
struct Capture(Arc<Mutex<Bytes>>);

#[async_trait::async_trait]
impl FileWrite for Capture {
    async fn write(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        // The writer hands over the whole list at once.
        *self.0.lock().await = bytes;
        Ok(())
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        Ok(())
    }
}

/// The file in the words of a manifest.
///
/// # Errors
///
/// When it does not have the partition values of its spec, or a count or bound that cannot be written.
pub(crate) fn iceberg_data_file(
    file: &DataFile,
    partition_fields: &[Arc<iceberg::spec::NestedField>],
) -> Result<IcebergDataFile, Cause> {
    if file.partition.len() != partition_fields.len() {
        return Err("it does not have the partition values of its spec".into());
    }
    let counts = file.columns.values();
    let counts = counts.flat_map(|facts| {
        let more = [facts.n_nulls, facts.n_nans.unwrap_or(0)];
        [facts.column_bytes, facts.n_values].into_iter().chain(more)
    });
    let mut counts = counts.chain([file.n_rows, file.file_bytes]);
    if let Some(count) = counts.find(|count| *count > MAX_COUNT) {
        return Err(format!("{count} is too large a count").into());
    }
    let partition: Struct = file
        .partition
        .iter()
        .zip(partition_fields)
        .map(|(value, field)| Literal::try_from_json(value.clone(), &field.field_type))
        .collect::<iceberg::Result<_>>()?;
    let columns = &file.columns;
    let present = || columns.iter().filter(|(_, facts)| facts.column_bytes > 0);
    let bounds = |of: fn(&crate::data_file::ColumnFacts) -> Option<&Vec<u8>>| {
        columns
            .iter()
            .filter_map(|(id, facts)| of(facts).map(|bytes| (*id, facts, bytes)))
            .map(|(id, facts, bytes)| {
                Ok((id, Datum::try_from_bytes(bytes, facts.column_type.clone())?))
            })
            .collect::<iceberg::Result<_>>()
    };
    Ok(DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(file.location.clone())
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .partition_spec_id(file.spec_id)
        .record_count(file.n_rows)
        .file_size_in_bytes(file.file_bytes)
        .column_sizes(
            present()
                .map(|(id, facts)| (*id, facts.column_bytes))
                .collect(),
        )
        .value_counts(
            columns
                .iter()
                .map(|(id, facts)| (*id, facts.n_values))
                .collect(),
        )
        .null_value_counts(
            columns
                .iter()
                .map(|(id, facts)| (*id, facts.n_nulls))
                .collect(),
        )
        .nan_value_counts(
            columns
                .iter()
                .filter_map(|(id, f)| Some((*id, f.n_nans?)))
                .collect(),
        )
        .lower_bounds(bounds(|facts| facts.lower.as_ref())?)
        .upper_bounds(bounds(|facts| facts.upper.as_ref())?)
        .split_offsets(Some(file.split_offsets.clone()))
        .build()?)
}
