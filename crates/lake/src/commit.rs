use tokio::time::Instant;

use crate::token::Token;

/// What a commit needs to know that it cannot find out by itself.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// The time now, in milliseconds since 1970.
    pub now_ms: i64,
    /// Decides the waits after a lost race; random per invocation.
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
    /// Its rows, or those of another delivery of the same batch, were in the table before.
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
