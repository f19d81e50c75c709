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
    /// Look at refused events and receipts, and bring them into their tables
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
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
    /// Write the row shape that the settings give to the table, and where its ledger goes on
    Configure,
    /// Name the tables of the warehouse
    List,
    /// Remove repeated rows: only the files that hold some are written again
    Dedupe(DedupeArguments),
}

/// Which rows are the same, and where to look for them.
#[derive(Debug, Clone, Copy, Args)]
#[command(
    group = clap::ArgGroup::new("scope").required(true).multiple(true).args(["since", "until", "all"]),
    after_help = "\
Of the rows that are the same the one that was ingested first stays. Files are chosen by their event times and compared \
whole and with each other, whatever their partitions."
)]
pub(crate) struct DedupeArguments {
    /// What makes rows the same: `_source_id` and `_source_index`, or the event's id
    #[arg(long, value_enum, default_value_t, value_name = "KEY")]
    pub(crate) by: By,
    /// Only files with events of this day or later, as 2026-11-21
    #[arg(long, value_name = "DAY")]
    pub(crate) since: Option<jiff::civil::Date>,
    /// Only files with events of this day or earlier
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Option<jiff::civil::Date>,
    /// All files
    #[arg(long, conflicts_with_all = ["since", "until"])]
    pub(crate) all: bool,
    /// Only tell how many there are
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What makes rows the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum By {
    /// The same event of the same record
    #[default]
    Source,
    /// The same id of an event, where `calve.event-id` says it is
    EventId,
}

/// What to do with the quarantine.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Name its objects, with what they hold and why
    List(ChoiceArguments),
    /// Print refused events with reason, record and place
    Show(ShowArguments),
    /// Bring events into their table as it is shaped now, each once; what is refused again stays
    Replay(ReplayArguments),
}

/// Which objects and events.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChoiceArguments {
    /// Only what arrived on this day or later, as 2026-11-21
    #[arg(long, value_name = "DAY")]
    pub(crate) since: Option<jiff::civil::Date>,
    /// Only what was refused for this kind of reason, such as `time_out_of_range`
    #[arg(long, value_name = "KIND")]
    pub(crate) reason: Option<String>,
}

/// Which objects by name, or all.
#[derive(Debug, Clone, Args)]
pub(crate) struct ObjectArguments {
    /// Objects, as `calve quarantine list` names them
    #[arg(required_unless_present = "all", value_name = "OBJECT")]
    pub(crate) objects: Vec<String>,
    /// All objects; with `--table` all of that table
    #[arg(long, conflicts_with = "objects")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) choice: ChoiceArguments,
}

/// What to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    pub(crate) which: ObjectArguments,
    /// No more events than this
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Nothing but the bytes as they came, a line break between events
    #[arg(long)]
    pub(crate) raw: bool,
}

/// What to replay.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Events keep the record, number and arrival that they had. Each lands once, however often a replay is repeated or cut \
short: an object is known by its path, and goes when its events are known to be in the table.")]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) which: ObjectArguments,
    /// Only tell what would land
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What to do with settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting, where it came from, and whether each location can be used
    Check,
    /// The table of all settings, as in the README
    Reference,
}
