//! From a payload to a snapshot.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use flatten::Flattened;
use lake::{BatchId, Lake, SchemaChange, TableName};

use crate::{
    Payload, PipelineError, Record, Report, Settings,
    cpu::Cpu,
    events::{Refusals, flatten_events},
    known::Known,
    objects::ObjectReader,
    open_lake::{open_lake, open_source},
    open_table::{OpenTable, new_columns},
    read::{Content, read},
    receipts::{ReceiptSink, open_queue},
    settings::Mode,
    tally::{inflated_bytes, n_events},
};

/// How often the events of one run are flattened, since other writers may change the schema under it.
pub(crate) const MAX_ROUNDS: u32 = 16;

/// A table that was loaded longer ago than this is loaded again, so that a changed shape is noticed.
const RELOAD_AFTER_US: i64 = 60_000_000;

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
    pub(crate) settings: Settings,
    pub(crate) lake: Lake,
    pub(crate) name: TableName,
    /// The location of the warehouse, without a `/` behind.
    pub(crate) root: String,
    pub(crate) cpu: Cpu,
    /// Where receipts go; none in direct mode.
    pub(crate) sink: Option<Arc<dyn ReceiptSink>>,
    /// What objects are read from that notifications tell of; none when no bucket is a source.
    pub(crate) objects: Option<Arc<dyn ObjectReader>>,
    cached: Mutex<Cached>,
}

/// The table as it was last seen.
#[derive(Debug)]
struct Cached {
    open: Arc<OpenTable>,
    /// By the clock of the first invocation that used it; none before.
    loaded_at_us: Option<i64>,
}

/// What became of the events of one round.
#[derive(Debug)]
pub(crate) struct Landing {
    pub(crate) payload: Arc<Payload>,
    pub(crate) contents: Arc<Vec<Content>>,
    pub(crate) flattened: Flattened,
    /// The records that made the flattener fail, rising.
    pub(crate) failing: Vec<usize>,
    /// The longest event that the flattener takes.
    pub(crate) max_event_bytes: usize,
    pub(crate) refusals: Refusals,
}

impl Landing {
    pub(crate) fn new(
        payload: Arc<Payload>,
        contents: Arc<Vec<Content>>,
        flattened: Flattened,
        failing: Vec<usize>,
        max_event_bytes: usize,
    ) -> Self {
        let mut landing = Self {
            payload,
            contents,
            flattened,
            failing,
            max_event_bytes,
            refusals: Refusals::default(),
        };
        landing.refusals = landing.count_refused();
        landing
    }

    /// Whether refused events are kept: always, but when nothing landed and the sender is told.
    pub(crate) fn is_kept(&self) -> bool {
        self.flattened.n_rows() > 0 || !self.payload.source.is_answered
    }
}

impl Pipeline {
    /// Opens the warehouse and the table, creating the table when the settings say so; in staged mode also the queue.
    pub async fn open(settings: Settings) -> Result<Self, PipelineError> {
        let lake = Box::pin(open_lake(&settings)).await?;
        let sink = match settings.mode {
            Mode::Direct => None,
            Mode::Staged => Some(Arc::new(open_queue(&settings).await?) as Arc<dyn ReceiptSink>),
        };
        Self::with(settings, lake, sink).await
    }

    /// The same over a lake that is open already, in direct mode.
    pub async fn with_lake(settings: Settings, lake: Lake) -> Result<Self, PipelineError> {
        Self::with(settings, lake, None).await
    }

    /// The same in staged mode: receipts go to this sink.
    pub async fn with_sink(
        settings: Settings,
        lake: Lake,
        sink: Arc<dyn ReceiptSink>,
    ) -> Result<Self, PipelineError> {
        Self::with(settings, lake, Some(sink)).await
    }

    async fn with(
        settings: Settings,
        lake: Lake,
        sink: Option<Arc<dyn ReceiptSink>>,
    ) -> Result<Self, PipelineError> {
        let cpu = Cpu::start(settings.threads)?;
        let name = settings.table_name()?;
        let root = settings.warehouse.root();
        let open = Box::pin(OpenTable::open(&lake, &name, &settings, &cpu)).await?;
        settings.check_sources(open.table.location())?;
        let objects = Box::pin(open_source(&settings)).await?;
        Ok(Self {
            settings,
            lake,
            name,
            root,
            cpu,
            sink,
            objects,
            cached: Mutex::new(Cached {
                open: Arc::new(open),
                loaded_at_us: None,
            }),
        })
    }

    /// The same pipeline, which reads the objects of notifications from here.
    #[must_use]
    pub fn with_objects(self, objects: Arc<dyn ObjectReader>) -> Self {
        Self {
            objects: Some(objects),
            ..self
        }
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
        let Some(deadline) = invocation.deadline else {
            return Box::pin(self.land(payload, invocation, None)).await;
        };
        let give_up = give_up_at(deadline, self.settings.deadline_margin_ms);
        let landed = tokio::time::timeout_at(
            give_up,
            Box::pin(self.land(payload, invocation, Some(give_up))),
        );
        landed.await.unwrap_or_else(|_| {
            Err(PipelineError::Deadline {
                table: self.name.to_string(),
                n_records,
            })
        })
    }

