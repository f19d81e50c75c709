//! Prints the peak memory of a fresh process in bytes, as JSON: idle, or after a payload was worked off.
//!
//! * `peak_memory parquet COLUMNS [EVENTS]`: events into Parquet. `COLUMNS` is a JSON list of the table's columns.
//! * `peak_memory invocation=MIB WAREHOUSE [PAYLOAD]`: one body of any bytes through the pipeline, as an invocation of a function
//!   with so much memory brings it: inflated under the cap, framed, flattened, written, quarantined, committed. `WAREHOUSE` is a
//!   directory.
//!
//! Without the last argument the process is ready for work and has done none.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use benches::{BenchTable, PathColumn, Result, lines, peak_bytes};
use generator::DEFAULT_START_MS;
use pipeline::{Invocation, Payload, Pipeline, Record, Settings, SourceBatch};
use serde_json::{Value, json};

const USAGE: &str =
    "usage: peak_memory parquet COLUMNS [EVENTS] | peak_memory invocation=MIB WAREHOUSE [PAYLOAD]";

/// Threads of the function that is measured, whatever the machine has.
const N_THREADS: usize = 2;

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let (mode, place, work) = match args.as_slice() {
        [mode, place] => (mode, place, None),
        [mode, place, work] => (mode, place, Some(Path::new(work))),
        _ => return Err(USAGE.into()),
    };
    let mode = mode.to_str().ok_or(USAGE)?;
    let mut answer = match mode.split_once('=') {
        None if mode == "parquet" => parquet(Path::new(place), work)?,
        Some(("invocation", mib)) => invocation(mib.parse()?, Path::new(place), work)?,
        _ => return Err(USAGE.into()),
    };
    answer["peak_bytes"] = peak_bytes()?.into();
    writeln!(std::io::stdout(), "{answer}")?;
    Ok(())
}

/// Takes the events through to Parquet, and checks that all of them arrived.
fn parquet(columns: &Path, events: Option<&Path>) -> Result<Value> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(N_THREADS)
        .build_global()?;
    let columns: Vec<PathColumn> = serde_json::from_slice(&std::fs::read(columns)?)?;
    let table = BenchTable::with_schema(PathColumn::schema_with(&columns))?;
    let Some(events) = events else {
        return Ok(json!({}));
    };
    let payload = std::fs::read(events)?;
    let events = lines(&payload);
    let (n_rows, _) = table.flatten_and_encode(&events)?;
    if n_rows != events.len() as u64 {
        return Err(format!("{n_rows} rows of {} events", events.len()).into());
    }
    Ok(json!({}))
}

/// Runs one body through the pipeline of a function with so much memory; the counts of its report.
fn invocation(memory_mib: u64, warehouse: &Path, payload: Option<&Path>) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(N_THREADS)
        .enable_all()
        .build()?;
    let variables = BTreeMap::from([
        (
            "CALVE_WAREHOUSE".to_owned(),
            warehouse.display().to_string(),
        ),
        ("CALVE_THREADS".to_owned(), N_THREADS.to_string()),
    ]);
    let settings = Settings::from_parts(&variables, None)?.within(memory_mib);
    runtime.block_on(async {
        let pipeline = Pipeline::open(settings).await?;
        let Some(payload) = payload else {
            return Ok(json!({}));
        };
        // All events arrive thirty days after the first of them happened. No clock is read.
        let now_us = (DEFAULT_START_MS + 30 * 86_400_000) * 1_000;
        let record = Record {
            delivery_id: "body".to_owned(),
            source_id: "body".to_owned(),
            arrival_us: now_us,
            body: std::fs::read(payload)?.into(),
            is_base64: false,
        };
        let payload = Payload {
            records: vec![record],
            source: SourceBatch::request("invoke", "body"),
        };
        let invocation = Invocation {
            now_us,
            deadline: None,
            seed: 7,
        };
        let report = pipeline.run(payload, &invocation).await?;
        let kinds: Vec<_> = report.n_refused_by_kind.keys().collect();
        Ok(json!({
            "n_events": report.n_events,
            "n_rows": report.n_rows,
            "n_retried": report.n_records_retried,
            "inflated_bytes": report.inflated_bytes,
            "refused_as": kinds,
        }))
    })
}
