//! One object into its tables: many pieces, one receipt for each table.

use std::{collections::HashSet, sync::Arc, time::Instant};

use futures::{StreamExt as _, stream};
use lake::{BatchId, ReceiptSource, SourceRecords};

use super::{
    SourceObject,
    read::{NotRead, ObjectPieces},
    work::{Share, Work},
};
use crate::{
    InflateError, Invocation, Outcome, Pipeline, PipelineError, Report,
    lots::Lot,
    open_table::OpenTable,
    pipeline::{MAX_ROUNDS, give_up_at, ms_since},
    read::Content,
    report::LandedTable,
    steps::failed,
    tables::MAX_TABLES_AT_ONCE,
    tally::inflated_bytes,
};

/// How often an object is read from its beginning, since a table may change so that its files do not fit any more.
const MAX_READS: u32 = 4;

/// What became of the object as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Files and quarantine hold all of it.
    Whole,
    Superseded,
}

impl Pipeline {
    /// Lands an object: returns when all of its events are committed, as one batch in each table, in the quarantine, or when it
    /// turns out to have been replaced. It is read in pieces, so that memory does not depend on its size.
    ///
    /// # Errors
    ///
    /// Then the notification may not be acknowledged; the same object may be run again.
    pub async fn run_object(
        &self,
        object: &SourceObject,
        invocation: &Invocation,
    ) -> Result<Report, PipelineError> {
        let margin_ms = self.settings.deadline_margin_ms;
        let give_up = invocation.deadline.map(|at| give_up_at(at, margin_ms));
        let work = Box::pin(self.land_object(object, invocation, give_up));
        match give_up {
            None => work.await,
            Some(give_up) => tokio::time::timeout_at(give_up, work)
                .await
                .unwrap_or_else(|_| {
                    Err(PipelineError::Deadline {
                        table: self.name.to_string(),
                        n_records: 1,
                    })
                }),
        }
    }

    async fn land_object(
        &self,
        object: &SourceObject,
        invocation: &Invocation,
        give_up: Option<tokio::time::Instant>,
    ) -> Result<Report, PipelineError> {
        let started = Instant::now();
        let mut n_events = 0;
        for read in 0..MAX_READS {
            let mut report = Report::of_object(&self.name.to_string(), self.is_staged());
            let finished = |mut report: Report, outcome| {
                report.set_outcome(object, outcome);
                report.elapsed_ms.total = ms_since(started);
                Ok(report)
            };
            let routes = self.routes.as_ref().map(|routes| routes.fingerprint());
            let mut work = Work::new(object, invocation, routes, read);
            if self.routes.is_none() {
                let open = self.current(invocation).await?;
                let share = self.share(open, &work).await?;
                if share.is_known {
                    report.is_repeat = true;
                    return finished(report, Outcome::Known);
                }
                work.shares.insert(self.name.clone(), share);
            }
            if self.write_object(&mut work, &mut report).await? == Written::Superseded {
                // What was written of it belongs to no receipt, and so to nobody.
                let report = Report::of_object(&report.table, report.is_staged);
                return finished(report, Outcome::Superseded);
            }
            n_events = usize::try_from(work.n_events).unwrap_or(0);
            let is_known = |share: &Share| share.is_known;
            let all_known = !work.shares.is_empty() && work.shares.values().all(is_known);
            let Some(tables) = self.hand_over_object(work, give_up).await? else {
                continue;
            };
            report.set_tables(tables, self.routes.is_some());
            let outcome = if all_known {
                Outcome::Known
            } else {
                report.outcome_of_object()
            };
            return finished(report, outcome);
        }
        Err(PipelineError::SchemaContention {
            table: self.name.to_string(),
            n_rounds: MAX_READS,
            n_events,
        })
    }

    /// Commits what each table gets, or sends the receipts. Nothing when a table changed so that its files do not fit.
    async fn hand_over_object(
        &self,
        work: Work<'_>,
        give_up: Option<tokio::time::Instant>,
    ) -> Result<Option<Vec<LandedTable>>, PipelineError> {
        let (object, invocation) = (work.object, work.invocation);
        let shares = stream::iter(work.shares.into_values()).map(async |mut share| {
            if share.is_known {
                return Ok((true, share.facts));
            }
            share.facts.set_files(&share.files);
            let clock = Instant::now();
            let source = ReceiptSource {
                kind: "s3".to_owned(),
                records: SourceRecords::One(object.source_id()),
            };
            let written_at_ms = self.object_dated_ms(object, invocation);
            let table = &share.open.table;
            let receipt =
                lake::Receipt::new(table, &share.batch, written_at_ms, source, share.files);
            let handing = self.hand_over(receipt, invocation, give_up, &mut share.facts);
            let is_done = handing.await?;
            share.facts.elapsed_ms.commit += ms_since(clock);
            if !is_done {
                self.tables.forget(table.name());
            }
            Ok((is_done, share.facts))
        });
        // One that fails keeps no other from landing, which is known when the object comes again.
        let shares: Vec<_> = shares.buffered(MAX_TABLES_AT_ONCE).collect().await;
        let shares: Vec<_> = shares.into_iter().collect::<Result<_, PipelineError>>()?;
        let all_done = shares.iter().all(|(is_done, _)| *is_done);
        Ok(all_done.then(|| shares.into_iter().map(|(_, facts)| facts).collect()))
    }

    /// What a table gets of an object: nothing yet.
    async fn share(&self, open: Arc<OpenTable>, work: &Work<'_>) -> Result<Share, PipelineError> {
        let payload = work.payload();
        let batch = BatchId {
            token: open.token(&payload, &payload.records),
            attempt: work.attempt,
        };
        let is_known = self.is_object_known(work, &open, &batch).await?;
        let mut facts = LandedTable::of(&open.table.name().to_string());
        facts.is_repeat = is_known;
        Ok(Share {
            open,
            batch,
            is_known,
            files: Vec::new(),
            facts,
        })
    }

