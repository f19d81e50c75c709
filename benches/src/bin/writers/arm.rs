//! One way of writing, measured with one number of writers.

use bytes::Bytes;
use generator::{Generator, Settings as Events};
use pipeline::{Invocation, Payload, Record, SourceBatch};

/// When all events arrive: two days after the first of them happened, in microseconds since 1970.
const ARRIVAL_US: i64 = (generator::DEFAULT_START_MS + 2 * 86_400_000) * 1_000;

/// How much is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// How many write at once.
    pub(crate) n_writers: usize,
    /// How many batches each of them lands.
    pub(crate) n_batches: usize,
    /// How many events a batch has.
    pub(crate) batch_rows: usize,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) name: &'static str,
    pub(crate) table: String,
    pub(crate) load: Load,
    /// Until the last batch was visible, in seconds.
    pub(crate) seconds: f64,
    /// Batches whose rows were visible by then.
    pub(crate) n_visible: usize,
    /// Batches, or commits, that failed for good.
    pub(crate) n_failed: usize,
    /// Snapshots that brought them.
    pub(crate) n_commits: usize,
    /// Tries that another commit was faster than.
    pub(crate) n_conflicts: usize,
    /// How long each writer waited for each batch, in milliseconds.
    pub(crate) acknowledged_ms: Vec<f64>,
    /// How long each batch then took until it was visible, in milliseconds; empty when it was visible before.
    pub(crate) visible_ms: Vec<f64>,
    /// Rows that were sent, those of the first batch, which brings the columns, among them.
    pub(crate) n_rows_sent: u64,
    /// Rows and distinct events that DuckDB reads.
    pub(crate) read_back: (u64, u64),
}

impl Load {
    /// All batches.
    pub(crate) fn n_all(self) -> usize {
        self.n_writers * self.n_batches
    }

    /// All rows, those of the first batch among them.
    pub(crate) fn n_rows(self) -> u64 {
        (self.n_all() * self.batch_rows + self.first_rows()) as u64
    }

    /// The rows of the first batch, which brings the columns.
    pub(crate) fn first_rows(self) -> usize {
        self.batch_rows.max(1_000)
    }
}

/// The events of one writer, batch by batch, other ones for each writer.
#[derive(Debug)]
pub(crate) struct Batches {
    generator: Generator,
    name: String,
    n_events: usize,
    n_made: u64,
}

impl Batches {
    pub(crate) fn of_writer(writer: usize, n_events: usize) -> Self {
        let seed = 1_000 + writer as u64;
        let events = Events {
            seed,
            n_days: 1,
            ..Events::default()
        };
        Self {
            generator: Generator::new(&events),
            name: format!("writer-{writer}"),
            n_events,
            n_made: 0,
        }
    }

    /// The next batch, as one message of a queue.
    pub(crate) fn next(&mut self) -> (Payload, Invocation) {
        let mut body = Vec::new();
        self.generator.write_events(self.n_events, &mut body);
        self.n_made += 1;
        let id = format!("{}-{}", self.name, self.n_made);
        let payload = Payload {
            records: vec![Record {
                delivery_id: id.clone(),
                source_id: id,
                arrival_us: ARRIVAL_US,
                body: Bytes::from(body),
                is_base64: false,
            }],
            source: SourceBatch::messages("sqs"),
        };
        (payload, now())
    }
}

/// An invocation that begins now and has time.
pub(crate) fn now() -> Invocation {
    Invocation {
        now_us: wall_us(),
        deadline: None,
        seed: uuid::Uuid::new_v4().as_u64_pair().0,
    }
}

/// The wall clock, in microseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench is where clocks are read"
)]
pub(crate) fn wall_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(0))
}

impl Arm {
    pub(crate) fn heading() -> &'static str {
        "| written by | writers | batches | batches/s | commits | conflicts | failed | acknowledged p50 / p95 / max ms | then visible p50 / p95 / max ms | rows sent | rows read back |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    }

    pub(crate) fn line(&self) -> String {
        let (n_rows, n_distinct) = self.read_back;
        let read = if n_rows == n_distinct {
            n_rows.to_string()
        } else {
            format!("{n_rows}, {n_distinct} distinct")
        };
        format!(
            "| {} | {} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {read} |",
            self.name,
            self.load.n_writers,
            self.n_visible,
            self.batches_per_s(),
            self.n_commits,
            self.n_conflicts,
            self.n_failed,
            percentiles(&self.acknowledged_ms),
            percentiles(&self.visible_ms),
            self.n_rows_sent,
        )
    }

    /// Whether every row sent is there, once.
    pub(crate) fn is_whole(&self) -> bool {
        self.n_failed == 0 && self.read_back == (self.n_rows_sent, self.n_rows_sent)
    }

    pub(crate) fn batches_per_s(&self) -> f64 {
        self.n_visible as f64 / self.seconds
    }
}

/// The middle, the one that 5 % exceed, and the largest.
fn percentiles(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len() - 1));
    if sorted.is_empty() {
        return "–".to_owned();
    }
    let [p50, p95, max] = [at(50), at(95), sorted.last()].map(|value| value.unwrap_or(&f64::NAN));
    format!("{p50:.0} / {p95:.0} / {max:.0}")
}