    /// Whether receipts are sent and the commits left to others.
    pub(crate) fn is_staged(&self) -> bool {
        self.sink.is_some()
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
        report.is_staged = self.is_staged();

        let mut contents = self.read(&payload).await?;
        report.inflated_bytes = inflated_bytes(&contents);
        report.elapsed_ms.read = ms_since(started);

        let mut open = self.current(invocation).await?;
        for round in 0..MAX_ROUNDS {
            let clock = Instant::now();
            let attempt = invocation.seed.wrapping_add(u64::from(round));
            let batch = BatchId {
                token: open.token(&payload, taken(&payload, &contents)),
                attempt,
            };
            // A delivery that comes again leaves nothing behind; that is looked up while the events are flattened. The
            // commit looks once more, and its answer counts.
            let (landing, known) = tokio::join!(
                self.flatten(&open, &payload, &contents, invocation.now_us),
                self.look_up(&payload, &contents, &batch, invocation),
            );
            let (landing, known) = (landing?, known?);
            report.elapsed_ms.flatten += ms_since(clock);
            match known {
                Known::Nothing => {}
                Known::Some(records) => {
                    contents = without(&contents, &records);
                    continue; // They came with others before: flatten the rest alone.
                }
                Known::All => {
                    report.is_repeat = true;
                    report.set_events(&landing);
                    report.elapsed_ms.total = ms_since(started);
                    return Ok(report);
                }
            }

            let clock = Instant::now();
            let is_raced = self.widen(&mut open, &landing, invocation).await?;
            report.elapsed_ms.schema += ms_since(clock);
            if is_raced {
                continue; // Another writer changed the schema first: flatten again from the bytes.
            }
            report.n_new_columns += landing.flattened.new_columns.len() as u64;

            let clock = Instant::now();
            let files = self.write(&open, &landing, &batch).await?;
            report.set_files(&files);
            report.elapsed_ms.write += ms_since(clock);

            let clock = Instant::now();
            if landing.is_kept() {
                report.quarantine = self.quarantine(&open, &landing, &batch).await?;
            }
            report.elapsed_ms.quarantine += ms_since(clock);

            let clock = Instant::now();
            let receipt = self.receipt(&open, &landing, &batch, files, invocation);
            let is_done = self
                .hand_over(receipt, invocation, give_up, &mut report)
                .await?;
            report.elapsed_ms.commit += ms_since(clock);
            if is_done {
                report.set_events(&landing);
                report.elapsed_ms.total = ms_since(started);
                return Ok(report);
            }
            // The table changed so that these files do not fit it any more.
            open = self.reload(invocation).await?;
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
    pub(crate) async fn flatten(
        &self,
        open: &Arc<OpenTable>,
        payload: &Arc<Payload>,
        contents: &Arc<Vec<Content>>,
        now_us: i64,
    ) -> Result<Arc<Landing>, PipelineError> {
        let work = {
            let (open, payload) = (Arc::clone(open), Arc::clone(payload));
            let contents = Arc::clone(contents);
            move || {
                let max_event_bytes = open.shape.max_event_bytes;
                let landed = flatten_events(
                    &open.flattener,
                    &payload,
                    &contents,
                    max_event_bytes,
                    now_us,
                );
                let (flattened, failing) = landed?;
                let landing = Landing::new(payload, contents, flattened, failing, max_event_bytes);
                Some(landing)
            }
        };
        let landing = self.cpu.run(work).await.flatten();
        landing
            .map(Arc::new)
            .ok_or_else(|| PipelineError::Internal {
                stage: "flattening events",
                n: n_events(contents),
            })
    }

    /// The table as it was last seen; loaded again when that is long ago.
    pub(crate) async fn current(
        &self,
        invocation: &Invocation,
    ) -> Result<Arc<OpenTable>, PipelineError> {
        let (open, is_old) = {
            let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            let loaded_at_us = *cached.loaded_at_us.get_or_insert(invocation.now_us);
            let is_old = invocation.now_us.saturating_sub(loaded_at_us) > RELOAD_AFTER_US;
            (Arc::clone(&cached.open), is_old)
        };
        if is_old {
            self.reload(invocation).await
        } else {
            Ok(open)
        }
    }

    /// The table as it is now.
    pub(crate) async fn reload(
        &self,
        invocation: &Invocation,
    ) -> Result<Arc<OpenTable>, PipelineError> {
        let loaded = OpenTable::open(&self.lake, &self.name, &self.settings, &self.cpu).await?;
        Ok(self.remember(loaded, invocation))
    }

    fn remember(&self, open: OpenTable, invocation: &Invocation) -> Arc<OpenTable> {
        let open = Arc::new(open);
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        *cached = Cached {
            open: Arc::clone(&open),
            loaded_at_us: Some(invocation.now_us),
        };
        open
    }

    /// Adds the columns that the rows need. True when another writer changed the schema first.
    pub(crate) async fn widen(
        &self,
        open: &mut Arc<OpenTable>,
        landing: &Landing,
        invocation: &Invocation,
    ) -> Result<bool, PipelineError> {
        if landing.flattened.new_columns.is_empty() {
            return Ok(false);
        }
        let columns = new_columns(&landing.flattened.new_columns);
        let change = self.lake.add_columns(&open.table, &columns).await;
        let change = change.map_err(|source| self.failed("add columns to", source))?;
        let is_raced = matches!(change, SchemaChange::Raced(_));
        let (SchemaChange::Added(table) | SchemaChange::Raced(table)) = change;
        let changed = OpenTable::new(table, &self.settings, &self.cpu)?;
        *open = self.remember(changed, invocation);
        Ok(is_raced)
    }
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

/// When to stop working so that there is time to answer before the deadline.
pub(crate) fn give_up_at(deadline: tokio::time::Instant, margin_ms: u64) -> tokio::time::Instant {
    // A function with less time than twice the margin keeps half of its time free.
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    let margin = Duration::from_millis(margin_ms).min(left / 2);
    deadline.checked_sub(margin).unwrap_or(deadline)
}

pub(crate) fn ms_since(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1_000.0
}