    /// Whether an earlier notification brought the object. In staged mode the committer looks.
    async fn is_object_known(
        &self,
        work: &Work<'_>,
        open: &OpenTable,
        batch: &BatchId,
    ) -> Result<bool, PipelineError> {
        if self.is_staged() {
            return Ok(false);
        }
        let table = open.table.name();
        let since_ms = self.object_dated_ms(work.object, work.invocation);
        let tokens = HashSet::from([batch.token]);
        let known = self.lake.committed(table, &tokens, since_ms, None).await;
        let known = known.map_err(|source| failed(table, "look into the ledger of", source))?;
        Ok(known.contains_key(&batch.token))
    }

    /// Writes data files and quarantine of all pieces.
    async fn write_object(
        &self,
        work: &mut Work<'_>,
        report: &mut Report,
    ) -> Result<Written, PipelineError> {
        let object = work.object;
        let Some(reader) = &self.objects else {
            return Err(PipelineError::NoSource {
                location: object.location(),
            });
        };
        let mut pieces = match ObjectPieces::open(reader, object).await {
            Ok(pieces) => pieces,
            Err(NotRead::Superseded) => return Ok(Written::Superseded),
            Err(NotRead::Failed(error)) => return Err(error),
            Err(NotRead::Broken(reason)) => {
                let rest = Content::Unreadable(InflateError::Rest { reason });
                self.write_piece(work, rest, report).await?;
                return Ok(Written::Whole);
            }
        };
        work.arrive(pieces.modified_ms);
        loop {
            let clock = Instant::now();
            let next = pieces.next().await;
            report.elapsed_ms.read += ms_since(clock);
            let (content, is_last) = match next {
                Ok(None) => return Ok(Written::Whole),
                Ok(Some(piece)) => (work.content(piece), false),
                Err(NotRead::Superseded) => return Ok(Written::Superseded),
                Err(NotRead::Failed(error)) => return Err(error),
                Err(NotRead::Broken(reason)) => {
                    (Content::Unreadable(InflateError::Rest { reason }), true)
                }
            };
            self.write_piece(work, content, report).await?;
            if is_last {
                return Ok(Written::Whole);
            }
        }
    }

    /// Writes data files and quarantine of one piece, for one table after another.
    async fn write_piece(
        &self,
        work: &mut Work<'_>,
        content: Content,
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        let (payload, contents) = (Arc::new(work.payload()), Arc::new(vec![content]));
        report.inflated_bytes += inflated_bytes(&contents);
        let lots = match &self.routes {
            None => {
                let share = work.shares.get(&self.name);
                let open = match share {
                    Some(share) => Arc::clone(&share.open),
                    None => self.current(work.invocation).await?,
                };
                vec![Lot::of_all(open, payload, Arc::clone(&contents))]
            }
            Some(routes) => {
                let dealing = self.deal(routes, &payload, &contents, work.invocation);
                let (dealt, failures) = dealing.await?;
                if let Some((_, error)) = failures.into_iter().next() {
                    return Err(error);
                }
                dealt.lots
            }
        };
        work.n_pieces += 1;
        for lot in lots {
            let name = lot.open.table.name().clone();
            let mut share = match work.shares.remove(&name) {
                Some(share) => share,
                None => self.share(Arc::clone(&lot.open), work).await?,
            };
            let written = if share.is_known {
                Ok(())
            } else {
                self.write_share(&mut share, &lot, work).await
            };
            work.shares.insert(name, share);
            written?;
        }
        work.pass(&contents);
        Ok(())
    }

    /// Writes data files and quarantine of what one table gets of a piece.
    async fn write_share(
        &self,
        share: &mut Share,
        lot: &Lot,
        work: &Work<'_>,
    ) -> Result<(), PipelineError> {
        let batch = BatchId {
            attempt: share.batch.attempt.wrapping_add(work.n_pieces),
            ..share.batch
        };
        let Share { open, facts, .. } = share;
        for _ in 0..MAX_ROUNDS {
            let clock = Instant::now();
            let now_us = work.invocation.now_us;
            let landing = self
                .flatten(open, &lot.payload, &lot.contents, now_us)
                .await?;
            facts.elapsed_ms.flatten += ms_since(clock);

            let clock = Instant::now();
            let is_raced = self.widen(open, &landing, work.invocation).await?;
            facts.elapsed_ms.schema += ms_since(clock);
            if is_raced {
                continue; // Another writer changed the schema first: flatten again from the bytes.
            }
            facts.n_new_columns += landing.flattened.new_columns.len() as u64;

            let clock = Instant::now();
            let files = self.write(open, &landing, &batch).await?;
            facts.elapsed_ms.write += ms_since(clock);

            let clock = Instant::now();
            let place = self.quarantine(open, &landing, &batch).await?;
            facts.elapsed_ms.quarantine += ms_since(clock);
            facts.quarantine = facts.quarantine.take().or(place);
            facts.add_events(&landing, true);
            share.files.extend(files);
            return Ok(());
        }
        Err(PipelineError::SchemaContention {
            table: facts.table.clone(),
            n_rounds: MAX_ROUNDS,
            n_events: crate::tally::n_events(&lot.contents),
        })
    }

    /// The object cannot have been delivered before it was written; its notification was made right then.
    fn object_dated_ms(&self, object: &SourceObject, invocation: &Invocation) -> i64 {
        self.dated_back_ms(object.notified_us.div_euclid(1_000), invocation)
    }
}
