//! The tables that events go to: opened when the first event comes for them, and remembered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt as _, stream};
use lake::{LakeError, SchemaChange, Table, TableName};

use crate::{
    Disposition, Invocation, Pipeline, PipelineError,
    open_table::{OpenTable, is_routed_by, new_columns},
    pipeline::Landing,
    route::{Routes, Way},
    steps::failed,
};

/// A table that was loaded longer ago than this is loaded again, so that a changed shape is noticed.
const RELOAD_AFTER_US: i64 = 60_000_000;

/// How many tables are worked on side by side.
pub(crate) const MAX_TABLES_AT_ONCE: usize = 8;

/// The tables as they were last seen.
#[derive(Debug, Default)]
pub(crate) struct Tables(Mutex<BTreeMap<TableName, Cached>>);

#[derive(Debug)]
struct Cached {
    open: Arc<OpenTable>,
    /// By the clock of the first invocation that used it; none before.
    loaded_at_us: Option<i64>,
}

impl Tables {
    /// Remembers a table, loaded by this clock.
    pub(crate) fn put(&self, open: OpenTable, loaded_at_us: Option<i64>) -> Arc<OpenTable> {
        let (name, open) = (open.table.name().clone(), Arc::new(open));
        let cached = Cached {
            open: Arc::clone(&open),
            loaded_at_us,
        };
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.insert(name, cached);
        open
    }

    /// The table of this name; nothing when it was not opened, or too long ago.
    fn get(&self, name: &TableName, now_us: i64) -> Option<Arc<OpenTable>> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = tables.get_mut(name)?;
        let loaded_at_us = *cached.loaded_at_us.get_or_insert(now_us);
        let is_old = now_us.saturating_sub(loaded_at_us) > RELOAD_AFTER_US;
        (!is_old).then(|| Arc::clone(&cached.open))
    }

    /// Loads it again when it is asked for next.
    pub(crate) fn forget(&self, name: &TableName) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.remove(name);
    }
}

/// Where the ways of a payload lead.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The tables, each once. The first is the default table.
    pub(crate) tables: Vec<Arc<OpenTable>>,
    /// For each way the position of its table; nothing when it could not be opened.
    pub(crate) table_of_way: Vec<Option<usize>>,
    /// Why tables could not be opened.
    pub(crate) failures: Vec<(TableName, PipelineError)>,
}

impl Pipeline {
    /// The default table as it was last seen; loaded again when that is long ago.
    pub(crate) async fn current(
        &self,
        invocation: &Invocation,
    ) -> Result<Arc<OpenTable>, PipelineError> {
        self.table(&self.name, invocation).await
    }

    /// The default table as it is now.
    pub(crate) async fn reload(
        &self,
        invocation: &Invocation,
    ) -> Result<Arc<OpenTable>, PipelineError> {
        self.reload_table(&self.name, invocation).await
    }

    /// The same for any table that the settings name.
    async fn table(
        &self,
        name: &TableName,
        invocation: &Invocation,
    ) -> Result<Arc<OpenTable>, PipelineError> {
        match self.tables.get(name, invocation.now_us) {
            Some(open) => Ok(open),
            None => self.reload_table(name, invocation).await,
        }
    }

    pub(crate) async fn reload_table(
        &self,
        name: &TableName,
        invocation: &Invocation,
    ) -> Result<Arc<OpenTable>, PipelineError> {
        let table = OpenTable::load(&self.lake, name, &self.settings).await?;
        self.open_loaded(table, invocation).await
    }

    async fn open_loaded(
        &self,
        table: Table,
        invocation: &Invocation,
    ) -> Result<Arc<OpenTable>, PipelineError> {
        self.settings.check_sources(table.location())?;
        let open = OpenTable::ready(&self.lake, table, &self.settings, &self.cpu).await?;
        Ok(self.tables.put(open, Some(invocation.now_us)))
    }

    /// Adds the columns that the rows need. True when another writer changed the schema first.
    pub(crate) async fn widen(
        &self,
        open: &mut Arc<OpenTable>,
        landing: &Landing,
        invocation: &Invocation,
    ) -> Result<bool, PipelineError> {
        if landing.flattened.new_columns.is_empty() {
            return Ok(false);
        }
        let columns = new_columns(&landing.flattened.new_columns);
        let change = self.lake.add_columns(&open.table, &columns).await;
        let change =
            change.map_err(|source| failed(open.table.name(), "add columns to", source))?;
        let is_raced = matches!(change, SchemaChange::Raced(_));
        let (SchemaChange::Added(table) | SchemaChange::Raced(table)) = change;
        let changed = OpenTable::new(table, &self.settings, &self.cpu)?;
        *open = self.tables.put(changed, Some(invocation.now_us));
        Ok(is_raced)
    }

