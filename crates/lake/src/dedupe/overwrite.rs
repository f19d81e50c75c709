use std::collections::HashSet;

use iceberg::spec::{
    MAIN_BRANCH, Manifest, ManifestContentType, ManifestEntryRef, ManifestFile,
    ManifestWriterBuilder, TableMetadata,
};
use iceberg::{TableRequirement, TableUpdate};

use super::DedupeOptions;
use super::find::Candidate;
use crate::backoff::{Backoff, SplitMix};
use crate::catalog::{CommitError, retryable};
use crate::data_file::DataFile;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::live::{live_entries, live_manifests};
use crate::manifests::{new_manifest_location, put_object, write_manifest_list, write_manifests};
use crate::metadata::MemoryFile;
use crate::snapshot::{Added, overwrite, timestamp_ms};
use crate::storage::Storage;
use crate::table::Table;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A commit that was sent: its snapshot, and the name of its list, which holds a UUID.
pub(super) type Sent = (i64, String);

/// Files that take the place of others, on their way into the table.
pub(super) struct Overwrite<'a> {
    lake: &'a Lake,
    options: &'a DedupeOptions,
    replaced: Vec<Candidate>,
    /// The locations of all files that were looked at: those that are replaced, and those whose rows stay instead.
    compared: HashSet<String>,
    written: Vec<DataFile>,
    /// The snapshot, and the manifests of what was written, which serve every attempt.
    added: Option<(i64, Vec<ManifestFile>)>,
    random: SplitMix,
    pub(super) sent: Vec<Sent>,
    pub(super) n_attempts: u32,
}

impl<'a> Overwrite<'a> {
    pub(super) fn new(
        lake: &'a Lake,
        options: &'a DedupeOptions,
        replaced: Vec<Candidate>,
        compared: HashSet<String>,
        written: Vec<DataFile>,
        sent: Vec<Sent>,
    ) -> Self {
        let n_before = sent.len() as u64;
        Self {
            lake,
            options,
            replaced,
            compared,
            written,
            added: None,
            random: SplitMix(options.seed.wrapping_add(n_before)),
            sent,
            n_attempts: 0,
        }
    }

    /// Commits on the table as it was read, or as others have appended to it meanwhile. Nothing when a file that was
    /// looked at is not there any more: then it all begins anew.
    pub(super) async fn commit(
        &mut self,
        mut table: Table,
        backoff: &mut Backoff,
    ) -> Result<Option<i64>, LakeError> {
        loop {
            if let Some(snapshot_id) = self.landed(&table) {
                return Ok(Some(snapshot_id));
            }
            let manifests = live_manifests(&table).await?;
            if !self.all_there(&manifests) {
                return Ok(None);
            }
            if let Some((file, _)) = manifests.iter().find(|(file, manifest)| {
                file.content != ManifestContentType::Data && live_entries(manifest).next().is_some()
            }) {
                return Err(LakeError::UnsupportedTable {
                    table: table.name().clone(),
                    reason: format!("it has delete files by now, in `{}`", file.manifest_path),
                });
            }
            let error = match self.attempt(&table, manifests).await {
                Ok(snapshot_id) => return Ok(Some(snapshot_id)),
                Err(error) => error,
            };
            let is_refused = match &error {
                CommitError::Refused { source } => Some(retryable(source.as_ref())),
                _ => (self.n_attempts >= self.options.max_attempts).then_some(true),
            };
            if let Some(retryable) = is_refused {
                return Err(LakeError::ReplaceFiles {
                    table: table.name().clone(),
                    n_files: self.replaced.len(),
                    n_attempts: self.n_attempts,
                    retryable,
                    source: error.into_cause(),
                });
            }
            backoff.wait(None).await;
            table = self.lake.reload(table.name()).await?;
        }
    }

    /// The snapshot of a commit whose answer was lost.
    fn landed(&self, table: &Table) -> Option<i64> {
        let landed = self.sent.iter().find(|(snapshot_id, list)| {
            let snapshot = table.metadata().snapshot_by_id(*snapshot_id);
            snapshot.is_some_and(|snapshot| snapshot.manifest_list() == list)
        });
        landed.map(|(snapshot_id, _)| *snapshot_id)
    }

    fn all_there(&self, manifests: &[(ManifestFile, Manifest)]) -> bool {
        let mut missing: HashSet<&str> = self.compared.iter().map(String::as_str).collect();
        for (_, manifest) in manifests {
            for entry in live_entries(manifest) {
                missing.remove(entry.file_path());
            }
        }
        missing.is_empty()
    }

