//! Out of the quarantine and into the table, exactly once.
//!
//! An object becomes one source batch, whose token is made of the object's path. What still cannot become a row is written to
//! another object, the *rest*, before the commit; the commit marks in the ledger which rest belongs to it; and only when the
//! commit is known the object goes. So whatever happens between, each event counts once: as long as the object is there its
//! rests do not count, and once its token is in the ledger the rest that is marked takes its place.

mod batch;
mod rebuild;
mod receipt;
mod rest;

use std::{collections::BTreeMap, sync::Arc};

use lake::{BatchId, CommitOptions, Receipt, ReceiptOutcome, ReceiptSource, Token};

use self::{
    batch::Batch,
    rest::{mark_of, replayed_mark},
};
use crate::{
    Invocation, Pipeline, PipelineError, Quarantine, QuarantinedReceipt, RefusalNote, SourceBatch,
    Stored, StoredIn,
    known::HORIZON_SLACK_MS,
    open_table::OpenTable,
    pipeline::{Landing, MAX_ROUNDS},
    steps::horizon_ms,
};

/// Which events of an object are replayed, and whether anything is done.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// Only events that were refused for this kind of reason; the others stay.
    pub kind: Option<String>,
    /// Only look what would land. Nothing is written.
    pub is_dry_run: bool,
}

/// What became of one object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayOutcome {
    /// Events of it are rows now, and the object is gone; what was refused again is in the rest.
    Landed,
    /// An earlier replay had brought its events into the table; the object is gone now.
    LandedBefore,
    /// No event of it can become a row. It is as it was.
    #[default]
    Refused,
    /// It is the rest of an object whose replay is not at its end. It is as it was.
    Pending,
    /// Somebody else has replayed it meanwhile.
    Gone,
    /// Events of it would become rows: this was a dry run.
    WouldLand,
}

/// What a replay of one object did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReplayReport {
    /// The object.
    pub location: String,
    /// The table.
    pub table: String,
    /// What became of it.
    pub outcome: ReplayOutcome,
    /// Events in the object.
    pub n_events: u64,
    /// Events that became rows, or would.
    pub n_rows: u64,
    /// Events that were refused again.
    pub n_refused: u64,
    /// Events that were not chosen, or had no room in memory beside the others.
    pub n_left: u64,
    /// Refused events by kind of refusal.
    pub n_refused_by_kind: BTreeMap<&'static str, u64>,
    /// Values that went to `_doc` because they did not fit.
    pub n_rescued: u64,
    /// Columns that were added to the table.
    pub n_new_columns: u64,
    /// The snapshot that the rows are in.
    pub snapshot_id: Option<i64>,
    /// Where the events are that stay in the quarantine, when the object itself is gone.
    pub rest: Option<String>,
    /// The first refusals.
    pub refusals: Vec<RefusalNote>,
}

impl Pipeline {
    /// Brings the events of a quarantine object into the table as it is shaped now, each at most once, and takes the object
    /// out of the quarantine. What is refused again stays there. The events of a receipt are rebuilt from its data files, which
    /// stay.
    ///
    /// # Errors
    ///
    /// When the object cannot be read or the table does not take the events. It may be replayed again, whatever was done:
    /// nothing is lost or doubled.
    pub async fn replay(
        &self,
        stored: &Stored,
        options: &ReplayOptions,
        invocation: &Invocation,
    ) -> Result<ReplayReport, PipelineError> {
        let quarantine = Quarantine::new(&self.settings, self.lake.clone());
        let mut report = ReplayReport {
            location: stored.location.clone(),
            table: self.name.to_string(),
            ..ReplayReport::default()
        };
        let Some(object) = quarantine.get(stored).await? else {
            report.outcome = ReplayOutcome::Gone;
            return Ok(report);
        };
        // Somebody has changed the shape, or there would be nothing to replay.
        let mut open = self.reload(invocation).await?;
        let receipt = match stored.holds {
            StoredIn::Events => None,
            StoredIn::Receipt => Some(self.quarantined_receipt(stored, &object).await?),
        };
        let token = token_of(&open, stored, receipt.as_ref());
        if self.is_in_ledger(token).await? {
            report.outcome = ReplayOutcome::LandedBefore;
            if !options.is_dry_run {
                report.rest = self.settle_object(&open, stored).await?;
            }
            return Ok(report);
        }
        let events = match &receipt {
            None => self.quarantined_events(stored, &object).await?,
            Some(receipt) => self.rebuilt_events(&open, stored, receipt).await?,
        };
        report.n_events = events.len() as u64;
        if let Some(parent) = events.iter().find_map(|event| event.rest_of.as_ref())
            && quarantine.is_there(parent).await?
        {
            report.outcome = ReplayOutcome::Pending;
            return Ok(report);
        }
        let cap_bytes = self.settings.max_payload_inflated_bytes.len();
        let batch = Arc::new(Batch::new(events, options, cap_bytes));
        for round in 0..MAX_ROUNDS {
            let flattening = match &receipt {
                None => Arc::clone(&open),
                Some(_) => Arc::new(open.for_rebuilt()?),
            };
            let (contents, now_us) = (&batch.contents, invocation.now_us);
            let landing = self.flatten(&flattening, &batch.payload, contents, now_us);
            let landing = landing.await?;
            report.set_events(&landing, &batch);
            if options.is_dry_run || report.n_rows == 0 {
                report.outcome = match report.n_rows {
                    0 => ReplayOutcome::Refused,
                    _ => ReplayOutcome::WouldLand,
                };
                return Ok(report);
            }
            if self.widen(&mut open, &landing, invocation).await? {
                continue; // Another writer changed the schema first: flatten again from the bytes.
            }
            report.n_new_columns += landing.flattened.new_columns.len() as u64;

            let id = BatchId {
                token,
                attempt: invocation.seed.wrapping_add(u64::from(round)),
            };
            let files = self.write(&open, &landing, &id).await?;
            let rest = self.put_rest(&open, stored, &batch, &landing).await?;
            if !quarantine.is_there(&stored.path).await? {
                // Another replay was faster, and settled the object before our rest was there.
                self.settle_object(&open, stored).await?;
                report.outcome = ReplayOutcome::Gone;
                report.n_rows = 0;
                return Ok(report);
            }
            let source = match &receipt {
                None => source_of(stored, &batch),
                // The ranges of a shard that it covers are known from then on, however its records come again.
                Some((receipt, _)) => receipt.source.clone(),
            };
            let date_ms = self.replay_date_ms(invocation);
            let mut receipt = Receipt::new(&open.table, &id, date_ms, source, files);
            let mark = mark_of(&open, stored, rest.as_deref());
            receipt.marks.extend([mark, replayed_mark(&open, stored)]);
            if self.commit_replay(receipt, invocation, &mut report).await? {
                report.rest = self.settle_object(&open, stored).await?;
                return Ok(report);
            }
            // The table changed so that these files do not fit it any more.
            open = self.reload(invocation).await?;
        }
        Err(PipelineError::SchemaContention {
            table: self.name.to_string(),
            n_rounds: MAX_ROUNDS,
            n_events: batch.n_events(),
        })
    }