    /// Opens the tables that the ways lead to, before anything lands in any of them. The first way is that to the default table.
    pub(crate) async fn resolve(
        &self,
        routes: &Routes,
        ways: &[Way],
        invocation: &Invocation,
    ) -> Result<Resolved, PipelineError> {
        let mut resolved = Resolved {
            tables: vec![self.current(invocation).await?],
            table_of_way: vec![Some(0); ways.len()],
            failures: Vec::new(),
        };
        let mut named = Vec::new();
        for (way, leads) in ways.iter().enumerate() {
            if let Way::Named(table) = leads {
                named.push((way, table.clone()));
            }
        }
        let opened = stream::iter(named)
            .map(|(way, name)| async move {
                let opened = self.table(&name, invocation).await;
                (way, name, opened.map(Some))
            })
            .buffered(MAX_TABLES_AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        for (way, name, opened) in opened {
            resolved.add(way, &name, opened);
        }
        let mut listed = None;
        let mut is_failing = false;
        for (way, leads) in ways.iter().enumerate() {
            let Way::OfData(name) = leads else { continue };
            if is_failing {
                resolved.table_of_way[way] = None; // There may be very many, and a catalog in need.
                continue;
            }
            let opened = self.of_data(routes, name, &mut listed, invocation).await;
            let is_passing = |error: &PipelineError| error.disposition() == Disposition::Retry;
            is_failing = opened
                .as_ref()
                .is_err_and(|error| listed.is_none() || is_passing(error));
            resolved.add(way, name, opened);
        }
        Ok(resolved)
    }

    /// The table that data asks for by this name; nothing when data may not write to it.
    ///
    /// `listed` are the tables of the namespace, as this run saw them. What an earlier one saw would not do: another writer may
    /// have made the table since, and sent events of the same record there.
    async fn of_data(
        &self,
        routes: &Routes,
        name: &TableName,
        listed: &mut Option<Vec<TableName>>,
        invocation: &Invocation,
    ) -> Result<Option<Arc<OpenTable>>, PipelineError> {
        if let Some(open) = self.tables.get(name, invocation.now_us) {
            return Ok(Some(open));
        }
        self.tables.forget(name);
        let there = match listed {
            Some(there) => there,
            None => listed.insert(self.neighbours(name).await?),
        };
        let is_like = |other: &&TableName| other.name().eq_ignore_ascii_case(name.name());
        let like = there.iter().find(is_like);
        let has_room = there.len() < routes.max_tables();
        let table = match (like, has_room) {
            (Some(other), _) if other == name => {
                let loaded = self.lake.load_table(name).await;
                loaded.map_err(|source| failed(name, "load", source))?
            }
            // Some catalogs know no difference of case.
            (Some(_), _) | (None, false) => None,
            (None, true) => {
                let made = OpenTable::load(&self.lake, name, &self.settings).await;
                match made {
                    Ok(table) => {
                        *listed = None; // Others make tables too: each time they are counted anew.
                        Some(table)
                    }
                    Err(error) if error.disposition() == Disposition::Retry => return Err(error),
                    Err(error) => {
                        let error = crate::telemetry::error_chain(&error);
                        tracing::warn!(table = %name, error, "no table made for data");
                        None
                    }
                }
            }
        };
        // Somebody else's table is not even looked into, let alone written to.
        let own = table.filter(|table| is_routed_by(table, &self.name));
        match own {
            Some(table) => self.open_loaded(table, invocation).await.map(Some),
            None => Ok(None),
        }
    }

    /// The tables of the namespace that this one is in.
    async fn neighbours(&self, name: &TableName) -> Result<Vec<TableName>, PipelineError> {
        let all = self.lake.list_tables().await;
        let all = all.map_err(|source: LakeError| failed(name, "look for", source))?;
        let is_beside = |other: &TableName| other.namespace() == name.namespace();
        Ok(all.into_iter().filter(is_beside).collect())
    }
}

impl Resolved {
    /// Adds what became of a way; without a table it leads to the default table.
    fn add(
        &mut self,
        way: usize,
        name: &TableName,
        opened: Result<Option<Arc<OpenTable>>, PipelineError>,
    ) {
        self.table_of_way[way] = match opened {
            Ok(None) => Some(0),
            Ok(Some(open)) => {
                self.tables.push(open);
                Some(self.tables.len() - 1)
            }
            Err(error) => {
                self.failures.push((name.clone(), error));
                None
            }
        };
    }
}
