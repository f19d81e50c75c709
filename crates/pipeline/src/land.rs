//! The events of a payload into their tables, all of them side by side.

use std::{future::Future, sync::Arc, time::Instant};

use futures::{StreamExt as _, stream};
use lake::BatchId;
use tokio::time::Instant as Deadline;

use crate::{
    Disposition, Invocation, Outcome, Payload, Pipeline, PipelineError, Record, RecordOutcome,
    Report,
    known::Known,
    lots::{Dealt, Lot, deal, sort},
    pipeline::{Landing, MAX_ROUNDS, ms_since},
    read::Content,
    report::LandedTable,
    route::Routes,
    tables::MAX_TABLES_AT_ONCE,
    tally::{Fate, fates, inflated_bytes, n_events},
    telemetry::error_chain,
};

/// A lot whose events are flattened, and whose table has the columns for them.
#[derive(Debug)]
struct Ready {
    landing: Arc<Landing>,
    batch: BatchId,
    /// Whether an earlier delivery of it was committed already.
    is_known: bool,
}

impl Pipeline {
    /// Lands a payload. A table that fails gives back the records with events for it, and no others.
    ///
    /// # Errors
    ///
    /// When every record has to be delivered again.
    pub(crate) async fn land(
        &self,
        mut payload: Payload,
        invocation: &Invocation,
        give_up: Option<Deadline>,
    ) -> Result<Report, PipelineError> {
        let started = Instant::now();
        if let Some(routes) = &self.routes {
            payload.source.under(routes.fingerprint());
        }
        let payload = Arc::new(payload);
        let mut report = Report::of(&payload, &self.name.to_string());
        report.is_staged = self.is_staged();

        let n_records = payload.records.len();
        let dealing = self.read_and_deal(&payload, invocation, &mut report);
        let dealt = in_time(give_up, &self.name, n_records, dealing).await;
        let (dealt, failures) = dealt?;
        let mut fates = vec![Fate::default(); n_records];
        for position in dealt.again {
            fates[position] = Fate::AGAIN;
        }
        let mut tables: Vec<LandedTable> = Vec::new();
        let mut first_error = None;
        for (name, error) in failures {
            tables.push(LandedTable::failed(&name.to_string(), &error));
            first_error.get_or_insert(error);
        }

        let is_answered = payload.source.is_answered;
        let (landed, is_kept) = self
            .land_lots(dealt.lots, is_answered, invocation, give_up)
            .await;
        for (lot, landed) in landed {
            match landed {
                Ok(own) => {
                    for (position, fate) in lot.positions.iter().zip(own) {
                        fates[*position].add(fate);
                    }
                    tables.push(lot.facts);
                }
                Err(error) => {
                    for position in &lot.positions {
                        fates[*position].add(Fate::AGAIN);
                    }
                    tables.push(LandedTable::failed(&lot.facts.table, &error));
                    first_error.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first_error
            && (fates.iter().all(|fate| fate.is_again()) || self.routes.is_none())
        {
            return Err(error);
        }
        report.set_tables(tables, self.routes.is_some());
        report.set_outcomes(outcomes(&payload, &fates, report.is_staged, is_kept));
        report.elapsed_ms.total = ms_since(started);
        Ok(report)
    }

    /// Reads the records and deals their events. Also returns the tables that could not be opened.
    async fn read_and_deal(
        &self,
        payload: &Arc<Payload>,
        invocation: &Invocation,
        report: &mut Report,
    ) -> Result<(Dealt, Vec<(lake::TableName, PipelineError)>), PipelineError> {
        let clock = Instant::now();
        let contents = self.read(payload).await?;
        report.inflated_bytes = inflated_bytes(&contents);
        report.elapsed_ms.read = ms_since(clock);
        let Some(routes) = &self.routes else {
            let open = self.current(invocation).await?;
            let lots = vec![Lot::of_all(open, Arc::clone(payload), contents)];
            let again = Vec::new();
            return Ok((Dealt { lots, again }, Vec::new()));
        };
        self.deal(routes, payload, &contents, invocation).await
    }

    /// Sorts the events and opens their tables.
    pub(crate) async fn deal(
        &self,
        routes: &Arc<Routes>,
        payload: &Arc<Payload>,
        contents: &Arc<Vec<Content>>,
        invocation: &Invocation,
    ) -> Result<(Dealt, Vec<(lake::TableName, PipelineError)>), PipelineError> {
        let internal = || PipelineError::Internal {
            stage: "sorting events",
            n: n_events(contents),
        };
        let work = {
            let (routes, contents) = (Arc::clone(routes), Arc::clone(contents));
            move || sort(&routes, &contents)
        };
        let sorted = self.cpu.run(work).await.ok_or_else(internal)?;
        let resolved = self.resolve(routes, &sorted.ways, invocation).await?;
        let failures = resolved.failures;
        let work = {
            let (payload, contents) = (Arc::clone(payload), Arc::clone(contents));
            let (tables, table_of_way) = (resolved.tables, resolved.table_of_way);
            move || deal(&payload, &contents, &sorted, &tables, &table_of_way)
        };
        let dealt = self.cpu.run(work).await.ok_or_else(internal)?;
        Ok((dealt, failures))
    }

    /// Lands the lots side by side. Returns what became of the records of each, and whether refused events are kept: always, but
    /// when nothing landed and the sender is told.
    async fn land_lots(
        &self,
        lots: Vec<Lot>,
        is_answered: bool,
        invocation: &Invocation,
        give_up: Option<Deadline>,
    ) -> (Vec<(Lot, Result<Vec<Fate>, PipelineError>)>, bool) {
        if !is_answered {
            let landed = stream::iter(lots).map(async |mut lot| {
                let ready = self.prepare_in_time(&mut lot, invocation, give_up).await;
                let landed = self.finish_in_time(&mut lot, ready, true, invocation, give_up);
                let landed = landed.await;
                (lot, landed)
            });
            return (landed.buffered(MAX_TABLES_AT_ONCE).collect().await, true);
        }
        // What is kept is known when all are flattened. That they wait for each other harms nobody: such a payload is one record.
        let ready = stream::iter(lots).map(async |mut lot| {
            let ready = self.prepare_in_time(&mut lot, invocation, give_up).await;
            (lot, ready)
        });
        let ready: Vec<_> = ready.buffered(MAX_TABLES_AT_ONCE).collect().await;
        let is_kept = ready.iter().any(|(_, ready)| {
            let landing = ready.as_ref().map(|ready| &ready.landing);
            landing.is_ok_and(|landing| landing.flattened.n_rows() > 0)
        });
        let landed = stream::iter(ready).map(async |(mut lot, ready)| {
            let landed = self.finish_in_time(&mut lot, ready, is_kept, invocation, give_up);
            let landed = landed.await;
            (lot, landed)
        });
        (landed.buffered(MAX_TABLES_AT_ONCE).collect().await, is_kept)
    }

    async fn prepare_in_time(
        &self,
        lot: &mut Lot,
        invocation: &Invocation,
        give_up: Option<Deadline>,
    ) -> Result<Ready, PipelineError> {
        let (table, n_records) = (lot.open.table.name().clone(), lot.positions.len());
        let work = self.prepare(lot, invocation);
        in_time(give_up, &table, n_records, work).await
    }

    async fn finish_in_time(
        &self,
        lot: &mut Lot,
        ready: Result<Ready, PipelineError>,
        is_kept: bool,
        invocation: &Invocation,
        give_up: Option<Deadline>,
    ) -> Result<Vec<Fate>, PipelineError> {
        let (table, n_records) = (lot.open.table.name().clone(), lot.positions.len());
        let landed = match ready {
            Err(error) => Err(error),
            Ok(ready) => {
                let work = self.finish(lot, ready, is_kept, invocation, give_up);
                in_time(give_up, &table, n_records, work).await
            }
        };
        landed.inspect_err(|error| {
            if error.disposition() == Disposition::Fatal {
                self.tables.forget(&table); // It may have been dropped or made again.
            }
        })
    }

    /// Flattens the events, and sees that the table has the columns for them.
    async fn prepare(
        &self,
        lot: &mut Lot,
        invocation: &Invocation,
    ) -> Result<Ready, PipelineError> {
        while lot.n_rounds < MAX_ROUNDS {
            let clock = Instant::now();
            let attempt = invocation.seed.wrapping_add(u64::from(lot.n_rounds));
            lot.n_rounds += 1;
            let batch = BatchId {
                token: lot
                    .open
                    .token(&lot.payload, taken(&lot.payload, &lot.contents)),
                attempt,
            };
            // A delivery that comes again leaves nothing behind; that is looked up while the events are flattened. The
            // commit looks once more, and its answer counts.
            let table = lot.open.table.name();
            let (landing, known) = tokio::join!(
                self.flatten(&lot.open, &lot.payload, &lot.contents, invocation.now_us),
                self.look_up(table, &lot.payload, &lot.contents, &batch, invocation),
            );
            let (landing, known) = (landing?, known?);
            lot.facts.elapsed_ms.flatten += ms_since(clock);
            let is_known = match known {
                Known::Nothing => false,
                Known::Some(records) => {
                    lot.contents = without(&lot.contents, &records);
                    continue; // They came with others before: flatten the rest alone.
                }
                Known::All => true,
            };
            if !is_known {
                let clock = Instant::now();
                let is_raced = self.widen(&mut lot.open, &landing, invocation).await?;
                lot.facts.elapsed_ms.schema += ms_since(clock);
                if is_raced {
                    continue; // Another writer changed the schema first: flatten again from the bytes.
                }
                lot.facts.n_new_columns += landing.flattened.new_columns.len() as u64;
            }
            return Ok(Ready {
                landing,
                batch,
                is_known,
            });
        }
        Err(PipelineError::SchemaContention {
            table: lot.facts.table.clone(),
            n_rounds: MAX_ROUNDS,
            n_events: n_events(&lot.contents),
        })
    }

    /// Writes the rows and what was refused, and commits. Returns what became of each record.
    async fn finish(
        &self,
        lot: &mut Lot,
        mut ready: Ready,
        is_kept: bool,
        invocation: &Invocation,
        give_up: Option<Deadline>,
    ) -> Result<Vec<Fate>, PipelineError> {
        loop {
            let Ready {
                landing,
                batch,
                is_known,
            } = &ready;
            if *is_known {
                lot.facts.is_repeat = true;
                break;
            }
            let clock = Instant::now();
            let files = self.write(&lot.open, landing, batch).await?;
            lot.facts.set_files(&files);
            lot.facts.elapsed_ms.write += ms_since(clock);

            let clock = Instant::now();
            if is_kept {
                lot.facts.quarantine = self.quarantine(&lot.open, landing, batch).await?;
            }
            lot.facts.elapsed_ms.quarantine += ms_since(clock);

            let clock = Instant::now();
            let receipt = self.receipt(&lot.open, landing, batch, files, invocation);
            let is_done = self
                .hand_over(receipt, invocation, give_up, &mut lot.facts)
                .await?;
            lot.facts.elapsed_ms.commit += ms_since(clock);
            if is_done {
                break;
            }
            // The table changed so that these files do not fit it any more.
            let name = lot.open.table.name().clone();
            lot.open = self.reload_table(&name, invocation).await?;
            ready = self.prepare(lot, invocation).await?;
        }
        lot.facts.add_events(&ready.landing, is_kept);
        Ok(fates(&ready.landing))
    }
}

/// What the work gives, unless it is time to give up before.
async fn in_time<T>(
    give_up: Option<Deadline>,
    table: &lake::TableName,
    n_records: usize,
    work: impl Future<Output = Result<T, PipelineError>>,
) -> Result<T, PipelineError> {
    let work = Box::pin(work);
    let Some(give_up) = give_up else {
        return work.await;
    };
    tokio::time::timeout_at(give_up, work)
        .await
        .unwrap_or_else(|_| {
            Err(PipelineError::Deadline {
                table: table.to_string(),
                n_records,
            })
        })
}

impl LandedTable {
    /// A table whose events have to be delivered again.
    fn failed(table: &str, error: &PipelineError) -> Self {
        Self {
            error: Some(error_chain(error)),
            ..Self::of(table)
        }
    }
}

/// The outcome of each record. In a shard all behind one that comes again come again.
fn outcomes(
    payload: &Payload,
    fates: &[Fate],
    is_staged: bool,
    is_kept: bool,
) -> Vec<RecordOutcome> {
    let mut is_stopped = false;
    let all = payload.records.iter().zip(fates).map(|(record, fate)| {
        is_stopped |= payload.source.is_ordered && fate.is_again();
        let outcome = if is_stopped {
            Outcome::Retry
        } else {
            fate.outcome(is_staged, is_kept)
        };
        RecordOutcome {
            delivery_id: record.delivery_id.clone(),
            outcome,
        }
    });
    all.collect()
}

/// The records that this run answers for.
fn taken<'a>(payload: &'a Payload, contents: &'a [Content]) -> impl Iterator<Item = &'a Record> {
    let all = payload.records.iter().zip(contents);
    all.filter(|(_, content)| content.is_taken())
        .map(|(record, _)| record)
}

/// The same with these records known, so that nothing is done about them.
fn without(contents: &[Content], known: &[usize]) -> Arc<Vec<Content>> {
    let mut contents = contents.to_vec();
    for record in known {
        contents[*record] = Content::Known;
    }
    Arc::new(contents)
}
