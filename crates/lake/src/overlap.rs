//! Receipts that cover records which are in the table, or in another receipt, already.

use crate::commit::ReceiptOutcome;
use crate::data_file::DataFile;
use crate::error::LakeError;
use crate::range::RangeSet;
use crate::receipt::RecordRange;
use crate::rewrite::{Rewritten, rewrite};
use crate::table::Table;
use crate::work::Work;

/// What is to be committed of a receipt without the records that are known.
#[derive(Debug)]
pub(crate) struct Remainder {
    known: RangeSet,
    pub(crate) files: Vec<DataFile>,
}

impl Work<'_> {
    /// Works out for each pending receipt which of its records are in the table or in a receipt before it, and writes the
    /// rows of the others again. What was written for an earlier attempt is used when nothing has changed.
    ///
    /// # Errors
    ///
    /// When the table cannot be written to; nothing was committed. A receipt whose files could not be read or written now is
    /// settled as one for later.
    pub(crate) async fn leave_out_known(&mut self, table: &Table) -> Result<(), LakeError> {
        let mut taken = self.known.clone();
        for i in self.pending().collect::<Vec<_>>() {
            let Some(range) = self.receipts[i].range() else {
                continue;
            };
            let taken = taken.entry(range.shard.clone()).or_default();
            let known = taken.within(&range.first, &range.last);
            if known.is_empty() {
                self.remainders.remove(&i);
            } else if let Err(outcome) = self.shorten(table, i, &range, known).await? {
                self.outcomes[i] = Some(outcome);
                continue;
            }
            taken.insert(&range.first, &range.last);
        }
        // Receipts of which nothing is left need no snapshot, unless those before them are still to be committed.
        let pending: Vec<usize> = self.pending().collect();
        if pending.iter().all(|i| self.files_of(*i).is_empty()) {
            for i in pending {
                self.outcomes[i] = Some(ReceiptOutcome::AlreadyCommitted);
            }
        }
        Ok(())
    }

    /// Writes what is left of a receipt without the known records. The inner error is the outcome when that cannot be done.
    async fn shorten(
        &mut self,
        table: &Table,
        receipt: usize,
        range: &RecordRange,
        known: RangeSet,
    ) -> Result<Result<(), ReceiptOutcome>, LakeError> {
        let earlier = self.remainders.get(&receipt);
        if earlier.is_some_and(|remainder| remainder.known == known) {
            return Ok(Ok(()));
        }
        let rewritten = if known.covers(&range.first, &range.last) {
            Rewritten::Files(Vec::new())
        } else {
            let random = &mut self.random;
            let receipt = &self.receipts[receipt];
            match rewrite(self.lake, table, receipt, &known, || random.next()).await {
                Err(error @ (LakeError::ReadDataFile { .. } | LakeError::StoreDataFile { .. })) => {
                    let reason = chain(&error);
                    return Ok(Err(ReceiptOutcome::Later { reason }));
                }
                rewritten => rewritten?,
            }
        };
        match rewritten {
            Rewritten::Files(files) => {
                self.remainders.insert(receipt, Remainder { known, files });
                Ok(Ok(()))
            }
            Rewritten::Never(reason) => Ok(Err(ReceiptOutcome::Incompatible { reason })),
        }
    }
}

/// The error and its causes, for a person.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
