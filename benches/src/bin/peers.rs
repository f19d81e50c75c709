//! Measures ours beside other tools on one corpus, in turns, and writes a table and a picture.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use benches::{
    Bar, BenchTable, Converted, PathColumn, Peer, Result, Work, bars, convert, lines, median,
    peer_columns, pool_of, thousands,
};
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
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
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
    let files = Files::write(&corpus, folder.path())?;
    let mut contestants = contestants(args, &files)?;
    for round in 0..args.rounds {
        for contestant in &mut contestants {
            contestant.measure()?;
        }
        eprint_progress(round + 1, args.rounds);
    }
    check(&contestants, args.events as u64, &files)?;
    let report = Report {
        args,
        json_bytes: corpus.ndjson().len() as f64,
        contestants,
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

/// What all contestants read, and where ours write.
struct Files {
    events: PathBuf,
    columns: PathBuf,
    ours: Vec<PathColumn>,
    folder: PathBuf,
}

impl Files {
    fn write(corpus: &Corpus, folder: &Path) -> Result<Self> {
        let table = BenchTable::settled_for(corpus)?;
        let files = Self {
            events: folder.join("events.ndjson"),
            columns: folder.join("columns.json"),
            ours: PathColumn::all_of(table.columns())?,
            folder: folder.to_owned(),
        };
        std::fs::write(&files.events, corpus.ndjson())?;
        let columns = peer_columns(table.columns(), &lines(corpus.ndjson()))?;
        std::fs::write(&files.columns, serde_json::to_vec(&columns)?)?;
        Ok(files)
    }

    /// The Parquet file of ours on so many threads.
    fn of_ours(&self, n_threads: usize) -> PathBuf {
        self.folder.join(format!("ours-{n_threads}.parquet"))
    }
}

type Measure = Box<dyn FnMut() -> Result<(Converted, Option<f64>)>>;

/// One that is measured, and what its rounds gave.
struct Contestant {
    name: String,
    n_threads: usize,
    kind: Kind,
    measure: Measure,
    rounds: Vec<Converted>,
    /// Of ours: how long encoding took, in seconds.
    encode_s: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    /// DuckDB on one thread: what speeds are compared with.
    Measure,
    Peer,
    ParsesOnly,
}

impl Contestant {
    fn new(name: &str, n_threads: usize, kind: Kind, measure: Measure) -> Self {
        Self {
            name: name.to_owned(),
            n_threads,
            kind,
            measure,
            rounds: Vec::new(),
            encode_s: Vec::new(),
        }
    }

    fn measure(&mut self) -> Result<()> {
        let (converted, encode_s) = (self.measure)()?;
        self.rounds.push(converted);
        self.encode_s.extend(encode_s);
        Ok(())
    }

    fn seconds(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.seconds).collect())
    }
}

fn contestants(args: &Args, files: &Files) -> Result<Vec<Contestant>> {
    let mut all = Vec::new();
    for n_threads in [1, 2] {
        let measure = ours(files, n_threads)?;
        all.push(Contestant::new("Calve", n_threads, Kind::Ours, measure));
    }
    let script = |name: &str| {
        let mut program = Command::new(&args.python);
        program.arg(args.scripts.join(name));
        program
    };
    let rust = |name: &str| {
        let mut program = Command::new(&args.rust_peers);
        program.arg(name);
        program
    };
    let peers = [
        (script("duckdb_bench.py"), 1, Kind::Measure),
        (script("duckdb_bench.py"), 2, Kind::Peer),
        (rust("arrow-json"), 1, Kind::Peer),
        (script("pyarrow_bench.py"), 2, Kind::Peer),
        (script("python_lambda.py"), 1, Kind::Peer),
        (rust("sonic-rs"), 1, Kind::ParsesOnly),
        (rust("sonic-rs"), 2, Kind::ParsesOnly),
    ];
    for (number, (program, n_threads, kind)) in peers.into_iter().enumerate() {
        let work = Work {
            columns: &files.columns,
            events: &files.events,
            output: &files.folder.join(format!("peer-{number}.parquet")),
            zstd_level: lake::WriteOptions::default().zstd_level,
            n_threads,
        };
        let mut peer = Peer::start(program, &work)?;
        let name = peer.version().to_owned();
        let measure: Measure = Box::new(move || Ok((peer.convert()?, None)));
        all.push(Contestant::new(&name, n_threads, kind, measure));
    }
    Ok(all)
}

fn ours(files: &Files, n_threads: usize) -> Result<Measure> {
    let table = BenchTable::with_schema(PathColumn::schema_with(&files.ours))?;
    let pool = pool_of(n_threads)?;
    let table = table.on_threads(Arc::clone(&pool));
    let (events, output) = (files.events.clone(), files.of_ours(n_threads));
    let mut ndjson = Vec::new();
    Ok(Box::new(move || {
        let round = pool.install(|| convert(&table, &events, &output, &mut ndjson))?;
        Ok((round.converted, Some(round.encode_s)))
    }))
}

/// All rows are there, and threads make no difference to ours.
fn check(contestants: &[Contestant], n_events: u64, files: &Files) -> Result<()> {
    for contestant in contestants {
        let all_there = contestant
            .rounds
            .iter()
            .all(|round| round.n_rows == n_events);
        if !all_there {
            return Err(format!("{} has not {n_events} rows", contestant.name).into());
        }
    }
    if std::fs::read(files.of_ours(1))? != std::fs::read(files.of_ours(2))? {
        return Err("one thread and two made different files".into());
    }
    Ok(())
}

struct Report<'a> {
    args: &'a Args,
    json_bytes: f64,
    contestants: Vec<Contestant>,
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
        for contestant in &self.contestants {
            let seconds = contestant.seconds();
            let file_bytes = contestant
                .rounds
                .first()
                .map_or(0, |round| round.file_bytes);
            let compression = match file_bytes {
                0 => "–".to_owned(),
                bytes => format!("{:.1}", self.json_bytes / bytes as f64),
            };
            let _ = writeln!(
                table,
                "| {} | {} | {:.0} | {} | {:.2}× | {compression} |",
                label(contestant),
                contestant.n_threads,
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
        let ours = self.contestants.iter().find(|c| c.kind == Kind::Ours);
        let encode_s = ours.map_or(f64::NAN, |ours| median(ours.encode_s.clone()));
        self.seconds_of(Kind::ParsesOnly, 1) + encode_s
    }

    fn seconds_of(&self, kind: Kind, n_threads: usize) -> f64 {
        let found = self
            .contestants
            .iter()
            .find(|c| c.kind == kind && c.n_threads == n_threads);
        found.map_or(f64::NAN, Contestant::seconds)
    }

    fn picture(&self) -> String {
        let bars_of: Vec<Bar> = self
            .contestants
            .iter()
            .map(|contestant| {
                let value = self.json_bytes / contestant.seconds() / 1e6;
                let threads = match contestant.n_threads {
                    1 => "1 thread".to_owned(),
                    n => format!("{n} threads"),
                };
                Bar {
                    name: format!("{}, {threads}", label(contestant)),
                    value,
                    figure: format!("{value:.0} MB/s"),
                    is_ours: contestant.kind == Kind::Ours,
                }
            })
            .collect();
        bars("JSON to zstd Parquet, MB of JSON per second", &bars_of)
    }
}

fn label(contestant: &Contestant) -> String {
    match contestant.kind {
        Kind::ParsesOnly => format!("{}, parsing alone", contestant.name),
        _ => contestant.name.clone(),
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
