//! `generator`: writes mock events, or sends them and measures the answers.

mod args;
mod carrier;
mod clock;
mod envelope;
mod load;
mod messages;
mod progress;
mod stream;
mod summary;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Output, Target};

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for; false when some request failed.
fn run(args: &Args) -> Result<bool, Box<dyn std::error::Error>> {
    args.check()?;
    let summary = match &args.to {
        Target::Http(_) | Target::Queue(_) | Target::Stream(_) => load::run(args)?,
        Target::Stdout | Target::File(_) => match stream::run(args)? {
            Some(summary) => summary,
            // The reader of the pipe has what it wanted.
            None => return Ok(true),
        },
    };
    match (args.output, &args.to) {
        (Output::Json, Target::Stdout) => say(&summary.to_json().to_string()),
        (Output::Json, _) => writeln!(std::io::stdout().lock(), "{}", summary.to_json())?,
        (Output::Text, _) => say(summary.to_text().trim_end()),
    }
    Ok(summary.n_failed_requests == 0)
}

/// Tells the person at the terminal; the standard output belongs to the data.
fn say(text: &str) {
    // Nothing is left to be done about a standard error that cannot be written to.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
