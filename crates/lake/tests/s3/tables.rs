use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use futures::future::join_all;
use lake::{CommitOptions, DEFAULT_CATALOG_NAME, Lake, SqliteCatalog, Storage};
use serde_json::Value;

use crate::stores::Store;
use crate::support::{Warehouse, definition, receipt};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// A lake whose catalog is a SQLite file in this directory and whose tables are in S3.
async fn lake_in(store: &Store, directory: &Path) -> Lake {
    let storage: Arc<dyn Storage> = Arc::new(store.storage().await);
    let file = directory.join("catalog.db");
    let place = store.at("warehouse");
    let catalog = SqliteCatalog::open(&file, DEFAULT_CATALOG_NAME, &place, storage.clone());
    Lake::new(Arc::new(catalog.unwrap()), storage)
}

/// An empty table `t.events` that keeps one old snapshot and merges manifests from the third on.
async fn warehouse(store: &Store) -> Warehouse {
    let directory = tempfile::tempdir().unwrap();
    let lake = lake_in(store, directory.path()).await;
    let name = "t.events".parse().unwrap();
    let mut table = definition(&["day(event_time)"]);
    table.properties.extend(
        [
            ("history.max-snapshots", "1"),
            ("commit.manifest.min-count-to-merge", "3"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    lake.create_table(&name, &table).await.unwrap();
    Warehouse {
        directory,
        lake,
        name,
    }
}

/// What an engine that shares no code with us reads from the table.
fn read(store: &Store, warehouse: &Warehouse, engine: &str) -> BTreeMap<String, Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let keys = store.keys();
    let output = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("tests/readers/readers.py"))
        .arg(engine)
        .arg(warehouse.directory.path())
        .args([&warehouse.name.to_string(), "--lines"])
        .env("CALVE_READ_S3_ENDPOINT", store.endpoint())
        .env("CALVE_READ_S3_ACCESS_KEY_ID", keys.access_key_id)
        .env("CALVE_READ_S3_SECRET_ACCESS_KEY", keys.secret_access_key)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{engine} on {}: {errors}",
        store.name
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_table_in_s3_is_written_by_many_committed_expired_and_read_by_others() {
    for store in Store::both() {
        let warehouse = warehouse(&store).await;
        let start_ms = warehouse.table().await.metadata().last_updated_ms();

        // Writers that share nothing but the catalog file and the bucket.
        let writers = (0..4).map(async |writer: i64| {
            let lake = lake_in(&store, warehouse.directory.path()).await;
            for n in 0..3 {
                let table = lake.load_table(&warehouse.name).await.unwrap().unwrap();
                let id = format!("{writer}-{n}");
                let receipt = receipt(&lake, &table, &id, &[&id]).await;
                let seed = u64::try_from(writer).unwrap();
                let options = CommitOptions::new(start_ms + n, seed);
                let report = lake.commit(&warehouse.name, vec![receipt], &options);
                assert_eq!(report.await.unwrap().n_rows, 1);
            }
        });
        join_all(writers).await;
        let late = warehouse.receipt("late", &["late"]).await;
        let options = CommitOptions::new(start_ms + 2 * HOUR_MS, 1);
        let report = warehouse
            .lake
            .commit(&warehouse.name, vec![late], &options)
            .await
            .unwrap();
        assert_eq!(report.n_expired_snapshots, 11, "{}", store.name);

        let ids = warehouse.ids().await;
        assert_eq!(ids.len(), 13);
        assert_eq!((ids[0].as_str(), ids[12].as_str()), ("0-0", "late"));
        check_readers(&store, &warehouse, &ids);
        check_everything_is_in_s3(&store, &warehouse).await;
    }
}

/// Both engines read these ids, and the same rows.
#[track_caller]
fn check_readers(store: &Store, warehouse: &Warehouse, ids: &[String]) {
    let [duckdb, pyiceberg] = ["duckdb", "pyiceberg"].map(|engine| read(store, warehouse, engine));
    for seen in [&duckdb, &pyiceberg] {
        assert_eq!(
            (&seen["n_rows"], &seen["n_distinct"]),
            (&13.into(), &13.into())
        );
    }
    assert_eq!(duckdb["lines"], pyiceberg["lines"], "{}", store.name);
    let mut read: Vec<String> = duckdb["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line.as_str().unwrap()).unwrap())
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    read.sort();
    assert_eq!(read, ids);
}

/// Beside the catalog there is nothing on the disk, and nothing of the table elsewhere in the bucket.
async fn check_everything_is_in_s3(store: &Store, warehouse: &Warehouse) {
    let mut files: Vec<String> = std::fs::read_dir(warehouse.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("catalog.db"))
        .collect();
    files.sort();
    assert!(files.is_empty(), "{files:?}");
    let place = store.at("warehouse/t/events");
    let table = warehouse.table().await;
    assert_eq!(table.metadata().location(), place);
    let listed = warehouse.lake.storage().list(&place).await.unwrap();
    let n_data_files = listed
        .iter()
        .filter(|object| object.location.starts_with(&format!("{place}/data/")))
        .count();
    assert_eq!(n_data_files, 13);
}
