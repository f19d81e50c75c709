//! All that the command says goes through here: results to stdout, progress and advice to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::error::CliError;

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For a person
    #[default]
    Text,
    /// One JSON value
    Json,
}

/// Knows who reads: a person at a terminal, a pipe, or a program that wants JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    output: Output,
    is_quiet: bool,
}

impl Printer {
    /// A printer that prints results this way, and no progress or notes when quiet.
    pub(crate) fn new(output: Output, is_quiet: bool) -> Self {
        Self { output, is_quiet }
    }

    /// How results are printed.
    pub(crate) fn output(self) -> Output {
        self.output
    }

    /// Prints the result of a command, once, in the form that was asked for.
    pub(crate) fn result(
        self,
        text: &impl Display,
        value: &impl Serialize,
    ) -> Result<(), CliError> {
        let printed = match self.output {
            Output::Text => text.to_string().trim_end().to_owned(),
            Output::Json => serde_json::to_string_pretty(value).map_err(CliError::Encode)?,
        };
        match writeln!(io::stdout().lock(), "{printed}") {
            // The reader has seen enough: `calve table show | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|source| CliError::Print { source }),
        }
    }

    /// Says something beside the result; not when quiet.
    pub(crate) fn note(self, text: impl Display) {
        if !self.is_quiet {
            // Nobody reads stderr: no reason to fail.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Prints an error with its causes and its hint, quiet or not.
    pub(crate) fn error(error: &CliError) {
        let _ = write!(io::stderr().lock(), "{}", explain(error));
    }

    /// A bar for work on this many bytes (unknown: a counter); invisible unless a person looks at it.
    pub(crate) fn progress(self, total_bytes: Option<u64>) -> ProgressBar {
        let is_visible =
            !self.is_quiet && self.output == Output::Text && io::stderr().is_terminal();
        if !is_visible {
            return ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::hidden());
        }
        let template = match total_bytes {
            Some(_) => "  {msg} {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
            None => "  {msg} {bytes}  {bytes_per_sec}",
        };
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr());
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

/// An error as a person reads it: what failed, why, what to do.
fn explain(error: &CliError) -> String {
    let mut lines = vec![format!("error: {error}")];
    let mut said = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries print their cause as part of themselves.
        if !said.ends_with(&cause_text) {
            let indented = cause_text.trim_end().replace('\n', "\n    ");
            lines.push(format!("  caused by: {indented}"));
        }
        said = cause_text;
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        lines.push(format!("\nhint: {hint}"));
    }
    lines.join("\n") + "\n"
}

/// A number with commas between thousands.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the binary unit that a person would choose.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

/// A count with its noun: `1 file`, `2,000 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes_are_grouped_for_reading() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(2_000, "row"), "2,000 rows");
    }
}
