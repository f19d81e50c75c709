mod failure;
mod file;
mod statements;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use iceberg::spec::{FormatVersion, SortOrder, TableMetadataBuilder};
use iceberg::{TableRequirement, TableUpdate};
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

pub(crate) use self::failure::retryable;
use self::failure::sqlite_code;
use self::statements::{ADD_NAMESPACE, FROM_TABLE, MOVE_POINTER, SCHEMA};
use crate::access::StorageAccess;
use crate::catalog::{Catalog, CatalogError, CommitError, Committed, NewTable, TableState};
use crate::metadata::{KeptMetadata, UpdateError, write_metadata};
use crate::name::TableName;
use crate::storage::Storage;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The name that the embedded catalog's tables are filed under. PyIceberg sees them when its catalog has this name.
pub const DEFAULT_CATALOG_NAME: &str = "calve";

/// How long a process waits for another one that is writing to the catalog file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a commit is applied anew when the table moved on and the requirements still hold.
const MAX_REBASES: u32 = 8;

/// How many tables' metadata is kept at hand.
const MAX_CACHED_TABLES: usize = 16;

/// A catalog in a SQLite file, with the tables that PyIceberg's and iceberg-rust's SQL catalogs use.
///
/// Several processes of one machine may share the file. It keeps a write-ahead log beside it (`catalog.db-wal`), so it
/// belongs on a local disk; copy the directory as a whole.
#[derive(Debug)]
pub struct SqliteCatalog {
    catalog_name: String,
    warehouse: String,
    storage: Arc<dyn Storage>,
    connection: Arc<Mutex<Connection>>,
    path: String,
    has_types: bool,
    cached: Mutex<HashMap<String, Arc<KeptMetadata>>>,
}

impl SqliteCatalog {
    /// Opens the file, or makes it. Tables that it makes lie under `warehouse`, a location of `storage`.
    ///
    /// # Errors
    ///
    /// What SQLite says, when the file cannot be opened, made or understood.
    pub fn open(
        path: &Path,
        catalog_name: &str,
        warehouse: &str,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, rusqlite::Error> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        Self::with_connection(connection, path, catalog_name, warehouse, storage)
    }

