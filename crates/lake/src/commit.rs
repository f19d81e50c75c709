use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use crate::backoff::{Backoff, RaceWaits};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::ledger::{Known, LEDGER_PATH_PROPERTY, LEDGER_PROPERTY, Ledger, Wanted};
use crate::metadata::metadata_directory;
use crate::name::TableName;
use crate::range::RangeSet;
use crate::receipt::{Receipt, shard_of_table};
use crate::references::may_expire;
use crate::table::Table;
use crate::token::Token;
use crate::work::{CLOCK_SKEW_MS, Work};

/// What a commit needs to know that it cannot find out by itself.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// The time now, in milliseconds since 1970.
    pub now_ms: i64,
    /// Decides snapshot ids and the waits after a lost race; random per invocation.
    pub seed: u64,
    /// When to give up. Default: never, then `max_attempts` counts.
    pub deadline: Option<Instant>,
    /// How often to try. Default: 100.
    pub max_attempts: u32,
    /// How old a receipt may be, in milliseconds. Default: 14 days.
    pub receipt_horizon_ms: i64,
    /// How large a segment of the ledger may grow, in bytes. Default: 64 KiB.
    pub ledger_segment_bytes: usize,
}

impl CommitOptions {
    /// Returns the defaults for this time and seed.
    pub fn new(now_ms: i64, seed: u64) -> Self {
        Self {
            now_ms,
            seed,
            deadline: None,
            max_attempts: 100,
            receipt_horizon_ms: 14 * 24 * 60 * 60 * 1000,
            ledger_segment_bytes: 64 << 10,
        }
    }
}

/// What became of one receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// Its rows became visible with this snapshot.
    Committed {
        /// The snapshot.
        snapshot_id: i64,
    },
    /// Its rows, or those of another delivery of the same batch, are in the table by another commit or another receipt.
    AlreadyCommitted,
    /// It names no files, so there was nothing to commit.
    Empty,
    /// Its files do not fit the table as it is now. It belongs into the quarantine.
    Incompatible {
        /// What does not fit, for a person.
        reason: String,
    },
    /// It is older than the horizon. It belongs into the quarantine.
    TooOld,
    /// Its files would have to be written again, and that could not be done now. It is to be given again.
    Later {
        /// What could not be done, for a person.
        reason: String,
    },
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitReport {
    /// The snapshot that was added, if any receipt was committed.
    pub snapshot_id: Option<i64>,
    /// How many commits were sent to the catalog.
    pub n_attempts: u32,
    /// How many files became visible.
    pub n_files: u64,
    /// How many rows became visible.
    pub n_rows: u64,
    /// The size of those files in bytes.
    pub file_bytes: u64,
    /// How many snapshots were expired.
    pub n_expired_snapshots: usize,
    /// What became of each receipt, in the order in which they were given.
    pub outcomes: Vec<(Token, ReceiptOutcome)>,
}

impl Lake {
    /// Returns the snapshots that brought these batches, for those that the table's ledger knows. It looks back to
    /// `since_ms`, in milliseconds since 1970, and the clock skew that a commit allows for.
    ///
    /// It looks at the table as it is now; or, when it is told the time now, at the table as this process left it less
    /// than a minute ago, if nobody else was seen to commit. That is for saving work on a delivery that comes again: a
    /// commit looks by itself, and its answer counts.
    ///
    /// # Errors
    ///
    /// When the table or its ledger cannot be read.
    pub async fn committed(
        &self,
        name: &TableName,
        tokens: &HashSet<Token>,
        since_ms: i64,
        now_ms: Option<i64>,
    ) -> Result<HashMap<Token, i64>, LakeError> {
        let wanted = Wanted {
            tokens: tokens.clone(),
            ..Wanted::default()
        };
        let table = self.table_at(name, now_ms).await?;
        Ok(self.known(&table, &wanted, since_ms).await?.tokens)
    }