    /// Whether the token is anywhere in the ledger, however old: a replay may be resumed at any time.
    async fn is_in_ledger(&self, token: Token) -> Result<bool, PipelineError> {
        let tokens = std::collections::HashSet::from([token]);
        let known = self
            .lake
            .committed(&self.name, &tokens, i64::MIN, None)
            .await;
        let known = known.map_err(|source| self.failed("look into the ledger of", source))?;
        Ok(known.contains_key(&token))
    }

    /// The date of a replay: the commit looks through the ledger back to it.
    fn replay_date_ms(&self, invocation: &Invocation) -> i64 {
        let horizon_ms = horizon_ms(&self.settings) - HORIZON_SLACK_MS;
        invocation.now_us.div_euclid(1_000) - horizon_ms
    }

    /// Commits the rows. False when the table changed so that the events have to be flattened again.
    async fn commit_replay(
        &self,
        receipt: Receipt,
        invocation: &Invocation,
        report: &mut ReplayReport,
    ) -> Result<bool, PipelineError> {
        let now_ms = invocation.now_us.div_euclid(1_000);
        let options = CommitOptions {
            deadline: invocation.deadline,
            receipt_horizon_ms: horizon_ms(&self.settings),
            ..CommitOptions::new(now_ms, invocation.seed)
        };
        let committed = self.lake.commit(&self.name, vec![receipt], &options).await;
        let committed = committed.map_err(|source| self.failed("commit to", source))?;
        match committed.outcomes.into_iter().next() {
            Some((_, ReceiptOutcome::Committed { snapshot_id })) => {
                report.outcome = ReplayOutcome::Landed;
                report.snapshot_id = Some(snapshot_id);
                Ok(true)
            }
            Some((_, ReceiptOutcome::AlreadyCommitted)) => {
                report.outcome = ReplayOutcome::LandedBefore;
                report.n_rows = 0;
                Ok(true)
            }
            Some((_, ReceiptOutcome::Incompatible { .. })) => Ok(false),
            other => Err(PipelineError::NotCommitted {
                table: self.name.to_string(),
                reason: format!("{other:?}"),
            }),
        }
    }
}

/// What makes the object recognisable: it never changes, and neither does its path below the warehouse. A receipt has a token.
fn token_of(
    open: &OpenTable,
    stored: &Stored,
    receipt: Option<&(Receipt, QuarantinedReceipt)>,
) -> Token {
    match receipt {
        None => Token::new(open.table.uuid(), "quarantine", stored.path.as_bytes()),
        Some((receipt, _)) => receipt::token_of(open, receipt),
    }
}

/// What a receipt says of the object.
fn source_of(stored: &Stored, batch: &Batch) -> ReceiptSource {
    let source = SourceBatch::request("quarantine", stored.path.clone());
    source.told(batch.payload.records.iter())
}

impl ReplayReport {
    fn set_events(&mut self, landing: &Landing, batch: &Batch) {
        let refusals = &landing.refusals;
        self.n_rows = landing.flattened.n_rows() as u64;
        self.n_refused = refusals.n;
        self.n_left = batch.n_left();
        self.n_refused_by_kind.clone_from(&refusals.n_by_kind);
        self.n_rescued = landing.flattened.n_rescued;
        self.refusals.clone_from(&refusals.notes);
    }
}