    /// Opens a file that is there, to look at it: makes nothing and works where nothing may be written.
    ///
    /// # Errors
    ///
    /// What SQLite says, when the file cannot be opened or understood.
    pub fn open_to_read(
        path: &Path,
        catalog_name: &str,
        warehouse: &str,
        storage: &Arc<dyn Storage>,
    ) -> Result<Self, rusqlite::Error> {
        let with = |connection: Connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            let storage = Arc::clone(storage);
            Self::with_connection(connection, path, catalog_name, warehouse, storage)
        };
        file::open_to_read(path, with)
    }

    fn with_connection(
        connection: Connection,
        path: &Path,
        catalog_name: &str,
        warehouse: &str,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, rusqlite::Error> {
        let has_types = connection
            .prepare(
                "SELECT 1 FROM pragma_table_info('iceberg_tables') WHERE name = 'iceberg_type'",
            )?
            .exists([])?;
        Ok(Self {
            catalog_name: catalog_name.to_owned(),
            warehouse: warehouse.trim_end_matches('/').to_owned(),
            storage,
            connection: Arc::new(Mutex::new(connection)),
            path: path.display().to_string(),
            has_types,
            cached: Mutex::new(HashMap::new()),
        })
    }

    /// Runs work on the connection, where it may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Cause> {
        let connection = self.connection.clone();
        let result = tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(result.await??)
    }

    /// Where the table's metadata is now.
    async fn pointer(&self, name: &TableName) -> Result<Option<String>, Cause> {
        let sql = format!(
            "SELECT metadata_location {} {}",
            FROM_TABLE,
            self.only_tables()
        );
        let key = self.key(name);
        self.with(move |connection| {
            connection
                .prepare(&sql)?
                .query_row(params![key.0, key.1, key.2], |row| row.get(0))
                .optional()
        })
        .await
    }

    fn only_tables(&self) -> &'static str {
        if self.has_types {
            "AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)"
        } else {
            ""
        }
    }

    fn key(&self, name: &TableName) -> (String, String, String) {
        (
            self.catalog_name.clone(),
            name.dotted_namespace(),
            name.name().to_owned(),
        )
    }

    async fn metadata_at(&self, location: &str) -> Result<Arc<KeptMetadata>, Cause> {
        if let Some(kept) = self.cache().get(location) {
            return Ok(kept.clone());
        }
        let kept = Arc::new(KeptMetadata::read(self.storage.as_ref(), location).await?);
        self.keep(location, kept.clone());
        Ok(kept)
    }

    /// A metadata file never changes, so what was read or written once need not be read again.
    fn keep(&self, location: &str, kept: Arc<KeptMetadata>) {
        let mut cache = self.cache();
        let uuid = kept.metadata.uuid();
        cache.retain(|_, other| other.metadata.uuid() != uuid);
        if cache.len() >= MAX_CACHED_TABLES {
            cache.clear();
        }
        cache.insert(location.to_owned(), kept);
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<KeptMetadata>>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unavailable(&self, operation: &'static str, source: Cause) -> CatalogError {
        CatalogError::Unavailable {
            catalog: self.path.clone(),
            operation,
            retryable: retryable(source.as_ref()),
            source,
        }
    }

    /// Moves the pointer if it is still where it was. `Ok(false)`: it is elsewhere.
    async fn swap(&self, name: &TableName, old: &str, new: &str) -> Result<bool, Cause> {
        let key = self.key(name);
        let (old, new) = (old.to_owned(), new.to_owned());
        self.with(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let n_changed = transaction
                .prepare(MOVE_POINTER)?
                .execute(params![new, old, key.0, key.1, key.2])?;
            transaction.commit()?;
            Ok(n_changed == 1)
        })
        .await
    }

    /// The location of the table's metadata, and what is there.
    async fn newest(&self, name: &TableName) -> Result<Option<(String, Arc<KeptMetadata>)>, Cause> {
        let Some(location) = self.pointer(name).await? else {
            return Ok(None);
        };
        let kept = self.metadata_at(&location).await?;
        Ok(Some((location, kept)))
    }

    async fn try_create(&self, name: &TableName, table: NewTable) -> Result<TableState, Cause> {
        let location = format!(
            "{}/{}/{}",
            self.warehouse,
            name.namespace().join("/"),
            name.name()
        );
        let metadata = TableMetadataBuilder::new(
            table.schema,
            table.partitioning,
            SortOrder::unsorted_order(),
            location,
            FormatVersion::V2,
            table.properties,
        )?
        .build()?
        .metadata;
        let kept = Arc::new(KeptMetadata::new(metadata)?);
        let metadata_location = write_metadata(self.storage.as_ref(), &kept, None).await?;
        let key = self.key(name);
        let pointer = metadata_location.clone();
        let has_types = self.has_types;
        self.with(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute(ADD_NAMESPACE, params![key.0, key.1])?;
            let (columns, values) = if has_types {
                (", iceberg_type", ", 'TABLE'")
            } else {
                ("", "")
            };
            transaction.execute(
                &format!(
                    "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, \
                     metadata_location{columns}) VALUES (?, ?, ?, ?{values})"
                ),
                params![key.0, key.1, key.2, pointer],
            )?;
            transaction.commit()
        })
        .await?;
        self.keep(&metadata_location, kept.clone());
        Ok(state(metadata_location, &kept))
    }
}

