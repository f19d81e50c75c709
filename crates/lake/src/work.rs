use std::collections::{HashMap, HashSet};
use std::time::Duration;

use iceberg::spec::{MAIN_BRANCH, ManifestFile, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};
use tokio::time::Instant;

use crate::backoff::SplitMix;
use crate::catalog::{CommitError, Committed, retryable};
use crate::commit::{CommitOptions, CommitReport, ReceiptOutcome};
use crate::data_file::DataFile;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::ledger::{LEDGER_PROPERTY, NewCommit};
use crate::manifests::{write_manifest_list, write_manifests};
use crate::merge::{Merged, replaced};
use crate::name::TableName;
use crate::outdated::outdated_schemas;
use crate::overlap::Remainder;
use crate::range::RangeSet;
use crate::receipt::Receipt;
use crate::references::may_expire;
use crate::snapshot::{Added, append, timestamp_ms};
use crate::table::Table;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How far the clocks of writers and committers may be apart.
pub(crate) const CLOCK_SKEW_MS: i64 = 60 * 60 * 1000;

/// After that many refusals in a row the catalog is taken at its word.
const MAX_REFUSALS: u32 = 2;

/// The receipts of one invocation on their way into the table.
pub(crate) struct Work<'a> {
    pub(crate) lake: &'a Lake,
    name: &'a TableName,
    pub(crate) options: &'a CommitOptions,
    begun: Instant,
    pub(crate) random: SplitMix,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) outcomes: Vec<Option<ReceiptOutcome>>,
    /// The records that are in the table, by shard, of the shards of pending receipts.
    pub(crate) known: HashMap<String, RangeSet>,
    /// What is left of receipts of which some records are in the table.
    pub(crate) remainders: HashMap<usize, Remainder>,
    /// Every commit that was sent: any of them may have happened.
    pub(crate) sent: Vec<Sent>,
    /// The manifests written last, the snapshot that they are for, and the files that they name.
    manifests: Option<(Vec<String>, i64, Vec<ManifestFile>)>,
    merged: Option<Merged>,
    /// How long manifests were merged, which is done once and no part of the next attempts.
    aside: Duration,
    last_error: Option<CommitError>,
    /// How many of the last answers in a row were refusals.
    n_refusals: u32,
    /// Whether schemas stay, since the catalog refused a commit that was to remove some: not all know that update.
    keeps_schemas: bool,
}

/// Why an attempt did not end well.
pub(crate) enum Failure {
    /// Something that the commit needs could not be read or written.
    NotSent(Cause),
    /// The catalog's answer, or that there was none.
    Answer(CommitError),
}

/// A commit that was sent.
pub(crate) struct Sent {
    pub(crate) snapshot_id: i64,
    pub(crate) manifest_list: String,
    /// The receipts, and what becomes of each if this commit happens.
    pub(crate) outcomes: Vec<(usize, ReceiptOutcome)>,
    added: Added,
    n_expired_snapshots: usize,
    removes_schemas: bool,
}

impl<'a> Work<'a> {
    pub(crate) fn new(
        lake: &'a Lake,
        name: &'a TableName,
        receipts: Vec<Receipt>,
        options: &'a CommitOptions,
    ) -> Self {
        let mut seen = HashSet::new();
        let outcomes = receipts.iter().map(|receipt| {
            if receipt.data_files.is_empty() {
                return Some(ReceiptOutcome::Empty);
            }
            // Of one batch that was delivered twice, the first receipt counts.
            (!seen.insert(receipt.token)).then_some(ReceiptOutcome::AlreadyCommitted)
        });
        Self {
            lake,
            name,
            options,
            begun: Instant::now(),
            random: SplitMix(options.seed),
            outcomes: outcomes.collect(),
            receipts,
            known: HashMap::new(),
            remainders: HashMap::new(),
            sent: Vec::new(),
            manifests: None,
            merged: None,
            aside: Duration::ZERO,
            last_error: None,
            n_refusals: 0,
            keeps_schemas: false,
        }
    }

