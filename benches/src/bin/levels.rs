//! What each Zstandard level costs and saves, on one core and one corpus, in turns.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use benches::{BenchTable, Result, ended, lines, median, on_one_thread};
use clap::Parser;
use generator::{Corpus, Settings};

/// Measure speed and compression by Zstandard level.
#[derive(Debug, Parser)]
struct Args {
    /// How many events are converted in each round
    #[arg(long, default_value_t = 100_000)]
    events: usize,
    /// How many rounds; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The levels, of which speeds are compared with the first
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,5,7,9,12,15,19", value_parser = clap::value_parser!(i32).range(1..=22))]
    levels: Vec<i32>,
}

/// One level, and what its rounds gave.
struct Measured {
    level: i32,
    table: BenchTable,
    seconds: Vec<f64>,
    encode_s: Vec<f64>,
    file_bytes: u64,
}

fn main() -> ExitCode {
    ended(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let settings = Settings {
        n_days: 1,
        ..Settings::default()
    };
    let corpus = Corpus::new(&settings, args.events);
    let mut all = Vec::new();
    for &level in &args.levels {
        all.push(Measured {
            level,
            table: BenchTable::settled_for(&corpus)?.at_level(level),
            seconds: Vec::new(),
            encode_s: Vec::new(),
            file_bytes: 0,
        });
    }
    for _ in 0..args.rounds {
        for measured in &mut all {
            on_one_thread(|| measured.round(&corpus))?;
        }
    }
    print(&corpus, &all)
}

impl Measured {
    /// Once from JSON to Parquet.
    fn round(&mut self, corpus: &Corpus) -> Result<()> {
        let events = lines(corpus.ndjson());
        let started = Instant::now();
        let flattened = self.table.flatten(&events)?;
        let encoding = Instant::now();
        let mut file_bytes = 0;
        self.table.encode(&flattened.batches, |file| {
            file_bytes += file.bytes.len() as u64;
            Ok(())
        })?;
        self.encode_s.push(encoding.elapsed().as_secs_f64());
        self.seconds.push(started.elapsed().as_secs_f64());
        self.file_bytes = file_bytes;
        Ok(())
    }
}

fn print(corpus: &Corpus, all: &[Measured]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let json_bytes = corpus.ndjson().len() as f64;
    writeln!(
        out,
        "| level | JSON : Parquet | JSON to Parquet, MB/s | against the first | encoding alone |\n| ---: | ---: | ---: | ---: | ---: |"
    )?;
    // Round by round, so that a busy machine is busy for both.
    let ratio = |first: &[f64], own: &[f64]| {
        let rounds = first.iter().zip(own);
        median(rounds.map(|(first, own)| first / own).collect())
    };
    let Some(first) = all.first() else {
        return Ok(());
    };
    for measured in all {
        writeln!(
            out,
            "| {} | {:.1} | {:.0} | {:.2}× | {:.2}× |",
            measured.level,
            json_bytes / measured.file_bytes as f64,
            json_bytes / median(measured.seconds.clone()) / 1e6,
            ratio(&first.seconds, &measured.seconds),
            ratio(&first.encode_s, &measured.encode_s),
        )?;
    }
    Ok(())
}
