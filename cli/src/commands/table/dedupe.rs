//! `calve table dedupe`: rows that are there twice, out of the table.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use pipeline::{DedupeBy, DedupeReport, DedupeScope, Settings, dedupe, open_lake};
use serde::Serialize;

use crate::args::{By, DedupeArguments};
use crate::commands::ingest::invocation;
use crate::commands::table::find;
use crate::error::CliError;
use crate::printer::{Printer, count, thousands};

/// Leaves out repeated rows, and says how many.
pub(super) async fn run(
    arguments: DedupeArguments,
    settings: &Settings,
    printer: Printer,
) -> Result<(), CliError> {
    find(settings).await?;
    let by = match arguments.by {
        By::Source => DedupeBy::Source,
        By::EventId => DedupeBy::EventId,
    };
    let scope = DedupeScope {
        since_us: arguments.since.and_then(begin_us),
        until_us: arguments
            .until
            .and_then(|day| begin_us(day.tomorrow().ok()?)),
        is_dry_run: arguments.dry_run,
    };
    let lake = open_lake(settings)
        .await
        .map_err(CliError::open_warehouse)?;
    let report = dedupe(settings, &lake, by, scope, &invocation()).await;
    let report = report.map_err(|source| CliError::Dedupe {
        table: settings.table.name.clone(),
        source: source.into(),
    })?;
    let summary = Summary::new(settings, &report, arguments.dry_run);
    printer.result(&summary, &summary)
}

/// When the day begins, in UTC as partitions count.
fn begin_us(day: Date) -> Option<i64> {
    let begin = day.to_zoned(TimeZone::UTC).ok()?;
    Some(begin.timestamp().as_microsecond())
}

/// What was found and done.
#[derive(Debug, Serialize)]
struct Summary {
    table: String,
    is_dry_run: bool,
    snapshot_id: Option<i64>,
    n_rows_read: u64,
    n_files_read: u64,
    n_rows_repeated: u64,
    n_files_replaced: u64,
    n_files_written: u64,
    n_partitions: u64,
}

impl Summary {
    fn new(settings: &Settings, report: &DedupeReport, is_dry_run: bool) -> Self {
        Self {
            table: settings.table.name.clone(),
            is_dry_run,
            snapshot_id: report.snapshot_id,
            n_rows_read: report.n_rows_read,
            n_files_read: report.n_files_read,
            n_rows_repeated: report.n_rows_repeated,
            n_files_replaced: report.n_files_replaced,
            n_files_written: report.n_files_written,
            n_partitions: report.n_partitions,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (read, files) = (
            count(self.n_rows_read, "row"),
            count(self.n_files_read, "data file"),
        );
        if self.n_rows_repeated == 0 {
            return write!(
                f,
                "no repeated row among {read} of `{}` in {files}",
                self.table
            );
        }
        let done = if self.is_dry_run {
            "to remove"
        } else {
            "removed"
        };
        writeln!(
            f,
            "{} {done} of {read} of `{}`",
            count(self.n_rows_repeated, "repeated row"),
            self.table
        )?;
        write!(
            f,
            "  in {} of {files}, {}",
            thousands(self.n_files_replaced),
            count(self.n_partitions, "partition")
        )?;
        if let Some(snapshot_id) = self.snapshot_id {
            let written = count(self.n_files_written, "data file");
            write!(f, "\n  written  {written}, snapshot {snapshot_id}")?;
        }
        Ok(())
    }
}