    /// The receipts that are still to be committed.
    pub(crate) fn pending(&self) -> impl Iterator<Item = usize> {
        self.outcomes
            .iter()
            .enumerate()
            .filter(|(_, outcome)| outcome.is_none())
            .map(|(i, _)| i)
    }

    /// Gives up when there is no time or no attempt left, or when the catalog refused twice in a row: for the first time the
    /// reason may have been what somebody else did meanwhile, or what the commit was to clean up besides.
    pub(crate) fn may_go_on(&mut self) -> Result<(), LakeError> {
        let late = self
            .options
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        match self.last_error.take() {
            Some(CommitError::Refused { source }) if self.n_refusals >= MAX_REFUSALS => {
                Err(self.failed(retryable(source.as_ref()), source))
            }
            last_error if !late && self.n_attempts() < self.options.max_attempts => {
                self.last_error = last_error;
                Ok(())
            }
            Some(error) => Err(self.failed(true, error.into_cause())),
            None => {
                let source = "the deadline had passed before the first attempt".into();
                Err(self.failed(true, source))
            }
        }
    }

    /// Writes what the commit needs and sends it, once.
    ///
    /// Returns the table with it. A table that `is_remembered` must still have the schema that receipts were judged by.
    pub(crate) async fn attempt(
        &mut self,
        table: &Table,
        is_remembered: bool,
    ) -> Result<Table, Failure> {
        // Until the commit is sent nothing has happened, whatever goes wrong.
        let not_sent = Failure::NotSent;
        let metadata = table.metadata();
        let receipts: Vec<usize> = self.pending().collect();
        let manifests = self.manifests(table, &receipts).await;
        let (snapshot_id, manifests) = manifests.map_err(not_sent)?;
        let storage = table.storage().as_ref();
        let elapsed_ms = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now_ms = timestamp_ms(metadata, self.options.now_ms.saturating_add(elapsed_ms));
        let inherited = self.inherited(table).await.map_err(not_sent)?;
        let listed = manifests.into_iter().chain(inherited).collect();
        let listed = write_manifest_list(storage, metadata, snapshot_id, listed)
            .await
            .map_err(not_sent)?;
        let manifest_list = listed.location.clone();
        let added = Added::of(receipts.iter().flat_map(|i| self.files_of(*i)));
        let brought = receipts.iter().map(|i| &self.receipts[*i]);
        let commit = NewCommit {
            snapshot_id,
            committed_ms: now_ms,
            batches: brought.flat_map(Receipt::ledger_entries).collect(),
        };
        let segment = self
            .lake
            .ledger(table)
            .with(&commit, self.options.ledger_segment_bytes)
            .await
            .map_err(not_sent)?;
        let references = table.references().map_err(|error| not_sent(error.into()))?;
        // Somebody may have named a snapshot since the table was loaded; and a catalog that refuses to have something cleaned
        // up must not refuse the rows as well.
        let may_clean = !is_remembered && self.n_refusals == 0 && may_expire(metadata, now_ms);
        let (expired, outdated) = if may_clean {
            let expired = references.expired(metadata, now_ms);
            let outdated = outdated_schemas(metadata, &expired);
            (
                expired,
                if self.keeps_schemas {
                    Vec::new()
                } else {
                    outdated
                },
            )
        } else {
            Default::default()
        };
        let mut updates = vec![
            TableUpdate::AddSnapshot {
                snapshot: append(metadata, snapshot_id, now_ms, &manifest_list, &added),
            },
            TableUpdate::SetSnapshotRef {
                ref_name: MAIN_BRANCH.to_owned(),
                reference: references.main_at(snapshot_id),
            },
            TableUpdate::SetProperties {
                updates: HashMap::from([(LEDGER_PROPERTY.to_owned(), segment)]),
            },
        ];
        let sent = Sent {
            snapshot_id,
            manifest_list,
            outcomes: receipts
                .into_iter()
                .map(|i| (i, self.outcome_in(i, snapshot_id)))
                .collect(),
            added,
            n_expired_snapshots: expired.len(),
            removes_schemas: !outdated.is_empty(),
        };
        if !expired.is_empty() {
            updates.push(TableUpdate::RemoveSnapshots {
                snapshot_ids: expired,
            });
        }
        let assumes_schema = is_remembered || sent.removes_schemas;
        if !outdated.is_empty() {
            updates.push(TableUpdate::RemoveSchemas {
                schema_ids: outdated,
            });
        }
        let requirements = requirements(metadata, assumes_schema);
        self.sent.push(sent);
        let answer = self.send(requirements, updates.clone()).await;
        let committed = answer.map_err(Failure::Answer)?;
        if let Some(sent) = self.sent.last() {
            settle(&mut self.outcomes, sent);
        }
        // It happened. A table that cannot be told from that is loaded when it is needed.
        let after = table.after(&committed, &updates);
        Ok(after.map_or_else(|_| table.clone(), |after| after.with_manifests(listed)))
    }

