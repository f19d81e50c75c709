use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::name::TableName;
use crate::table::Table;

/// A table that was loaded longer ago than this is loaded again, so that changes of its properties are noticed.
const MAX_AGE_MS: i64 = 60_000;
/// How many tables are remembered: the metadata of each may take some megabytes.
const MAX_TABLES: usize = 16;

/// Tables as our own commits left them, so that a process that commits alone need not ask before each commit.
///
/// A commit on top of a table that somebody else has changed meanwhile is refused by what it asserts, and costs more than
/// loading would have. So tables are given out only while nobody else was seen to commit.
#[derive(Debug, Default)]
pub(crate) struct RecentTables {
    tables: Mutex<HashMap<TableName, Recent>>,
}

#[derive(Debug)]
struct Recent {
    table: Table,
    loaded_ms: i64,
    /// Whether the last two commits of the table were both ours.
    is_alone: bool,
}

impl RecentTables {
    /// The table as it most probably still is; nothing when that is not known. `now_ms`: milliseconds since 1970.
    pub(crate) fn get(&self, name: &TableName, now_ms: i64) -> Option<Table> {
        let tables = self.tables();
        let recent = tables.get(name)?;
        let is_fresh = (0..MAX_AGE_MS).contains(&(now_ms - recent.loaded_ms));
        (recent.is_alone && is_fresh).then(|| recent.table.clone())
    }

    /// Keeps what a commit on top of `base` made of the table.
    pub(crate) fn keep(&self, base: &Table, table: Table, now_ms: i64) {
        if !table.access().is_empty() {
            return; // What the catalog gives out for the objects expires; loading renews it.
        }
        let base_snapshot = base.metadata().current_snapshot_id();
        let mut tables = self.tables();
        let known = tables.get(table.name());
        let known = known.filter(|recent| recent.table.uuid() == table.uuid());
        let is_alone = known
            .is_some_and(|recent| recent.table.metadata().current_snapshot_id() == base_snapshot);
        let is_same = known.is_some_and(|recent| recent.is_alone && is_alone);
        let loaded_ms = known.filter(|_| is_same).map(|recent| recent.loaded_ms);
        let recent = Recent {
            loaded_ms: loaded_ms
                .filter(|loaded_ms| (0..MAX_AGE_MS).contains(&(now_ms - loaded_ms)))
                .unwrap_or(now_ms),
            is_alone,
            table,
        };
        if tables.len() >= MAX_TABLES {
            tables.clear(); // They are only remembered to save time.
        }
        tables.insert(recent.table.name().clone(), recent);
    }

    /// Forgets the table: somebody else may have changed it.
    pub(crate) fn forget(&self, name: &TableName) {
        self.tables().remove(name);
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<TableName, Recent>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
