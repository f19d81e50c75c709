use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::catalog::Catalog;
use crate::commit::{CommitOptions, CommitReport};
use crate::data_file::DataFile;
use crate::encode::WriteOptions;
use crate::error::LakeError;
use crate::name::TableName;
use crate::receipt::Receipt;
use crate::schema::{ColumnDefinition, TableDefinition};
use crate::storage::Storage;
use crate::table::Table;
use crate::token::BatchId;

/// Tables: a catalog, and the storage that their objects lie in.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) storage: Arc<dyn Storage>,
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
    pub fn embedded(warehouse: &Path) -> Result<Self, LakeError> {
        Self::embedded_as(warehouse, crate::sqlite::DEFAULT_CATALOG_NAME)
    }

    /// Opens the warehouse under another catalog name, such as that of a catalog that PyIceberg made.
    pub fn embedded_as(warehouse: &Path, catalog_name: &str) -> Result<Self, LakeError> {
        let _ = (warehouse, catalog_name);
        todo!()
    }

    /// Returns the lake of this catalog and this storage.
    pub fn new(catalog: Arc<dyn Catalog>, storage: Arc<dyn Storage>) -> Self {
        Self { catalog, storage }
    }

    /// Where objects are kept.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Returns the table as it is now, or nothing when there is none of that name.
    pub async fn load_table(&self, _name: &TableName) -> Result<Option<Table>, LakeError> {
        todo!()
    }

    /// Returns the names of all tables, in order.
    pub async fn list_tables(&self) -> Result<Vec<TableName>, LakeError> {
        todo!()
    }

    /// Makes a table.
    pub async fn create_table(
        &self,
        _name: &TableName,
        _definition: &TableDefinition,
    ) -> Result<Table, LakeError> {
        todo!()
    }

    /// Adds the columns behind the others, in one change of the schema.
    pub async fn add_columns(
        &self,
        _table: &Table,
        _columns: &[ColumnDefinition],
    ) -> Result<SchemaChange, LakeError> {
        todo!()
    }

    /// Sets these table properties and leaves the others.
    pub async fn set_properties(
        &self,
        _table: &Table,
        _properties: &BTreeMap<String, String>,
    ) -> Result<Table, LakeError> {
        todo!()
    }

    /// Writes the rows as data files, durable when this returns, and visible to nobody until they are committed.
    pub async fn write(
        &self,
        _table: &Table,
        _batches: &[RecordBatch],
        _batch: &BatchId,
        _options: &WriteOptions,
    ) -> Result<Vec<DataFile>, LakeError> {
        todo!()
    }

    /// Makes the files of the receipts visible in one snapshot, each source batch at most once.
    pub async fn commit(
        &self,
        _name: &TableName,
        _receipts: Vec<Receipt>,
        _options: &CommitOptions,
    ) -> Result<CommitReport, LakeError> {
        todo!()
    }
}
