//! Results that are printed as they are found, since there may be more of them than memory holds.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::error::CliError;
use crate::printer::{Output, Printer};

/// Prints items one by one and what they come to, as text or as one JSON object.
pub(super) struct Sink {
    output: Output,
    to: BufWriter<StdoutLock<'static>>,
    n_items: u64,
    is_open: bool,
}

impl Sink {
    /// Begins the result; in JSON the items are `name`.
    pub(super) fn new(printer: Printer, name: &str) -> Result<Self, CliError> {
        let mut sink = Self {
            output: printer.output(),
            to: BufWriter::new(io::stdout().lock()),
            n_items: 0,
            is_open: true,
        };
        if sink.output == Output::Json {
            sink.write(format!("{{\"{name}\": [").as_bytes())?;
        }
        Ok(sink)
    }

    /// Prints nothing but the bytes of its items.
    pub(super) fn raw_only() -> Self {
        Self {
            output: Output::Text,
            to: BufWriter::new(io::stdout().lock()),
            n_items: 0,
            is_open: true,
        }
    }

    /// Whether anybody still reads: `calve quarantine show --all | head`.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Prints one item.
    pub(super) fn item(
        &mut self,
        text: &impl Display,
        value: &impl Serialize,
    ) -> Result<(), CliError> {
        self.n_items += 1;
        let comma = if self.n_items > 1 { "," } else { "" };
        match self.output {
            Output::Text => self.write(format!("{text}\n").as_bytes()),
            Output::Json => {
                let json = serde_json::to_string(value).map_err(CliError::Encode)?;
                self.write(format!("{comma}\n  {json}").as_bytes())
            }
        }
    }

    /// Prints bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.n_items += 1;
        if self.n_items > 1 {
            self.write(b"\n")?;
        }
        self.write(bytes)
    }

    /// Ends the result with what the items come to, which in JSON is `name`.
    pub(super) fn end(
        mut self,
        text: &impl Display,
        name: &str,
        value: &impl Serialize,
    ) -> Result<(), CliError> {
        match self.output {
            Output::Text => self.write(format!("{text}\n").as_bytes())?,
            Output::Json => {
                let json = serde_json::to_string(value).map_err(CliError::Encode)?;
                self.write(format!("\n], \"{name}\": {json}}}\n").as_bytes())?;
            }
        }
        self.flush()
    }

    /// Ends a result that is nothing but its items.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        let flushed = self.to.flush();
        self.settle(flushed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        if !self.is_open {
            return Ok(());
        }
        let written = self.to.write_all(bytes);
        self.settle(written)
    }

    fn settle(&mut self, written: io::Result<()>) -> Result<(), CliError> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_open = false;
                Ok(())
            }
            written => written.map_err(|source| CliError::Print { source }),
        }
    }
}
