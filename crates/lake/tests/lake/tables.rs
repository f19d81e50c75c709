use std::collections::BTreeMap;

use arrow_schema::{DataType, TimeUnit};
use lake::{ColumnDefinition, Disposition, Lake, LakeError, TableDefinition};

use crate::support::{Warehouse, definition};

#[tokio::test]
async fn a_table_that_is_dropped_is_gone_and_another_can_be_made_in_its_place() {
    let warehouse = Warehouse::new().await;
    let first = warehouse.table().await.uuid();
    assert!(warehouse.lake.drop_table(&warehouse.name).await.unwrap());
    assert!(!warehouse.lake.drop_table(&warehouse.name).await.unwrap());
    assert!(warehouse.lake.list_tables().await.unwrap().is_empty());
    let again = warehouse
        .lake
        .create_table(&warehouse.name, &definition(&[]))
        .await;
    assert_ne!(again.unwrap().uuid(), first);
}

#[tokio::test]
async fn a_table_is_there_for_the_next_process_as_it_was_made() {
    let warehouse = Warehouse::partitioned_by(&["day(event_time)", "bucket(16, id)"]).await;
    let made = warehouse.table().await;
    let lake = Lake::embedded(warehouse.directory.path()).unwrap();
    let table = lake.load_table(&warehouse.name).await.unwrap().unwrap();
    assert_eq!(table.uuid(), made.uuid());
    assert_eq!(table.columns(), definition(&[]).columns);
    assert_eq!(table.partition_names(), ["event_time_day", "id_bucket"]);
    assert_eq!(table.properties()["calve.format"], "1");
    assert_eq!(
        table.properties()["write.parquet.compression-codec"],
        "zstd"
    );
    assert_eq!(table.metadata().format_version() as u8, 2);
    assert!(
        table.location().ends_with("/t/events"),
        "{}",
        table.location()
    );
    assert_eq!(lake.list_tables().await.unwrap(), [warehouse.name]);
}

#[tokio::test]
async fn a_table_is_made_once() {
    let warehouse = Warehouse::new().await;
    let error = warehouse
        .lake
        .create_table(&warehouse.name, &definition(&[]))
        .await
        .unwrap_err();
    assert!(matches!(error, LakeError::TableExists { .. }), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Fatal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_make_one_table_exactly_one_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let makers = (0..8).map(|_| {
        let lake = Lake::embedded(directory.path()).unwrap();
        tokio::spawn(async move {
            lake.create_table(&"t.events".parse().unwrap(), &definition(&[]))
                .await
        })
    });
    let made = futures::future::join_all(makers).await;
    let (made, refused): (Vec<_>, Vec<_>) = made
        .into_iter()
        .map(Result::unwrap)
        .partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 7));
    for error in refused {
        assert!(matches!(error.unwrap_err(), LakeError::TableExists { .. }));
    }
}

#[tokio::test]
async fn an_absent_table_is_nothing_and_no_error() {
    let warehouse = Warehouse::new().await;
    assert!(
        warehouse
            .lake
            .load_table(&"t.other".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn properties_are_set_beside_the_others() {
    let warehouse = Warehouse::new().await;
    let properties = BTreeMap::from([("calve.time".to_owned(), "/at".to_owned())]);
    let base = warehouse.table().await;
    let table = warehouse
        .lake
        .set_properties(&base, &properties)
        .await
        .unwrap();
    assert_eq!(table.properties()["calve.time"], "/at");
    assert_eq!(table.properties()["calve.format"], "1");
    assert_ne!(table.metadata_location(), base.metadata_location());
}

#[tokio::test]
async fn a_partition_term_that_does_not_fit_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::embedded(directory.path()).unwrap();
    for (term, reason) in [
        ("day(absent)", "there is no column `absent`"),
        (
            "day(id)",
            "it cannot be made from a column of type `string`",
        ),
        (
            "truncate(4, event_time)",
            "it cannot be made from a column of type `timestamptz`",
        ),
    ] {
        let error = lake
            .create_table(&"t.events".parse().unwrap(), &definition(&[term]))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("partition `{term}` of table `t.events`: {reason}")
        );
        assert!(error.hint().unwrap().contains("day(event_time)"));
    }
}

#[tokio::test]
async fn every_type_that_may_cross_the_boundary_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::embedded(directory.path()).unwrap();
    let types = [
        DataType::Boolean,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(20, 4),
        DataType::Date32,
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        DataType::Utf8,
        DataType::LargeBinary,
        DataType::FixedSizeBinary(5),
    ];
    let columns: Vec<ColumnDefinition> = types
        .into_iter()
        .enumerate()
        .map(|(n, data_type)| ColumnDefinition {
            name: format!("c{n}"),
            doc: None,
            data_type,
            required: false,
        })
        .collect();
    let name = "t.all".parse().unwrap();
    let definition = TableDefinition {
        columns: columns.clone(),
        ..TableDefinition::default()
    };
    lake.create_table(&name, &definition).await.unwrap();
    let table = lake.load_table(&name).await.unwrap().unwrap();
    assert_eq!(table.columns(), columns);
}

#[tokio::test]
async fn a_catalog_without_types_of_relations_is_used_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(directory.path().join("catalog.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, \
             table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, \
             metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), \
             PRIMARY KEY (catalog_name, table_namespace, table_name));",
        )
        .unwrap();
    drop(connection);
    let lake = Lake::embedded_as(directory.path(), "theirs").unwrap();
    let name = "t.events".parse().unwrap();
    lake.create_table(&name, &definition(&[])).await.unwrap();
    assert_eq!(lake.list_tables().await.unwrap(), [name]);
    assert!(
        Lake::embedded(directory.path())
            .unwrap()
            .list_tables()
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_warehouse_that_cannot_be_opened_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, b"not a directory").unwrap();
    let error = Lake::embedded(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot open the warehouse `{}`", file.display())
    );

    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("catalog.db"), vec![b'x'; 5000]).unwrap();
    let error = Lake::embedded(other.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&other.path().display().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn looking_at_a_warehouse_makes_nothing_and_sees_what_others_commit() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Lake::embedded_to_read(directory.path()).is_err());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

    let warehouse = Warehouse::new().await;
    let reader = Lake::embedded_to_read(warehouse.directory.path()).unwrap();
    let n_files = || {
        std::fs::read_dir(warehouse.directory.path())
            .unwrap()
            .count()
    };
    let before = n_files();
    let properties = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    let table = warehouse.table().await;
    let changed = warehouse.lake.set_properties(&table, &properties).await;
    let seen = reader.load_table(&warehouse.name).await.unwrap().unwrap();
    assert_eq!(
        seen.metadata_location(),
        changed.unwrap().metadata_location()
    );
    drop(reader);
    assert_eq!(n_files(), before);
}
