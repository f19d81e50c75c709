use futures::{StreamExt as _, TryStreamExt as _, stream};
use iceberg::spec::{Manifest, ManifestEntryRef, ManifestFile};

use crate::error::LakeError;
use crate::lake::Lake;
use crate::merge::read_manifest;
use crate::table::Table;

/// How many manifests are read side by side.
const N_READS: usize = 16;

impl Lake {
    /// Returns the locations of the data files of the table's current snapshot, in the order of its manifests.
    ///
    /// # Errors
    ///
    /// When a manifest cannot be read.
    pub async fn data_file_locations(&self, table: &Table) -> Result<Vec<String>, LakeError> {
        let manifests = live_manifests(table).await?;
        let entries = manifests
            .iter()
            .flat_map(|(_, manifest)| live_entries(manifest));
        Ok(entries.map(|entry| entry.file_path().to_owned()).collect())
    }
}

/// The manifests of the table's current snapshot, read.
pub(crate) async fn live_manifests(
    table: &Table,
) -> Result<Vec<(ManifestFile, Manifest)>, LakeError> {
    let storage = table.storage().as_ref();
    let failed = |source| LakeError::ReadTable {
        table: table.name().clone(),
        source,
    };
    let listed = table.manifests().await;
    let reads = listed.map_err(failed)?.into_iter().map(|file| async move {
        let manifest = read_manifest(storage, file.clone()).await?;
        Ok((file, manifest))
    });
    let reads: Vec<_> = reads.collect();
    let read = stream::iter(reads).buffered(N_READS).try_collect().await;
    read.map_err(failed)
}

/// The entries of a manifest whose files are in the snapshot.
pub(crate) fn live_entries(manifest: &Manifest) -> impl Iterator<Item = &ManifestEntryRef> {
    let entries = manifest.entries().iter();
    entries.filter(|entry| entry.is_alive())
}
