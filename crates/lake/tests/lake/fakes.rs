use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use iceberg::{TableRequirement, TableUpdate};
use lake::{
    Catalog, CatalogError, CommitError, Committed, Lake, Listed, NewTable, Put, Receipt, Storage,
    StorageError, TableName, TableState,
};

use crate::support::options;

/// What happens to one commit on its way.
#[derive(Debug, Clone)]
pub(crate) enum Luck {
    /// It happens, and the answer is lost in this way.
    LoseAnswer(Answer),
    /// It does not happen, and this is the answer.
    Fail(Answer),
    /// Another writer commits these receipts first.
    Overtaken(Lake, Vec<Receipt>),
    /// It is refused when it has an update whose name begins so, and happens otherwise.
    Refuse(&'static str),
    /// Nothing special.
    Pass,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Conflict,
    Unknown,
    Refused,
}

/// A catalog behind a bad network.
#[derive(Debug)]
pub(crate) struct UnluckyCatalog {
    inner: Arc<dyn Catalog>,
    luck: Mutex<VecDeque<Luck>>,
}

impl UnluckyCatalog {
    /// The lake of this warehouse with the first commits meeting this luck.
    pub(crate) fn over(directory: &std::path::Path, luck: Vec<Luck>) -> Lake {
        let storage: Arc<dyn Storage> = Arc::new(lake::LocalStorage);
        let location = format!("file://{}", directory.display());
        let path = directory.join("catalog.db");
        let name = lake::DEFAULT_CATALOG_NAME;
        let inner = lake::SqliteCatalog::open(&path, name, &location, storage.clone()).unwrap();
        let catalog = Self {
            inner: Arc::new(inner),
            luck: Mutex::new(luck.into()),
        };
        Lake::new(Arc::new(catalog), storage)
    }
}

#[async_trait]
impl Catalog for UnluckyCatalog {
    async fn load(&self, name: &TableName) -> Result<Option<TableState>, CatalogError> {
        self.inner.load(name).await
    }

    async fn create(&self, name: &TableName, table: NewTable) -> Result<TableState, CatalogError> {
        self.inner.create(name, table).await
    }

    async fn list(&self) -> Result<Vec<TableName>, CatalogError> {
        self.inner.list().await
    }

    async fn drop_table(&self, name: &TableName) -> Result<bool, CatalogError> {
        self.inner.drop_table(name).await
    }

    async fn commit(
        &self,
        name: &TableName,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Committed, CommitError> {
        let luck = self.luck.lock().unwrap().pop_front().unwrap_or(Luck::Pass);
        match luck {
            Luck::Pass => self.inner.commit(name, requirements, updates).await,
            Luck::Fail(answer) => Err(answer.error()),
            Luck::Refuse(action) => {
                let is_refused = |update: &TableUpdate| {
                    let update = serde_json::to_value(update).unwrap();
                    update["action"].as_str().unwrap().starts_with(action)
                };
                if updates.iter().any(is_refused) {
                    return Err(Answer::Refused.error());
                }
                self.inner.commit(name, requirements, updates).await
            }
            Luck::LoseAnswer(answer) => {
                self.inner
                    .commit(name, requirements, updates)
                    .await
                    .unwrap();
                Err(answer.error())
            }
            Luck::Overtaken(other, receipts) => {
                other.commit(name, receipts, &options(99)).await.unwrap();
                self.inner.commit(name, requirements, updates).await
            }
        }
    }
}

impl Answer {
    fn error(self) -> CommitError {
        match self {
            Self::Conflict => CommitError::Conflict {
                source: "409".into(),
            },
            Self::Unknown => CommitError::Unknown {
                source: "504".into(),
            },
            Self::Refused => CommitError::Refused {
                source: "400".into(),
            },
        }
    }
}

/// What happens on a [`Disk`] before it does what it is asked.
#[async_trait]
pub(crate) trait Before: std::fmt::Debug + Send + Sync {
    async fn put(&self, _location: &str, _n_bytes: usize) -> Result<(), StorageError> {
        Ok(())
    }

    async fn get(&self, _location: &str) -> Result<(), StorageError> {
        Ok(())
    }
}

/// The local disk, on which something happens before.
#[derive(Debug)]
pub(crate) struct Disk<B>(pub(crate) B);

#[async_trait]
impl<B: Before> Storage for Disk<B> {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        self.0.put(location, bytes.len()).await?;
        lake::LocalStorage.put_new(location, bytes).await
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        self.0.get(location).await?;
        lake::LocalStorage.get(location).await
    }

    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError> {
        lake::LocalStorage.size(location).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        lake::LocalStorage.list(prefix).await
    }

    async fn delete(&self, location: &str) -> Result<(), StorageError> {
        lake::LocalStorage.delete(location).await
    }
}

/// What a disk cannot do with objects whose location holds a certain word.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is full for them.
    Full(String),
    /// It cannot read them now.
    Unreadable(String),
}

#[async_trait]
impl Before for Fault {
    async fn put(&self, location: &str, _n_bytes: usize) -> Result<(), StorageError> {
        match self {
            Self::Full(word) if location.contains(word) => Err(StorageError::Write {
                location: location.to_owned(),
                source: std::io::Error::from(std::io::ErrorKind::StorageFull).into(),
            }),
            _ => Ok(()),
        }
    }

    async fn get(&self, location: &str) -> Result<(), StorageError> {
        match self {
            Self::Unreadable(word) if location.contains(word) => Err(StorageError::Read {
                location: location.to_owned(),
                source: std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
            }),
            _ => Ok(()),
        }
    }
}

impl Disk<Fault> {
    /// The lake of this warehouse on a disk with this fault.
    pub(crate) fn under(directory: &std::path::Path, fault: Fault) -> Lake {
        lake_on(directory, Arc::new(Self(fault)))
    }
}

/// The lake of this warehouse with another storage.
pub(crate) fn lake_on(directory: &std::path::Path, storage: Arc<dyn Storage>) -> Lake {
    let location = format!("file://{}", directory.display());
    let path = directory.join("catalog.db");
    let name = lake::DEFAULT_CATALOG_NAME;
    let catalog = lake::SqliteCatalog::open(&path, name, &location, storage.clone()).unwrap();
    Lake::new(Arc::new(catalog), storage)
}
