//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pipeline::TableName;

use crate::local::LocalArguments;
use crate::printer::Output;

/// Lands JSON events in Apache Iceberg tables, from a desk.
#[derive(Debug, Parser)]
#[command(
    name = "calve",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(
    after_help = "Every setting can be given in `calve.toml` or as `CALVE_<KEY>`; see `calve config reference`."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Settings file [default: `calve.toml`, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the warehouse [default: the setting `warehouse`]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) warehouse: Option<PathBuf>,
    /// The table, with its namespace [default: the setting `table.name`]
    #[arg(long, global = true, value_name = "TABLE")]
    pub(crate) table: Option<TableName>,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Output,
    /// No progress and no notes
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log what happens inside to stderr, as much as the setting `log_level` says
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Land the events of files in a table
    Ingest(IngestArguments),
    /// Look at tables, make and configure them
    #[command(subcommand)]
    Table(TableCommand),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Play Lambda for the functions on this machine: hand them the messages of queues and streams
    Local(Box<LocalArguments>),
}

/// What to ingest.
#[derive(Debug, Args)]
#[command(after_help = "\
A file is known by its path and content: ingesting it again adds nothing. A pipe (`-`, `/dev/stdin`, `<(command)`) \
is known by its bytes alone: the same bytes piped twice are stored once. Refused events are kept in the quarantine.

A file that cannot be opened stops everything before anything is written. One that cannot be read to its end does \
not keep the others from being ingested; a table that does not take the events does. Either way what landed is summed \
up and the exit code is 1.")]
pub(crate) struct IngestArguments {
    /// Files of JSON events, one a line or in one array, plain or as gzip or zstd; also pipes, `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// When the events arrived, RFC 3339: the time of events without one [default: each file's modification time, for pipes now]
    #[arg(long, value_name = "TIME")]
    pub(crate) arrival: Option<jiff::Timestamp>,
}

/// What to do with tables.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum TableCommand {
    /// Schema with source paths, row shape, partitions, snapshots, files
    Show,
    /// Make the table that the settings describe
    Create,
    /// Write the row shape that the settings give to the table
    Configure,
    /// Name the tables of the warehouse
    List,
}

/// What to do with settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting, where it came from, and whether each location can be used
    Check,
    /// The table of all settings, as in the README
    Reference,
}
