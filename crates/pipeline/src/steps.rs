//! The steps of a run that leave something behind: data files, quarantine, snapshot.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use lake::{BatchId, CommitOptions, DataFile, LakeError, Receipt, ReceiptOutcome, TableName};

use crate::{
    Invocation, Pipeline, PipelineError, Settings,
    open_table::OpenTable,
    pipeline::Landing,
    quarantine,
    receipts::{ReceiptSink, receipts_root, stage},
    report::LandedTable,
};

/// How many quarantine objects are written side by side.
const MAX_QUARANTINE_PUTS: usize = 16;

const MS_PER_DAY: i64 = 24 * 60 * 60 * 1_000;

impl Pipeline {
    /// Writes the rows as data files.
    pub(crate) async fn write(
        &self,
        open: &OpenTable,
        landing: &Landing,
        batch: &BatchId,
    ) -> Result<Vec<DataFile>, PipelineError> {
        if landing.flattened.batches.is_empty() {
            return Ok(Vec::new());
        }
        let files = self.lake.write(
            &open.table,
            &landing.flattened.batches,
            batch,
            &open.write_options,
        );
        files
            .await
            .map_err(|source| failed(open.table.name(), "write to", source))
    }

    /// Writes the refused events, and says where they are; nothing when there are none.
    pub(crate) async fn quarantine(
        &self,
        open: &Arc<OpenTable>,
        landing: &Arc<Landing>,
        batch: &BatchId,
    ) -> Result<Option<String>, PipelineError> {
        let n_events = usize::try_from(landing.refusals.n).unwrap_or(usize::MAX);
        if n_events == 0 {
            return Ok(None);
        }
        let failed = |location: &str, source| PipelineError::Quarantine {
            location: location.to_owned(),
            n_events,
            source,
        };
        let (shared, table) = (Arc::clone(landing), Arc::clone(open));
        let work = move || quarantine::encode(&shared, &table.shape.event_type);
        let objects = self.cpu.run(work).await.ok_or(PipelineError::Internal {
            stage: "quarantining events",
            n: n_events,
        })?;
        let prefix = &self.settings.quarantine_prefix;
        let objects = objects.map_err(|source| failed(prefix, Box::new(source)))?;
        let objects: Vec<_> = objects
            .into_iter()
            .map(|object| (self.quarantine_place(open, landing, batch, &object), object))
            .collect();
        let place = match objects.as_slice() {
            [(location, _)] => location.clone(),
            _ => format!("{}/{prefix}/{}/", self.root, open.table.name()),
        };
        // That one is there already is a success: an earlier delivery wrote the same events.
        let puts = objects.into_iter().map(async |(location, object)| {
            let put = self.lake.storage().put_new(&location, object.bytes.into());
            put.await
                .map_err(|source| failed(&location, Box::new(source)))
        });
        let puts: Vec<_> = stream::iter(puts)
            .buffered(MAX_QUARANTINE_PUTS)
            .try_collect()
            .await?;
        debug_assert!(!puts.is_empty(), "something was refused");
        Ok(Some(place))
    }

    /// Where a quarantine object goes: it is named by the token of the batch, or by that of a batch of its record alone.
    fn quarantine_place(
        &self,
        open: &OpenTable,
        landing: &Landing,
        batch: &BatchId,
        object: &quarantine::Object,
    ) -> String {
        let (prefix, payload) = (&self.settings.quarantine_prefix, &landing.payload);
        let record = object.record.and_then(|record| payload.records.get(record));
        let arrivals = payload.records.iter().map(|record| record.arrival_us);
        let (token, arrival_us) = match record {
            Some(record) => (open.token(payload, [record]), record.arrival_us),
            None => (batch.token, arrivals.min().unwrap_or(0)),
        };
        let (table, token) = (open.table.name().to_string(), token.to_string());
        let path = quarantine::path(prefix, &table, &token, arrival_us, object);
        format!("{}/{path}", self.root)
    }

