//! What is known of receipts before an attempt to commit them.

use std::collections::HashMap;

use crate::commit::ReceiptOutcome;
use crate::compatible;
use crate::error::LakeError;
use crate::ledger::Wanted;
use crate::range::RangeSet;
use crate::table::Table;
use crate::work::{Work, settle};

impl Work<'_> {
    /// Settles the receipts that are in the table, by our own commits whose answers were lost or by anybody's.
    pub(crate) async fn recognise(&mut self, table: &Table) -> Result<(), LakeError> {
        for sent in &self.sent {
            let snapshot = table.metadata().snapshot_by_id(sent.snapshot_id);
            if snapshot.is_some_and(|snapshot| snapshot.manifest_list() == sent.manifest_list) {
                settle(&mut self.outcomes, sent);
            }
        }
        let oldest_ms = self.pending().map(|i| self.receipts[i].written_at_ms).min();
        let Some(oldest_ms) = oldest_ms else {
            return Ok(());
        };
        let mut ranges: HashMap<String, RangeSet> = HashMap::new();
        for range in self.pending().filter_map(|i| self.receipts[i].range()) {
            let records = ranges.entry(range.shard).or_default();
            records.insert(&range.first, &range.last);
        }
        let wanted = Wanted {
            tokens: self.pending().map(|i| self.receipts[i].token).collect(),
            ranges,
        };
        let since_ms = oldest_ms.max(self.options.now_ms - self.options.receipt_horizon_ms);
        let known = self.lake.known(table, &wanted, since_ms).await?;
        for i in self.pending().collect::<Vec<_>>() {
            let receipt = &self.receipts[i];
            let snapshot_id = known.tokens.get(&receipt.token);
            let is_covered = receipt.range().is_some_and(|range| {
                let records = known.ranges.get(&range.shard);
                records.is_some_and(|records| records.covers(&range.first, &range.last))
            });
            if snapshot_id.is_some() || is_covered {
                let by_us = snapshot_id.and_then(|id| self.outcome_by_us(*id, i));
                self.outcomes[i] = Some(by_us.unwrap_or(ReceiptOutcome::AlreadyCommitted));
            }
        }
        self.known = known.ranges;
        Ok(())
    }

    /// What became of the receipt when the snapshot is one of ours.
    fn outcome_by_us(&self, snapshot_id: i64, receipt: usize) -> Option<ReceiptOutcome> {
        let sent = self
            .sent
            .iter()
            .find(|sent| sent.snapshot_id == snapshot_id)?;
        let mut outcomes = sent.outcomes.iter();
        let found = outcomes.find(|(position, _)| *position == receipt);
        found.map(|(_, outcome)| outcome.clone())
    }

    /// Settles the receipts that this table can never take. One that `is_remembered` was seen to fit all of them.
    pub(crate) fn judge(&mut self, table: &Table, is_remembered: bool) {
        let oldest_ms = self.options.now_ms - self.options.receipt_horizon_ms;
        for i in self.pending().collect::<Vec<_>>() {
            let receipt = &self.receipts[i];
            if receipt.written_at_ms < oldest_ms {
                self.outcomes[i] = Some(ReceiptOutcome::TooOld);
            } else if !is_remembered
                && let Err(reason) = compatible::check(receipt, table.metadata())
            {
                self.outcomes[i] = Some(ReceiptOutcome::Incompatible { reason });
            }
        }
    }

    /// Whether the table as it is remembered takes all receipts.
    pub(crate) fn fits(&self, table: &Table) -> bool {
        let mut pending = self.pending();
        pending.all(|i| compatible::check(&self.receipts[i], table.metadata()).is_ok())
    }
}
