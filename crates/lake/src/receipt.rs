use std::collections::BTreeMap;

use iceberg::spec::PrimitiveType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::data_file::DataFile;
use crate::name::TableName;
use crate::table::Table;
use crate::token::{BatchId, Token};

/// The newest format of a [`Receipt`].
pub(crate) const RECEIPT_FORMAT: u32 = 1;

/// What a writer tells the committer about one source batch: all that a commit needs, and nothing to read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The format of this receipt; a newer one than this program knows is refused.
    pub format: u32,
    /// The table.
    pub table: TableName,
    /// The table's identity: a table of the same name made later gets none of these rows.
    pub table_uuid: Uuid,
    /// What makes the source batch recognisable.
    pub token: Token,
    /// When the files were written, in milliseconds since 1970.
    pub written_at_ms: i64,
    /// The schema that the files were written with.
    pub schema_id: i32,
    /// The columns that the files hold: field id and type.
    pub columns: BTreeMap<i32, PrimitiveType>,
    /// The source batch in words, for people: message ids or ranges.
    pub source: String,
    /// The files.
    pub data_files: Vec<DataFile>,
}

impl Receipt {
    /// Returns the receipt for files that were written to this table, as it was given to [`crate::Lake::write`].
    pub fn new(
        table: &Table,
        batch: &BatchId,
        written_at_ms: i64,
        source: String,
        data_files: Vec<DataFile>,
    ) -> Self {
        let columns = data_files
            .iter()
            .flat_map(|file| &file.columns)
            .filter(|(_, facts)| facts.column_bytes > 0)
            .map(|(id, facts)| (*id, facts.column_type.clone()))
            .collect();
        Self {
            format: RECEIPT_FORMAT,
            table: table.name().clone(),
            table_uuid: table.uuid(),
            token: batch.token,
            written_at_ms,
            schema_id: table.metadata().current_schema_id(),
            columns,
            source,
            data_files,
        }
    }
}
