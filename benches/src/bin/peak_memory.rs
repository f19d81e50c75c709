//! Prints the peak memory of a fresh process in bytes: idle, or after a payload was made into Parquet.
//!
//! usage: `peak_memory COLUMNS [EVENTS]`
//!
//! `COLUMNS` is a JSON list of the table's columns; without `EVENTS` the process is ready for work and has done none.

use std::io::Write;
use std::path::Path;

use benches::{BenchTable, PathColumn, Result, lines, peak_bytes};

/// Threads of the function that is measured, whatever the machine has.
const N_THREADS: usize = 2;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let columns = args.next().ok_or("usage: peak_memory COLUMNS [EVENTS]")?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(N_THREADS)
        .build_global()?;
    let columns: Vec<PathColumn> = serde_json::from_slice(&std::fs::read(columns)?)?;
    let table = BenchTable::with_schema(PathColumn::schema_with(&columns))?;
    if let Some(events) = args.next() {
        work(&table, Path::new(&events))?;
    }
    writeln!(std::io::stdout(), "{}", peak_bytes()?)?;
    Ok(())
}

/// Takes the payload through to Parquet, and checks that all of it arrived.
fn work(table: &BenchTable, events: &Path) -> Result<()> {
    let payload = std::fs::read(events)?;
    let events = lines(&payload);
    let (n_rows, _) = table.flatten_and_encode(&events)?;
    if n_rows != events.len() as u64 {
        return Err(format!("{n_rows} rows of {} events", events.len()).into());
    }
    Ok(())
}
