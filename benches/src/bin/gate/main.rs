//! Measures the figures that must be reached, and fails when one is not.

mod bounds;
mod limits;
mod memory;
mod shapes;
mod show;
mod speed;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use benches::{Contestant, Figure, Result, Stage, ended, rust_peer, script, thousands};
use clap::Parser;
use generator::{Corpus, Settings, Shape};

use crate::bounds::Bounds;

/// Measure speed, compression and memory, and fail when a gate is not reached.
#[derive(Debug, Parser)]
struct Args {
    /// How many default events are converted in each round; of the other shapes there are fewer
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// How many rounds; the median counts
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Hold only what the profile `quick` and few events reach
    #[arg(long)]
    short: bool,
    /// The Python that has DuckDB; without it no speed is compared with its
    #[arg(long)]
    peer_python: Option<PathBuf>,
    /// The folder of the scripts in Python
    #[arg(long, default_value = "benches/peers")]
    scripts: PathBuf,
    /// The program `rust_peers`; without it two threads are not compared with parsing
    #[arg(long)]
    rust_peers: Option<PathBuf>,
}

fn main() -> ExitCode {
    ended(run(&Args::parse()).map(|is_reached| {
        if is_reached {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }))
}

/// Measures and prints; whether all gates were reached.
fn run(args: &Args) -> Result<bool> {
    let bounds = if args.short {
        Bounds::SHORT
    } else {
        Bounds::LONG
    };
    let folder = tempfile::tempdir()?;
    let corpus = corpus(Shape::Default, args.events);
    let stage = Stage::write(&corpus, folder.path().join("default"))?;

    let mut figures = speed::figures(args, &bounds, &corpus, &stage, folder.path())?;
    figures.extend(shapes::figures(args, &bounds, folder.path())?);
    figures.extend(memory::figures(&corpus, &stage, folder.path())?);
    figures.extend(limits::figures(&corpus, folder.path())?);

    print(args, &corpus, &figures)?;
    Ok(figures.iter().all(Figure::is_ok))
}

/// So many events of one day: one part and one file of ours against one file of a peer.
fn corpus(shape: Shape, n_events: usize) -> Corpus {
    let settings = Settings {
        n_days: 1,
        shape,
        ..Settings::default()
    };
    Corpus::new(&settings, n_events)
}

impl Args {
    /// DuckDB on one thread, where there is one.
    fn duckdb(&self, stage: &Stage) -> Result<Option<Contestant>> {
        let python = self.peer_python.as_ref();
        let program = python.map(|python| script(python, &self.scripts, "duckdb_bench.py"));
        let start = |program: Command| stage.peer(program, "duckdb", 1);
        program.map(start).transpose()
    }

    /// Parsing alone on one thread and on two, where there is a parser.
    fn parsers(&self, stage: &Stage) -> Result<Option<[Contestant; 2]>> {
        let Some(rust_peers) = &self.rust_peers else {
            return Ok(None);
        };
        let parser =
            |n_threads| stage.peer(rust_peer(rust_peers, "sonic-rs"), "sonic-rs", n_threads);
        Ok(Some([parser(1)?, parser(2)?]))
    }
}

fn print(args: &Args, corpus: &Corpus, figures: &[Figure]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} default events of seed 7, {} bytes each, median of {} rounds in turn\n",
        thousands(args.events as f64),
        corpus.ndjson().len() / corpus.n_events(),
        args.rounds
    )?;
    writeln!(out, "{}", Figure::heading())?;
    for figure in figures {
        writeln!(out, "{figure}")?;
    }
    let n_only_gate = figures
        .iter()
        .filter(|figure| figure.is_only_gate())
        .count();
    if n_only_gate > 0 {
        writeln!(
            out,
            "\n{n_only_gate} figures reach their gate, and not yet what is wanted"
        )?;
    }
    let n_missed = figures.iter().filter(|figure| !figure.is_ok()).count();
    if n_missed > 0 {
        writeln!(out, "\n{n_missed} figures are not reached")?;
    }
    Ok(())
}
