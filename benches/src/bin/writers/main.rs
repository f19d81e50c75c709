//! Many writers and one table of a REST catalog in S3: each committing for itself, all sending receipts to two
//! committers, and PyIceberg with the same rows. `scripts/bench.sh --writers` starts the servers and this.

#![expect(
    clippy::cast_precision_loss,
    reason = "counts of a bench are far below 2^52"
)]

mod arm;
mod direct;
mod growth;
mod peer;
mod servers;
mod staged;
mod timed;

use std::{io::Write as _, path::PathBuf};

use benches::Result;
use clap::{Parser, ValueEnum};

use self::{
    arm::{Arm, Load},
    servers::Servers,
};

/// Measures many writers of one table, and many commits of one writer.
#[derive(Debug, Parser)]
struct Args {
    /// How many writers, one measurement after the other; 0 leaves that out.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16,64")]
    writers: Vec<usize>,
    /// How many batches each of them lands.
    #[arg(long, default_value_t = 20)]
    batches: usize,
    /// How many events a batch has.
    #[arg(long, default_value_t = 1_000)]
    events: usize,
    /// How long the committers wait for more receipts, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    window_ms: u64,
    /// The Python that has PyIceberg and DuckDB.
    #[arg(long)]
    python: PathBuf,
    /// When PyIceberg is stopped, in seconds.
    #[arg(long, default_value_t = 90)]
    peer_seconds: u64,
    /// How many commits one writer makes in a row, at least 100; 0 leaves that out.
    #[arg(long, default_value_t = 10_000)]
    commits: usize,
    /// The catalogs to which it makes them.
    #[arg(long, value_delimiter = ',', default_value = "embedded,rest")]
    catalogs: Vec<CatalogKind>,
    /// Ways of writing to measure; `pyiceberg` wants the rows that `direct` wrote.
    #[arg(long, value_delimiter = ',', default_value = "direct,staged,pyiceberg")]
    ways: Vec<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CatalogKind {
    Embedded,
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    Direct,
    Staged,
    Pyiceberg,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let args = Args::parse();
    if (1..100).contains(&args.commits) {
        return Err(
            "`--commits` is 0, or 100 and more: a hundred are compared with a hundred".into(),
        );
    }
    let servers = Servers::of_environment(&args.python)?;
    let mut is_sound = true;
    if args.writers.iter().any(|n_writers| *n_writers > 0) {
        is_sound &= Box::pin(measure_writers(&args, &servers)).await?;
    }
    for catalog in args.catalogs.iter().filter(|_| args.commits > 0) {
        is_sound &= match catalog {
            CatalogKind::Embedded => growth::measure_embedded(&servers, args.commits).await?,
            CatalogKind::Rest => growth::measure_rest(&servers, args.commits).await?,
        };
    }
    if is_sound {
        Ok(())
    } else {
        Err("rows are missing, doubled or were not committed, or a figure is not reached".into())
    }
}

/// Prints a line for each way of writing and number of writers; says whether all rows were there in the end, once.
async fn measure_writers(args: &Args, servers: &Servers) -> Result<bool> {
    print(&format!(
        "{} batches of {} events for each writer; two committers, {} ms of window\n\n{}",
        args.batches,
        args.events,
        args.window_ms,
        Arm::heading()
    ))?;
    let mut arms = Vec::new();
    for &n_writers in args.writers.iter().filter(|n_writers| **n_writers > 0) {
        let load = Load {
            n_writers,
            n_batches: args.batches,
            batch_rows: args.events,
        };
        let mut direct_table = None;
        if args.ways.contains(&Way::Direct) {
            let direct = direct::measure(servers, load).await?;
            print(&direct.line())?;
            direct_table = Some(direct.table.clone());
            arms.push(direct);
        }
        if args.ways.contains(&Way::Staged) {
            let staged = staged::measure(servers, load, args.window_ms).await?;
            print(&staged.line())?;
            arms.push(staged);
        }
        if args.ways.contains(&Way::Pyiceberg) {
            let table = direct_table.ok_or("`--ways pyiceberg` needs `direct` beside it")?;
            let peer = peer::measure(servers, load, &table, args.peer_seconds)?;
            print(&peer.line())?;
        }
    }
    print("")?;
    let is_whole = arms.iter().all(Arm::is_whole);
    let staged = |n_writers| {
        arms.iter()
            .find(|arm| arm.name == "staged" && arm.load.n_writers == n_writers)
    };
    if let (Some(few), Some(many)) = (staged(4), staged(64)) {
        let ratio = many.batches_per_s() / few.batches_per_s();
        print(&format!("staged, 64 writers against 4: {ratio:.2}×"))?;
        return Ok(is_whole && ratio >= 1.0);
    }
    Ok(is_whole)
}

/// Prints a line at once, so that a long measurement is seen to go on.
fn print(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
