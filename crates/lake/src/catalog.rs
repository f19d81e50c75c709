use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use iceberg::spec::{Schema, TableMetadata, UnboundPartitionSpec};
use iceberg::{TableRequirement, TableUpdate};
use serde::Deserialize;

use crate::access::StorageAccess;
use crate::metadata::KeptMetadata;
use crate::name::TableName;
use crate::references::References;
use crate::rest::RestError;

/// Who knows which metadata a table has now, and lets one writer at a time change it.
///
/// A commit is sent once: retrying is the caller's business, since only it knows what must be looked at first.
#[async_trait]
pub trait Catalog: Send + Sync + Debug {
    /// Returns the table as it is now, or nothing when there is none of that name.
    async fn load(&self, name: &TableName) -> Result<Option<TableState>, CatalogError>;

    /// Makes a table, and its namespace when absent.
    ///
    /// # Errors
    ///
    /// [`CatalogError::AlreadyExists`] when there is one of that name.
    async fn create(&self, name: &TableName, table: NewTable) -> Result<TableState, CatalogError>;

    /// Applies the updates if the requirements hold, all of them or none, and tells what the table then is.
    async fn commit(
        &self,
        name: &TableName,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Committed, CommitError>;

    /// Returns the names of all tables, in order.
    async fn list(&self) -> Result<Vec<TableName>, CatalogError>;

    /// Forgets the table and leaves its objects where they are. Says whether there was one; another one made under its
    /// name meanwhile is forgotten all the same.
    async fn drop_table(&self, name: &TableName) -> Result<bool, CatalogError>;
}

/// A table's metadata and where it is written down.
#[derive(Debug, Clone)]
pub struct TableState {
    /// The metadata.
    pub metadata: Arc<TableMetadata>,
    /// The location of its `metadata.json`.
    pub metadata_location: String,
    /// What the catalog gives out for its objects.
    pub access: StorageAccess,
    /// Its branches and tags, if they were found out already.
    pub(crate) references: Option<Arc<References>>,
}

impl TableState {
    /// Returns a table with this metadata, written down at this location.
    pub fn new(
        metadata: Arc<TableMetadata>,
        metadata_location: String,
        access: StorageAccess,
    ) -> Self {
        Self {
            metadata,
            metadata_location,
            access,
            references: None,
        }
    }

    pub(crate) fn with_references(self, references: Arc<References>) -> Self {
        Self {
            references: Some(references),
            ..self
        }
    }
}

/// A table as a commit left it, by what the catalog answered.
///
/// That may be megabytes of JSON, which most who commit need not know, so it is read when somebody asks.
#[derive(Debug, Clone)]
pub struct Committed {
    metadata_location: String,
    answer: Answer,
}

#[derive(Debug, Clone)]
enum Answer {
    Read(Arc<TableMetadata>, Option<Arc<References>>),
    /// An object whose `metadata` it is.
    Json(Bytes),
}

impl Committed {
    /// Returns the answer of a catalog that has the metadata at hand.
    pub fn new(metadata_location: String, metadata: Arc<TableMetadata>) -> Self {
        Self {
            metadata_location,
            answer: Answer::Read(metadata, None),
        }
    }

    /// The answer of a catalog that has all of the metadata at hand.
    pub(crate) fn kept(metadata_location: String, kept: &KeptMetadata) -> Self {
        Self {
            metadata_location,
            answer: Answer::Read(kept.metadata.clone(), Some(kept.references.clone())),
        }
    }

    /// The answer of a catalog that sent the metadata in this JSON, of which no more was read than that it is JSON.
    pub(crate) fn unread(metadata_location: String, json: Bytes) -> Self {
        Self {
            metadata_location,
            answer: Answer::Json(json),
        }
    }

    /// Where the table's `metadata.json` is.
    pub fn metadata_location(&self) -> &str {
        &self.metadata_location
    }

    /// The table as it was then, if the metadata is at hand.
    pub(crate) fn at_hand(&self) -> Option<TableState> {
        match &self.answer {
            Answer::Read(metadata, references) => Some(TableState {
                metadata: metadata.clone(),
                metadata_location: self.metadata_location.clone(),
                access: StorageAccess::default(),
                references: references.clone(),
            }),
            Answer::Json(_) => None,
        }
    }

    /// Returns the table as it was then; what the catalog gives out for its objects is not among it.
    ///
    /// # Errors
    ///
    /// When what the catalog sent is not a table's metadata.
    pub fn state(self) -> Result<TableState, serde_json::Error> {
        #[derive(Deserialize)]
        struct Answered {
            metadata: TableMetadata,
        }
        let (metadata, references) = match self.answer {
            Answer::Read(metadata, references) => (metadata, references),
            Answer::Json(json) => {
                let answered: Answered = serde_json::from_slice(&json)?;
                (Arc::new(answered.metadata), None)
            }
        };
        Ok(TableState {
            metadata,
            metadata_location: self.metadata_location,
            access: StorageAccess::default(),
            references,
        })
    }
}

/// What [`Catalog::create`] makes. Field ids of the schema are 1 to n in column order; the catalog may assign others.
#[derive(Debug, Clone)]
pub struct NewTable {
    /// The columns.
    pub schema: Schema,
    /// The partitioning.
    pub partitioning: UnboundPartitionSpec,
    /// Table properties.
    pub properties: HashMap<String, String>,
}

type Cause = Box<dyn StdError + Send + Sync>;

/// Why a catalog did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// There is a table of that name.
    #[error("table `{table}` exists already")]
    AlreadyExists {
        /// The table.
        table: TableName,
    },
    /// The catalog could not be reached or did not do it.
    #[error("catalog `{catalog}` cannot {operation}")]
    Unavailable {
        /// Which catalog.
        catalog: String,
        /// What it was asked to do.
        operation: &'static str,
        /// Whether the same call may succeed later.
        retryable: bool,
        /// The cause.
        source: Cause,
    },
}

/// Why a commit was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another writer was first; nothing was changed.
    #[error("another writer changed the table first")]
    Conflict {
        /// The requirement that did not hold, or what the catalog said.
        source: Cause,
    },
    /// Nobody knows whether it happened: the table must be loaded and looked at.
    #[error("the outcome of the commit is unknown")]
    Unknown {
        /// The cause.
        source: Cause,
    },
    /// The catalog did not do it and will not if asked again at once; nothing was changed.
    #[error("the catalog refuses the commit")]
    Refused {
        /// The cause.
        source: Cause,
    },
}

impl CommitError {
    /// Says whether the same commit may succeed later without anybody's help.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Conflict { .. } | Self::Unknown { .. } => true,
            Self::Refused { source } => retryable(source.as_ref()),
        }
    }

    /// The cause, as a value that can be kept.
    pub(crate) fn into_cause(self) -> Cause {
        Box::new(self)
    }
}

/// Says whether what a catalog refused may succeed later.
pub(crate) fn retryable(source: &(dyn StdError + Send + Sync + 'static)) -> bool {
    match source.downcast_ref::<RestError>() {
        Some(error) => error.retryable(),
        None => crate::sqlite::retryable(source),
    }
}