fn state(metadata_location: String, kept: &KeptMetadata) -> TableState {
    let metadata = kept.metadata.clone();
    TableState::new(metadata, metadata_location, StorageAccess::default())
        .with_references(kept.references.clone())
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn load(&self, name: &TableName) -> Result<Option<TableState>, CatalogError> {
        let newest = self.newest(name).await;
        let newest = newest.map_err(|source| self.unavailable("load the table", source))?;
        Ok(newest.map(|(location, kept)| state(location, &kept)))
    }

    async fn create(&self, name: &TableName, table: NewTable) -> Result<TableState, CatalogError> {
        match self.pointer(name).await {
            Ok(None) => {}
            Ok(Some(_)) => {
                return Err(CatalogError::AlreadyExists {
                    table: name.clone(),
                });
            }
            Err(source) => return Err(self.unavailable("look for the table", source)),
        }
        self.try_create(name, table)
            .await
            .map_err(|source| match sqlite_code(source.as_ref()) {
                Some(ErrorCode::ConstraintViolation) => CatalogError::AlreadyExists {
                    table: name.clone(),
                },
                _ => self.unavailable("create the table", source),
            })
    }

    /// Like a catalog server, it applies the updates to whatever the table is by now, as long as the requirements hold.
    async fn commit(
        &self,
        name: &TableName,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Committed, CommitError> {
        let mut n_rebases = 0;
        loop {
            // Until the pointer is moved nothing has happened, whatever goes wrong.
            let nothing_happened = |source| CommitError::Refused { source };
            let newest = self.newest(name).await.map_err(nothing_happened)?;
            let (base_location, base) = newest.ok_or_else(|| CommitError::Refused {
                source: format!("there is no table `{name}`").into(),
            })?;
            let new = base
                .updated(&base_location, &requirements, &updates)
                .map_err(|error| match error {
                    UpdateError::Requirement(source) => CommitError::Conflict {
                        source: source.into(),
                    },
                    UpdateError::Update(source) => CommitError::Refused {
                        source: source.into(),
                    },
                })?;
            let location = write_metadata(self.storage.as_ref(), &new, Some(&base_location))
                .await
                .map_err(nothing_happened)?;
            let swapped = self
                .swap(name, &base_location, &location)
                .await
                .map_err(|source| CommitError::Unknown { source })?;
            if swapped {
                return self.verified(name, location, new).await;
            }
            n_rebases += 1;
            if n_rebases == MAX_REBASES {
                let source = format!("the table moved on {n_rebases} times").into();
                return Err(CommitError::Conflict { source });
            }
        }
    }

    async fn list(&self) -> Result<Vec<TableName>, CatalogError> {
        let sql = format!(
            "SELECT table_namespace, table_name FROM iceberg_tables WHERE catalog_name = ? {} \
             ORDER BY table_namespace, table_name",
            self.only_tables()
        );
        let catalog_name = self.catalog_name.clone();
        let rows = self
            .with(move |connection| {
                let mut statement = connection.prepare(&sql)?;
                let rows = statement.query_map([catalog_name], |row| {
                    Ok(format!(
                        "{}.{}",
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?
                    ))
                })?;
                rows.collect::<Result<Vec<_>, _>>()
            })
            .await
            .map_err(|source| self.unavailable("list the tables", source))?;
        // A table whose name holds other characters than ours cannot be named here, so it is not shown either.
        Ok(rows
            .into_iter()
            .filter_map(|name| name.parse().ok())
            .collect())
    }

    async fn drop_table(&self, name: &TableName) -> Result<bool, CatalogError> {
        let sql = format!("DELETE {FROM_TABLE} {}", self.only_tables());
        let key = self.key(name);
        let dropped = self.with(move |connection| {
            let n_dropped = connection.execute(&sql, params![key.0, key.1, key.2])?;
            Ok(n_dropped > 0)
        });
        dropped
            .await
            .map_err(|source| self.unavailable("drop the table", source))
    }
}

impl SqliteCatalog {
    /// SQLite said that the commit is durable; see that the pointer agrees before anybody is told.
    async fn verified(
        &self,
        name: &TableName,
        location: String,
        kept: KeptMetadata,
    ) -> Result<Committed, CommitError> {
        let unknown = |source| CommitError::Unknown { source };
        let pointer = self.pointer(name).await.map_err(unknown)?;
        let committed = Committed::kept(location.clone(), &kept);
        if pointer.as_deref() == Some(&location) {
            self.keep(&location, Arc::new(kept));
            return Ok(committed);
        }
        // Either another commit followed at once, or ours is gone: the log of the newest metadata knows.
        let newest = self.newest(name).await.map_err(unknown)?;
        let followed = newest.is_some_and(|(_, newest)| {
            let mut log = newest.metadata.metadata_log().iter();
            log.any(|entry| entry.metadata_file == location)
        });
        if followed {
            Ok(committed)
        } else {
            Err(unknown("the pointer is not where it was moved to".into()))
        }
    }
}
