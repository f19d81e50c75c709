use std::collections::BTreeMap;

use iceberg::spec::PrimitiveType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::data_file::DataFile;
use crate::name::TableName;
use crate::range::SequenceNumber;
use crate::table::Table;
use crate::token::{BatchId, Token};

/// The newest format of a [`Receipt`].
///
/// It changes when a committer must understand what is new. What one may well not know is added under the same number:
/// unknown fields are passed over.
pub const RECEIPT_FORMAT: u32 = 1;

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
    /// The source batch.
    pub source: ReceiptSource,
    /// The files.
    pub data_files: Vec<DataFile>,
    /// What the ledger gets beside the token, in the same commit. No commit looks them up: they tell later which of several
    /// receipts with one token was committed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Token>,
}

/// Where the rows of a receipt came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptSource {
    /// The kind of source in one word.
    pub kind: String,
    /// Its records.
    pub records: SourceRecords,
}

/// Which records of a source were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceRecords {
    /// The one that is called this: a request, a piece of a file.
    One(String),
    /// The messages with these ids, in the order in which they were delivered.
    Ids(Vec<String>),
    /// All records of a shard from the first to the last, so that a record in the range is known to be taken.
    Range {
        /// The stream and its shard.
        shard: String,
        /// The first record.
        first: SequenceNumber,
        /// The last record, which may be the first.
        last: SequenceNumber,
    },
}

/// The records of one shard from the first to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordRange {
    pub(crate) shard: String,
    pub(crate) first: SequenceNumber,
    pub(crate) last: SequenceNumber,
}

impl From<String> for ReceiptSource {
    /// A source of no particular kind.
    fn from(name: String) -> Self {
        Self {
            kind: "other".to_owned(),
            records: SourceRecords::One(name),
        }
    }
}

impl Receipt {
    /// Returns the receipt for files that were written to this table, as it was given to [`crate::Lake::write`].
    pub fn new(
        table: &Table,
        batch: &BatchId,
        written_at_ms: i64,
        source: impl Into<ReceiptSource>,
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
            source: source.into(),
            data_files,
            marks: Vec::new(),
        }
    }

    /// The range of records that it covers, when its source has such; its shard as [`shard_of_table`] names it.
    pub(crate) fn range(&self) -> Option<RecordRange> {
        match &self.source.records {
            SourceRecords::Range { shard, first, last } => Some(RecordRange {
                shard: shard_of_table(self.table_uuid, shard),
                first: first.clone(),
                last: last.clone(),
            }),
            _ => None,
        }
    }

    /// What the ledger keeps of it: its token with its range, and its marks.
    pub(crate) fn ledger_entries(
        &self,
    ) -> impl Iterator<Item = (Token, Option<RecordRange>)> + use<'_> {
        let marks = self.marks.iter().map(|mark| (*mark, None));
        std::iter::once((self.token, self.range())).chain(marks)
    }
}

/// What a ledger calls a shard. A table that was made with the properties of another one begins with that one's ledger, and
/// must not take the records in it for its own.
pub(crate) fn shard_of_table(table_uuid: Uuid, shard: &str) -> String {
    format!("{}/{shard}", table_uuid.simple())
}
