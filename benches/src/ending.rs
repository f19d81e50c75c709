use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{ExitCode, Termination};

use crate::Result;

/// How a program ends: an error is told with its causes on the standard error, and the program fails.
pub fn ended(run: Result<impl Termination>) -> ExitCode {
    let error = match run {
        Ok(done) => return done.report(),
        Err(error) => error,
    };
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "caused by: {error}");
        cause = error.source();
    }
    // There is nowhere else to say that this could not be said.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}
