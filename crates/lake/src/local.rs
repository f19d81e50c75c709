use async_trait::async_trait;
use bytes::Bytes;

use crate::storage::{Listed, Put, Storage, StorageError};

/// A directory, or the whole file system: locations are `file:///…` or absolute paths.
#[derive(Debug, Clone, Default)]
pub struct LocalStorage;

#[async_trait]
impl Storage for LocalStorage {
    async fn put_new(&self, _location: &str, _bytes: Bytes) -> Result<Put, StorageError> {
        Ok(Put::Written)
    }
    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        Err(StorageError::NotFound {
            location: location.to_owned(),
        })
    }
    async fn size(&self, _location: &str) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
    async fn list(&self, _prefix: &str) -> Result<Vec<Listed>, StorageError> {
        Ok(Vec::new())
    }
    async fn delete(&self, _location: &str) -> Result<(), StorageError> {
        Ok(())
    }
}
