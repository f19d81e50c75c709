use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_schema::DataType;
use futures::future::join_all;
use iceberg::{TableRequirement, TableUpdate};
use lake::{
    Catalog, ClientCredentials, Clock, ColumnDefinition, CommitError, CommitOptions, Lake,
    LakeError, RestAuth, RestCatalog, RestOptions, S3Credentials, S3Keys, S3Options, S3Storage,
    SchemaChange, Secret, Storage, StorageAccess, TableName,
};
use serde_json::Value;

use crate::support::{Warehouse, committed, definition, outcomes, receipt};

const HOUR_MS: i64 = 60 * 60 * 1000;

#[expect(
    clippy::disallowed_methods,
    reason = "the servers of a test are no setting of Calve"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `scripts/servers.py run -- cargo test … -- --ignored`")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the program, which a test is"
)]
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn options(secret: String) -> RestOptions {
    RestOptions {
        warehouse: Some(variable("CALVE_TEST_CATALOG_WAREHOUSE")),
        auth: RestAuth::ClientCredentials(ClientCredentials {
            token_uri: Some(variable("CALVE_TEST_CATALOG_TOKEN_URI")),
            client_id: variable("CALVE_TEST_CATALOG_CLIENT_ID"),
            client_secret: Secret::new(secret),
            scope: Some("catalog".to_owned()),
            parameters: BTreeMap::new(),
        }),
        ..RestOptions::at(variable("CALVE_TEST_CATALOG_URI"), Clock::new(now_ms))
    }
}

fn catalog() -> RestCatalog {
    RestCatalog::new(options(variable("CALVE_TEST_CATALOG_CLIENT_SECRET"))).unwrap()
}

/// A lake with connections of its own, as each process has.
async fn lake() -> Lake {
    let keys = S3Keys {
        access_key_id: variable("CALVE_TEST_S3_ACCESS_KEY_ID"),
        secret_access_key: variable("CALVE_TEST_S3_SECRET_ACCESS_KEY"),
        session_token: None,
    };
    let options = S3Options {
        credentials: S3Credentials::Static(keys),
        ..S3Options::at(variable("CALVE_TEST_S3_ENDPOINT"))
    };
    let storage: Arc<dyn Storage> = Arc::new(S3Storage::new(&options).await.unwrap());
    Lake::new(Arc::new(catalog()), storage)
}

/// A name that no other test has, in a namespace of its own.
fn new_name() -> TableName {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("rest_{unique}.events").parse().unwrap()
}

/// An empty table with these properties.
async fn warehouse(properties: &[(&str, &str)]) -> Warehouse {
    let lake = lake().await;
    let name = new_name();
    let mut table = definition(&["day(event_time)"]);
    let properties = properties
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    table.properties.extend(properties);
    lake.create_table(&name, &table).await.unwrap();
    Warehouse {
        directory: tempfile::tempdir().unwrap(),
        lake,
        name,
    }
}

