//! DuckDB, doing the same work in a process of its own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use flatten::{Column, Event};
use serde::Deserialize;
use serde_json::Value;

use crate::{PathColumn, Result};

/// How many events are looked at to find the arrays.
const N_SAMPLE_EVENTS: usize = 5_000;

/// DuckDB, waiting for the next round.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    rounds: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What one round took and gave.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Converted {
    /// From the statement to its result, in seconds.
    pub seconds: f64,
    /// The rows of the file.
    pub n_rows: u64,
    /// Its size.
    pub file_bytes: u64,
}

impl Peer {
    /// Starts the script with this Python, to convert `events` again and again at this level.
    ///
    /// # Errors
    ///
    /// When Python cannot be started.
    pub fn start(
        python: &Path,
        script: &Path,
        columns: &Path,
        events: &Path,
        level: i32,
    ) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(script)
            .args([columns, events, &events.with_extension("duckdb.parquet")])
            .arg(level.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start `{}`: {error}", python.display()))?;
        let rounds = child.stdin.take();
        let answers = child
            .stdout
            .take()
            .ok_or("the script has no standard output")?;
        Ok(Self {
            child,
            rounds,
            answers: BufReader::new(answers),
        })
    }

    /// Converts the events once.
    ///
    /// # Errors
    ///
    /// When the script ends or says something else; its own message is on the standard error.
    pub fn convert(&mut self) -> Result<Converted> {
        let rounds = self.rounds.as_mut().ok_or("the script was stopped")?;
        writeln!(rounds)?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err("the DuckDB script ended; its message stands above".into());
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The script ends with its input.
        self.rounds = None;
        let _ = self.child.wait();
    }
}

/// What DuckDB has to extract for the same work: our columns, the event time, and the arrays, which `_doc` holds for us.
///
/// # Errors
///
/// When a column has a type that flattening never chooses by itself.
pub fn peer_columns(columns: &[Column], events: &[Event<'_>]) -> Result<Vec<PathColumn>> {
    let column = |pointer: String, kind: &str| PathColumn {
        name: pointer.trim_start_matches('/').replace('/', "_"),
        pointer,
        kind: kind.to_owned(),
    };
    let mut arrays = BTreeSet::new();
    for event in events.iter().take(N_SAMPLE_EVENTS) {
        find_arrays(
            &serde_json::from_slice(event.bytes)?,
            &mut String::new(),
            &mut arrays,
        );
    }
    let mut all = PathColumn::all_of(columns)?;
    all.push(column("/event_time".to_owned(), "timestamptz"));
    all.extend(arrays.into_iter().map(|pointer| column(pointer, "json")));
    Ok(all)
}

fn find_arrays(value: &Value, pointer: &mut String, arrays: &mut BTreeSet<String>) {
    match value {
        Value::Array(_) => {
            arrays.insert(pointer.clone());
        }
        Value::Object(members) => {
            for (key, member) in members {
                let n_bytes = pointer.len();
                pointer.push('/');
                pointer.push_str(key);
                find_arrays(member, pointer, arrays);
                pointer.truncate(n_bytes);
            }
        }
        _ => {}
    }
}
