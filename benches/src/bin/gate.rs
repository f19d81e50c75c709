//! Measures the figures that must be reached, and fails when one is not.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use benches::{
    BenchTable, Converted, Figure, PathColumn, Peer, Result, Work, convert, events_per_s, lines,
    mb_per_s, median, on_one_thread, peer_columns, thousands,
};
use clap::Parser;
use flatten::Event;
use generator::{Corpus, Settings};

/// Measure speed, compression and memory, and fail when a gate is not reached.
#[derive(Debug, Parser)]
struct Args {
    /// How many events are converted in each round
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// How many rounds; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The Python that has DuckDB; without it there is no comparison
    #[arg(long)]
    peer_python: Option<PathBuf>,
    /// The script that converts with DuckDB
    #[arg(long, default_value = "benches/peers/duckdb_bench.py")]
    peer_script: PathBuf,
}

/// Events of a small batch, as one request brings them.
const N_SMALL: usize = 100;

/// The largest payload of an invocation.
const PAYLOAD_BYTES: usize = 6 << 20;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let mut text = format!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str("\ncaused by: ");
                text.push_str(&error.to_string());
                cause = error.source();
            }
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; whether all gates were reached.
fn run(args: &Args) -> Result<bool> {
    // One day: one part and one file of ours against one file of DuckDB.
    let corpus = Corpus::new(
        &Settings {
            n_days: 1,
            ..Settings::default()
        },
        args.events,
    );
    let table = BenchTable::settled_for(&corpus)?;
    let folder = tempfile::tempdir()?;
    let inputs = Inputs::write(&corpus, &table, folder.path())?;

    let speed = measure_speed(args, &table, &inputs)?;
    let small_events_per_s = on_one_thread(|| measure_small_batches(&table, &corpus))?;
    let idle_bytes = peak_memory(&inputs.columns, None)?;
    let small_bytes = peak_memory(&inputs.columns, Some(&inputs.small))?;
    let payload_bytes = peak_memory(&inputs.columns, Some(&inputs.payload))?;

    let mut figures = speed.figures(corpus.ndjson().len() as f64);
    figures.extend(small_batch_figures(small_events_per_s, &speed));
    let mib_above_idle = |bytes: u64| bytes.saturating_sub(idle_bytes) as f64 / f64::from(1 << 20);
    let show_mib = |mib: f64| format!("{mib:.1} MiB");
    figures.push(Figure::told(
        "peak memory of an idle process",
        show_mib(idle_bytes as f64 / f64::from(1 << 20)),
    ));
    figures.push(Figure::at_most(
        "peak memory above idle, 100 events",
        8.0,
        mib_above_idle(small_bytes),
        show_mib,
    ));
    figures.push(Figure::at_most(
        "peak memory above idle, a payload of 6 MiB",
        48.0,
        mib_above_idle(payload_bytes),
        show_mib,
    ));
    print(args, &corpus, &figures)?;
    Ok(figures.iter().all(Figure::is_ok))
}

/// The files that processes of their own read.
struct Inputs {
    events: PathBuf,
    small: PathBuf,
    payload: PathBuf,
    columns: PathBuf,
    peer_columns: PathBuf,
}

impl Inputs {
    fn write(corpus: &Corpus, table: &BenchTable, folder: &Path) -> Result<Self> {
        let inputs = Self {
            events: folder.join("events.ndjson"),
            small: folder.join("small.ndjson"),
            payload: folder.join("payload.ndjson"),
            columns: folder.join("columns.json"),
            peer_columns: folder.join("peer_columns.json"),
        };
        let events = lines(corpus.ndjson());
        std::fs::write(&inputs.events, corpus.ndjson())?;
        std::fs::write(
            &inputs.small,
            first_bytes(&events, corpus, |n, _| n < N_SMALL),
        )?;
        std::fs::write(
            &inputs.payload,
            first_bytes(&events, corpus, |_, end| end < PAYLOAD_BYTES),
        )?;
        let columns = PathColumn::all_of(table.columns())?;
        std::fs::write(&inputs.columns, serde_json::to_vec(&columns)?)?;
        let columns = peer_columns(table.columns(), &events)?;
        std::fs::write(&inputs.peer_columns, serde_json::to_vec(&columns)?)?;
        Ok(inputs)
    }
}

/// The first lines for which `keep(number, end)` holds.
fn first_bytes<'a>(
    events: &[Event<'_>],
    corpus: &'a Corpus,
    keep: impl Fn(usize, usize) -> bool,
) -> &'a [u8] {
    let mut end = 0;
    for (n, event) in events.iter().enumerate() {
        let next = end + event.bytes.len() + 1;
        if !keep(n, next) {
            break;
        }
        end = next;
    }
    &corpus.ndjson()[..end]
}

/// What the rounds gave.
struct Speed {
    n_events: f64,
    /// The part of our rounds that was flattening, in seconds.
    flatten_s: Vec<f64>,
    ours: Vec<Converted>,
    peer: Vec<Converted>,
}

