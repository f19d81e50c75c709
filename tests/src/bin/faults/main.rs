//! Faults that a deployment meets, each many times: the real functions as processes, a real object store, a real catalog and
//! a real queue, with proxies between them that kill, delay, reset, refuse and lose answers. After each run DuckDB counts
//! what was sent. Started by `scripts/test.sh`, in its long mode with 20 runs of each fault.

mod events;
mod fault;
mod function;
mod http;
mod proxy;
mod reader;
mod receipts;
mod run;
mod servers;
mod shard;
mod source;
mod step;
mod verdict;

use std::{io::Write as _, path::PathBuf};

use clap::Parser;

use self::{
    fault::{Fault, all, mix},
    reader::Reader,
    run::{Bench, Outcome, run},
    servers::{Result, Servers},
    verdict::Verdict,
};

/// Runs faults and prints what was lost and doubled; fails when anything was, or when a fault was never met.
#[derive(Debug, Parser)]
struct Args {
    /// How many runs of each fault, each with a seed of its own.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// What all seeds are drawn from.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Only faults whose name holds these words.
    #[arg(long, default_value = "")]
    only: String,
    /// Where `ingest` and `commit` are. By default beside this program.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Where the functions' logs go. By default they go away when all is well.
    #[arg(long)]
    logs: Option<PathBuf>,
    /// The Python that has DuckDB.
    #[arg(long)]
    python: PathBuf,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let args = Args::parse();
    let servers = Servers::of_environment()?;
    let beside = std::env::current_exe()?.with_file_name("");
    let temporary = tempfile::tempdir()?;
    let logs = args.logs.unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&logs)?;
    let mut bench = Bench {
        servers: &servers,
        programs: args.programs.unwrap_or(beside),
        logs: logs.clone(),
        reader: Reader::start(&args.python, &servers)?,
    };
    print(
        "| fault | runs | hits | rows | quarantined | lost | doubled | rows that `dedupe` removed | expired | merged | new schemas |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    )?;
    let mut n_unlawful = 0;
    let chosen = all().enumerate();
    for (n, fault) in chosen.filter(|(_, fault)| fault.name().contains(&args.only)) {
        let seeds = (0..args.runs).map(|run| mix(args.seed ^ mix((n as u64) << 32 | run)) >> 16);
        n_unlawful += repeat(&mut bench, fault, seeds).await?;
    }
    if n_unlawful > 0 {
        let kept = temporary.keep();
        return Err(format!(
            "{n_unlawful} runs broke the law; logs are in `{}`",
            kept.display()
        )
        .into());
    }
    print("\nno event was lost and none was doubled")
}

/// Runs a fault with these seeds and prints its line. Returns how many runs broke a law.
async fn repeat(
    bench: &mut Bench<'_>,
    fault: Fault,
    seeds: impl Iterator<Item = u64>,
) -> Result<usize> {
    let (mut n_runs, mut n_hits, mut n_unlawful) = (0, 0, 0);
    let mut sum = Verdict::default();
    for seed in seeds {
        let Outcome {
            verdict,
            n_hits: hits,
        } = run(bench, fault, seed)
            .await
            .map_err(|error| format!("{}, seed {seed:x}: {error}", fault.name()))?;
        n_runs += 1;
        n_hits += hits;
        let is_hit = hits > 0 || fault.is_silent();
        if !is_hit || !verdict.is_lawful(fault.is_exact()) {
            n_unlawful += 1;
            print(&format!("seed {seed:x}: {hits} hits, {verdict:?}"))?;
        }
        sum.add(&verdict);
    }
    print(&format!(
        "| {} | {n_runs} | {n_hits} | {} | {} | {} | {} | {} | {} | {} | {} |",
        fault.name(),
        sum.n_rows,
        sum.n_quarantined,
        sum.n_lost,
        sum.doubled(),
        sum.n_removed,
        sum.n_expired,
        sum.n_merged,
        sum.n_schemas - n_runs,
    ))?;
    Ok(n_unlawful)
}

/// Prints a line at once, so that a long run is seen to go on.
fn print(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
