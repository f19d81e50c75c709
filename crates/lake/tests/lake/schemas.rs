//! Which versions of a table's schema stay.

use std::collections::BTreeMap;

use iceberg::TableUpdate;
use iceberg::spec::Schema;
use lake::{
    Catalog as _, ColumnDefinition, CommitOptions, CommitReport, DEFAULT_CATALOG_NAME, Lake,
    LocalStorage, SqliteCatalog,
};

use crate::fakes::{Luck, UnluckyCatalog};
use crate::support::{Warehouse, options};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A table that keeps one snapshot beside the newest, for ten minutes at least.
async fn warehouse() -> (Warehouse, i64) {
    let warehouse = Warehouse::new().await;
    let keep_one = BTreeMap::from([("history.max-snapshots".to_owned(), "1".to_owned())]);
    let table = warehouse.table().await;
    let set = warehouse.lake.set_properties(&table, &keep_one).await;
    let begun_ms = set.unwrap().metadata().last_updated_ms();
    (warehouse, begun_ms)
}

async fn add_column(warehouse: &Warehouse, name: &str) {
    let column = ColumnDefinition {
        name: name.to_owned(),
        doc: Some(format!("/{name}")),
        data_type: arrow_schema::DataType::Utf8,
        required: false,
    };
    let table = warehouse.table().await;
    let added = warehouse.lake.add_columns(&table, &[column]).await;
    added.unwrap();
}

/// Commits one row at this time.
async fn commit(lake: &Lake, warehouse: &Warehouse, id: &str, now_ms: i64) -> CommitReport {
    let receipt = warehouse.receipt(id, &[id]).await;
    let options = CommitOptions {
        now_ms,
        ..options(1)
    };
    let report = lake.commit(&warehouse.name, vec![receipt], &options);
    report.await.unwrap()
}

/// The ids of the schemas, in order.
async fn schemas(warehouse: &Warehouse) -> Vec<i32> {
    let table = warehouse.table().await;
    let schemas = table.metadata().schemas_iter();
    let mut ids: Vec<i32> = schemas.map(|schema| schema.schema_id()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn schemas_go_with_the_last_snapshot_that_needs_them() {
    let (warehouse, begun_ms) = warehouse().await;
    for n in 0..10 {
        commit(&warehouse.lake, &warehouse, &n.to_string(), begun_ms).await;
        add_column(&warehouse, &format!("column_{n}")).await;
    }
    assert_eq!(schemas(&warehouse).await, (0..=10).collect::<Vec<_>>());
    commit(&warehouse.lake, &warehouse, "later", begun_ms + 2 * HOUR_MS).await;
    // The snapshot before, of schema 9, goes with the next one.
    assert_eq!(schemas(&warehouse).await, [9, 10]);
    commit(
        &warehouse.lake,
        &warehouse,
        "latest",
        begun_ms + 4 * HOUR_MS,
    )
    .await;
    assert_eq!(schemas(&warehouse).await, [10]);
    assert_eq!(warehouse.ids().await.len(), 12);
    assert_eq!(warehouse.table().await.columns().len(), 13);
}

#[tokio::test]
async fn the_schema_that_tells_of_a_dropped_column_stays() {
    let (warehouse, begun_ms) = warehouse().await;
    commit(&warehouse.lake, &warehouse, "1", begun_ms).await;
    add_column(&warehouse, "dropped").await;
    add_column(&warehouse, "kept").await;
    let fields = warehouse
        .table()
        .await
        .metadata()
        .current_schema()
        .as_struct()
        .fields()
        .to_vec();
    let fields = fields.into_iter().filter(|field| field.name != "dropped");
    let schema = Schema::builder().with_fields(fields).build().unwrap();
    let location = format!("file://{}", warehouse.directory.path().display());
    let path = warehouse.directory.path().join("catalog.db");
    let storage = std::sync::Arc::new(LocalStorage);
    let catalog = SqliteCatalog::open(&path, DEFAULT_CATALOG_NAME, &location, storage).unwrap();
    let updates = vec![
        TableUpdate::AddSchema { schema },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
    ];
    catalog
        .commit(&warehouse.name, vec![], updates)
        .await
        .unwrap();
    assert_eq!(schemas(&warehouse).await, [0, 1, 2, 3]);
    for (id, hours) in [("2", 2), ("3", 4)] {
        commit(&warehouse.lake, &warehouse, id, begun_ms + hours * HOUR_MS).await;
    }
    // The newest with the column, and the current one.
    assert_eq!(schemas(&warehouse).await, [2, 3]);
    assert_eq!(warehouse.ids().await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_catalog_that_refuses_to_remove_schemas_takes_the_rows() {
    let (warehouse, begun_ms) = warehouse().await;
    commit(&warehouse.lake, &warehouse, "1", begun_ms).await;
    add_column(&warehouse, "first").await;
    add_column(&warehouse, "second").await;
    let luck = vec![Luck::Refuse("remove-schemas"); 6];
    let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
    // Snapshots go all the same.
    for (id, after_ms, n_expired) in [("2", MINUTE_MS, 0), ("3", 2 * HOUR_MS, 1)] {
        let report = commit(&lake, &warehouse, id, begun_ms + after_ms).await;
        let counts = (report.n_attempts, report.n_expired_snapshots);
        assert_eq!(counts, (2, n_expired), "{id}");
    }
    assert_eq!(schemas(&warehouse).await, [0, 1, 2]);
    assert_eq!(warehouse.ids().await, ["1", "2", "3"]);
}