/// Round after round, ours and the peer's in turn, so that a busy machine is busy for both.
fn measure_speed(args: &Args, table: &BenchTable, inputs: &Inputs) -> Result<Speed> {
    let mut peer = match &args.peer_python {
        Some(python) => {
            let mut duckdb = Command::new(python);
            duckdb.arg(&args.peer_script);
            let work = Work {
                columns: &inputs.peer_columns,
                events: &inputs.events,
                output: &inputs.events.with_extension("duckdb.parquet"),
                zstd_level: table.zstd_level(),
                n_threads: 1,
            };
            Some(Peer::start(duckdb, &work)?)
        }
        None => None,
    };
    let mut speed = Speed {
        n_events: args.events as f64,
        flatten_s: Vec::new(),
        ours: Vec::new(),
        peer: Vec::new(),
    };
    // Kept from round to round, as the peer keeps its buffers.
    let mut ndjson = Vec::new();
    let output = inputs.events.with_extension("ours.parquet");
    for _ in 0..args.rounds {
        let round = on_one_thread(|| convert(table, &inputs.events, &output, &mut ndjson))?;
        speed.ours.push(round.converted);
        speed.flatten_s.push(round.flatten_s);
        if let Some(peer) = &mut peer {
            speed.peer.push(peer.convert()?);
        }
    }
    for converted in speed.ours.iter().chain(&speed.peer) {
        if converted.n_rows != args.events as u64 {
            return Err(format!("{} rows of {} events", converted.n_rows, args.events).into());
        }
    }
    Ok(speed)
}

/// Batches of 100 events one by one; events per second in the median batch.
fn measure_small_batches(table: &BenchTable, corpus: &Corpus) -> Result<f64> {
    let events = lines(corpus.ndjson());
    let mut seconds = Vec::new();
    for batch in events.chunks_exact(N_SMALL).take(200) {
        let started = Instant::now();
        let (n_rows, _) = table.flatten_and_encode(batch)?;
        seconds.push(started.elapsed().as_secs_f64());
        if n_rows != N_SMALL as u64 {
            return Err(format!("{n_rows} rows of {N_SMALL} events").into());
        }
    }
    Ok(N_SMALL as f64 / median(seconds))
}

impl Speed {
    fn figures(&self, json_bytes: f64) -> Vec<Figure> {
        let (ours_s, flatten_s) = (seconds_of(&self.ours), median(self.flatten_s.clone()));
        let compression = |rounds: &[Converted]| {
            rounds
                .first()
                .map_or(f64::NAN, |round| json_bytes / round.file_bytes as f64)
        };
        let times = |ratio: f64| format!("{ratio:.2}×");
        let ratio_to_one = |ratio: f64| format!("{ratio:.1} : 1");
        let mut figures = vec![
            Figure::at_least(
                "JSON to Parquet on one core",
                100.0,
                self.n_events / ours_s,
                events_per_s,
            ),
            Figure::told("  in bytes of JSON", mb_per_s(json_bytes / ours_s)),
            Figure::told("  flattening alone", mb_per_s(json_bytes / flatten_s)),
        ];
        if !self.peer.is_empty() {
            let peer_s = seconds_of(&self.peer);
            let speed = format!(
                "{}, {}",
                events_per_s(self.n_events / peer_s),
                mb_per_s(json_bytes / peer_s)
            );
            figures.push(Figure::told(
                "  DuckDB on one thread, same columns and level",
                speed,
            ));
            figures.push(Figure::at_least(
                "  times as fast as DuckDB",
                1.5,
                peer_s / ours_s,
                times,
            ));
        }
        let (ours, peer) = (compression(&self.ours), compression(&self.peer));
        figures.push(Figure::at_least(
            "compression against the JSON",
            2.0,
            ours,
            ratio_to_one,
        ));
        if !self.peer.is_empty() {
            figures.push(Figure::told("  DuckDB's compression", ratio_to_one(peer)));
            figures.push(Figure::at_least(
                "  compression against DuckDB's",
                0.9,
                ours / peer,
                times,
            ));
        }
        figures
    }
}

/// Small batches; told against the peer's speed on large ones where that was measured.
fn small_batch_figures(small_events_per_s: f64, speed: &Speed) -> Vec<Figure> {
    let name = "a batch of 100 events to Parquet on one core";
    let mut figures = vec![Figure::at_least(
        name,
        100.0,
        small_events_per_s,
        events_per_s,
    )];
    if !speed.peer.is_empty() {
        let ratio = small_events_per_s * seconds_of(&speed.peer) / speed.n_events;
        figures.push(Figure::told(
            "  against DuckDB on all events",
            format!("{ratio:.2}×"),
        ));
    }
    figures
}

/// The peak of a fresh process, in bytes.
fn peak_memory(columns: &Path, events: Option<&Path>) -> Result<u64> {
    let program = std::env::current_exe()?.with_file_name("peak_memory");
    let output = Command::new(&program)
        .arg(columns)
        .args(events)
        .output()
        .map_err(|error| format!("cannot start `{}`: {error}", program.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn print(args: &Args, corpus: &Corpus, figures: &[Figure]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let n_bytes = corpus.ndjson().len();
    writeln!(
        out,
        "{} default events of seed 7, {} bytes each, median of {} rounds\n",
        thousands(args.events as f64),
        n_bytes / corpus.n_events(),
        args.rounds
    )?;
    writeln!(out, "{}", Figure::heading())?;
    for figure in figures {
        writeln!(out, "{figure}")?;
    }
    let n_missed = figures.iter().filter(|figure| !figure.is_ok()).count();
    if n_missed > 0 {
        writeln!(out, "\n{n_missed} figures are not reached")?;
    }
    Ok(())
}

fn seconds_of(rounds: &[Converted]) -> f64 {
    median(rounds.iter().map(|round| round.seconds).collect())
}
