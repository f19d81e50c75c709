//! Data files on their way to the storage, several at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lake::{DataFile, LakeError, Storage, StorageError, WriteOptions};
use tokio::sync::{Barrier, watch};

use crate::fakes::{Before, Disk, Fault, lake_on};
use crate::support::{Warehouse, batch, batch_id};

/// A disk where so many data files are written at once or none is.
#[derive(Debug)]
struct Meeting {
    barrier: Barrier,
    n_inside: AtomicUsize,
    most_inside: AtomicUsize,
}

impl Meeting {
    fn of(n_files: usize) -> Arc<Disk<Self>> {
        Arc::new(Disk(Self {
            barrier: Barrier::new(n_files),
            n_inside: AtomicUsize::new(0),
            most_inside: AtomicUsize::new(0),
        }))
    }
}

#[async_trait]
impl Before for Meeting {
    async fn put(&self, location: &str, _n_bytes: usize) -> Result<(), StorageError> {
        if location.contains("/data/") {
            let n_inside = self.n_inside.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_inside.fetch_max(n_inside, Ordering::SeqCst);
            self.barrier.wait().await;
            self.n_inside.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// A disk that never is done with a data file: their sizes, in the order in which they came.
#[derive(Debug, Default)]
struct Stuck(watch::Sender<Vec<usize>>);

#[async_trait]
impl Before for Stuck {
    async fn put(&self, location: &str, n_bytes: usize) -> Result<(), StorageError> {
        if location.contains("/data/") {
            self.0.send_modify(|sizes| sizes.push(n_bytes));
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// Writes a row for each of these ids, each of a partition of its own, through this storage.
async fn write(storage: Arc<dyn Storage>, n_ids: usize) -> Result<Vec<DataFile>, LakeError> {
    let ids: Vec<String> = (0..n_ids).map(|n| format!("{n:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    write_ids(storage, &["id"], &ids, &WriteOptions::default()).await
}

async fn write_ids(
    storage: Arc<dyn Storage>,
    partitioning: &[&str],
    ids: &[&str],
    options: &WriteOptions,
) -> Result<Vec<DataFile>, LakeError> {
    let warehouse = Warehouse::partitioned_by(partitioning).await;
    let lake = lake_on(warehouse.directory.path(), storage);
    let table = lake.load_table(&warehouse.name).await?.unwrap();
    let rows: Vec<(i64, &str)> = ids.iter().map(|id| (0, *id)).collect();
    let id = batch_id(&table, "a");
    let rows = [batch(&rows)];
    lake.write(&table, &rows, &id, options).await
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
    assert!(meeting.0.most_inside.load(Ordering::SeqCst) >= 4);
}

#[tokio::test]
async fn no_more_than_sixteen_files_are_on_their_way() {
    let meeting = Meeting::of(16);
    assert_eq!(write_in_time(meeting.clone(), 48).await.len(), 48);
    // More would meet if they came.
    let never = Meeting::of(usize::MAX >> 1);
    let waiting = tokio::time::timeout(Duration::from_secs(2), write(never.clone(), 48));
    assert!(waiting.await.is_err());
    let most_inside = never.0.most_inside.load(Ordering::SeqCst);
    assert!((1..=16).contains(&most_inside), "{most_inside}");
}

#[tokio::test]
async fn no_file_is_begun_while_eight_mebibytes_are_on_their_way() {
    const MAX_BYTES: usize = 8 << 20;
    // 20 MB of letters at random, so that they stay as many: more files than may be on their way, and fewer than sixteen.
    let mut state = 1_u64;
    let letters = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'0' + (state >> 58) as u8)
    });
    let text: String = letters.take(20_000_000).collect();
    let ids: Vec<&str> = (0..text.len() / 1_000)
        .map(|n| &text[n * 1_000..][..1_000])
        .collect();
    let options = WriteOptions {
        target_file_bytes: 1 << 20,
        row_group_bytes: 1 << 20,
        ..WriteOptions::default()
    };
    let stuck = Arc::new(Disk(Stuck::default()));
    let mut sizes = stuck.0.0.subscribe();
    let full = async {
        let is_full = |sizes: &Vec<usize>| sizes.iter().sum::<usize>() >= MAX_BYTES;
        sizes.wait_for(is_full).await.unwrap();
        // More would come now.
        tokio::time::sleep(Duration::from_secs(1)).await;
        sizes.borrow().clone()
    };
    let writing = write_ids(stuck.clone(), &[], &ids, &options);
    let sizes = tokio::select! {
        sizes = tokio::time::timeout(Duration::from_mins(1), full) => sizes.unwrap(),
        written = writing => panic!("{written:?}"),
    };
    let (_, others) = sizes.split_last().unwrap();
    assert!(others.iter().sum::<usize>() < MAX_BYTES, "{sizes:?}");
    assert!(sizes.len() < 16, "{sizes:?}");
}

#[tokio::test]
async fn one_file_that_cannot_be_stored_is_named_among_many() {
    let fault = Fault::Full("-5.parquet".to_owned());
    let error = write(Arc::new(Disk(fault)), 12).await.unwrap_err();
    assert!(
        matches!(&error, LakeError::StoreDataFile { n_rows: 1, source, .. } if source.to_string().contains("-5.parquet")),
        "{error:?}"
    );
}
