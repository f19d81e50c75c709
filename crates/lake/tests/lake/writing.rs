//! Data files on their way to the storage, several at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lake::{DataFile, LakeError, Listed, Put, Storage, StorageError, WriteOptions};
use tokio::sync::Barrier;

use crate::fakes::{BadDisk, Fault, lake_on};
use crate::support::{Warehouse, batch, batch_id};

/// A disk where so many data files are written at once or none is.
#[derive(Debug)]
struct Meeting {
    barrier: Barrier,
    n_inside: AtomicUsize,
    most_inside: AtomicUsize,
}

impl Meeting {
    fn of(n_files: usize) -> Arc<Self> {
        Arc::new(Self {
            barrier: Barrier::new(n_files),
            n_inside: AtomicUsize::new(0),
            most_inside: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Storage for Meeting {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        if location.contains("/data/") {
            let n_inside = self.n_inside.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_inside.fetch_max(n_inside, Ordering::SeqCst);
            self.barrier.wait().await;
            self.n_inside.fetch_sub(1, Ordering::SeqCst);
        }
        lake::LocalStorage.put_new(location, bytes).await
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
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

/// Writes a row for each of these ids, each of a partition of its own, through this storage.
async fn write(storage: Arc<dyn Storage>, n_ids: usize) -> Result<Vec<DataFile>, LakeError> {
    let warehouse = Warehouse::partitioned_by(&["id"]).await;
    let lake = lake_on(warehouse.directory.path(), storage);
    let table = lake.load_table(&warehouse.name).await?.unwrap();
    let ids: Vec<String> = (0..n_ids).map(|n| format!("{n:03}")).collect();
    let rows: Vec<(i64, &str)> = ids.iter().map(|id| (0, id.as_str())).collect();
    let options = WriteOptions::default();
    let id = batch_id(&table, "a");
    let rows = [batch(&rows)];
    lake.write(&table, &rows, &id, &options).await
}

/// The same, but not forever: files may wait for others that never come.
async fn write_in_time(storage: Arc<dyn Storage>, n_ids: usize) -> Vec<DataFile> {
    let written = tokio::time::timeout(Duration::from_mins(1), write(storage, n_ids));
    written.await.unwrap().unwrap()
}

#[tokio::test]
async fn small_files_are_stored_side_by_side_and_told_in_order() {
    let meeting = Meeting::of(4);
    let files = write_in_time(meeting.clone(), 8).await;
    let numbers: Vec<String> = files
        .iter()
        .map(|file| file.location.rsplit_once('-').unwrap().1.to_owned())
        .collect();
    let expected: Vec<String> = (0..8).map(|n| format!("{n}.parquet")).collect();
    assert_eq!(numbers, expected);
    let locations: HashSet<&String> = files.iter().map(|file| &file.location).collect();
    assert_eq!(locations.len(), 8);
    assert!(meeting.most_inside.load(Ordering::SeqCst) >= 4);
}

#[tokio::test]
async fn no_more_than_sixteen_files_are_on_their_way() {
    let meeting = Meeting::of(16);
    assert_eq!(write_in_time(meeting.clone(), 48).await.len(), 48);
    // More would meet if they came.
    let never = Meeting::of(usize::MAX >> 1);
    let waiting = tokio::time::timeout(Duration::from_secs(2), write(never.clone(), 48));
    assert!(waiting.await.is_err());
    let most_inside = never.most_inside.load(Ordering::SeqCst);
    assert!((1..=16).contains(&most_inside), "{most_inside}");
}

#[tokio::test]
async fn one_file_that_cannot_be_stored_is_named_among_many() {
    let fault = Fault::Full("-5.parquet".to_owned());
    let error = write(Arc::new(BadDisk { fault }), 12).await.unwrap_err();
    assert!(
        matches!(&error, LakeError::StoreDataFile { n_rows: 1, source, .. } if source.to_string().contains("-5.parquet")),
        "{error:?}"
    );
}