    /// Returns those of the `records` of this shard that the table's ledger knows: their rows are in the table. As
    /// [`Lake::committed`] otherwise.
    ///
    /// # Errors
    ///
    /// When the table or its ledger cannot be read.
    pub async fn committed_records(
        &self,
        name: &TableName,
        shard: &str,
        records: &RangeSet,
        since_ms: i64,
        now_ms: Option<i64>,
    ) -> Result<RangeSet, LakeError> {
        let table = self.table_at(name, now_ms).await?;
        let shard = shard_of_table(table.uuid(), shard);
        let wanted = Wanted {
            ranges: HashMap::from([(shard.clone(), records.clone())]),
            ..Wanted::default()
        };
        let mut known = self.known(&table, &wanted, since_ms).await?;
        Ok(known.ranges.remove(&shard).unwrap_or_default())
    }

    /// The table as it is remembered at this time, or else as it is now.
    async fn table_at(&self, name: &TableName, now_ms: Option<i64>) -> Result<Table, LakeError> {
        match now_ms.and_then(|now_ms| self.recent.get(name, now_ms)) {
            Some(table) => Ok(table),
            None => self.reload(name).await,
        }
    }

    /// What the ledger of the table as it was loaded knows.
    pub(crate) async fn known(
        &self,
        table: &Table,
        wanted: &Wanted,
        since_ms: i64,
    ) -> Result<Known, LakeError> {
        let since_ms = since_ms.saturating_sub(CLOCK_SKEW_MS);
        let known = self.ledger(table).find(wanted, since_ms).await;
        known.map_err(|source| LakeError::ReadLedger {
            table: table.name().clone(),
            source,
        })
    }

    /// The ledger of the table as it was loaded.
    pub(crate) fn ledger<'a>(&'a self, table: &'a Table) -> Ledger<'a> {
        let property = |name: &str| table.properties().get(name).map(String::as_str);
        let metadata = table.metadata();
        Ledger {
            storage: table.storage().as_ref(),
            table_places: [table.location().to_owned(), metadata_directory(metadata)],
            lake_storage: self.storage.as_ref(),
            path: property(LEDGER_PATH_PROPERTY),
            cache: &self.ledgers,
            head: property(LEDGER_PROPERTY),
        }
    }

    /// Makes the files of the receipts visible in one snapshot, each source batch at most once.
    ///
    /// It is safe to repeat: before every attempt the tokens are looked up in the table's ledger, and after every answer that
    /// is not a success the table is loaded and looked at before anything else is done.
    ///
    /// Of a receipt that covers a range of a shard each record is committed at most once, also when the shard was cut into
    /// other ranges before: the rows of known records are left out, for which its files are read and written again. A row's
    /// record is told by its column `_source_id`, which ends with `/` and the sequence number.
    ///
    /// # Errors
    ///
    /// [`LakeError::Commit`] when the deadline or the attempts ran out, or the catalog refused. Nothing is known to be
    /// committed then, and the same receipts may be given again.
    pub async fn commit(
        &self,
        name: &TableName,
        receipts: Vec<Receipt>,
        options: &CommitOptions,
    ) -> Result<CommitReport, LakeError> {
        let mut work = Work::new(self, name, receipts, options);
        let mut races = RaceWaits::new(options.seed);
        let mut backoff = Backoff::new(options.seed);
        let mut recent = self.recent.get(name, options.now_ms);
        loop {
            let begun = Instant::now();
            // What somebody else may have changed is not judged by what is remembered.
            let remembered = recent.take().filter(|table| work.fits(table));
            // Nor are snapshots expired by it: somebody may have named one of them.
            let remembered =
                remembered.filter(|table| !may_expire(table.metadata(), options.now_ms));
            let is_remembered = remembered.is_some();
            let table = match remembered {
                Some(table) => table,
                None => self.reload(name).await?,
            };
            table.check_writable()?;
            work.recognise(&table).await?;
            work.judge(&table, is_remembered);
            work.leave_out_known(&table).await?;
            if work.pending().next().is_none() {
                return Ok(work.report());
            }
            work.may_go_on()?;
            match work.attempt(&table, is_remembered).await {
                Ok(committed) => {
                    self.recent.keep(&table, committed, options.now_ms);
                    return Ok(work.report());
                }
                Err(failure) => {
                    self.recent.forget(name);
                    work.keep(failure)?;
                }
            }
            if work.lost_a_race() {
                let attempt = begun.elapsed().saturating_sub(work.take_aside());
                races.wait(attempt, options.deadline).await;
            } else {
                backoff.wait(options.deadline).await;
            }
        }
    }
}
