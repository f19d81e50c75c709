//! From a payload to a snapshot.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use flatten::Flattened;
use lake::{
    BatchId, CommitOptions, DataFile, Lake, LakeError, Receipt, ReceiptOutcome, SchemaChange,
    TableName, Token,
};

use crate::{
    Outcome, Payload, PipelineError, RecordOutcome, RefusalNote, Report, Settings,
    cpu::Cpu,
    events::{Refused, flatten_events, quarantined},
    open_table::{OpenTable, new_columns},
    quarantine,
    read::{Content, read},
    report::MAX_REFUSALS_TOLD,
};

/// How often the events of one run are flattened, since other writers may change the schema under it.
const MAX_ROUNDS: u32 = 16;

/// A table that was loaded longer ago than this is loaded again, so that a changed shape is noticed.
const RELOAD_AFTER_US: i64 = 60_000_000;

const MS_PER_DAY: i64 = 24 * 60 * 60 * 1_000;

/// Receipts are at least this much younger than the horizon.
const HORIZON_SLACK_MS: i64 = 60 * 60 * 1_000;

/// What one run is given from outside, so that no stage reads a clock or a source of randomness.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    /// The one reading of the wall clock, in microseconds since 1970-01-01T00:00:00Z; goes to `_ingested_at`.
    pub now_us: i64,
    /// When the invocation is cut off; `deadline_margin_ms` before it the run gives up. `None`: never.
    pub deadline: Option<tokio::time::Instant>,
    /// Random, another one for every invocation: names data files and snapshots, and spreads waiting times.
    pub seed: u64,
}

/// Everything that is made once per process: the lake, the open table, the threads.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    lake: Lake,
    name: TableName,
    /// The location of the warehouse, without a `/` behind.
    root: String,
    cpu: Cpu,
    open: Mutex<Arc<OpenTable>>,
}

/// What became of the events of one round.
struct Landing {
    flattened: Flattened,
    refused: Vec<Refused>,
}

impl Pipeline {
    /// Opens the warehouse and the table, creating the table when the settings say so.
    pub async fn open(settings: Settings) -> Result<Self, PipelineError> {
        let lake = Lake::embedded(&settings.warehouse).map_err(|source| {
            let warehouse = settings.warehouse.display().to_string();
            PipelineError::OpenWarehouse {
                warehouse,
                source: Box::new(source),
            }
        })?;
        Self::with_lake(settings, lake).await
    }

