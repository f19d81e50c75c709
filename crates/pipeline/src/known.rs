//! What an earlier delivery did already, as the table's ledger tells.

use std::collections::HashSet;

use lake::{BatchId, RangeSet, TableName};

use crate::{
    Identity, Invocation, Payload, Pipeline, PipelineError,
    read::Content,
    steps::{failed, horizon_ms},
};

/// Receipts are at least this much younger than the horizon.
pub(crate) const HORIZON_SLACK_MS: i64 = 60 * 60 * 1_000;

/// What is known of the records of a payload that this run would answer for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// No record of them.
    Nothing,
    /// The records at these positions, rising.
    Some(Vec<usize>),
    /// All of them.
    All,
}

impl Pipeline {
    /// Looks which records of the payload are in the table already, so that they must not change it. What was refused of
    /// them is in the quarantine too, since that is written before the commit.
    pub(crate) async fn look_up(
        &self,
        table: &TableName,
        payload: &Payload,
        contents: &[Content],
        batch: &BatchId,
        invocation: &Invocation,
    ) -> Result<Known, PipelineError> {
        if self.is_staged() {
            return Ok(Known::Nothing); // Only the committer asks the catalog; it looks, too.
        }
        let since_ms = self.dated_ms(payload, invocation);
        let now_ms = Some(invocation.now_us.div_euclid(1_000));
        let failed = |source| failed(table, "look into the ledger of", source);
        if let Identity::Range { shard } = &payload.source.identity {
            let sequences = || payload.records.iter().filter_map(crate::Record::sequence);
            let mut records = RangeSet::default();
            if let (Some(first), Some(last)) = (sequences().min(), sequences().max()) {
                records.insert(&first, &last);
            }
            let records = self
                .lake
                .committed_records(table, shard, &records, since_ms, now_ms);
            let records = records.await.map_err(failed)?;
            return Ok(known_of(payload, contents, |record| {
                records.contains(record)
            }));
        }
        let tokens = HashSet::from([batch.token]);
        let known = self.lake.committed(table, &tokens, since_ms, now_ms).await;
        let is_known = known.map_err(failed)?.contains_key(&batch.token);
        Ok(if is_known { Known::All } else { Known::Nothing })
    }

    /// The date of a batch: before the first delivery that this one may repeat, since the ledger is looked through back to
    /// that date; but never so far back that it would be too old to be committed.
    pub(crate) fn dated_ms(&self, payload: &Payload, invocation: &Invocation) -> i64 {
        let first_ms = payload
            .source
            .first_delivery_ms(&payload.records, invocation.now_us);
        self.dated_back_ms(first_ms, invocation)
    }

    /// This date, unless a receipt of it would be too old.
    pub(crate) fn dated_back_ms(&self, first_ms: i64, invocation: &Invocation) -> i64 {
        let horizon_ms = horizon_ms(&self.settings) - HORIZON_SLACK_MS;
        first_ms.max(invocation.now_us.div_euclid(1_000) - horizon_ms)
    }
}

/// Sorts the records that are still to be done.
fn known_of(
    payload: &Payload,
    contents: &[Content],
    is_known: impl Fn(&lake::SequenceNumber) -> bool,
) -> Known {
    let all = payload.records.iter().zip(contents).enumerate();
    let to_do = all.filter(|(_, (_, content))| content.is_taken());
    let to_do = to_do.filter(|(_, (_, content))| !matches!(content, Content::Known));
    let (known, unknown): (Vec<_>, Vec<_>) = to_do
        .map(|(position, (record, _))| (position, record.sequence()))
        .partition(|(_, sequence)| sequence.as_ref().is_some_and(&is_known));
    match (known.is_empty(), unknown.is_empty()) {
        (true, _) => Known::Nothing,
        (false, true) => Known::All,
        (false, false) => Known::Some(known.into_iter().map(|(position, _)| position).collect()),
    }
}
