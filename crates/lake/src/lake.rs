use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use iceberg::{TableRequirement, TableUpdate};

use crate::backoff::Backoff;
use crate::catalog::{Catalog, CatalogError, CommitError, NewTable, TableState};
use crate::error::LakeError;
use crate::ledger::LedgerCache;
use crate::local::LocalStorage;
use crate::merge::MergePace;
use crate::name::TableName;
use crate::partition::new_spec;
use crate::recent::RecentTables;
use crate::schema::{ColumnDefinition, TableDefinition, new_schema, schema_with};
use crate::sqlite::{DEFAULT_CATALOG_NAME, SqliteCatalog};
use crate::storage::Storage;
use crate::table::Table;

/// How often a change of columns or properties is tried when others keep the table busy.
const MAX_CHANGE_ATTEMPTS: u32 = 50;

/// Tables: a catalog, and the storage that their objects lie in. Clones share both.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) ledgers: Arc<LedgerCache>,
    pub(crate) recent: Arc<RecentTables>,
    pub(crate) merges: Arc<MergePace>,
}

/// What became of columns that were to be added.
#[derive(Debug, Clone)]
pub enum SchemaChange {
    /// The table has them now.
    Added(Table),
    /// Another writer changed the schema first. Plan again on this table, and flatten again from the bytes.
    Raced(Table),
}

impl Lake {
    /// Opens the warehouse in this directory, with a SQLite catalog `catalog.db` in it; both are made when absent.
    ///
    /// PyIceberg opens the same with `SqlCatalog("calve", uri="sqlite:///<warehouse>/catalog.db")`.
    pub fn embedded(warehouse: &Path) -> Result<Self, LakeError> {
        Self::embedded_as(warehouse, DEFAULT_CATALOG_NAME)
    }

    /// Opens the warehouse under another catalog name: the one that PyIceberg gave its catalog, for a `catalog.db` of its.
    pub fn embedded_as(warehouse: &Path, catalog_name: &str) -> Result<Self, LakeError> {
        std::fs::create_dir_all(warehouse).map_err(|error| cannot_open(warehouse, error.into()))?;
        Self::embedded_with(warehouse, catalog_name, SqliteCatalog::open)
    }

    /// Opens a warehouse that is there to look at it. Makes nothing, and works where nothing may be written.
    pub fn embedded_to_read(warehouse: &Path) -> Result<Self, LakeError> {
        Self::embedded_with(
            warehouse,
            DEFAULT_CATALOG_NAME,
            |path, name, root, storage| SqliteCatalog::open_to_read(path, name, root, &storage),
        )
    }

    fn embedded_with(
        warehouse: &Path,
        catalog_name: &str,
        open: impl Fn(&Path, &str, &str, Arc<dyn Storage>) -> Result<SqliteCatalog, rusqlite::Error>,
    ) -> Result<Self, LakeError> {
        let directory = warehouse
            .canonicalize()
            .map_err(|error| cannot_open(warehouse, error.into()))?;
        let location = directory
            .to_str()
            .map(|path| format!("file://{path}"))
            .ok_or_else(|| cannot_open(warehouse, "its path is not UTF-8".into()))?;
        let storage: Arc<dyn Storage> = Arc::new(LocalStorage);
        let path = directory.join("catalog.db");
        let catalog = open(&path, catalog_name, &location, storage.clone())
            .map_err(|error| cannot_open(warehouse, error.into()))?;
        Ok(Self::new(Arc::new(catalog), storage))
    }

    /// Returns the lake of this catalog and this storage.
    pub fn new(catalog: Arc<dyn Catalog>, storage: Arc<dyn Storage>) -> Self {
        Self {
            catalog,
            storage,
            ledgers: Arc::default(),
            recent: Arc::default(),
            merges: Arc::default(),
        }
    }

