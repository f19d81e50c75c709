//! From a payload to a snapshot.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use flatten::Flattened;
use lake::{Lake, TableName};

use crate::{
    Payload, PipelineError, Report, Settings,
    cpu::Cpu,
    events::{Refusals, flatten_events},
    objects::ObjectReader,
    open_lake::{open_lake, open_source},
    open_table::OpenTable,
    read::{Content, read},
    receipts::{ReceiptSink, open_queue},
    route::Routes,
    settings::Mode,
    tables::Tables,
    tally::n_events,
};

/// How often the events of one run are flattened, since other writers may change the schema under it.
pub(crate) const MAX_ROUNDS: u32 = 16;

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

/// Everything that is made once per process: the lake, the open tables, the threads.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) settings: Settings,
    pub(crate) lake: Lake,
    /// The default table.
    pub(crate) name: TableName,
    /// Which events go to other tables; none when all go to the default one.
    pub(crate) routes: Option<Arc<Routes>>,
    /// The location of the warehouse, without a `/` behind.
    pub(crate) root: String,
    pub(crate) cpu: Cpu,
    /// Where receipts go; none in direct mode.
    pub(crate) sink: Option<Arc<dyn ReceiptSink>>,
    /// What objects are read from that notifications tell of; none when no bucket is a source.
    pub(crate) objects: Option<Arc<dyn ObjectReader>>,
    pub(crate) tables: Tables,
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
}

impl Pipeline {
    /// Opens the warehouse and the table, creating the table when the settings say so; in staged mode also the queue.
    pub async fn open(settings: Settings) -> Result<Self, PipelineError> {
        let lake = Box::pin(open_lake(&settings)).await?;
        let sink = match settings.mode {
            Mode::Direct => None,
            Mode::Staged => Some(Arc::new(open_queue(&settings).await?) as Arc<dyn ReceiptSink>),
        };
        Box::pin(Self::with(settings, lake, sink)).await
    }

    /// The same over a lake that is open already, in direct mode.
    pub async fn with_lake(settings: Settings, lake: Lake) -> Result<Self, PipelineError> {
        Box::pin(Self::with(settings, lake, None)).await
    }

    /// The same in staged mode: receipts go to this sink.
    pub async fn with_sink(
        settings: Settings,
        lake: Lake,
        sink: Arc<dyn ReceiptSink>,
    ) -> Result<Self, PipelineError> {
        Box::pin(Self::with(settings, lake, Some(sink))).await
    }

    async fn with(
        settings: Settings,
        lake: Lake,
        sink: Option<Arc<dyn ReceiptSink>>,
    ) -> Result<Self, PipelineError> {
        let cpu = Cpu::start(settings.threads)?;
        let name = settings.table_name()?;
        let root = settings.warehouse.root();
        let table = Box::pin(OpenTable::load(&lake, &name, &settings)).await?;
        settings.check_sources(table.location())?;
        let open = Box::pin(OpenTable::ready(&lake, table, &settings, &cpu)).await?;
        let tables = Tables::default();
        tables.put(open, None);
        let objects = Box::pin(open_source(&settings)).await?;
        Ok(Self {
            routes: Routes::new(&settings, &name).map(Arc::new),
            settings,
            lake,
            name,
            root,
            cpu,
            sink,
            objects,
            tables,
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

    /// The table that it writes to; with routes the default one.
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
    /// Then nothing may be acknowledged; the same payload may be run again. With routes some of it may have landed even so.
    pub async fn run(
        &self,
        payload: Payload,
        invocation: &Invocation,
    ) -> Result<Report, PipelineError> {
        let margin_ms = self.settings.deadline_margin_ms;
        let give_up = invocation.deadline.map(|at| give_up_at(at, margin_ms));
        Box::pin(self.land(payload, invocation, give_up)).await
    }

    /// Whether receipts are sent and the commits left to others.
    pub(crate) fn is_staged(&self) -> bool {
        self.sink.is_some()
    }

    /// Inflates and frames all records, on the threads for CPU work.
    pub(crate) async fn read(
        &self,
        payload: &Arc<Payload>,
    ) -> Result<Arc<Vec<Content>>, PipelineError> {
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