    /// Sends the commit; no answer before the deadline is an unknown outcome.
    async fn send(
        &self,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Committed, CommitError> {
        let commit = self.lake.catalog.commit(self.name, requirements, updates);
        match self.options.deadline {
            None => commit.await,
            Some(deadline) => tokio::time::timeout_at(deadline, commit)
                .await
                .unwrap_or_else(|late| {
                    Err(CommitError::Unknown {
                        source: late.into(),
                    })
                }),
        }
    }

    /// What becomes of the receipt when this snapshot is made.
    fn outcome_in(&self, receipt: usize, snapshot_id: i64) -> ReceiptOutcome {
        if self.files_of(receipt).is_empty() {
            return ReceiptOutcome::AlreadyCommitted; // By other commits, or by other receipts of this one.
        }
        ReceiptOutcome::Committed { snapshot_id }
    }

    /// The files of the receipt that are to be committed.
    pub(crate) fn files_of(&self, receipt: usize) -> &[DataFile] {
        match self.remainders.get(&receipt) {
            Some(remainder) => &remainder.files,
            None => &self.receipts[receipt].data_files,
        }
    }

    /// The manifests of these receipts, and the snapshot that they name: written before, unless the set of files has changed.
    ///
    /// An attempt has the snapshot of the one before then. Of both no more than one can happen, since they rest on what the
    /// main branch was, and their lists of manifests tell which.
    async fn manifests(
        &mut self,
        table: &Table,
        receipts: &[usize],
    ) -> Result<(i64, Vec<ManifestFile>), Cause> {
        let metadata = table.metadata();
        let files = receipts.iter().flat_map(|i| self.files_of(*i));
        let named: Vec<String> = files.map(|file| file.location.clone()).collect();
        if let Some((of, snapshot_id, manifests)) = &self.manifests
            && *of == named
            && metadata.snapshot_by_id(*snapshot_id).is_none()
        {
            return Ok((*snapshot_id, manifests.clone()));
        }
        let snapshot_id = self.new_snapshot_id(metadata);
        let storage = table.storage().as_ref();
        let files = receipts.iter().flat_map(|i| self.files_of(*i));
        let manifests = write_manifests(storage, metadata, snapshot_id, files).await?;
        self.manifests = Some((named, snapshot_id, manifests.clone()));
        Ok((snapshot_id, manifests))
    }

    /// The manifests of the current snapshot, some of them merged where there are many.
    ///
    /// They are merged for the first attempt only; later ones use what was merged, if all of it is still there.
    async fn inherited(&mut self, table: &Table) -> Result<Vec<ManifestFile>, Cause> {
        let (storage, metadata) = (table.storage().as_ref(), table.metadata());
        let manifests = table.manifests().await?;
        if self.sent.is_empty() && self.merged.is_none() {
            let (pace, deadline) = (&self.lake.merges, self.options.deadline);
            let begun = Instant::now();
            let merged = pace.merge(storage, metadata, &manifests, deadline);
            self.merged = merged.await;
            self.aside = begun.elapsed();
        }
        Ok(self.merged.iter().fold(manifests, replaced))
    }

    /// Whether the last attempt failed because somebody else was first.
    pub(crate) fn lost_a_race(&self) -> bool {
        matches!(self.last_error, Some(CommitError::Conflict { .. }))
    }

    /// How long the last attempt did what the next ones need not do.
    pub(crate) fn take_aside(&mut self) -> Duration {
        std::mem::take(&mut self.aside)
    }

    /// Remembers why the attempt failed. Whatever the catalog answered, the table is to be looked at before anything else.
    ///
    /// # Errors
    ///
    /// When nothing was sent.
    pub(crate) fn keep(&mut self, failure: Failure) -> Result<(), LakeError> {
        match failure {
            Failure::NotSent(source) => Err(self.failed(retryable(source.as_ref()), source)),
            Failure::Answer(error) => {
                let is_refusal = matches!(error, CommitError::Refused { .. });
                let removed_schemas = self.sent.last().is_some_and(|sent| sent.removes_schemas);
                if is_refusal && removed_schemas {
                    self.keeps_schemas = true; // Snapshots expire all the same.
                } else {
                    self.n_refusals = if is_refusal { self.n_refusals + 1 } else { 0 };
                }
                self.last_error = Some(error);
                Ok(())
            }
        }
    }

    fn failed(&self, retryable: bool, source: Cause) -> LakeError {
        LakeError::Commit {
            table: self.name.clone(),
            n_receipts: self.receipts.len(),
            n_attempts: self.n_attempts(),
            retryable,
            source,
        }
    }

    fn n_attempts(&self) -> u32 {
        u32::try_from(self.sent.len()).unwrap_or(u32::MAX)
    }

    /// Draws a positive id that the table does not know. Should another invocation draw the same, nothing is confused: a
    /// snapshot is only taken for ours when its manifest list, whose name holds a UUID, is ours too.
    fn new_snapshot_id(&mut self, metadata: &TableMetadata) -> i64 {
        loop {
            let id = (self.random.next() >> 1).cast_signed();
            if id != 0 && metadata.snapshot_by_id(id).is_none() {
                return id;
            }
        }
    }

    pub(crate) fn report(self) -> CommitReport {
        let committed = |outcome: &Option<ReceiptOutcome>| match outcome {
            Some(ReceiptOutcome::Committed { snapshot_id }) => Some(*snapshot_id),
            _ => None,
        };
        let snapshot_id = self.outcomes.iter().find_map(committed);
        let landed = self
            .sent
            .iter()
            .rfind(|sent| Some(sent.snapshot_id) == snapshot_id);
        let added = landed.map(|sent| sent.added.clone()).unwrap_or_default();
        CommitReport {
            snapshot_id,
            n_attempts: self.n_attempts(),
            n_files: added.n_files,
            n_rows: added.n_rows,
            file_bytes: added.file_bytes,
            n_expired_snapshots: landed.map_or(0, |sent| sent.n_expired_snapshots),
            outcomes: self
                .receipts
                .iter()
                .map(|receipt| receipt.token)
                .zip(self.outcomes.into_iter().flatten())
                .collect(),
        }
    }
}

/// That the table is the one that was looked at, and that nobody has committed to its main branch since.
fn requirements(metadata: &TableMetadata, assumes_schema: bool) -> Vec<TableRequirement> {
    let schema = TableRequirement::CurrentSchemaIdMatch {
        current_schema_id: metadata.current_schema_id(),
    };
    let always = [
        TableRequirement::UuidMatch {
            uuid: metadata.uuid(),
        },
        TableRequirement::RefSnapshotIdMatch {
            r#ref: MAIN_BRANCH.to_owned(),
            snapshot_id: metadata.current_snapshot_id(),
        },
    ];
    always
        .into_iter()
        .chain(assumes_schema.then_some(schema))
        .collect()
}

pub(crate) fn settle(outcomes: &mut [Option<ReceiptOutcome>], sent: &Sent) {
    for (i, outcome) in &sent.outcomes {
        outcomes[*i] = Some(outcome.clone());
    }
}
