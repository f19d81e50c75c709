//! The columns of a table, as far as flattening needs to know them.

use arrow_schema::{DataType, TimeUnit};

/// The columns that every table has and no path owns (section 7).
pub mod system {
    /// When the event happened.
    pub const EVENT_TIME: &str = "event_time";
    /// When this invocation read its clock.
    pub const INGESTED_AT: &str = "_ingested_at";
    /// Where the event time came from.
    pub const TIME_SOURCE: &str = "_time_source";
    /// The record that the event came in.
    pub const SOURCE_ID: &str = "_source_id";
    /// The event's number in its record.
    pub const SOURCE_INDEX: &str = "_source_index";
    /// What has no column, as JSON.
    pub const DOC: &str = "_doc";
    /// All of them, in the order of a new table.
    pub const NAMES: [&str; 6] = [
        EVENT_TIME,
        INGESTED_AT,
        TIME_SOURCE,
        SOURCE_ID,
        SOURCE_INDEX,
        DOC,
    ];
}

/// One column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The doc of the Iceberg column; it names the path if it is an RFC 6901 pointer.
    pub doc: Option<String>,
    /// Its Arrow type. Times are in microseconds; UUIDs are `FixedSizeBinary(16)`.
    pub data_type: DataType,
    /// Whether a row without a value is refused.
    pub required: bool,
}

/// The columns of a table and the names that new ones may not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The columns in order, the system columns among them.
    pub columns: Vec<Column>,
    /// Names of the partition fields of all specs of the table.
    pub reserved: Vec<String>,
}

/// Why a table cannot take events.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaError {
    /// A system column is missing: it has to be added first.
    #[error("the table has no column `{column}`")]
    MissingSystemColumn {
        /// The column.
        column: &'static str,
    },
    /// A system column has another type.
    #[error("the system column `{column}` is {found} in the table but must be {expected}")]
    SystemColumnType {
        /// The column.
        column: &'static str,
        /// Its type in the table.
        found: DataType,
        /// Its type in any table that takes events.
        expected: DataType,
    },
    /// `_doc` is required, but most rows have none.
    #[error("the system column `_doc` is required in the table but must be optional")]
    RequiredDoc,
}

/// Microseconds in UTC: the type of `event_time` and of every `timestamptz` column.
pub fn timestamptz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

impl Schema {
    /// The schema of a new table: the system columns only, all but `_doc` required.
    pub fn of_system_columns() -> Self {
        let columns = system::NAMES
            .iter()
            .map(|&name| Column {
                name: name.to_owned(),
                doc: None,
                data_type: system_type(name),
                required: name != system::DOC,
            })
            .collect();
        Self {
            columns,
            reserved: Vec::new(),
        }
    }

    /// Where each system column is, in the order of [`system::NAMES`].
    ///
    /// # Errors
    ///
    /// When one is missing or has another type, or `_doc` is required; the error names it.
    pub fn system_positions(&self) -> Result<[usize; 6], SchemaError> {
        let mut positions = [0; 6];
        for (position, &column) in positions.iter_mut().zip(&system::NAMES) {
            *position = self
                .columns
                .iter()
                .position(|candidate| candidate.name.eq_ignore_ascii_case(column))
                .ok_or(SchemaError::MissingSystemColumn { column })?;
            let (found, expected) = (&self.columns[*position].data_type, system_type(column));
            if *found != expected {
                return Err(SchemaError::SystemColumnType {
                    column,
                    found: found.clone(),
                    expected,
                });
            }
        }
        let [.., doc] = positions;
        if self.columns[doc].required {
            return Err(SchemaError::RequiredDoc);
        }
        Ok(positions)
    }
}

/// The type of a system column.
fn system_type(name: &str) -> DataType {
    match name {
        system::EVENT_TIME | system::INGESTED_AT => timestamptz(),
        system::SOURCE_INDEX => DataType::Int64,
        _ => DataType::Utf8,
    }
}
