//! Measures ours beside other tools on one corpus, in turns, and writes a table and a picture.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use benches::{Bar, Contestant, Result, Stage, bars, ended, rust_peer, script, thousands};
use clap::Parser;
use generator::{Corpus, Settings, Shape};

/// Measure ours beside other tools, in turns, and write a table and a picture.
#[derive(Debug, Parser)]
struct Args {
    /// How many events are converted in each round
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// How many rounds; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The shape of the events: default, wide, deep, sparse or hostile
    #[arg(long, default_value = "default", value_parser = shape)]
    shape: Shape,
    /// The Python that has DuckDB and pyarrow
    #[arg(long)]
    python: PathBuf,
    /// The program `rust_peers`
    #[arg(long)]
    rust_peers: PathBuf,
    /// The folder of the scripts in Python
    #[arg(long, default_value = "benches/peers")]
    scripts: PathBuf,
    /// What is measured, for the table
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// When, for the table
    #[arg(long, default_value = "unknown")]
    date: String,
    /// The folder in which `peers-SHAPE.md` and `peers-SHAPE.svg` are written; without it the table is printed only
    #[arg(long)]
    out: Option<PathBuf>,
}

fn shape(name: &str) -> std::result::Result<Shape, String> {
    let known = Shape::ALL.into_iter().find(|shape| shape.name() == name);
    known.ok_or_else(|| format!("there is no shape `{name}`"))
}

fn main() -> ExitCode {
    ended(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    // One day: one file of ours against one file of a peer.
    let settings = Settings {
        n_days: 1,
        shape: args.shape,
        ..Settings::default()
    };
    let corpus = Corpus::new(&settings, args.events);
    let folder = tempfile::tempdir()?;
    let stage = Stage::write(&corpus, folder.path().to_owned())?;
    let mut entries = entries(args, &stage)?;
    for round in 0..args.rounds {
        for entry in &mut entries {
            entry.contestant.take_turn()?;
        }
        eprint_progress(round + 1, args.rounds);
    }
    if !stage.are_files_the_same()? {
        return Err("one thread and two made different files".into());
    }
    let report = Report {
        args,
        json_bytes: stage.json_bytes,
        entries,
    };
    let table = report.table();
    write!(std::io::stdout(), "{table}")?;
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out)?;
        let name = format!("peers-{}", args.shape.name());
        std::fs::write(out.join(format!("{name}.md")), &table)?;
        std::fs::write(out.join(format!("{name}.svg")), report.picture())?;
    }
    Ok(())
}

fn eprint_progress(round: usize, n_rounds: usize) {
    let _ = writeln!(std::io::stderr(), "round {round} of {n_rounds}");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    /// DuckDB on one thread: what speeds are compared with.
    Measure,
    Peer,
    ParsesOnly,
}

/// One that is measured, and what for.
struct Entry {
    kind: Kind,
    contestant: Contestant,
}

fn entries(args: &Args, stage: &Stage) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for n_threads in [1, 2] {
        let contestant = stage.ours(n_threads)?;
        let kind = Kind::Ours;
        all.push(Entry { kind, contestant });
    }
    let python = |name: &str| script(&args.python, &args.scripts, &format!("{name}.py"));
    let rust = |name: &str| rust_peer(&args.rust_peers, name);
    let peers = [
        (python("duckdb_bench"), "duckdb", 1, Kind::Measure),
        (python("duckdb_bench"), "duckdb", 2, Kind::Peer),
        (rust("arrow-json"), "arrow-json", 1, Kind::Peer),
        (python("pyarrow_bench"), "pyarrow", 2, Kind::Peer),
        (python("python_lambda"), "python", 1, Kind::Peer),
        (rust("sonic-rs"), "sonic-rs", 1, Kind::ParsesOnly),
        (rust("sonic-rs"), "sonic-rs", 2, Kind::ParsesOnly),
    ];
    for (program, name, n_threads, kind) in peers {
        let contestant = stage.peer(program, name, n_threads)?;
        all.push(Entry { kind, contestant });
    }
    Ok(all)
}

