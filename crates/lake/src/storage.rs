use std::error::Error as StdError;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use crate::access::StorageAccess;
use crate::s3_error::S3Error;

/// Where objects live: a directory, or S3.
///
/// Objects are written once, whole, and never changed. A location is a URL that the storage understands, such as
/// `file:///warehouse/analytics/events/data/…` or `s3://bucket/analytics/events/data/…`.
#[async_trait]
pub trait Storage: Send + Sync + Debug {
    /// Writes an object that is not there yet; durable when this returns.
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError>;

    /// Returns the whole object.
    async fn get(&self, location: &str) -> Result<Bytes, StorageError>;

    /// Returns the size of the object in bytes, or nothing when it is not there.
    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError>;

    /// Says whether the object is there.
    async fn exists(&self, location: &str) -> Result<bool, StorageError> {
        Ok(self.size(location).await?.is_some())
    }

    /// Returns every object below the prefix, in the order of their locations. An absent prefix has none.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError>;

    /// The same page by page, as many as the storage tells at once and in its own order, for prefixes with more objects than
    /// memory should hold.
    fn pages(&self, prefix: String) -> BoxStream<'_, Result<Vec<Listed>, StorageError>> {
        stream::once(async move { self.list(&prefix).await }).boxed()
    }

    /// Removes the object. One that is not there is no error.
    async fn delete(&self, location: &str) -> Result<(), StorageError>;

    /// Returns the storage for the objects of one table, with what its catalog gave out for them; nothing when that is
    /// nothing that this storage could use.
    fn for_table(&self, _access: &StorageAccess) -> Option<Arc<dyn Storage>> {
        None
    }
}

/// What became of [`Storage::put_new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is there now, with these bytes.
    Written,
    /// An object of that name was there; it was left as it is.
    AlreadyThere,
}

/// One object found by [`Storage::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its location.
    pub location: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified_ms: i64,
}

type Cause = Box<dyn StdError + Send + Sync>;

/// What went wrong with which object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The storage could not be set up.
    #[error("cannot use `{store}`")]
    Open {
        /// What was to be used.
        store: String,
        /// The cause.
        source: Cause,
    },
    /// The object could not be written. Nothing of it is visible, unless only the answer was lost: then it is there, whole.
    #[error("cannot write `{location}`")]
    Write {
        /// The object.
        location: String,
        /// The cause.
        source: Cause,
    },
    /// The object could not be read.
    #[error("cannot read `{location}`")]
    Read {
        /// The object.
        location: String,
        /// The cause.
        source: Cause,
    },
    /// The object is not there.
    #[error("`{location}` is not there")]
    NotFound {
        /// The object.
        location: String,
    },
    /// The prefix could not be listed.
    #[error("cannot list `{location}`")]
    List {
        /// The prefix.
        location: String,
        /// The cause.
        source: Cause,
    },
    /// The object could not be removed.
    #[error("cannot delete `{location}`")]
    Delete {
        /// The object.
        location: String,
        /// The cause.
        source: Cause,
    },
    /// The location is not one that this storage serves.
    #[error("`{location}` is not a location of this storage: {reason}")]
    Location {
        /// What was given.
        location: String,
        /// Why it is refused.
        reason: &'static str,
    },
}

impl StorageError {
    /// Says whether the same call may succeed later without anybody's help.
    pub fn retryable(&self) -> bool {
        let source = match self {
            Self::Open { .. } | Self::NotFound { .. } | Self::Location { .. } => return false,
            Self::Write { source, .. }
            | Self::Read { source, .. }
            | Self::List { source, .. }
            | Self::Delete { source, .. } => source,
        };
        if let Some(error) = source.downcast_ref::<S3Error>() {
            return error.retryable();
        }
        // A denied permission stays denied; a full disk may be emptied, a network may come back.
        source.downcast_ref::<std::io::Error>().is_none_or(|error| {
            !matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::ReadOnlyFilesystem
                    | std::io::ErrorKind::NotADirectory
            )
        })
    }
}
