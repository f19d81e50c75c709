//! PyIceberg, with the rows that our writers wrote.

use benches::Result;
use serde::Deserialize;

use crate::{
    arm::{Arm, Load},
    servers::Servers,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/pyiceberg_writers.py");

/// What the script prints.
#[derive(Debug, Deserialize)]
struct Seen {
    table: String,
    seconds: f64,
    n_conflicts: usize,
    n_rows: u64,
    acknowledged_ms: Vec<f64>,
}

/// Lets as many processes append the batches of `source`; those that are not done after `max_seconds` are stopped.
pub(crate) fn measure(
    servers: &Servers,
    load: Load,
    source: &str,
    max_seconds: u64,
) -> Result<Arm> {
    let table = servers.table(&format!("pyiceberg_{}", load.n_writers));
    let arguments = [
        servers.get("CATALOG_URI"),
        source,
        &table,
        &load.n_writers.to_string(),
        &load.n_batches.to_string(),
        &max_seconds.to_string(),
    ];
    let seen = servers.python(&[&[SCRIPT], &arguments[..]].concat())?;
    let seen: Seen = serde_json::from_value(seen)?;
    let n_done = seen.acknowledged_ms.len();
    Ok(Arm {
        name: "PyIceberg",
        read_back: servers.read_back(&seen.table)?,
        table: seen.table,
        load,
        seconds: seen.seconds,
        n_visible: n_done,
        n_failed: load.n_all() - n_done,
        n_commits: n_done,
        n_conflicts: seen.n_conflicts,
        acknowledged_ms: seen.acknowledged_ms,
        visible_ms: Vec::new(),
        n_rows_sent: seen.n_rows,
    })
}
