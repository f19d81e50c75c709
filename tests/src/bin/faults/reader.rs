//! DuckDB in a process of its own: what a run is judged by.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::servers::{Result, Servers};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/readers/rows.py");

/// DuckDB, waiting for the next table.
#[derive(Debug)]
pub(crate) struct Reader {
    child: Child,
    asking: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Reader {
    pub(crate) fn start(python: &Path, servers: &Servers) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(SCRIPT)
            .env("CALVE_READ_S3_ENDPOINT", servers.get("S3_ENDPOINT"))
            .env(
                "CALVE_READ_S3_ACCESS_KEY_ID",
                servers.get("S3_ACCESS_KEY_ID"),
            )
            .env(
                "CALVE_READ_S3_SECRET_ACCESS_KEY",
                servers.get("S3_SECRET_ACCESS_KEY"),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start `{}`: {error}", python.display()))?;
        let asking = child.stdin.take();
        let answers = child.stdout.take().ok_or("the script has no output")?;
        Ok(Self {
            child,
            asking,
            answers: BufReader::new(answers),
        })
    }

    /// All rows of the table with this metadata.
    pub(crate) fn rows(&mut self, metadata_location: &str) -> Result<Vec<Value>> {
        let asking = self.asking.as_mut().ok_or("the script was stopped")?;
        writeln!(asking, "{metadata_location}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err("the DuckDB script ended; its message stands above".into());
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The script ends with its input.
        self.asking = None;
        let _ = self.child.wait();
    }
}