fn columns(names: impl IntoIterator<Item = String>) -> Vec<ColumnDefinition> {
    let column = |name: String| ColumnDefinition {
        doc: Some(format!("/{name}")),
        name,
        data_type: DataType::Utf8,
        required: false,
    };
    names.into_iter().map(column).collect()
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_table_is_made_with_its_namespace_found_listed_and_dropped() {
    let (lake, name) = (lake().await, new_name());
    assert!(lake.load_table(&name).await.unwrap().is_none());
    let made = lake
        .create_table(&name, &definition(&["day(event_time)"]))
        .await
        .unwrap();
    assert!(
        made.location().starts_with("s3://tables/"),
        "{}",
        made.location()
    );
    let again = lake
        .create_table(&name, &definition(&[]))
        .await
        .unwrap_err();
    assert!(matches!(again, LakeError::TableExists { .. }), "{again:?}");

    let found = lake.load_table(&name).await.unwrap().unwrap();
    assert_eq!(found.uuid(), made.uuid());
    assert_eq!(found.partition_names(), ["event_time_day"]);
    let docs: Vec<Option<String>> = found.columns().into_iter().map(|c| c.doc).collect();
    assert_eq!(
        docs,
        ["/event_time", "/id", "/n"].map(|doc| Some(doc.to_owned()))
    );
    assert_eq!(found.properties()["calve.format"], "1");
    found.check_writable().unwrap();

    assert!(lake.list_tables().await.unwrap().contains(&name));
    assert!(lake.drop_table(&name).await.unwrap());
    assert!(!lake.drop_table(&name).await.unwrap());
    assert!(lake.load_table(&name).await.unwrap().is_none());
    assert!(!lake.list_tables().await.unwrap().contains(&name));
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn who_is_not_known_is_told_so() {
    let catalog = RestCatalog::new(options("wrong".to_owned())).unwrap();
    let storage: Arc<dyn Storage> = Arc::new(lake::LocalStorage);
    let lake = Lake::new(Arc::new(catalog), storage);
    let error = lake.load_table(&new_name()).await.unwrap_err();
    assert_eq!(error.disposition(), lake::Disposition::Fatal);
    let hint = error.hint().unwrap();
    assert!(hint.contains("credentials"), "{hint}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn what_rests_on_an_older_table_is_a_conflict() {
    let warehouse = warehouse(&[]).await;
    let base = warehouse.table().await;
    let first = warehouse.receipt("a", &["1"]).await;
    warehouse.commit(vec![first]).await;
    let requirement = |snapshot_id| TableRequirement::RefSnapshotIdMatch {
        r#ref: "main".to_owned(),
        snapshot_id,
    };
    let updates = || {
        let updates = [("x".to_owned(), "y".to_owned())].into();
        vec![TableUpdate::SetProperties { updates }]
    };
    let commit = async |requirements| {
        catalog()
            .commit(&warehouse.name, requirements, updates())
            .await
    };
    let outdated = commit(vec![requirement(base.metadata().current_snapshot_id())]).await;
    assert!(
        matches!(outdated, Err(CommitError::Conflict { .. })),
        "{outdated:?}"
    );
    let uuid = uuid::Uuid::new_v4();
    let another = commit(vec![TableRequirement::UuidMatch { uuid }]).await;
    assert!(
        matches!(another, Err(CommitError::Conflict { .. })),
        "{another:?}"
    );
    let current = warehouse.table().await.metadata().current_snapshot_id();
    let committed = commit(vec![requirement(current)]).await.unwrap();
    let state = committed.state().unwrap();
    assert_eq!(state.metadata.properties()["x"], "y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs servers: scripts/servers.py"]
async fn eight_writers_of_ten_commits_lose_nothing_and_double_nothing_and_others_read_the_same() {
    let warehouse = warehouse(&[("commit.manifest.min-count-to-merge", "20")]).await;
    let writers = (0..8_u64).map(|writer| {
        let name = warehouse.name.clone();
        tokio::spawn(async move {
            let lake = lake().await;
            for n in 0..10 {
                let id = format!("{writer}-{n}");
                let table = lake.load_table(&name).await.unwrap().unwrap();
                let receipt = receipt(&lake, &table, &id, &[&id]).await;
                let options = CommitOptions::new(now_ms(), writer * 100 + n);
                let report = lake.commit(&name, vec![receipt], &options).await.unwrap();
                assert_eq!(outcomes(&report), [committed(&report)]);
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let ids = warehouse.ids().await;
    assert_eq!(ids.len(), 80);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 80);
    assert_eq!(warehouse.table().await.metadata().snapshots().len(), 80);
    for engine in ["pyiceberg", "duckdb"] {
        assert_eq!(read(&warehouse, engine), ids, "{engine}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs servers: scripts/servers.py"]
async fn writers_that_meet_the_same_new_keys_end_with_each_column_once_and_its_values() {
    let warehouse = warehouse(&[]).await;
    let base = warehouse.table().await;
    let writers = (0..8).map(|_| {
        let base = base.clone();
        let columns = columns((0..20).map(|n| format!("key_{n}")));
        tokio::spawn(async move { lake().await.add_columns(&base, &columns).await.unwrap() })
    });
    let changes: Vec<SchemaChange> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let n_added = changes
        .iter()
        .filter(|change| matches!(change, SchemaChange::Added(_)))
        .count();
    assert_eq!(n_added, 1);
    let table = warehouse.table().await;
    assert_eq!(table.columns().len(), 23);
    assert_eq!(table.metadata().schemas_iter().len(), 2);
    let ids: Vec<i32> = table
        .metadata()
        .current_schema()
        .as_struct()
        .fields()
        .iter()
        .map(|f| f.id)
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 23);
    assert_eq!(
        table.metadata().last_column_id(),
        *ids.iter().max().unwrap()
    );

    // A snapshot in between does not hinder the next columns, and rows of both schemas are read.
    let receipt = warehouse.receipt("a", &["1"]).await;
    warehouse.commit(vec![receipt]).await;
    let more = columns(["more".to_owned()]);
    let change = warehouse.lake.add_columns(&table, &more).await.unwrap();
    assert!(matches!(change, SchemaChange::Added(_)));
    let receipt = warehouse.receipt("b", &["2"]).await;
    warehouse.commit(vec![receipt]).await;
    for engine in ["pyiceberg", "duckdb"] {
        assert_eq!(read(&warehouse, engine), ["1", "2"], "{engine}");
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn old_snapshots_and_their_schemas_go_in_the_commit_that_follows() {
    let warehouse = warehouse(&[("history.max-snapshots", "1")]).await;
    let begun_ms = now_ms();
    for n in 0..5 {
        let receipt = warehouse.receipt(&n.to_string(), &[&n.to_string()]).await;
        let options = CommitOptions::new(begun_ms, n);
        warehouse
            .lake
            .commit(&warehouse.name, vec![receipt], &options)
            .await
            .unwrap();
        let table = warehouse.table().await;
        let more = columns([format!("column_{n}")]);
        warehouse.lake.add_columns(&table, &more).await.unwrap();
    }
    assert_eq!(warehouse.table().await.metadata().schemas_iter().len(), 6);
    let late = warehouse.receipt("late", &["5"]).await;
    let options = CommitOptions::new(begun_ms + 2 * HOUR_MS, 9);
    let report = warehouse
        .lake
        .commit(&warehouse.name, vec![late.clone()], &options)
        .await
        .unwrap();
    assert_eq!((report.n_attempts, report.n_expired_snapshots), (1, 4));
    let metadata = warehouse.table().await.metadata().clone();
    assert_eq!(metadata.snapshots().len(), 2);
    assert_eq!(metadata.schemas_iter().len(), 2);
    let again = warehouse
        .lake
        .commit(&warehouse.name, vec![late], &options)
        .await
        .unwrap();
    assert_eq!(outcomes(&again), [lake::ReceiptOutcome::AlreadyCommitted]);
    for engine in ["pyiceberg", "duckdb"] {
        let ids = read(&warehouse, engine);
        assert_eq!(ids, ["0", "1", "2", "3", "4", "5"], "{engine}");
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn keys_that_a_catalog_gives_out_for_a_table_are_used_for_its_objects() {
    let warehouse = warehouse(&[]).await;
    let location = format!("{}/data/x.parquet", warehouse.table().await.location());
    let storage = warehouse.lake.storage();
    let access = |who: &str| {
        StorageAccess::new(
            [
                (
                    "s3.access-key-id",
                    variable(&format!("CALVE_TEST_S3_{who}ACCESS_KEY_ID")),
                ),
                (
                    "s3.secret-access-key",
                    variable(&format!("CALVE_TEST_S3_{who}SECRET_ACCESS_KEY")),
                ),
                ("s3.endpoint", variable("CALVE_TEST_S3_ENDPOINT")),
                ("s3.path-style-access", "true".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        )
    };
    let put = async |access| {
        let own = storage.for_table(&access).unwrap();
        own.put_new(&location, bytes::Bytes::from_static(b"x"))
            .await
    };
    put(access("READER_")).await.unwrap_err();
    assert_eq!(put(access("")).await.unwrap(), lake::Put::Written);
    assert!(storage.for_table(&StorageAccess::default()).is_none());
}

/// The ids that an engine reads, which shares no code with us, in order.
#[track_caller]
fn read(warehouse: &Warehouse, engine: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let credential = [
        "CALVE_TEST_CATALOG_CLIENT_ID",
        "CALVE_TEST_CATALOG_CLIENT_SECRET",
    ]
    .map(variable);
    let mut command = Command::new(root.join(".venv/bin/python"));
    command
        .arg(root.join("tests/readers/readers.py"))
        .arg(engine)
        .arg(variable("CALVE_TEST_CATALOG_URI"))
        .args([&warehouse.name.to_string(), "--lines"])
        .env(
            "CALVE_READ_CATALOG_WAREHOUSE",
            variable("CALVE_TEST_CATALOG_WAREHOUSE"),
        )
        .env("CALVE_READ_CATALOG_CREDENTIAL", credential.join(":"));
    for name in ["S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] {
        command.env(
            format!("CALVE_READ_{name}"),
            variable(&format!("CALVE_TEST_{name}")),
        );
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{engine}: {errors}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut ids: Vec<String> = seen["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line.as_str().unwrap()).unwrap())
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}
