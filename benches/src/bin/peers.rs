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
            entry.take_turn()?;
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
    /// Why it takes no more turns.
    gave_up: Option<String>,
}

impl Entry {
    fn new(kind: Kind, contestant: Contestant) -> Self {
        Self {
            kind,
            contestant,
            gave_up: None,
        }
    }

    /// Does the work once. A peer that cannot do it is told of in the table; only if ours cannot the run ends.
    fn take_turn(&mut self) -> Result<()> {
        if self.gave_up.is_some() {
            return Ok(());
        }
        match self.contestant.take_turn() {
            Err(error) if self.kind != Kind::Ours => {
                // In one line of a table.
                let reason = error.to_string().replace('|', r"\|");
                let words: Vec<&str> = reason.split_whitespace().collect();
                self.gave_up = Some(words.join(" "));
                Ok(())
            }
            taken => taken,
        }
    }

    /// Its time; not a number when it gave up.
    fn seconds(&self) -> f64 {
        match self.gave_up {
            Some(_) => f64::NAN,
            None => self.contestant.seconds(),
        }
    }
}

fn entries(args: &Args, stage: &Stage) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for n_threads in [1, 2] {
        all.push(Entry::new(Kind::Ours, stage.ours(n_threads)?));
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
        all.push(Entry::new(kind, stage.peer(program, name, n_threads)?));
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
            if let Some(reason) = &entry.gave_up {
                let n_threads = entry.contestant.n_threads;
                let _ = writeln!(
                    table,
                    "| {} | {n_threads} | gave up: {reason} | – | – | – |",
                    label(entry)
                );
                continue;
            }
            let seconds = entry.seconds();
            let compression = match entry.kind {
                Kind::ParsesOnly => "–".to_owned(),
                _ => format!("{:.1}", self.json_bytes / entry.contestant.file_bytes()),
            };
            let _ = writeln!(
                table,
                "| {} | {} | {:.0} | {} | {} | {compression} |",
                label(entry),
                entry.contestant.n_threads,
                self.json_bytes / seconds / 1e6,
                thousands(self.args.events as f64 / seconds),
                times(measure_s / seconds),
            );
        }
        let bound_s = self.bound_s();
        if bound_s.is_finite() {
            let _ = writeln!(
                table,
                "| parsing alone, then our encoding: the bound of whoever parses first | 1 | {:.0} | {} | {} | – |",
                self.json_bytes / bound_s / 1e6,
                thousands(self.args.events as f64 / bound_s),
                times(measure_s / bound_s),
            );
        }
        let scaling = |kind| self.seconds_of(kind, 1) / self.seconds_of(kind, 2);
        let (ours, parsing) = (scaling(Kind::Ours), scaling(Kind::ParsesOnly));
        let beside = if parsing.is_finite() {
            format!(
                ", parsing alone {parsing:.2}×, which is {:.2} of it",
                ours / parsing
            )
        } else {
            String::new()
        };
        let _ = writeln!(
            table,
            "\nTwo threads against one: Calve {ours:.2}×{beside}; both threads wrote the same bytes."
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
        found.map_or(f64::NAN, Entry::seconds)
    }

    fn picture(&self) -> String {
        let bars_of: Vec<Bar> = self
            .entries
            .iter()
            .filter(|entry| entry.gave_up.is_none())
            .map(|entry| {
                let value = self.json_bytes / entry.seconds() / 1e6;
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

/// A ratio; nothing where there is nothing to compare with.
fn times(ratio: f64) -> String {
    if ratio.is_finite() {
        format!("{ratio:.2}×")
    } else {
        "–".to_owned()
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

#[cfg(test)]
mod tests {
    use benches::{Converted, Round};

    use super::*;

    /// One that takes so many seconds in each turn, and fails in the turns behind them.
    fn entry(kind: Kind, name: &str, n_threads: usize, seconds: &'static [f64]) -> Entry {
        let mut turns = seconds.iter();
        let turn = move || {
            let &seconds = turns.next().ok_or("no | here,\n  and so on")?;
            Ok(Round::of_peer(Converted {
                seconds,
                n_rows: 10,
                file_bytes: 100,
            }))
        };
        Entry::new(kind, Contestant::new(name, n_threads, 10, turn))
    }

    fn report_of(args: &Args, mut entries: Vec<Entry>) -> Result<Report<'_>> {
        for _ in 0..args.rounds {
            for entry in &mut entries {
                entry.take_turn()?;
            }
        }
        Ok(Report {
            args,
            json_bytes: 1e9,
            entries,
        })
    }

    fn args() -> Args {
        Args::parse_from([
            "peers",
            "--python=-",
            "--rust-peers=-",
            "--rounds=2",
            "--events=100",
        ])
    }

    #[test]
    fn a_peer_that_gives_up_is_a_row_with_its_reason() {
        let args = args();
        let entries = vec![
            entry(Kind::Ours, "Calve", 1, &[1.0, 1.0]),
            entry(Kind::Ours, "Calve", 2, &[0.5, 0.5]),
            entry(Kind::Measure, "DuckDB", 1, &[2.0]),
            entry(Kind::Peer, "pyarrow", 2, &[4.0, 4.0]),
        ];
        let report = report_of(&args, entries).unwrap();
        let table = report.table();
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with("| "))
            .collect();
        assert_eq!(
            rows[2..],
            [
                "| Calve | 1 | 1000 | 100 | – | 10000000.0 |",
                "| Calve | 2 | 2000 | 200 | – | 10000000.0 |",
                r"| DuckDB | 1 | gave up: no \| here, and so on | – | – | – |",
                "| pyarrow | 2 | 250 | 25 | – | 10000000.0 |",
            ]
        );
        assert!(!table.contains("NaN"), "{table}");
        let picture = report.picture();
        assert!(picture.contains("pyarrow") && !picture.contains("DuckDB"));
        assert!(!picture.contains("NaN"), "{picture}");
    }

    #[test]
    fn ours_that_fails_ends_the_run() {
        let args = args();
        let error = report_of(&args, vec![entry(Kind::Ours, "Calve", 1, &[1.0])]);
        assert!(error.err().unwrap().to_string().starts_with("no | here"));
    }
}
