mod pace;

use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::io::FileIO;
use iceberg::spec::{
    Manifest, ManifestContentType, ManifestFile, ManifestWriterBuilder, TableMetadata,
};

pub(crate) use self::pace::MergePace;
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

/// Manifests to be merged, and their partition spec.
struct Group<'a> {
    spec_id: i32,
    manifests: Vec<&'a ManifestFile>,
}

/// Merges manifests of one partition spec and of like size, `max_bytes` of them at most; nothing when there are not enough
/// of them, or when it cannot be done. It may be dropped at any time.
///
/// Like size means the same power of `commit.manifest.min-count-to-merge` files (100). So a file's entry is written again a
/// few times in the life of a table. See [`groups`] for how long a list may become.
async fn merge(
    storage: &dyn Storage,
    metadata: &TableMetadata,
    groups: Vec<Group<'_>>,
) -> Option<Merged> {
    for group in groups {
        // Manifests that cannot be merged stay as they are, and keep no others from it.
        if let Ok(merged) = merge_group(storage, metadata, &group).await {
            return Some(merged);
        }
    }
    None
}

/// The groups of manifests that may be merged, the one that shortens the list most first.
///
/// Of each spec and size there is a group when at least min-count manifests are no larger than half of `max_bytes`: the
/// smallest of them, up to `max_bytes` in all, so two of them at least. One group that is merged per commit takes away no less than
/// the commit adds. So there are about min-count of a spec and size at most (few hundred in all, however many commits were
/// made), and beside them only manifests larger than that half: one for some thousand files.
fn groups<'a>(
    metadata: &TableMetadata,
    manifests: &'a [ManifestFile],
    max_bytes: i64,
) -> Vec<Group<'a>> {
    let property = |key: &str| metadata.properties().get(key).map(String::as_str);
    if property("commit.manifest-merge.enabled") == Some("false") {
        return Vec::new();
    }
    let min_count = property("commit.manifest.min-count-to-merge")
        .and_then(|count| count.parse().ok())
        .unwrap_or(DEFAULT_MIN_COUNT)
        .max(2);
    let mut by_size: BTreeMap<(i32, u32), Vec<&ManifestFile>> = BTreeMap::new();
    for manifest in manifests {
        let (Some(n_added), Some(n_existing)) =
            (manifest.added_files_count, manifest.existing_files_count)
        else {
            continue;
        };
        let n_files = (u64::from(n_added) + u64::from(n_existing)).max(1);
        let size = n_files.ilog(min_count as u64);
        let is_data = manifest.content == ManifestContentType::Data;
        let is_plain = manifest.key_metadata.is_none();
        if is_data && is_plain && manifest.manifest_length <= max_bytes / 2 {
            let of_size = by_size.entry((manifest.partition_spec_id, size));
            of_size.or_default().push(manifest);
        }
    }
    let mut groups = Vec::new();
    for ((spec_id, _), mut manifests) in by_size {
        if manifests.len() < min_count || !is_writable(metadata, spec_id) {
            continue;
        }
        manifests.sort_by_key(|manifest| manifest.manifest_length);
        let mut group_bytes = 0;
        let n_taken = manifests.iter().take_while(|manifest| {
            group_bytes += manifest.manifest_length;
            group_bytes <= max_bytes
        });
        manifests.truncate(n_taken.count());
        groups.push(Group { spec_id, manifests });
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.manifests.len()));
    groups
}

/// Not when the spec rests on a column that is gone.
fn is_writable(metadata: &TableMetadata, spec_id: i32) -> bool {
    let spec = metadata.partition_spec_by_id(spec_id);
    spec.is_some_and(|spec| spec.partition_type(metadata.current_schema()).is_ok())
}

async fn merge_group(
    storage: &dyn Storage,
    metadata: &TableMetadata,
    group: &Group<'_>,
) -> Result<Merged, Cause> {
    let spec_id = group.spec_id;
    let spec = metadata
        .partition_spec_by_id(spec_id)
        .ok_or_else(|| format!("the table has no partition spec {spec_id}"))?;
    let file = MemoryFile::new(new_manifest_location(metadata));
    let schema = metadata.current_schema().clone();
    let mut writer = ManifestWriterBuilder::new(file.output(), None, schema, spec.as_ref().clone())
        .build_v2_data();
    let inputs = group.manifests.iter();
    let reads: Vec<_> = inputs
        .clone()
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
        tokio::task::yield_now().await; // Where it ends when its time is up.
    }
    let output = writer.write_manifest_file().await?;
    put_object(storage, file.location(), file.bytes().await?).await?;
    let inputs = inputs
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

#[cfg(test)]
mod tests;
