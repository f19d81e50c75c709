use std::collections::HashSet;

use arrow_schema::DataType;
use lake::{ColumnDefinition, Lake, ReceiptOutcome, SchemaChange};

use crate::support::{Warehouse, options, receipt};

const N_WRITERS: u64 = 8;
const N_COMMITS: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_of_ten_commits_lose_nothing_and_double_nothing() {
    let warehouse = Warehouse::new().await;
    let writers = (0..N_WRITERS).map(|writer| {
        // Half of them share a process, half have their own connection, as processes have.
        let lake = if writer % 2 == 0 {
            warehouse.lake.clone()
        } else {
            Lake::embedded(warehouse.directory.path()).unwrap()
        };
        let name = warehouse.name.clone();
        tokio::spawn(async move {
            for commit in 0..N_COMMITS {
                let id = format!("{writer:02}-{commit:02}");
                let table = lake.load_table(&name).await.unwrap().unwrap();
                let receipt = receipt(&lake, &table, &id, &[&id]).await;
                let seed = writer * 1000 + commit;
                let report = lake
                    .commit(&name, vec![receipt], &options(seed))
                    .await
                    .unwrap();
                let outcome = &report.outcomes[0].1;
                assert!(
                    matches!(outcome, ReceiptOutcome::Committed { .. }),
                    "{outcome:?}"
                );
            }
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer.unwrap();
    }
    let ids = warehouse.ids().await;
    let n_rows = usize::try_from(N_WRITERS * N_COMMITS).unwrap();
    assert_eq!(ids.len(), n_rows);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), n_rows);
    assert_eq!(warehouse.table().await.metadata().snapshots().len(), n_rows);
}

fn columns(names: &[&str]) -> Vec<ColumnDefinition> {
    let column = |name: &&str| ColumnDefinition {
        name: (*name).to_owned(),
        doc: Some(format!("/{name}")),
        data_type: DataType::Utf8,
        required: false,
    };
    names.iter().map(column).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_meet_the_same_new_keys_end_with_each_column_once() {
    let warehouse = Warehouse::new().await;
    let names: Vec<String> = (0..100).map(|n| format!("key_{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let base = warehouse.table().await;
    let writers = (0..16).map(|_| {
        let (lake, base, columns) = (warehouse.lake.clone(), base.clone(), columns(&names));
        tokio::spawn(async move { lake.add_columns(&base, &columns).await.unwrap() })
    });
    let changes = futures::future::join_all(writers).await;
    let added = |change: &SchemaChange| matches!(change, SchemaChange::Added(_));
    assert_eq!(
        changes
            .iter()
            .filter(|change| added(change.as_ref().unwrap()))
            .count(),
        1
    );
    let table = warehouse.table().await;
    assert_eq!(table.columns().len(), 103);
    assert_eq!(table.metadata().schemas_iter().len(), 2);
}

#[tokio::test]
async fn snapshots_of_others_do_not_hinder_new_columns() {
    let warehouse = Warehouse::new().await;
    let base = warehouse.table().await;
    let receipt = warehouse.receipt("a", &["1"]).await;
    warehouse.commit(vec![receipt]).await;
    let change = warehouse
        .lake
        .add_columns(&base, &columns(&["new"]))
        .await
        .unwrap();
    let SchemaChange::Added(table) = change else {
        panic!("it raced")
    };
    assert_eq!(table.columns().last().unwrap().name, "new");
    assert_eq!(table.columns().last().unwrap().doc.as_deref(), Some("/new"));
    assert_eq!(table.metadata().snapshots().len(), 1);
}

#[tokio::test]
async fn a_lost_race_for_the_schema_shows_the_newer_table() {
    let warehouse = Warehouse::new().await;
    let base = warehouse.table().await;
    warehouse
        .lake
        .add_columns(&base, &columns(&["theirs"]))
        .await
        .unwrap();
    let change = warehouse
        .lake
        .add_columns(&base, &columns(&["ours"]))
        .await
        .unwrap();
    let SchemaChange::Raced(newer) = change else {
        panic!("it was added")
    };
    assert_eq!(newer.columns().last().unwrap().name, "theirs");
    let again = warehouse
        .lake
        .add_columns(&newer, &columns(&["ours"]))
        .await
        .unwrap();
    assert!(matches!(again, SchemaChange::Added(_)));
}
