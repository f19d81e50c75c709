//! `calve quarantine replay`.

use std::collections::BTreeMap;
use std::fmt;

use futures::StreamExt as _;
use pipeline::{
    Pipeline, PipelineError, Quarantine, ReplayOptions, ReplayOutcome, ReplayReport, Settings,
    Stored,
    settings::{Mode, RouteSettings},
};
use serde::Serialize;

use super::objects;
use super::sink::Sink;
use super::text::{kinds, printable};
use crate::args::ReplayArguments;
use crate::commands::ingest::invocation;
use crate::error::CliError;
use crate::printer::{Printer, count, thousands};

/// Replays the objects one after another, each into its table. One that cannot be replayed does not keep the others back.
///
/// # Errors
///
/// When one could not be replayed.
pub(super) async fn run(
    arguments: &ReplayArguments,
    table: Option<&str>,
    quarantine: &Quarantine,
    settings: &Settings,
    printer: Printer,
) -> Result<(), CliError> {
    let options = ReplayOptions {
        kind: arguments.which.choice.reason.clone(),
        is_dry_run: arguments.dry_run,
    };
    let mut tables = Tables::new(settings);
    let mut totals = Totals::default();
    let mut sink = Sink::new(printer, "objects")?;
    let mut objects = std::pin::pin!(objects(&arguments.which, table, quarantine));
    while let Some(stored) = objects.next().await {
        let stored = stored?;
        let Some(pipeline) = tables.of(&stored).await else {
            totals.n_not_replayable += 1;
            continue;
        };
        let replayed = match pipeline {
            Ok(pipeline) => pipeline.replay(&stored, &options, &invocation()).await,
            Err(error) => Err(error),
        };
        match replayed {
            Ok(report) => {
                totals.add(&report);
                let line = Line(&stored, &report);
                sink.item(&line, &report)?;
            }
            Err(source) => {
                totals.n_failed += 1;
                sink.flush()?;
                Printer::error(&CliError::Replay {
                    object: stored.path,
                    source: source.into(),
                });
            }
        }
    }
    sink.end(&totals, "totals", &totals)?;
    match totals.n_failed {
        0 => Ok(()),
        n_failed => Err(CliError::NotAllReplayed {
            n_failed,
            n_objects: totals.n_objects + n_failed,
        }),
    }
}

/// The pipelines of the tables that objects were for.
struct Tables<'a> {
    settings: &'a Settings,
    open: BTreeMap<String, Pipeline>,
}

impl<'a> Tables<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            open: BTreeMap::new(),
        }
    }

    /// The pipeline into the object's table; nothing for a message that is no receipt.
    async fn of(&mut self, stored: &Stored) -> Option<Result<&Pipeline, PipelineError>> {
        let table = stored.table.as_ref()?;
        if !self.open.contains_key(table) {
            let mut settings = self.settings.clone();
            settings.table.name.clone_from(table);
            // What was quarantined for a table is replayed into that table, whatever the routes say today.
            settings.routes = RouteSettings::default();
            // Whoever waits at the desk gets a snapshot, not a receipt for one.
            settings.mode = Mode::Direct;
            match Pipeline::open(settings).await {
                Ok(pipeline) => self.open.insert(table.clone(), pipeline),
                Err(error) => return Some(Err(error)),
            };
        }
        self.open.get(table).map(Ok)
    }
}

/// What became of one object.
struct Line<'a>(&'a Stored, &'a ReplayReport);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(stored, report) = self;
        writeln!(f, "{}", stored.path)?;
        let events = count(report.n_events, "event");
        let rows = thousands(report.n_rows);
        match report.outcome {
            ReplayOutcome::Landed => write!(f, "  {rows} of {events} landed in `{}`", report.table),
            ReplayOutcome::WouldLand => {
                write!(f, "  {rows} of {events} would land in `{}`", report.table)
            }
            ReplayOutcome::LandedBefore => f.write_str("  landed before"),
            ReplayOutcome::Refused => write!(f, "  none of {events} can land"),
            ReplayOutcome::Pending => f.write_str(
                "  not yet: the replay of the object that it is the rest of comes first",
            ),
            ReplayOutcome::Gone => f.write_str("  replayed by somebody else meanwhile"),
        }?;
        if report.n_refused > 0 {
            let kinds = kinds(&report.n_refused_by_kind);
            write!(f, "\n  {} refused ({kinds})", thousands(report.n_refused))?;
        }
        for note in &report.refusals {
            let (id, reason) = (
                printable(note.source_id.as_bytes()),
                printable(note.reason.as_bytes()),
            );
            write!(f, "\n    {id}: {reason}")?;
        }
        if report.n_left > 0 {
            write!(f, "\n  {} left as they were", thousands(report.n_left))?;
        }
        if let Some(rest) = &report.rest {
            write!(f, "\n  still in the quarantine: {rest}")?;
        }
        Ok(())
    }
}

/// What all objects come to.
#[derive(Debug, Default, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "all are counts, and counts begin so"
)]
struct Totals {
    n_objects: u64,
    n_failed: u64,
    n_events: u64,
    n_rows: u64,
    n_refused: u64,
    n_left: u64,
    n_not_replayable: u64,
}

impl Totals {
    fn add(&mut self, report: &ReplayReport) {
        self.n_objects += 1;
        self.n_events += report.n_events;
        self.n_rows += report.n_rows;
        self.n_refused += report.n_refused;
        self.n_left += report.n_left;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = count(self.n_objects, "object");
        let (rows, events) = (thousands(self.n_rows), count(self.n_events, "event"));
        write!(f, "{rows} rows from {events} in {objects}")?;
        if self.n_not_replayable > 0 {
            let n = count(self.n_not_replayable, "message");
            write!(f, "; {n} are no receipts and can only be shown")?;
        }
        Ok(())
    }
}
