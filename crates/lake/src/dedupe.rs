//! Rows that are there twice, and the snapshot that leaves them out.

mod find;
mod keys;
mod overwrite;
mod rewrite;

use iceberg::spec::ManifestContentType;

use self::find::{Candidate, repeated_rows};
use self::overwrite::Overwrite;
use crate::backoff::Backoff;
use crate::encode::WriteOptions;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::live::{live_entries, live_manifests};
use crate::name::TableName;
use crate::table::Table;

/// What makes two rows the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepeatKey {
    /// The columns `_source_id` and `_source_index`: the same event of the same record, delivered twice.
    Source,
    /// This column: what the events call themselves.
    Column(String),
}

/// How [`Lake::dedupe`] goes about it.
#[derive(Debug, Clone)]
pub struct DedupeOptions {
    /// What makes two rows the same. Rows without a value there are not compared.
    pub key: RepeatKey,
    /// Only files that may hold rows with an event time from here on, in microseconds since 1970. Default: all.
    pub since_us: Option<i64>,
    /// Only files that may hold rows with an event time before this. Default: all.
    pub until_us: Option<i64>,
    /// Only find them.
    pub is_dry_run: bool,
    /// The time now, in milliseconds since 1970.
    pub now_ms: i64,
    /// Decides snapshot ids, names and waits; random per invocation.
    pub seed: u64,
    /// How often to try to commit. Default: 100.
    pub max_attempts: u32,
    /// How many keys are in memory at once; with more rows the key columns are read several times. Default: 4,000,000.
    pub max_keys: u64,
    /// How the new files are written.
    pub write: WriteOptions,
}

impl DedupeOptions {
    /// Returns the defaults for this key, time and seed.
    pub fn new(key: RepeatKey, now_ms: i64, seed: u64) -> Self {
        Self {
            key,
            since_us: None,
            until_us: None,
            is_dry_run: false,
            now_ms,
            seed,
            max_attempts: 100,
            max_keys: 4_000_000,
            write: WriteOptions::default(),
        }
    }
}

/// What [`Lake::dedupe`] found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DedupeReport {
    /// The snapshot without the repeated rows; none when there were none, or in a dry run.
    pub snapshot_id: Option<i64>,
    /// Data files whose keys were read.
    pub n_files_read: u64,
    /// Rows in them.
    pub n_rows_read: u64,
    /// Rows that repeat another one, and are left out.
    pub n_rows_repeated: u64,
    /// Data files that held such rows.
    pub n_files_replaced: u64,
    /// Partitions that those files are in.
    pub n_partitions: u64,
    /// Data files written in their place.
    pub n_files_written: u64,
    /// How many commits were sent to the catalog.
    pub n_attempts: u32,
}

impl Lake {
    /// Leaves out all rows but one of those with the same key, in one snapshot of the operation `overwrite`.
    ///
    /// Of rows with one key the one that was ingested first stays; of several ingested at the same time the first by
    /// `_source_id` and `_source_index`, then by the file and its place in it. All files that the options choose are looked
    /// at together, whatever their partitions; only those with repeated rows are written again, by the table's
    /// current spec. Files that are replaced stay on the storage, since older snapshots use them.
    ///
    /// Appends that others commit meanwhile do not matter; their rows are not looked at. When somebody takes one of the files that
    /// were looked at out of the table, which may hold the rows that were to stay, everything is done again.
    ///
    /// # Errors
    ///
    /// [`LakeError::Column`] when the table has no such key, [`LakeError::UnsupportedTable`] when it has delete files. Nothing
    /// is changed then.
    pub async fn dedupe(
        &self,
        name: &TableName,
        options: &DedupeOptions,
    ) -> Result<DedupeReport, LakeError> {
        let mut backoff = Backoff::new(options.seed);
        let mut sent = Vec::new();
        let mut n_attempts = 0;
        loop {
            let table = self.reload(name).await?;
            let candidates = candidates(&table, options).await?;
            let mut report = DedupeReport {
                n_files_read: candidates.len() as u64,
                n_rows_read: candidates.iter().map(Candidate::n_rows).sum(),
                n_attempts,
                ..DedupeReport::default()
            };
            let repeated = repeated_rows(&table, &candidates, options).await?;
            report.n_rows_repeated = repeated.values().map(|rows| rows.len() as u64).sum();
            report.n_files_replaced = repeated.len() as u64;
            report.n_partitions = n_partitions(&candidates, repeated.keys().copied());
            if repeated.is_empty() || options.is_dry_run {
                return Ok(report);
            }
            let written = self
                .rewritten(&table, &candidates, &repeated, options)
                .await?;
            report.n_files_written = written.len() as u64;
            let replaced = repeated.keys().map(|at| candidates[*at].clone());
            let compared = candidates.iter().map(|file| file.location().to_owned());
            let compared = compared.collect();
            let mut overwrite =
                Overwrite::new(self, options, replaced.collect(), compared, written, sent);
            let done = overwrite.commit(table, &mut backoff).await?;
            n_attempts += overwrite.n_attempts;
            report.n_attempts = n_attempts;
            if let Some(snapshot_id) = done {
                report.snapshot_id = Some(snapshot_id);
                return Ok(report);
            }
            sent = overwrite.sent; // One of them may still turn out to have happened.
        }
    }
}

/// The files whose rows are compared.
async fn candidates(table: &Table, options: &DedupeOptions) -> Result<Vec<Candidate>, LakeError> {
    table.check_writable()?;
    keys::check(table, &options.key)?;
    let manifests = live_manifests(table).await?;
    let mut candidates = Vec::new();
    for (file, manifest) in &manifests {
        for entry in live_entries(manifest) {
            if file.content != ManifestContentType::Data {
                return Err(LakeError::UnsupportedTable {
                    table: table.name().clone(),
                    reason: format!(
                        "it has delete files, such as `{}`; compact it first with the tool that wrote them",
                        entry.file_path()
                    ),
                });
            }
            if find::is_within(table, entry, options) {
                candidates.push(Candidate {
                    entry: entry.clone(),
                    spec_id: file.partition_spec_id,
                });
            }
        }
    }
    // The same table gives the same answer, whatever the order of its manifests.
    candidates.sort_by(|a, b| a.location().cmp(b.location()));
    // Each entry of such a file would look like a repeat of the other, and both would go.
    let twice = candidates
        .windows(2)
        .find(|pair| pair[0].location() == pair[1].location());
    match twice {
        None => Ok(candidates),
        Some(pair) => Err(LakeError::UnsupportedTable {
            table: table.name().clone(),
            reason: format!(
                "it lists the data file `{}` more than once; remove it from the table and add it once",
                pair[0].location()
            ),
        }),
    }
}

fn n_partitions(candidates: &[Candidate], files: impl Iterator<Item = usize>) -> u64 {
    let partitions = files.map(|at| candidates[at].partition());
    partitions.collect::<std::collections::HashSet<_>>().len() as u64
}
