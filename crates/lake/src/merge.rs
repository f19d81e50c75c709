use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::io::FileIO;
use iceberg::spec::{
    Manifest, ManifestContentType, ManifestFile, ManifestWriterBuilder, TableMetadata,
};

use crate::manifests::{new_manifest_location, put_object};
use crate::metadata::MemoryFile;
use crate::storage::Storage;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How many manifests of like size there may be before they are merged, when the table does not say.
const DEFAULT_MIN_COUNT: usize = 100;

/// How many manifests are read side by side.
const N_READS: usize = 16;

/// A manifest that holds the entries of others and may stand in their place.
#[derive(Debug, Clone)]
pub(crate) struct Merged {
    inputs: HashSet<String>,
    output: ManifestFile,
}

/// Returns the list with the merged manifest in the place of the others; unchanged, unless all of them are in it.
pub(crate) fn replaced(manifests: Vec<ManifestFile>, merged: &Merged) -> Vec<ManifestFile> {
    let is_input = |manifest: &ManifestFile| merged.inputs.contains(&manifest.manifest_path);
    if manifests
        .iter()
        .filter(|manifest| is_input(manifest))
        .count()
        < merged.inputs.len()
    {
        return manifests;
    }
    let mut kept: Vec<ManifestFile> = vec![merged.output.clone()];
    kept.extend(manifests.into_iter().filter(|manifest| !is_input(manifest)));
    kept
}

/// Merges manifests of one partition spec and of like size, wherever there are enough of them.
///
/// Like size means the same power of `commit.manifest.min-count-to-merge` files (100). So a file's entry is written again a few
/// times in the life of a table, and a list stays a few hundred manifests long, however many commits were made.
pub(crate) async fn merge(
    storage: &dyn Storage,
    metadata: &TableMetadata,
    manifests: &[ManifestFile],
) -> Vec<Merged> {
    let property = |key: &str| metadata.properties().get(key).map(String::as_str);
    if property("commit.manifest-merge.enabled") == Some("false") {
        return Vec::new();
    }
    let min_count = property("commit.manifest.min-count-to-merge")
        .and_then(|count| count.parse().ok())
        .unwrap_or(DEFAULT_MIN_COUNT)
        .max(2);
    let mut groups: BTreeMap<(i32, u32), Vec<&ManifestFile>> = BTreeMap::new();
    for manifest in manifests {
        let (Some(n_added), Some(n_existing)) =
            (manifest.added_files_count, manifest.existing_files_count)
        else {
            continue;
        };
        let n_files = (u64::from(n_added) + u64::from(n_existing)).max(1);
        let size = n_files.ilog(min_count as u64);
        if manifest.content == ManifestContentType::Data && manifest.key_metadata.is_none() {
            groups
                .entry((manifest.partition_spec_id, size))
                .or_default()
                .push(manifest);
        }
    }
    let mut merged = Vec::new();
    for ((spec_id, _), group) in groups {
        if group.len() >= min_count {
            // Manifests that cannot be merged, such as those of a spec over a column that is gone, stay as they are.
            merged.extend(merge_group(storage, metadata, spec_id, &group).await.ok());
        }
    }
    merged
}

async fn merge_group(
    storage: &dyn Storage,
    metadata: &TableMetadata,
    spec_id: i32,
    group: &[&ManifestFile],
) -> Result<Merged, Cause> {
    let spec = metadata
        .partition_spec_by_id(spec_id)
        .ok_or_else(|| format!("the table has no partition spec {spec_id}"))?;
    let file = MemoryFile::new(new_manifest_location(metadata));
    let schema = metadata.current_schema().clone();
    let mut writer = ManifestWriterBuilder::new(file.output(), None, schema, spec.as_ref().clone())
        .build_v2_data();
    let reads: Vec<_> = group
        .iter()
        .map(|manifest| read_manifest(storage, (*manifest).clone()))
        .collect();
    let mut manifests = stream::iter(reads).buffered(N_READS);
    while let Some(manifest) = manifests.try_next().await? {
        let (entries, _) = manifest.into_parts();
        for entry in entries.iter().filter(|entry| entry.is_alive()) {
            let (Some(snapshot_id), Some(sequence_number)) =
                (entry.snapshot_id, entry.sequence_number)
            else {
                return Err(format!("`{}` has no sequence number", entry.file_path()).into());
            };
            let file = entry.data_file().clone();
            let file_sequence_number = entry.file_sequence_number;
            writer.add_existing_file(file, snapshot_id, sequence_number, file_sequence_number)?;
        }
    }
    let output = writer.write_manifest_file().await?;
    put_object(storage, file.location(), file.bytes().await?).await?;
    let inputs = group
        .iter()
        .map(|manifest| manifest.manifest_path.clone())
        .collect();
    Ok(Merged { inputs, output })
}

/// Reads a manifest; its entries get what they inherit from the list.
pub(crate) async fn read_manifest(
    storage: &dyn Storage,
    manifest: ManifestFile,
) -> Result<Manifest, Cause> {
    let bytes = storage.get(&manifest.manifest_path).await?;
    let memory = FileIO::new_with_memory();
    memory
        .new_output(&manifest.manifest_path)?
        .write(bytes)
        .await?;
    Ok(manifest.load_manifest(&memory).await?)
}