struct Report<'a> {
    args: &'a Args,
    json_bytes: f64,
    entries: Vec<Entry>,
}

impl Report<'_> {
    fn table(&self) -> String {
        let mut table = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{} events of the {} shape, {:.0} bytes each, Zstandard level {}, median of {} rounds in turn.\n{}, {}, {}.\n",
            thousands(self.args.events as f64),
            self.args.shape.name(),
            self.json_bytes / self.args.events as f64,
            lake::WriteOptions::default().zstd_level,
            self.args.rounds,
            machine(),
            self.args.commit,
            self.args.date,
        );
        let _ = writeln!(
            table,
            "| JSON to Parquet | threads | MB/s of JSON | events/s | against DuckDB on one thread | JSON : Parquet |\n| --- | ---: | ---: | ---: | ---: | ---: |"
        );
        let measure_s = self.seconds_of(Kind::Measure, 1);
        for entry in &self.entries {
            let seconds = entry.contestant.seconds();
            let compression = match entry.kind {
                Kind::ParsesOnly => "–".to_owned(),
                _ => format!("{:.1}", self.json_bytes / entry.contestant.file_bytes()),
            };
            let _ = writeln!(
                table,
                "| {} | {} | {:.0} | {} | {:.2}× | {compression} |",
                label(entry),
                entry.contestant.n_threads,
                self.json_bytes / seconds / 1e6,
                thousands(self.args.events as f64 / seconds),
                measure_s / seconds,
            );
        }
        let bound_s = self.bound_s();
        let _ = writeln!(
            table,
            "| parsing alone, then our encoding: the bound of whoever parses first | 1 | {:.0} | {} | {:.2}× | – |\n",
            self.json_bytes / bound_s / 1e6,
            thousands(self.args.events as f64 / bound_s),
            measure_s / bound_s,
        );
        let scaling = |kind| self.seconds_of(kind, 1) / self.seconds_of(kind, 2);
        let (ours, parsing) = (scaling(Kind::Ours), scaling(Kind::ParsesOnly));
        let _ = writeln!(
            table,
            "Two threads against one: Calve {ours:.2}×, parsing alone {parsing:.2}×, which is {:.2} of it; both threads wrote the same bytes.",
            ours / parsing
        );
        table
    }

    /// The time of one thread that parses everything first and encodes then.
    fn bound_s(&self) -> f64 {
        let ours = self.entries.iter().find(|entry| entry.kind == Kind::Ours);
        let encode_s = ours.map_or(f64::NAN, |ours| ours.contestant.encode_s());
        self.seconds_of(Kind::ParsesOnly, 1) + encode_s
    }

    fn seconds_of(&self, kind: Kind, n_threads: usize) -> f64 {
        let is_it = |entry: &&Entry| entry.kind == kind && entry.contestant.n_threads == n_threads;
        let found = self.entries.iter().find(is_it);
        found.map_or(f64::NAN, |entry| entry.contestant.seconds())
    }

    fn picture(&self) -> String {
        let bars_of: Vec<Bar> = self
            .entries
            .iter()
            .map(|entry| {
                let value = self.json_bytes / entry.contestant.seconds() / 1e6;
                let threads = match entry.contestant.n_threads {
                    1 => "1 thread".to_owned(),
                    n => format!("{n} threads"),
                };
                Bar {
                    name: format!("{}, {threads}", label(entry)),
                    value,
                    figure: format!("{value:.0} MB/s"),
                    is_ours: entry.kind == Kind::Ours,
                }
            })
            .collect();
        bars("JSON to zstd Parquet, MB of JSON per second", &bars_of)
    }
}

fn label(entry: &Entry) -> String {
    let name = &entry.contestant.name;
    match entry.kind {
        Kind::ParsesOnly => format!("{name}, parsing alone"),
        _ => name.clone(),
    }
}

/// What the machine says of itself.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim());
    let n_cpus = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{n_cpus} virtual cores of {model}")
}
