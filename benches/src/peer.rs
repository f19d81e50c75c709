//! Other programs that do the same work, each in a process of its own.

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

/// Another program that does the same work, waiting for the next round.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    rounds: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    version: String,
}

/// What a peer is to do.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// A file of [`PathColumn`]s as JSON.
    pub columns: &'a Path,
    /// The events, one a line.
    pub events: &'a Path,
    /// Where its Parquet file goes.
    pub output: &'a Path,
    /// The Zstandard level of that.
    pub zstd_level: i32,
    /// How many threads it may use.
    pub n_threads: usize,
}

/// What one round took and gave.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Converted {
    /// From the events to the result, in seconds.
    pub seconds: f64,
    /// The rows of the file.
    pub n_rows: u64,
    /// Its size; 0 for a peer that only parses.
    pub file_bytes: u64,
}

/// What a peer says first.
#[derive(Deserialize)]
struct Hello {
    version: String,
}

impl Peer {
    /// Starts the program, whose last arguments say what to do, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it cannot be started or does not get ready; its own message is on the standard error.
    pub fn start(mut program: Command, work: &Work<'_>) -> Result<Self> {
        program
            .args([work.columns, work.events, work.output])
            .args([work.zstd_level.to_string(), work.n_threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let name = program.get_program().to_string_lossy().into_owned();
        let mut child = program
            .spawn()
            .map_err(|error| format!("cannot start `{name}`: {error}"))?;
        let rounds = child.stdin.take();
        let answers = child
            .stdout
            .take()
            .ok_or("the peer has no standard output")?;
        let mut peer = Self {
            child,
            rounds,
            answers: BufReader::new(answers),
            version: String::new(),
        };
        let Hello { version } = peer.answer()?;
        peer.version = version;
        Ok(peer)
    }

    /// What it is, and of which version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Converts the events once.
    ///
    /// # Errors
    ///
    /// When it gives up, with its reason; when it ends without one or says something else, and then its own message is on the
    /// standard error.
    pub fn convert(&mut self) -> Result<Converted> {
        let rounds = self.rounds.as_mut().ok_or("the peer was stopped")?;
        writeln!(rounds)?;
        self.answer()
    }

    fn answer<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T> {
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            self.rounds = None;
            let status = self.child.wait()?;
            return Err(format!("ended with {status}").into());
        }
        let answer: Value = serde_json::from_str(&answer)?;
        match answer["error"].as_str() {
            Some(reason) => Err(reason.into()),
            None => Ok(serde_json::from_value(answer)?),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends with its input.
        self.rounds = None;
        let _ = self.child.wait();
    }
}

/// What a peer has to extract for the same work: our columns, the event time, and the arrays, which `_doc` holds for us.
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
        // Some events of the hostile shape are no JSON.
        if let Ok(value) = serde_json::from_slice(event.bytes) {
            find_arrays(&value, &mut String::new(), &mut arrays);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of the second round of a peer that does this in it.
    #[track_caller]
    fn check_given_up(second: &str, expected: &str) {
        let hello = r#"echo '{"version":"x"}'"#;
        let first = r#"read -r line; echo '{"seconds":0.5,"n_rows":7,"file_bytes":9}'"#;
        let mut program = Command::new("sh");
        program.args(["-c", &format!("{hello}; {first}; read -r line; {second}")]);
        let nowhere = Path::new("");
        let work = Work {
            columns: nowhere,
            events: nowhere,
            output: nowhere,
            zstd_level: 1,
            n_threads: 1,
        };
        let mut peer = Peer::start(program, &work).unwrap();
        assert_eq!(peer.version(), "x");
        assert_eq!(peer.convert().unwrap().n_rows, 7);
        assert_eq!(peer.convert().unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_peer_that_gives_up_has_its_reason_or_how_it_ended() {
        check_given_up(r#"echo '{"error":"too deep"}'"#, "too deep");
        check_given_up("exit 3", "ended with exit status: 3");
    }
}
