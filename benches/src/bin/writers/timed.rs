//! A catalog that notes how long its commits take.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use iceberg::{TableRequirement, TableUpdate};
use lake::{Catalog, CatalogError, CommitError, Committed, Lake, NewTable, TableName, TableState};

/// Another catalog, with a watch.
#[derive(Debug)]
pub(crate) struct TimedCatalog {
    inner: Arc<dyn Catalog>,
    commit_ms: Mutex<f64>,
}

impl TimedCatalog {
    /// The lake over the same catalog with a watch, and the watch.
    pub(crate) fn over(lake: &Lake) -> (Lake, Arc<Self>) {
        let timed = Arc::new(Self {
            inner: Arc::clone(lake.catalog()),
            commit_ms: Mutex::new(0.0),
        });
        let lake = Lake::new(Arc::clone(&timed) as _, Arc::clone(lake.storage()));
        (lake, timed)
    }

    /// How long it was waited for answers to commits since this was asked last, in milliseconds.
    pub(crate) fn take_commit_ms(&self) -> f64 {
        std::mem::take(
            &mut self
                .commit_ms
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

#[async_trait]
impl Catalog for TimedCatalog {
    async fn load(&self, name: &TableName) -> Result<Option<TableState>, CatalogError> {
        self.inner.load(name).await
    }

    async fn create(&self, name: &TableName, table: NewTable) -> Result<TableState, CatalogError> {
        self.inner.create(name, table).await
    }

    async fn commit(
        &self,
        name: &TableName,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Committed, CommitError> {
        let begun = Instant::now();
        let committed = self.inner.commit(name, requirements, updates).await;
        let mut commit_ms = self
            .commit_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *commit_ms += begun.elapsed().as_secs_f64() * 1e3;
        committed
    }

    async fn list(&self) -> Result<Vec<TableName>, CatalogError> {
        self.inner.list().await
    }

    async fn drop_table(&self, name: &TableName) -> Result<bool, CatalogError> {
        self.inner.drop_table(name).await
    }
}
