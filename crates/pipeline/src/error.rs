//! Why a run failed as a whole, and what to do about it.

use flatten::{SchemaError, ShapeError};

use crate::SettingsError;

/// What a failed run means for its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The same payload may land when it is delivered again.
    Retry,
    /// It will not, until a person has changed something.
    Fatal,
}

/// A run, or a cold start, that failed as a whole. Nothing of the payload was acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A setting is wrong.
    #[error("a setting is wrong")]
    Settings(#[from] SettingsError),
    /// The threads could not be started.
    #[error("cannot start {n_threads} threads")]
    StartThreads {
        /// How many were asked for, 0 for one per core.
        n_threads: usize,
        /// Why.
        source: rayon::ThreadPoolBuildError,
    },
    /// The warehouse cannot be opened.
    #[error("cannot open the warehouse `{warehouse}`")]
    OpenWarehouse {
        /// Its directory.
        warehouse: String,
        /// Why.
        source: Box<lake::LakeError>,
    },
    /// The catalog cannot be used as the settings say.
    #[error("cannot use the catalog `{catalog}`")]
    OpenCatalog {
        /// Its URL.
        catalog: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The storage cannot be used as the settings say.
    #[error("cannot set up access to `{warehouse}`")]
    OpenStorage {
        /// What was to be reached.
        warehouse: String,
        /// Why.
        source: lake::StorageError,
    },
    /// The table is not there, and is not to be created.
    #[error("the table `{table}` does not exist")]
    NoTable {
        /// The table.
        table: String,
    },
    /// The table cannot be loaded, created or changed.
    #[error("cannot {operation} the table `{table}`")]
    Table {
        /// `load`, `create`, `add columns to`, `write to` or `commit to`.
        operation: &'static str,
        /// The table.
        table: String,
        /// Why.
        source: Box<lake::LakeError>,
    },
    /// The table has no column with the ids of its events.
    #[error("the table `{table}` has no column for the id of an event ({pointers})")]
    NoEventId {
        /// The table.
        table: String,
        /// Where the id is looked for.
        pointers: String,
    },
    /// The table's schema cannot take events.
    #[error("the table `{table}` cannot take events")]
    Schema {
        /// The table.
        table: String,
        /// Why; names the column.
        source: SchemaError,
    },
    /// The table's properties cannot be read.
    #[error("the table `{table}` does not say how events become rows")]
    Shape {
        /// The table.
        table: String,
        /// Why; names the property.
        source: ShapeError,
    },
    /// The quarantine could not be written, so nothing may be acknowledged.
    #[error("cannot write {n_events} events to the quarantine at `{location}`")]
    Quarantine {
        /// The object.
        location: String,
        /// How many refused events it was to hold.
        n_events: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The queue of receipts cannot be used.
    #[error("cannot use the queue of receipts `{queue}`")]
    OpenQueue {
        /// Its URL.
        queue: String,
        /// Why.
        source: lake::StorageError,
    },
    /// The receipt is not known to be durable, so nothing may be acknowledged.
    #[error("cannot send the receipt of {n_files} files of `{table}`")]
    SendReceipt {
        /// The table.
        table: String,
        /// How many data files it names.
        n_files: usize,
        /// Whether it may succeed later without anybody's help.
        retryable: bool,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is in the quarantine cannot be read.
    #[error("cannot read `{location}` of the quarantine")]
    ReadQuarantine {
        /// The object, or the prefix that cannot be listed.
        location: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Events were brought into the table, and their object could not be taken out of the quarantine.
    #[error("the events of `{location}` are in the table, but not yet out of the quarantine")]
    SettleQuarantine {
        /// The object that was to go.
        location: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A replay brought a part of an object into the table, and the object with the others is gone.
    #[error("some events of `{location}` are in the table, and the object with the others is gone")]
    LostRest {
        /// The object, which stays.
        location: String,
    },
    /// The table's schema kept changing under the run.
    #[error(
        "the schema of `{table}` changed {n_rounds} times while {n_events} events were being flattened"
    )]
    SchemaContention {
        /// The table.
        table: String,
        /// How often events were flattened again.
        n_rounds: u32,
        /// How many events.
        n_events: usize,
    },
    /// The receipt was not committed.
    #[error("the table `{table}` does not take the files of this run: {reason}")]
    NotCommitted {
        /// The table.
        table: String,
        /// The committer's words.
        reason: String,
    },
    /// The deadline came first.
    #[error("the deadline came before {n_records} records were committed to `{table}`")]
    Deadline {
        /// The table.
        table: String,
        /// How many records were on their way.
        n_records: usize,
    },
    /// A notification tells of an object, and no bucket is a source.
    #[error("the object `{location}` is of no source that the settings name")]
    NoSource {
        /// The object.
        location: String,
    },
    /// An object that a notification names could not be read.
    #[error("cannot read the object `{location}`")]
    ReadObject {
        /// The object.
        location: String,
        /// Why.
        source: lake::StorageError,
    },
    /// A stage failed inside.
    #[error("{stage} {n} failed inside")]
    Internal {
        /// `reading records` or `flattening events`.
        stage: &'static str,
        /// How many.
        n: usize,
    },
}

impl PipelineError {
    /// What the failure means for the source of the payload.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::OpenWarehouse { source, .. } | Self::Table { source, .. } => {
                match source.disposition() {
                    lake::Disposition::Retry => Disposition::Retry,
                    lake::Disposition::Fatal => Disposition::Fatal,
                }
            }
            Self::Quarantine { .. }
            | Self::SchemaContention { .. }
            | Self::SettleQuarantine { .. }
            | Self::NotCommitted { .. }
            | Self::Deadline { .. }
            | Self::SendReceipt {
                retryable: true, ..
            } => Disposition::Retry,
            Self::ReadObject { source, .. } if source.retryable() => Disposition::Retry,
            _ => Disposition::Fatal,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(error) => error.hint(),
            Self::OpenWarehouse { source, .. } | Self::Table { source, .. } => source.hint(),
            Self::NoSource { .. } => {
                Some("name its bucket in `CALVE_SOURCE_BUCKETS`".to_owned())
            }
            Self::NoTable { .. } => Some(
                "create it with `calve table create`, or set `CALVE_TABLE_CREATE=true`".to_owned(),
            ),
            Self::Schema {
                source: SchemaError::SystemColumnType { .. },
                ..
            } => Some("rename that column, or name another table in `CALVE_TABLE_NAME`".to_owned()),
            Self::Shape { .. } => {
                Some("set the property right with `calve table configure`".to_owned())
            }
            Self::StartThreads { .. } => Some("set `CALVE_THREADS` to a smaller number".to_owned()),
            Self::Deadline { .. } => {
                Some("give the function more time or memory, or send smaller payloads".to_owned())
            }
            Self::OpenStorage { .. } => Some(
                "set `CALVE_S3_REGION` (or `AWS_REGION`), and `CALVE_S3_ENDPOINT` to a URL if it is not AWS".to_owned(),
            ),
            Self::NoEventId { .. } => Some(
                "name where the id is in `table.shape.event_id`, and write it to the table with `calve table configure`".to_owned(),
            ),
            Self::SettleQuarantine { .. } => {
                Some("replay it again: what is in the table already is not repeated".to_owned())
            }
            Self::LostRest { .. } => Some(
                "look into the object with `calve quarantine show`, and for its events in the table by `_source_id` and `_source_index`".to_owned(),
            ),
            Self::OpenQueue { .. } => Some(
                "set `CALVE_SQS_ENDPOINT` to a URL, or `AWS_REGION` to the region of the queue".to_owned(),
            ),
            Self::SendReceipt {
                retryable: false, ..
            } => Some(
                "see that `CALVE_RECEIPT_QUEUE_URL` names a queue that is there, and that the function may send to it"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
