//! The `calve` command: what an operator does by hand.

mod args;
mod commands;
mod error;
mod files;
mod local;
mod printer;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser as _;
use pipeline::Settings;
use pipeline::settings::LogLevel;

use crate::args::{Arguments, Command, Common};
use crate::error::CliError;
use crate::printer::Printer;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.common.output, arguments.common.quiet);
    match Box::pin(run(&arguments, printer)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Printer::error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, printer: Printer) -> Result<(), CliError> {
    if matches!(
        arguments.command,
        Command::Config(args::ConfigCommand::Reference)
    ) {
        return commands::config::reference(printer);
    }
    let settings = Settings::load(variables(&arguments.common)).map_err(CliError::Settings)?;
    start_log(&arguments.common, &settings);
    match &arguments.command {
        Command::Ingest(ingest) => commands::ingest::run(ingest, &settings, printer).await,
        Command::Table(command) => commands::table::run(*command, &settings, printer).await,
        Command::Local(local) => {
            local::run(local, &settings, variables(&arguments.common), printer).await
        }
        Command::Quarantine(command) => {
            let table = arguments.common.table.as_ref();
            commands::quarantine::run(command, table, &settings, printer).await
        }
        Command::Config(_) => commands::config::check(&settings, &arguments.common, printer).await,
    }
}

/// The environment, with what the command line says in place of the variables that mean the same.
fn variables(common: &Common) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let path = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    let given = [
        ("CALVE_CONFIG", common.config.as_ref().map(path)),
        ("CALVE_WAREHOUSE", common.warehouse.as_ref().map(path)),
        (
            "CALVE_TABLE_NAME",
            common.table.as_ref().map(ToString::to_string),
        ),
    ];
    let given = given
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    variables.extend(given);
    variables
}

/// Logs to stderr: what recovers or fails, or as much as the settings say when asked to.
fn start_log(common: &Common, settings: &Settings) {
    let level = if common.verbose {
        settings.log_level
    } else {
        LogLevel::Error
    };
    tracing_subscriber::fmt()
        .with_max_level(level.filter())
        .with_writer(std::io::stderr)
        .init();
}
