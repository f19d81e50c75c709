//! Repeated rows out of a table.

use lake::{DedupeOptions, DedupeReport, Lake, LakeError, RepeatKey};

use crate::{Invocation, PipelineError, Settings, cpu::Cpu, open_table::OpenTable};

/// By what rows are told to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DedupeBy {
    /// `_source_id` and `_source_index`: the same event of the same record.
    Source,
    /// The column of the event's id, as the table's property `calve.event-id` names it.
    EventId,
}

/// Which files are looked at, and whether anything is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct DedupeScope {
    /// Only files with event times from here on, in microseconds since 1970.
    pub since_us: Option<i64>,
    /// Only files with event times before this.
    pub until_us: Option<i64>,
    /// Only find repeated rows.
    pub is_dry_run: bool,
}

/// Leaves out all but one of the rows that are the same, in one snapshot, and writes the files concerned as the settings
/// and the table's shape say.
///
/// # Errors
///
/// When the table is not there, has no such column, or does not take the snapshot. Nothing is changed then.
pub async fn dedupe(
    settings: &Settings,
    lake: &Lake,
    by: DedupeBy,
    scope: DedupeScope,
    invocation: &Invocation,
) -> Result<DedupeReport, PipelineError> {
    let name = settings.table_name()?;
    let failed = |operation| {
        let table = name.to_string();
        move |source: LakeError| PipelineError::Table {
            operation,
            table,
            source: Box::new(source),
        }
    };
    let table = lake.load_table(&name).await.map_err(failed("load"))?;
    let table = table.ok_or_else(|| PipelineError::NoTable {
        table: name.to_string(),
    })?;
    let cpu = Cpu::start(settings.threads)?;
    let open = OpenTable::new(table, settings, &cpu)?;
    let key = match (by, &open.write_options.bloom_column) {
        (DedupeBy::Source, _) => RepeatKey::Source,
        (DedupeBy::EventId, Some(column)) => RepeatKey::Column(column.clone()),
        (DedupeBy::EventId, None) => {
            return Err(PipelineError::NoEventId {
                table: name.to_string(),
                pointers: open.shape.event_id.join(", "),
            });
        }
    };
    let now_ms = invocation.now_us.div_euclid(1_000);
    let options = DedupeOptions {
        since_us: scope.since_us,
        until_us: scope.until_us,
        is_dry_run: scope.is_dry_run,
        write: open.write_options,
        ..DedupeOptions::new(key, now_ms, invocation.seed)
    };
    lake.dedupe(&name, &options)
        .await
        .map_err(failed("remove repeated rows of"))
}
