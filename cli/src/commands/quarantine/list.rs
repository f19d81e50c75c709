//! `calve quarantine list`.

use std::collections::BTreeMap;
use std::fmt;

use futures::{StreamExt as _, TryStreamExt as _};
use pipeline::{Contents, Quarantine, Stored, StoredIn};
use serde::Serialize;

use super::sink::Sink;
use super::text::kinds;
use super::{cannot_read, found};
use crate::args::ChoiceArguments;
use crate::error::CliError;
use crate::printer::{Printer, count, size};

/// How many objects are read side by side. One at a time is in memory of each.
const N_READS: usize = 8;

/// Prints every object as it is found, and then what they come to.
pub(super) async fn run(
    choice: &ChoiceArguments,
    table: Option<&str>,
    quarantine: &Quarantine,
    printer: Printer,
) -> Result<(), CliError> {
    let read = |stored: Stored| async move {
        let contents = quarantine.contents(&stored).await.map_err(cannot_read)?;
        Ok(contents.map(|contents| Line::new(stored, contents)))
    };
    let found = found(choice, table, quarantine).map_ok(read);
    let mut lines = std::pin::pin!(found.try_buffered(N_READS));
    let mut totals = Totals::default();
    let mut sink = Sink::new(printer, "objects")?;
    while let Some(line) = lines.next().await {
        let Some(line) = line? else { continue };
        let is_chosen = |kind: &String| line.n_by_kind.contains_key(kind);
        if line.is_pending || !choice.reason.as_ref().is_none_or(is_chosen) {
            continue;
        }
        totals.add(&line);
        sink.item(&line, &line)?;
        if !sink.is_open() {
            return Ok(());
        }
    }
    sink.end(&totals, "totals", &totals)
}

/// One object.
#[derive(Debug, Serialize)]
struct Line {
    object: String,
    day: String,
    table: Option<String>,
    holds: StoredIn,
    n_by_kind: BTreeMap<String, u64>,
    object_bytes: u64,
    #[serde(skip)]
    is_pending: bool,
}

impl Line {
    fn new(stored: Stored, contents: Contents) -> Self {
        Self {
            object: stored.path,
            day: stored.day,
            table: stored.table,
            holds: stored.holds,
            n_by_kind: contents.n_by_kind,
            object_bytes: stored.bytes,
            is_pending: contents.is_pending,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n: u64 = self.n_by_kind.values().sum();
        let held = match self.holds {
            StoredIn::Events => count(n, "event"),
            StoredIn::Receipt => count(n, "receipt"),
        };
        let table = self.table.as_deref().unwrap_or("–");
        let (kinds, size) = (kinds(&self.n_by_kind), size(self.object_bytes));
        write!(
            f,
            "{}  {table}  {held} ({kinds}), {size}\n  {}",
            self.day, self.object
        )
    }
}

/// What all objects come to.
#[derive(Debug, Default, Serialize)]
struct Totals {
    n_objects: u64,
    object_bytes: u64,
    n_events: u64,
    n_receipts: u64,
    n_by_kind: BTreeMap<String, u64>,
}

impl Totals {
    fn add(&mut self, line: &Line) {
        self.n_objects += 1;
        self.object_bytes += line.object_bytes;
        for (kind, n) in &line.n_by_kind {
            match line.holds {
                StoredIn::Events => self.n_events += n,
                StoredIn::Receipt => self.n_receipts += n,
            }
            *self.n_by_kind.entry(kind.clone()).or_default() += n;
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.n_objects == 0 {
            return f.write_str("nothing is in the quarantine");
        }
        let (objects, events) = (
            count(self.n_objects, "object"),
            count(self.n_events, "event"),
        );
        write!(f, "{events} in {objects}, {}", size(self.object_bytes))?;
        if self.n_receipts > 0 {
            write!(f, ", {}", count(self.n_receipts, "receipt"))?;
        }
        write!(f, "\n  {}", kinds(&self.n_by_kind))
    }
}
