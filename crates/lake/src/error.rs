use crate::catalog::CatalogError;
use crate::name::TableName;
use crate::rest::RestError;
use crate::s3_error::S3Error;
use crate::storage::StorageError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What the caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It may succeed later: give the messages back.
    Retry,
    /// It will fail again until somebody changes something.
    Fatal,
}

/// What could not be done to which table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// The warehouse directory or its catalog could not be opened or made.
    #[error("cannot open the warehouse `{path}`")]
    OpenWarehouse {
        /// The directory.
        path: String,
        /// The cause.
        source: Cause,
    },
    /// The table could not be loaded.
    #[error("cannot open table `{table}`")]
    OpenTable {
        /// The table.
        table: TableName,
        /// The cause.
        source: CatalogError,
    },
    /// There is no such table.
    #[error("there is no table `{table}`")]
    NoTable {
        /// The table.
        table: TableName,
    },
    /// The tables could not be listed.
    #[error("cannot list the tables")]
    ListTables {
        /// The cause.
        source: CatalogError,
    },
    /// There is a table of that name already.
    #[error("table `{table}` exists already")]
    TableExists {
        /// The table.
        table: TableName,
    },
    /// The table could not be made.
    #[error("cannot create table `{table}`")]
    CreateTable {
        /// The table.
        table: TableName,
        /// The cause.
        source: CatalogError,
    },
    /// The table could not be dropped, or nobody knows whether it was.
    #[error("cannot drop table `{table}`")]
    DropTable {
        /// The table.
        table: TableName,
        /// The cause.
        source: CatalogError,
    },
    /// The table is of a kind that is not written to.
    #[error("table `{table}` cannot be written to: {reason}")]
    UnsupportedTable {
        /// The table.
        table: TableName,
        /// What is not supported, by name.
        reason: String,
    },
    /// A column cannot be what it was declared to be, or a batch does not fit the table.
    #[error("column `{column}` of table `{table}`: {reason}")]
    Column {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// A partition term does not fit the columns.
    #[error("partition `{term}` of table `{table}`: {reason}")]
    Partition {
        /// The table.
        table: TableName,
        /// The term.
        term: String,
        /// What is wrong.
        reason: String,
    },
    /// What the table consists of could not be read.
    #[error("cannot read the files of table `{table}`")]
    ReadTable {
        /// The table.
        table: TableName,
        /// The cause.
        source: Cause,
    },
    /// Columns or properties could not be changed.
    #[error("cannot change {what} of table `{table}` in {n_attempts} attempts")]
    ChangeTable {
        /// The table.
        table: TableName,
        /// `columns` or `properties`.
        what: &'static str,
        /// How often it was tried.
        n_attempts: u32,
        /// Whether it may succeed later.
        retryable: bool,
        /// The cause.
        source: Cause,
    },
    /// Rows could not be put into Parquet.
    #[error("cannot encode {n_rows} rows of table `{table}` as Parquet")]
    Encode {
        /// The table.
        table: TableName,
        /// How many rows the part has.
        n_rows: usize,
        /// The cause.
        source: Cause,
    },
    /// A data file could not be stored.
    #[error("cannot store a data file of {n_rows} rows of table `{table}`")]
    StoreDataFile {
        /// The table.
        table: TableName,
        /// How many rows the file has.
        n_rows: u64,
        /// The cause.
        source: StorageError,
    },
    /// The receipts could not be committed.
    #[error("cannot commit {n_receipts} receipts to `{table}` in {n_attempts} attempts")]
    Commit {
        /// The table.
        table: TableName,
        /// How many receipts were to be committed.
        n_receipts: usize,
        /// How many commits were sent.
        n_attempts: u32,
        /// Whether it may succeed later.
        retryable: bool,
        /// The cause of the last failure.
        source: Cause,
    },
    /// A data file that has to be committed in part could not be read.
    #[error(
        "cannot read a data file of table `{table}` of which some records are in the table already"
    )]
    ReadDataFile {
        /// The table.
        table: TableName,
        /// The cause.
        source: StorageError,
    },
    /// Files could not be replaced by others.
    #[error("cannot replace {n_files} data files of `{table}` in {n_attempts} attempts")]
    ReplaceFiles {
        /// The table.
        table: TableName,
        /// How many files were to be replaced.
        n_files: usize,
        /// How many commits were sent.
        n_attempts: u32,
        /// Whether it may succeed later.
        retryable: bool,
        /// The cause of the last failure.
        source: Cause,
    },
    /// What the table remembers of earlier commits could not be read, so nothing was committed.
    #[error("cannot read the ledger of table `{table}`")]
    ReadLedger {
        /// The table.
        table: TableName,
        /// The cause.
        source: Cause,
    },
}

impl LakeError {
    /// What the caller should do about it. The wording of an error never decides.
    pub fn disposition(&self) -> Disposition {
        let retryable = match self {
            Self::OpenTable { source, .. }
            | Self::ListTables { source }
            | Self::CreateTable { source, .. }
            | Self::DropTable { source, .. } => match source {
                CatalogError::Unavailable { retryable, .. } => *retryable,
                CatalogError::AlreadyExists { .. } => false,
            },
            Self::ChangeTable { retryable, .. }
            | Self::Commit { retryable, .. }
            | Self::ReplaceFiles { retryable, .. } => *retryable,
            Self::StoreDataFile { source, .. } | Self::ReadDataFile { source, .. } => {
                source.retryable()
            }
            Self::ReadLedger { source, .. } | Self::ReadTable { source, .. } => source
                .downcast_ref::<StorageError>()
                .is_some_and(StorageError::retryable),
            Self::OpenWarehouse { source, .. } => crate::sqlite::retryable(source.as_ref()),
            Self::NoTable { .. }
            | Self::TableExists { .. }
            | Self::UnsupportedTable { .. }
            | Self::Column { .. }
            | Self::Partition { .. }
            | Self::Encode { .. } => false,
        };
        if retryable {
            Disposition::Retry
        } else {
            Disposition::Fatal
        }
    }

    /// The next step for a person, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        if let Some(hint) = own_hint(self) {
            return Some(hint.to_owned());
        }
        match self {
            Self::OpenWarehouse { path, .. } => Some(format!(
                "make `{path}` a directory that this user may write to, or name another warehouse"
            )),
            Self::NoTable { table } => {
                Some(format!("make it with `calve table create --table {table}`"))
            }
            Self::TableExists { table } => {
                Some(format!("look at it with `calve table show --table {table}`"))
            }
            Self::UnsupportedTable { .. } => {
                Some("use a table of format version 2, or let Calve make one".to_owned())
            }
            Self::Partition { .. } => Some(
                "write terms such as `day(event_time)`, `bucket(16, user_id)`, `truncate(8, url)`, \
                 `identity(country)`"
                    .to_owned(),
            ),
            Self::StoreDataFile { .. } => Some(
                "see that the disk or the bucket has room and may be written to; nothing was \
                 committed, so the same events can be sent again"
                    .to_owned(),
            ),
            Self::Commit { retryable: true, .. } | Self::ChangeTable { retryable: true, .. } => {
                Some("send the same batch again: what is in the table already is recognised".to_owned())
            }
            _ => None,
        }
    }
}

/// What S3 or a REST catalog says about its own error, when one is behind this one.
fn own_hint(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|cause| {
        let by_s3 = cause.downcast_ref::<S3Error>().and_then(S3Error::hint);
        by_s3.or_else(|| cause.downcast_ref::<RestError>()?.hint())
    })
}