    /// Who knows the tables.
    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.catalog
    }

    /// Where objects are kept.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Returns the table as it is now, or nothing when there is none of that name.
    pub async fn load_table(&self, name: &TableName) -> Result<Option<Table>, LakeError> {
        let state = self
            .catalog
            .load(name)
            .await
            .map_err(|source| LakeError::OpenTable {
                table: name.clone(),
                source,
            })?;
        state.map(|state| self.table(name, state)).transpose()
    }

    /// The table of this state, with the storage that its objects are kept in.
    pub(crate) fn table(&self, name: &TableName, state: TableState) -> Result<Table, LakeError> {
        let own = self.storage.for_table(&state.access);
        let storage = own.unwrap_or_else(|| self.storage.clone());
        Table::new(name.clone(), state, storage)
    }

    /// Returns the table as it is now.
    ///
    /// # Errors
    ///
    /// [`LakeError::NoTable`] when there is none of that name.
    pub(crate) async fn reload(&self, name: &TableName) -> Result<Table, LakeError> {
        let table = self.load_table(name).await?;
        table.ok_or_else(|| LakeError::NoTable {
            table: name.clone(),
        })
    }

    /// Returns the names of all tables, in order.
    pub async fn list_tables(&self) -> Result<Vec<TableName>, LakeError> {
        self.catalog
            .list()
            .await
            .map_err(|source| LakeError::ListTables { source })
    }

    /// Forgets the table and leaves its objects where they are. Says whether there was one.
    pub async fn drop_table(&self, name: &TableName) -> Result<bool, LakeError> {
        let dropped = self.catalog.drop_table(name).await;
        dropped.map_err(|source| LakeError::DropTable {
            table: name.clone(),
            source,
        })
    }

    /// Makes a table of format version 2 whose files are compressed with zstd.
    ///
    /// # Errors
    ///
    /// [`LakeError::TableExists`] when there is one of that name.
    pub async fn create_table(
        &self,
        name: &TableName,
        definition: &TableDefinition,
    ) -> Result<Table, LakeError> {
        let schema = new_schema(name, &definition.columns)?;
        let partitioning = new_spec(name, &schema, &definition.partitioning)?;
        let mut properties: HashMap<String, String> =
            definition.properties.clone().into_iter().collect();
        properties
            .entry("write.parquet.compression-codec".to_owned())
            .or_insert_with(|| "zstd".to_owned());
        let created = self
            .catalog
            .create(
                name,
                NewTable {
                    schema,
                    partitioning,
                    properties,
                },
            )
            .await;
        let state = created.map_err(|error| match error {
            CatalogError::AlreadyExists { table } => LakeError::TableExists { table },
            source => LakeError::CreateTable {
                table: name.clone(),
                source,
            },
        })?;
        self.table(name, state)
    }

    /// Adds the columns behind the others, in one change of the schema.
    ///
    /// Snapshots that others commit meanwhile do not matter. A change of the schema does: then nothing is added, and the
    /// answer is [`SchemaChange::Raced`].
    pub async fn add_columns(
        &self,
        table: &Table,
        columns: &[ColumnDefinition],
    ) -> Result<SchemaChange, LakeError> {
        if columns.is_empty() {
            return Ok(SchemaChange::Added(table.clone()));
        }
        let metadata = table.metadata();
        let last_column_id = metadata.last_column_id();
        // Catalogs give out ids themselves, or go by those that they are told: one that is taken is none for them.
        let ids = metadata.schemas_iter().map(|schema| schema.schema_id());
        let schema_id = ids.max().unwrap_or_default() + 1;
        let present = table.schema();
        let schema = schema_with(table.name(), present, columns, last_column_id, schema_id)?;
        let requirements = vec![
            TableRequirement::UuidMatch { uuid: table.uuid() },
            TableRequirement::CurrentSchemaIdMatch {
                current_schema_id: metadata.current_schema_id(),
            },
            TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: last_column_id,
            },
        ];
        let updates = vec![
            TableUpdate::AddSchema { schema },
            TableUpdate::SetCurrentSchema { schema_id: -1 },
        ];
        let unchanged = |newest: &Table| {
            newest.uuid() == table.uuid()
                && newest.metadata().current_schema_id() == metadata.current_schema_id()
                && newest.metadata().last_column_id() == last_column_id
        };
        self.change(table, "columns", requirements, updates, unchanged)
            .await
    }

    /// Sets these table properties and leaves the others.
    pub async fn set_properties(
        &self,
        table: &Table,
        properties: &BTreeMap<String, String>,
    ) -> Result<Table, LakeError> {
        if properties.is_empty() {
            return Ok(table.clone());
        }
        let requirements = vec![TableRequirement::UuidMatch { uuid: table.uuid() }];
        let updates = vec![TableUpdate::SetProperties {
            updates: properties.clone().into_iter().collect(),
        }];
        let unchanged = |newest: &Table| newest.uuid() == table.uuid();
        match self
            .change(table, "properties", requirements, updates, unchanged)
            .await?
        {
            SchemaChange::Added(table) => Ok(table),
            SchemaChange::Raced(_) => Err(LakeError::NoTable {
                table: table.name().clone(),
            }),
        }
    }

    /// Sends the updates until they are applied, or until what they rest on is not as it was.
    async fn change(
        &self,
        table: &Table,
        what: &'static str,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
        unchanged: impl Fn(&Table) -> bool,
    ) -> Result<SchemaChange, LakeError> {
        let name = table.name();
        let mut backoff = Backoff::new(random_seed());
        let mut n_attempts = 0;
        loop {
            n_attempts += 1;
            let sent = self
                .catalog
                .commit(name, requirements.clone(), updates.clone())
                .await;
            let error = match sent {
                Ok(committed) => match committed.state() {
                    Ok(mut state) => {
                        state.access = table.access().clone(); // Which answers to commits do not repeat.
                        return Ok(SchemaChange::Added(self.table(name, state)?));
                    }
                    Err(source) => CommitError::Unknown {
                        source: source.into(),
                    },
                },
                Err(error) => error,
            };
            // Whatever the answer was, the table knows better. If the change landed and only its answer was lost, the
            // caller plans again and finds nothing left to add.
            let newest = self.reload(name).await?;
            if !unchanged(&newest) {
                return Ok(SchemaChange::Raced(newest));
            }
            let refused = matches!(error, CommitError::Refused { .. });
            if refused || n_attempts == MAX_CHANGE_ATTEMPTS {
                return Err(LakeError::ChangeTable {
                    table: name.clone(),
                    what,
                    n_attempts,
                    retryable: error.retryable(),
                    source: error.into_cause(),
                });
            }
            backoff.wait(None).await;
        }
    }
}

fn cannot_open(warehouse: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> LakeError {
    LakeError::OpenWarehouse {
        path: warehouse.display().to_string(),
        source,
    }
}

/// Waits need to differ between writers. Nothing that is written depends on it.
pub(crate) fn random_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}