    /// The same over a lake that is open already.
    pub async fn with_lake(settings: Settings, lake: Lake) -> Result<Self, PipelineError> {
        let cpu = Cpu::start(settings.threads)?;
        let name = settings.table_name()?;
        let root = location_of(&settings.warehouse);
        let open = OpenTable::open(&lake, &name, &settings, &cpu, None).await?;
        Ok(Self {
            settings,
            lake,
            name,
            root,
            cpu,
            open: Mutex::new(Arc::new(open)),
        })
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The lake that it writes to.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The table that it writes to.
    pub fn table_name(&self) -> &TableName {
        &self.name
    }

    /// How many threads flatten.
    pub fn n_threads(&self) -> usize {
        self.cpu.n_threads()
    }

    /// Lands a payload: returns when every record is committed, in the quarantine, or to be delivered again.
    ///
    /// # Errors
    ///
    /// Then nothing may be acknowledged; the same payload may be run again.
    pub async fn run(
        &self,
        payload: Payload,
        invocation: &Invocation,
    ) -> Result<Report, PipelineError> {
        let n_records = payload.records.len();
        let margin = Duration::from_millis(self.settings.deadline_margin_ms);
        let Some(deadline) = invocation.deadline else {
            return self.land(payload, invocation, None).await;
        };
        // A deadline nearer than the margin is not made longer: the run may still be fast enough.
        let give_up = deadline.checked_sub(margin).unwrap_or(deadline);
        let run = self.land(payload, invocation, Some(give_up));
        let landed = tokio::time::timeout_at(give_up, run).await;
        landed.unwrap_or_else(|_| {
            Err(PipelineError::Deadline {
                table: self.name.to_string(),
                n_records,
            })
        })
    }

    async fn land(
        &self,
        payload: Payload,
        invocation: &Invocation,
        give_up: Option<tokio::time::Instant>,
    ) -> Result<Report, PipelineError> {
        let started = Instant::now();
        let payload = Arc::new(payload);
        let mut report = Report::of(&payload, &self.name.to_string());

        let contents = self.read(&payload).await?;
        report.inflated_bytes = inflated_bytes(&contents);
        report.elapsed_ms.read = ms_since(started);

        for round in 0..MAX_ROUNDS {
            let open = self.current(invocation, round > 0).await?;

            let clock = Instant::now();
            let landing = self
                .flatten(&open, &payload, &contents, invocation.now_us)
                .await?;
            report.elapsed_ms.flatten += ms_since(clock);

            let clock = Instant::now();
            let open = self.widen(open, &landing.flattened, invocation).await?;
            report.elapsed_ms.schema += ms_since(clock);
            let Some(open) = open else {
                continue; // Another writer changed the schema first: flatten again from the bytes.
            };

            report.n_new_columns += landing.flattened.new_columns.len() as u64;

            let token = token_of(&open, &payload, &contents);
            let batch = BatchId {
                token,
                attempt: invocation.seed.wrapping_add(u64::from(round)),
            };
            let clock = Instant::now();
            let files = self.write(&open, &landing.flattened, &batch).await?;
            report.elapsed_ms.write += ms_since(clock);

            let clock = Instant::now();
            let is_kept = landing.flattened.n_rows() > 0 || !payload.source.is_answered;
            if is_kept {
                let refused = &landing.refused;
                report.quarantine = self
                    .quarantine(&open, &payload, &contents, refused, &batch)
                    .await?;
            }
            report.elapsed_ms.quarantine += ms_since(clock);

            let clock = Instant::now();
            report.set_files(&files);
            let receipt = self.receipt(&open, &payload, &batch, files, invocation);
            let is_done = self
                .commit(receipt, invocation, give_up, &mut report)
                .await?;
            report.elapsed_ms.commit += ms_since(clock);
            if is_done {
                report.set_events(
                    &payload,
                    &contents,
                    &landing.flattened,
                    &landing.refused,
                    is_kept,
                );
                report.elapsed_ms.total = ms_since(started);
                return Ok(report);
            }
        }
        Err(PipelineError::SchemaContention {
            table: self.name.to_string(),
            n_rounds: MAX_ROUNDS,
            n_events: n_events(&contents),
        })
    }

    /// Inflates and frames all records, on the threads for CPU work.
    async fn read(&self, payload: &Arc<Payload>) -> Result<Arc<Vec<Content>>, PipelineError> {
        let payload = Arc::clone(payload);
        let n_records = payload.records.len();
        let cap_bytes = self.settings.max_payload_inflated_bytes.len();
        let contents = self.cpu.run(move || read(&payload, cap_bytes)).await;
        contents.map(Arc::new).ok_or(PipelineError::Internal {
            stage: "reading records",
            n: n_records,
        })
    }

    /// Flattens all events, on the threads for CPU work.
    async fn flatten(
        &self,
        open: &Arc<OpenTable>,
        payload: &Arc<Payload>,
        contents: &Arc<Vec<Content>>,
        now_us: i64,
    ) -> Result<Landing, PipelineError> {
        let (open, payload, shared) = (Arc::clone(open), Arc::clone(payload), Arc::clone(contents));
        let work = move || flatten_events(&open.flattener, &payload, &shared, now_us);
        let landed = self.cpu.run(work).await.flatten();
        let (flattened, refused) = landed.ok_or_else(|| PipelineError::Internal {
            stage: "flattening events",
            n: n_events(contents),
        })?;
        Ok(Landing { flattened, refused })
    }

    /// The table as it was last seen; loaded again when that is long ago or known to be stale.
    async fn current(
        &self,
        invocation: &Invocation,
        is_stale: bool,
    ) -> Result<Arc<OpenTable>, PipelineError> {
        let now_us = invocation.now_us;
        let mut open = self.cached();
        let is_old = open
            .loaded_at_us
            .is_some_and(|then| now_us - then > RELOAD_AFTER_US);
        if is_stale || is_old {
            let loaded = OpenTable::open(
                &self.lake,
                &self.name,
                &self.settings,
                &self.cpu,
                Some(now_us),
            );
            open = self.remember(loaded.await?);
        }
        Ok(open)
    }

    fn cached(&self) -> Arc<OpenTable> {
        Arc::clone(&self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn remember(&self, open: OpenTable) -> Arc<OpenTable> {
        let open = Arc::new(open);
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&open);
        open
    }

    /// Adds the columns that the rows need. `None` when another writer changed the schema first.
    async fn widen(
        &self,
        open: Arc<OpenTable>,
        flattened: &Flattened,
        invocation: &Invocation,
    ) -> Result<Option<Arc<OpenTable>>, PipelineError> {
        if flattened.new_columns.is_empty() {
            return Ok(Some(open));
        }
        let columns = new_columns(&flattened.new_columns);
        let change = self.lake.add_columns(&open.table, &columns).await;
        let change = change.map_err(|source| self.failed("add columns to", source))?;
        let now_us = Some(invocation.now_us);
        Ok(match change {
            SchemaChange::Added(table) => {
                Some(self.remember(OpenTable::new(table, &self.settings, &self.cpu, now_us)?))
            }
            SchemaChange::Raced(table) => {
                self.remember(OpenTable::new(table, &self.settings, &self.cpu, now_us)?);
                None
            }
        })
    }

    async fn write(
        &self,
        open: &OpenTable,
        flattened: &Flattened,
        batch: &BatchId,
    ) -> Result<Vec<DataFile>, PipelineError> {
        if flattened.batches.is_empty() {
            return Ok(Vec::new());
        }
        let files = self
            .lake
            .write(&open.table, &flattened.batches, batch, &open.write_options);
        files
            .await
            .map_err(|source| self.failed("write to", source))
    }

    /// Writes the refused events, and says where they are; nothing when there are none.
    async fn quarantine(
        &self,
        open: &OpenTable,
        payload: &Payload,
        contents: &[Content],
        refused: &[Refused],
        batch: &BatchId,
    ) -> Result<Option<String>, PipelineError> {
        if refused.is_empty() {
            return Ok(None);
        }
        let types = &open.shape.event_type;
        let events: Vec<_> = refused
            .iter()
            .map(|refused| quarantined(payload, contents, refused, types))
            .collect();

        let arrival_us = payload
            .records
            .iter()
            .map(|record| record.arrival_us)
            .min()
            .unwrap_or(0);
        let failed = |location: &str, source| PipelineError::Quarantine {
            location: location.to_owned(),
            n_events: refused.len(),
            source,
        };
        let object = quarantine::encode(&events)
            .map_err(|source| failed(&self.settings.quarantine_prefix, Box::new(source)))?;
        let path = quarantine::path(
            &self.settings.quarantine_prefix,
            &self.name.to_string(),
            &batch.token.to_string(),
            arrival_us,
            &object,
        );
        let location = format!("{}/{path}", self.root);
        // That it is there already is a success: an earlier delivery wrote the same bytes.
        let put = self
            .lake
            .storage()
            .put_new(&location, Bytes::from(object))
            .await;
        put.map_err(|source| failed(&location, Box::new(source)))?;
        Ok(Some(location))
    }

    /// What is to be committed. It is dated before the first delivery that this one may repeat, since the ledger is
    /// looked through back to that date; but never so far back that it would be too old to be committed.
    fn receipt(
        &self,
        open: &OpenTable,
        payload: &Payload,
        batch: &BatchId,
        files: Vec<DataFile>,
        invocation: &Invocation,
    ) -> Receipt {
        let first_ms = payload
            .source
            .first_delivery_ms(&payload.records, invocation.now_us);
        let horizon_ms = self.horizon_ms() - HORIZON_SLACK_MS;
        let written_at_ms = first_ms.max(invocation.now_us.div_euclid(1_000) - horizon_ms);
        let source = format!("{} {} records", payload.source.kind, payload.records.len());
        Receipt::new(&open.table, batch, written_at_ms, source, files)
    }

    fn horizon_ms(&self) -> i64 {
        i64::from(self.settings.receipt_horizon_days) * MS_PER_DAY
    }

    /// Commits the receipt. `false` when the table changed so that the events have to be flattened again.
    async fn commit(
        &self,
        receipt: Receipt,
        invocation: &Invocation,
        give_up: Option<tokio::time::Instant>,
        report: &mut Report,
    ) -> Result<bool, PipelineError> {
        if receipt.data_files.is_empty() {
            return Ok(true); // Only refused events, or none: there is nothing that readers should see.
        }
        let now_ms = invocation.now_us.div_euclid(1_000);
        let options = CommitOptions {
            deadline: give_up,
            receipt_horizon_ms: self.horizon_ms(),
            ..CommitOptions::new(now_ms, invocation.seed)
        };
        let committed = self.lake.commit(&self.name, vec![receipt], &options).await;
        let committed = committed.map_err(|source| self.failed("commit to", source))?;
        report.n_attempts += committed.n_attempts;
        report.snapshot_id = committed.snapshot_id;
        match committed.outcomes.into_iter().next() {
            Some((_, ReceiptOutcome::Committed { .. } | ReceiptOutcome::Empty)) => Ok(true),
            Some((_, ReceiptOutcome::AlreadyCommitted)) => {
                report.is_repeat = true;
                Ok(true)
            }
            Some((_, ReceiptOutcome::Incompatible { .. })) => Ok(false),
            other => Err(PipelineError::NotCommitted {
                table: self.name.to_string(),
                reason: format!("{other:?}"),
            }),
        }
    }

    fn failed(&self, operation: &'static str, source: LakeError) -> PipelineError {
        PipelineError::Table {
            operation,
            table: self.name.to_string(),
            source: Box::new(source),
        }
    }
}

impl Report {
    /// What is known before anything is done.
    fn of(payload: &Payload, table: &str) -> Self {
        Self {
            table: table.to_owned(),
            source: payload.source.kind,
            n_records: payload.records.len() as u64,
            payload_bytes: payload
                .records
                .iter()
                .map(|record| record.body.len() as u64)
                .sum(),
            ..Self::default()
        }
    }

    fn set_files(&mut self, files: &[DataFile]) {
        self.n_files = files.len() as u64;
        self.file_bytes = files.iter().map(|file| file.file_bytes).sum();
    }

    /// Counts the events and gives every record its outcome.
    fn set_events(
        &mut self,
        payload: &Payload,
        contents: &[Content],
        flattened: &Flattened,
        refused: &[Refused],
        is_kept: bool,
    ) {
        self.n_rows = flattened.n_rows() as u64;
        self.n_refused = refused.len() as u64;
        self.n_events = self.n_rows + self.n_refused;
        self.n_quarantined = if is_kept { self.n_refused } else { 0 };
        self.n_rescued = flattened.n_rescued;
        for refused in refused {
            *self.n_refused_by_kind.entry(refused.kind).or_default() += 1;
        }
        let note = |refused: &Refused| RefusalNote {
            source_id: payload.records[refused.record].source_id.clone(),
            source_index: refused.index,
            offset: refused.range.start,
            kind: refused.kind,
            reason: refused.reason.clone(),
        };
        self.refusals = refused.iter().take(MAX_REFUSALS_TOLD).map(note).collect();
        self.set_outcomes(outcomes(payload, contents, refused, is_kept));
    }
}

fn outcomes(
    payload: &Payload,
    contents: &[Content],
    refused: &[Refused],
    is_kept: bool,
) -> Vec<RecordOutcome> {
    let mut n_refused_of = vec![0_u64; contents.len()];
    for refused in refused {
        n_refused_of[refused.record] += 1;
    }
    let outcome = |(record, content): (usize, &Content)| {
        let n_refused = n_refused_of[record];
        let n_pieces = n_pieces(content);
        match content {
            Content::Again => Outcome::Retry,
            _ if n_pieces > n_refused || n_pieces == 0 => Outcome::Committed {
                n_rows: n_pieces - n_refused,
                n_refused,
            },
            _ if is_kept => Outcome::Quarantined { n_refused },
            _ => Outcome::Refused { n_refused },
        }
    };
    let all = contents
        .iter()
        .enumerate()
        .map(outcome)
        .zip(&payload.records);
    let all = all.map(|(outcome, record)| RecordOutcome {
        delivery_id: record.delivery_id.clone(),
        outcome,
    });
    all.collect()
}

/// What names the records taken, whenever they are delivered.
fn token_of(open: &OpenTable, payload: &Payload, contents: &[Content]) -> Token {
    let all = payload.records.iter().zip(contents);
    let taken = all
        .filter(|(_, content)| content.is_taken())
        .map(|(record, _)| record);
    Token::new(
        open.table.uuid(),
        payload.source.kind,
        &payload.source.identity_of(taken),
    )
}

/// Events, unreadable records and broken rests in one record.
fn n_pieces(content: &Content) -> u64 {
    match content {
        Content::Events { frames, .. } => {
            frames.events.len() as u64 + u64::from(frames.broken.is_some())
        }
        Content::Unreadable(_) => 1,
        Content::Again => 0,
    }
}

fn n_events(contents: &[Content]) -> usize {
    let n_events = contents.iter().map(|content| match content {
        Content::Events { frames, .. } => frames.events.len(),
        _ => 0,
    });
    n_events.sum()
}

fn inflated_bytes(contents: &[Content]) -> u64 {
    let bytes = contents.iter().map(|content| match content {
        Content::Events { body, .. } => body.len() as u64,
        _ => 0,
    });
    bytes.sum()
}

/// A directory as a location of the storage.
fn location_of(directory: &Path) -> String {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    format!(
        "file://{}",
        absolute.display().to_string().trim_end_matches('/')
    )
}

fn ms_since(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1_000.0
}