    /// Writes what the commit needs and sends it, once.
    async fn attempt(
        &mut self,
        table: &Table,
        manifests: Vec<(ManifestFile, Manifest)>,
    ) -> Result<i64, CommitError> {
        // Until the commit is sent nothing has happened, whatever goes wrong.
        let not_sent = |source: Cause| CommitError::Refused { source };
        let metadata = table.metadata();
        let storage = table.storage().as_ref();
        let (snapshot_id, mut listed) = match self.added.clone() {
            Some(added) if metadata.snapshot_by_id(added.0).is_none() => added,
            _ => {
                let snapshot_id = self.new_snapshot_id(metadata);
                let added = write_manifests(storage, metadata, snapshot_id, self.written.iter());
                (snapshot_id, added.await.map_err(not_sent)?)
            }
        };
        self.added = Some((snapshot_id, listed.clone()));
        for (file, manifest) in manifests {
            let without = self.without_replaced(storage, metadata, snapshot_id, &file, &manifest);
            listed.push(without.await.map_err(not_sent)?.unwrap_or(file));
        }
        let manifest_list = write_manifest_list(storage, metadata, snapshot_id, listed)
            .await
            .map_err(not_sent)?
            .location;
        let (added, removed) = (Added::of(self.written.iter()), self.removed());
        let now_ms = timestamp_ms(metadata, self.options.now_ms);
        let snapshot = overwrite(
            metadata,
            snapshot_id,
            now_ms,
            &manifest_list,
            &added,
            &removed,
        );
        let references = table.references().map_err(|error| not_sent(error.into()))?;
        let updates = vec![
            TableUpdate::AddSnapshot { snapshot },
            TableUpdate::SetSnapshotRef {
                ref_name: MAIN_BRANCH.to_owned(),
                reference: references.main_at(snapshot_id),
            },
        ];
        let requirements = vec![
            TableRequirement::UuidMatch {
                uuid: metadata.uuid(),
            },
            TableRequirement::RefSnapshotIdMatch {
                r#ref: MAIN_BRANCH.to_owned(),
                snapshot_id: metadata.current_snapshot_id(),
            },
        ];
        self.sent.push((snapshot_id, manifest_list));
        self.n_attempts += 1;
        let commit = self
            .lake
            .catalog
            .commit(table.name(), requirements, updates);
        commit.await.map(|_| snapshot_id)
    }

    /// The manifest with the replaced files as deleted; nothing when it has none of them.
    async fn without_replaced(
        &self,
        storage: &dyn Storage,
        metadata: &TableMetadata,
        snapshot_id: i64,
        file: &ManifestFile,
        manifest: &Manifest,
    ) -> Result<Option<ManifestFile>, Cause> {
        let replaced: HashSet<&str> = self.replaced.iter().map(Candidate::location).collect();
        let is_replaced = |entry: &ManifestEntryRef| replaced.contains(entry.file_path());
        if !live_entries(manifest).any(is_replaced) {
            return Ok(None);
        }
        let spec_id = file.partition_spec_id;
        let spec = metadata
            .partition_spec_by_id(spec_id)
            .ok_or_else(|| format!("the table has no partition spec {spec_id}"))?;
        let output = MemoryFile::new(new_manifest_location(metadata));
        let schema = metadata.current_schema().clone();
        let builder = ManifestWriterBuilder::new(
            output.output(),
            Some(snapshot_id),
            schema,
            spec.as_ref().clone(),
        );
        let mut writer = builder.build_v2_data();
        for entry in live_entries(manifest) {
            let (Some(added_by), Some(sequence_number)) =
                (entry.snapshot_id, entry.sequence_number)
            else {
                return Err(format!("`{}` has no sequence number", entry.file_path()).into());
            };
            let data_file = entry.data_file().clone();
            let file_sequence_number = entry.file_sequence_number;
            if is_replaced(entry) {
                writer.add_delete_file(data_file, sequence_number, file_sequence_number)?;
            } else {
                writer.add_existing_file(
                    data_file,
                    added_by,
                    sequence_number,
                    file_sequence_number,
                )?;
            }
        }
        let manifest = writer.write_manifest_file().await?;
        put_object(storage, output.location(), output.bytes().await?).await?;
        Ok(Some(manifest))
    }

    /// What the snapshot takes away.
    fn removed(&self) -> Added {
        let mut removed = Added::default();
        let mut partitions = HashSet::new();
        for candidate in &self.replaced {
            let file = candidate.entry.data_file();
            removed.n_files += 1;
            removed.n_rows += file.record_count();
            removed.file_bytes += file.file_size_in_bytes();
            partitions.insert(candidate.partition());
        }
        removed.n_partitions = partitions.len();
        removed
    }

    /// Draws a positive id that the table does not know.
    fn new_snapshot_id(&mut self, metadata: &TableMetadata) -> i64 {
        loop {
            let id = (self.random.next() >> 1).cast_signed();
            if id != 0 && metadata.snapshot_by_id(id).is_none() {
                return id;
            }
        }
    }
}
