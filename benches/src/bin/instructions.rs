//! Work whose instructions are counted from outside: `instructions flatten|encode EVENTS ROUNDS`.
//!
//! Two runs that differ in their rounds differ by what the work takes, whatever the process takes to begin. Such counts do not
//! depend on the machine's load. `bench.sh --instructions` runs both under callgrind.

use std::hint::black_box;
use std::io::Write;
use std::process::ExitCode;

use benches::{BenchTable, Result, ended, lines, on_one_thread};
use generator::{Corpus, Settings};

const USAGE: &str = "usage: instructions flatten|encode EVENTS ROUNDS";

fn main() -> ExitCode {
    ended(run())
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [work, n_events, n_rounds] = args.as_slice() else {
        return Err(USAGE.into());
    };
    let (n_events, n_rounds): (usize, usize) = (n_events.parse()?, n_rounds.parse()?);
    // One day, so that there is one file.
    let settings = Settings {
        n_days: 1,
        ..Settings::default()
    };
    let corpus = Corpus::new(&settings, n_events);
    let table = BenchTable::settled_for(&corpus)?;
    let events = lines(corpus.ndjson());
    on_one_thread(|| {
        let flattened = table.flatten(&events)?;
        for _ in 0..n_rounds {
            match work.as_str() {
                "flatten" => drop(black_box(table.flatten(&events)?)),
                "encode" => {
                    table.encode(&flattened.batches, |file| {
                        black_box(file);
                        Ok(())
                    })?;
                }
                _ => return Err(USAGE.into()),
            }
        }
        writeln!(std::io::stdout(), "{n_events} events, {n_rounds} rounds")?;
        Ok(())
    })
}