    /// What is to be committed.
    pub(crate) fn receipt(
        &self,
        open: &OpenTable,
        landing: &Landing,
        batch: &BatchId,
        files: Vec<DataFile>,
        invocation: &Invocation,
    ) -> Receipt {
        let payload = &landing.payload;
        let written_at_ms = self.dated_ms(payload, invocation);
        let taken = payload.records.iter().zip(landing.contents.iter());
        let taken = taken.filter(|(_, content)| content.is_taken());
        let source = payload.source.told(taken.map(|(record, _)| record));
        Receipt::new(&open.table, batch, written_at_ms, source, files)
    }

    /// Commits the receipt, or sends it to whoever does. `false` when the table changed so that the events have to be flattened
    /// again.
    pub(crate) async fn hand_over(
        &self,
        receipt: Receipt,
        invocation: &Invocation,
        give_up: Option<tokio::time::Instant>,
        facts: &mut LandedTable,
    ) -> Result<bool, PipelineError> {
        let Some(sink) = &self.sink else {
            return self.commit(receipt, invocation, give_up, facts).await;
        };
        facts.receipt_bytes = self.stage(sink.as_ref(), &receipt, invocation).await?;
        Ok(true)
    }

    /// Commits the receipt. `false` when the table changed so that the events have to be flattened again.
    async fn commit(
        &self,
        receipt: Receipt,
        invocation: &Invocation,
        give_up: Option<tokio::time::Instant>,
        facts: &mut LandedTable,
    ) -> Result<bool, PipelineError> {
        if receipt.data_files.is_empty() {
            return Ok(true); // Only refused events, or none: there is nothing that readers should see.
        }
        let now_ms = invocation.now_us.div_euclid(1_000);
        let options = CommitOptions {
            deadline: give_up,
            receipt_horizon_ms: horizon_ms(&self.settings),
            ..CommitOptions::new(now_ms, invocation.seed)
        };
        let table = receipt.table.clone();
        let committed = self.lake.commit(&table, vec![receipt], &options).await;
        let committed = committed.map_err(|source| failed(&table, "commit to", source))?;
        facts.n_attempts += committed.n_attempts;
        facts.snapshot_id = committed.snapshot_id;
        match committed.outcomes.into_iter().next() {
            Some((_, ReceiptOutcome::Committed { .. } | ReceiptOutcome::Empty)) => Ok(true),
            Some((_, ReceiptOutcome::AlreadyCommitted)) => {
                facts.is_repeat = true;
                Ok(true)
            }
            Some((_, ReceiptOutcome::Incompatible { .. })) => Ok(false),
            other => Err(PipelineError::NotCommitted {
                table: table.to_string(),
                reason: format!("{other:?}"),
            }),
        }
    }

    /// Sends the receipt to whoever commits. Returns its size in bytes, 0 when there was nothing to send.
    async fn stage(
        &self,
        sink: &dyn ReceiptSink,
        receipt: &Receipt,
        invocation: &Invocation,
    ) -> Result<u64, PipelineError> {
        if receipt.data_files.is_empty() {
            return Ok(0); // Only refused events, or none: there is nothing that readers should see.
        }
        let receipts_root = receipts_root(&self.settings, &self.root);
        stage(&self.lake, sink, receipt, &receipts_root, invocation.seed).await
    }

    /// What could not be done to the default table.
    pub(crate) fn failed(&self, operation: &'static str, source: LakeError) -> PipelineError {
        failed(&self.name, operation, source)
    }
}

/// What could not be done to the table.
pub(crate) fn failed(
    table: &TableName,
    operation: &'static str,
    source: LakeError,
) -> PipelineError {
    PipelineError::Table {
        operation,
        table: table.to_string(),
        source: Box::new(source),
    }
}

/// How old a receipt may be, in milliseconds.
pub(crate) fn horizon_ms(settings: &Settings) -> i64 {
    i64::from(settings.receipt_horizon_days) * MS_PER_DAY
}
