use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use iceberg::spec::{FormatVersion, Manifest, ManifestFile, ManifestList};
use lake::{CommitOptions, Listed, LocalStorage, Put, Storage, StorageError};

use crate::fakes::lake_on;
use crate::support::{Warehouse, options};

#[tokio::test]
async fn manifests_are_merged_so_that_their_list_stays_short_and_no_file_is_lost() {
    let warehouse = Warehouse::new().await;
    merge_four(&warehouse, &[]).await;
    let mut expected = Vec::new();
    for n in 0..40 {
        let id = format!("{n:02}");
        let receipt = warehouse.receipt(&id, &[&id]).await;
        warehouse.commit(vec![receipt]).await;
        expected.push(id);
        assert!(manifests(&warehouse).await.len() <= 10, "after {n}");
    }
    assert_eq!(warehouse.ids().await, expected);
    // Each file still belongs to the snapshot that brought it.
    let table = warehouse.table().await;
    let summary = &table
        .metadata()
        .current_snapshot()
        .unwrap()
        .summary()
        .additional_properties;
    assert_eq!(summary["total-data-files"], "40");
    let mut sequence_numbers = Vec::new();
    for manifest in manifests(&warehouse).await {
        let bytes = warehouse
            .lake
            .storage()
            .get(&manifest.manifest_path)
            .await
            .unwrap();
        for entry in Manifest::parse_avro(&bytes).unwrap().entries() {
            let inherited = Some(manifest.sequence_number);
            sequence_numbers.extend(entry.sequence_number.or(inherited));
            let snapshot_id = entry.snapshot_id.unwrap_or(manifest.added_snapshot_id);
            let snapshot = table.metadata().snapshot_by_id(snapshot_id).unwrap();
            assert_eq!(
                Some(snapshot.sequence_number()),
                entry.sequence_number.or(inherited)
            );
        }
    }
    sequence_numbers.sort_unstable();
    assert_eq!(sequence_numbers, (1..=40).collect::<Vec<_>>());
}

async fn manifests(warehouse: &Warehouse) -> Vec<ManifestFile> {
    let table = warehouse.table().await;
    let location = table.metadata().current_snapshot().unwrap().manifest_list();
    let bytes = warehouse.lake.storage().get(location).await.unwrap();
    let list = ManifestList::parse_with_version(&bytes, FormatVersion::V2).unwrap();
    list.consume_entries().into_iter().collect()
}

/// Has the table merge from four manifests on.
async fn merge_four(warehouse: &Warehouse, more: &[(&str, &str)]) {
    let four = ("commit.manifest.min-count-to-merge", "4");
    let properties: BTreeMap<String, String> = [four]
        .iter()
        .chain(more)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let table = warehouse.table().await;
    let set = warehouse.lake.set_properties(&table, &properties);
    set.await.unwrap();
}

#[tokio::test]
async fn no_more_is_merged_at_once_than_the_table_says() {
    const TARGET_BYTES: i64 = 10_000;
    let warehouse = Warehouse::new().await;
    let target = TARGET_BYTES.to_string();
    merge_four(
        &warehouse,
        &[("commit.manifest.target-size-bytes", &target)],
    )
    .await;
    let mut expected = Vec::new();
    let (mut n_merged, mut longest) = (0, 0);
    for n in 0..60 {
        let id = format!("{n:02}");
        let receipt = warehouse.receipt(&id, &[&id]).await;
        let before = paths(&warehouse).await;
        warehouse.commit(vec![receipt]).await;
        expected.push(id);
        let after = paths(&warehouse).await;
        let gone_bytes: i64 = before
            .iter()
            .filter(|(path, _)| !after.contains_key(*path))
            .map(|(_, manifest)| manifest.manifest_length)
            .sum();
        assert!(gone_bytes <= TARGET_BYTES, "{gone_bytes} after {n}");
        n_merged += usize::from(gone_bytes > 0);
        longest = longest.max(after.len());
    }
    assert!(n_merged > 10 && longest <= 16, "{n_merged} {longest}");
    assert_eq!(warehouse.ids().await, expected);
}

/// The manifests of the table, by location.
async fn paths(warehouse: &Warehouse) -> BTreeMap<String, ManifestFile> {
    if warehouse
        .table()
        .await
        .metadata()
        .current_snapshot()
        .is_none()
    {
        return BTreeMap::new();
    }
    let manifests = manifests(warehouse).await.into_iter();
    manifests
        .map(|manifest| (manifest.manifest_path.clone(), manifest))
        .collect()
}

/// A store that never ends giving out manifests, and counts them.
#[derive(Debug, Default)]
struct Stuck {
    n_reads: AtomicUsize,
}

#[async_trait]
impl Storage for Stuck {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        LocalStorage.put_new(location, bytes).await
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        if location.ends_with("-m0.avro") {
            self.n_reads.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        LocalStorage.get(location).await
    }

    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError> {
        LocalStorage.size(location).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        LocalStorage.list(prefix).await
    }

    async fn delete(&self, location: &str) -> Result<(), StorageError> {
        LocalStorage.delete(location).await
    }
}

#[tokio::test]
async fn a_merge_that_never_ends_holds_up_neither_its_commit_nor_the_next() {
    let warehouse = Warehouse::new().await;
    merge_four(&warehouse, &[]).await;
    for id in ["1", "2", "3", "4"] {
        let receipt = warehouse.receipt(id, &[id]).await;
        warehouse.commit(vec![receipt]).await;
    }
    let storage = Arc::new(Stuck::default());
    let lake = lake_on(warehouse.directory.path(), storage.clone());
    for (id, n_reads) in [("5", 4), ("6", 4)] {
        let receipt = warehouse.receipt(id, &[id]).await;
        let in_time = CommitOptions {
            deadline: Some(tokio::time::Instant::now() + Duration::from_secs(8)),
            ..options(1)
        };
        let report = lake.commit(&warehouse.name, vec![receipt], &in_time).await;
        assert_eq!(report.unwrap().n_rows, 1);
        assert_eq!(storage.n_reads.load(Ordering::Relaxed), n_reads, "{id}");
    }
    assert_eq!(warehouse.ids().await, ["1", "2", "3", "4", "5", "6"]);
}
