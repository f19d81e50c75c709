use std::collections::{BTreeMap, HashMap, HashSet};

use iceberg::TableUpdate;
use iceberg::spec::{MAIN_BRANCH, SnapshotReference, SnapshotRetention};
use lake::{
    Catalog as _, CommitOptions, DEFAULT_CATALOG_NAME, Disposition, Lake, LakeError, LocalStorage,
    ReceiptOutcome, SqliteCatalog,
};

use crate::fakes::{Answer, Disk, Fault, Luck, UnluckyCatalog};
use crate::support::{NOW_MS, Warehouse, committed, options, outcomes};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

#[tokio::test]
async fn committed_rows_are_read_back_and_the_summary_counts_them() {
    let warehouse = Warehouse::new().await;
    let first = warehouse.receipt("a", &["1", "2"]).await;
    let second = warehouse.receipt("b", &["3"]).await;
    let report = warehouse.commit(vec![first, second]).await;
    assert_eq!(outcomes(&report), [committed(&report), committed(&report)]);
    assert_eq!(
        (report.n_attempts, report.n_files, report.n_rows),
        (1, 2, 3)
    );

    let third = warehouse.receipt("c", &["4"]).await;
    warehouse.commit(vec![third]).await;
    assert_eq!(warehouse.ids().await, ["1", "2", "3", "4"]);

    let table = warehouse.table().await;
    let summary = &table
        .metadata()
        .current_snapshot()
        .unwrap()
        .summary()
        .additional_properties;
    let count = |key: &str| summary[key].as_str();
    assert_eq!(count("added-data-files"), "1");
    assert_eq!(count("added-records"), "1");
    assert_eq!(count("total-data-files"), "3");
    assert_eq!(count("total-records"), "4");
    assert_eq!(count("total-delete-files"), "0");
    assert_eq!(table.metadata().snapshots().len(), 2);
}

#[tokio::test]
async fn the_same_batch_is_committed_once_however_often_it_is_delivered() {
    let warehouse = Warehouse::new().await;
    let first = warehouse.receipt("a", &["1"]).await;
    let again = warehouse.receipt("a", &["1"]).await;
    assert_eq!(first.token, again.token);
    assert_ne!(first.data_files[0].location, again.data_files[0].location);

    let report = warehouse.commit(vec![first.clone(), again.clone()]).await;
    assert_eq!(
        outcomes(&report),
        [committed(&report), ReceiptOutcome::AlreadyCommitted]
    );
    let report = warehouse.commit(vec![again, first]).await;
    assert_eq!(outcomes(&report), vec![ReceiptOutcome::AlreadyCommitted; 2]);
    assert_eq!((report.snapshot_id, report.n_attempts), (None, 0));
    assert_eq!(warehouse.ids().await, ["1"]);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_recognised_and_not_repeated() {
    for answer in [Answer::Unknown, Answer::Conflict] {
        let warehouse = Warehouse::new().await;
        let receipt = warehouse.receipt("a", &["1"]).await;
        let lake = UnluckyCatalog::over(warehouse.directory.path(), vec![Luck::LoseAnswer(answer)]);
        let report = lake
            .commit(&warehouse.name, vec![receipt], &options(1))
            .await
            .unwrap();
        assert_eq!(outcomes(&report), [committed(&report)], "{answer:?}");
        assert_eq!((report.n_attempts, report.n_rows), (1, 1));
        assert_eq!(warehouse.ids().await, ["1"]);
        assert_eq!(warehouse.table().await.metadata().snapshots().len(), 1);
    }
}

#[tokio::test]
async fn a_commit_that_did_not_happen_is_sent_again_with_the_same_manifest() {
    let warehouse = Warehouse::new().await;
    let receipt = warehouse.receipt("a", &["1"]).await;
    let luck = vec![Luck::Fail(Answer::Unknown), Luck::Fail(Answer::Conflict)];
    let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
    let report = lake
        .commit(&warehouse.name, vec![receipt], &options(1))
        .await
        .unwrap();
    assert_eq!(
        (report.n_attempts, outcomes(&report)),
        (3, vec![committed(&report)])
    );
    assert_eq!(warehouse.ids().await, ["1"]);
    let metadata = format!("{}/metadata", warehouse.table().await.location());
    let written = warehouse.lake.storage().list(&metadata).await.unwrap();
    let n_manifests = written
        .iter()
        .filter(|object| object.location.ends_with("-m0.avro"))
        .count();
    assert_eq!(n_manifests, 1);
}

#[tokio::test]
async fn another_writer_in_between_costs_an_attempt_and_no_rows() {
    let warehouse = Warehouse::new().await;
    let ours = warehouse.receipt("ours", &["1"]).await;
    let theirs = warehouse.receipt("theirs", &["2"]).await;
    let luck = vec![Luck::Overtaken(warehouse.lake.clone(), vec![theirs])];
    let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
    let report = lake
        .commit(&warehouse.name, vec![ours], &options(1))
        .await
        .unwrap();
    assert_eq!(
        (report.n_attempts, outcomes(&report)),
        (2, vec![committed(&report)])
    );
    assert_eq!(warehouse.ids().await, ["1", "2"]);
}

#[tokio::test]
async fn what_is_committed_is_known_at_once_to_every_process_and_nothing_else_is() {
    let warehouse = Warehouse::new().await;
    let other = Lake::embedded(warehouse.directory.path()).unwrap();
    let (first, second) = (
        warehouse.receipt("a", &["1"]).await,
        warehouse.receipt("b", &["2"]).await,
    );
    let tokens = HashSet::from([first.token, second.token]);
    let known = async |lake: &Lake, since_ms| {
        let known = lake
            .committed(&warehouse.name, &tokens, since_ms, None)
            .await;
        known.unwrap()
    };
    assert_eq!(known(&warehouse.lake, NOW_MS).await, HashMap::new());

    let token = first.token;
    let snapshot_id = warehouse.commit(vec![first]).await.snapshot_id.unwrap();
    let expected = HashMap::from([(token, snapshot_id)]);
    for lake in [&warehouse.lake, &other] {
        assert_eq!(known(lake, NOW_MS).await, expected);
        assert_eq!(known(lake, i64::MIN).await, expected);
    }
}

#[tokio::test]
async fn a_batch_that_another_committer_brings_first_is_left_out() {
    let warehouse = Warehouse::new().await;
    let shared = warehouse.receipt("shared", &["1"]).await;
    let ours = warehouse.receipt("ours", &["2"]).await;
    let luck = vec![Luck::Overtaken(
        warehouse.lake.clone(),
        vec![shared.clone()],
    )];
    let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
    let report = lake
        .commit(&warehouse.name, vec![shared, ours], &options(1))
        .await
        .unwrap();
    assert_eq!(
        outcomes(&report),
        [ReceiptOutcome::AlreadyCommitted, committed(&report)]
    );
    assert_eq!(report.n_rows, 1);
    assert_eq!(warehouse.ids().await, ["1", "2"]);
}

#[tokio::test]
async fn attempts_and_deadline_bound_the_work_and_the_messages_go_back() {
    let warehouse = Warehouse::new().await;
    let receipt = warehouse.receipt("a", &["1"]).await;
    let luck = vec![Luck::Fail(Answer::Conflict); 5];
    let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
    let few = CommitOptions {
        max_attempts: 3,
        ..options(1)
    };
    let error = lake
        .commit(&warehouse.name, vec![receipt.clone()], &few)
        .await
        .unwrap_err();
    assert!(
        matches!(error, LakeError::Commit { n_attempts: 3, .. }),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Retry);

    let too_late = CommitOptions {
        deadline: Some(tokio::time::Instant::now()),
        ..options(1)
    };
    let error = lake
        .commit(&warehouse.name, vec![receipt], &too_late)
        .await
        .unwrap_err();
    assert!(
        matches!(error, LakeError::Commit { n_attempts: 0, .. }),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(warehouse.ids().await.is_empty());
}

#[tokio::test]
async fn a_batch_stays_known_after_its_snapshot_was_expired() {
    let warehouse = Warehouse::new().await;
    let keep_one = BTreeMap::from([("history.max-snapshots".to_owned(), "1".to_owned())]);
    warehouse
        .lake
        .set_properties(&warehouse.table().await, &keep_one)
        .await
        .unwrap();
    let start_ms = warehouse.table().await.metadata().last_updated_ms();
    let at = |ms| CommitOptions::new(start_ms + ms, 1);
    let first = warehouse.receipt("first", &["1"]).await;
    let report = warehouse
        .lake
        .commit(&warehouse.name, vec![first.clone()], &at(1))
        .await
        .unwrap();
    let first_snapshot = report.snapshot_id.unwrap();

    // The end of the branch is never expired; what lies behind it is, once it is ten minutes old.
    let mut n_expired = Vec::new();
    for (n, ms) in [(2, MINUTE_MS), (3, 9 * MINUTE_MS), (4, 15 * MINUTE_MS)] {
        let id = n.to_string();
        let receipt = warehouse.receipt(&id, &[&id]).await;
        let report = warehouse
            .lake
            .commit(&warehouse.name, vec![receipt], &at(ms))
            .await
            .unwrap();
        n_expired.push(report.n_expired_snapshots);
    }
    assert_eq!(n_expired, [0, 0, 2]);
    let table = warehouse.table().await;
    assert!(table.metadata().snapshot_by_id(first_snapshot).is_none());
    assert_eq!(table.metadata().snapshots().len(), 2);

    let again = warehouse
        .lake
        .commit(&warehouse.name, vec![first], &at(3 * HOUR_MS))
        .await;
    assert_eq!(
        outcomes(&again.unwrap()),
        [ReceiptOutcome::AlreadyCommitted]
    );
    assert_eq!(warehouse.ids().await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn expiry_happens_at_most_once_a_minute_and_spares_tags() {
    let warehouse = Warehouse::new().await;
    let keep_one = BTreeMap::from([("history.max-snapshots".to_owned(), "1".to_owned())]);
    warehouse
        .lake
        .set_properties(&warehouse.table().await, &keep_one)
        .await
        .unwrap();
    let minute = warehouse.table().await.metadata().last_updated_ms() / MINUTE_MS + 1;
    let at = |ms| CommitOptions::new(minute * MINUTE_MS + ms, 1);
    let mut n_expired = Vec::new();
    for (n, ms) in [
        (1, 0),
        (2, 1),
        (3, 2 * HOUR_MS),
        (4, 2 * HOUR_MS + 59_000),
        (5, 4 * HOUR_MS),
    ] {
        let id = n.to_string();
        let receipt = warehouse.receipt(&id, &[&id]).await;
        let report = warehouse
            .lake
            .commit(&warehouse.name, vec![receipt], &at(ms))
            .await
            .unwrap();
        n_expired.push(report.n_expired_snapshots);
        if n == 1 {
            set_reference(&warehouse, "kept", report.snapshot_id.unwrap()).await;
        }
    }
    // Of 1 and 2, the first is tagged and the second is the parent of 3; at 4 the minute is the same; then 2 and 3 go.
    assert_eq!(n_expired, [0, 0, 0, 0, 2]);
}

#[tokio::test]
async fn a_batch_stays_known_after_a_rollback() {
    let warehouse = Warehouse::new().await;
    let first = warehouse.receipt("first", &["1"]).await;
    let second = warehouse.receipt("second", &["2"]).await;
    let before = warehouse.commit(vec![first]).await;
    warehouse.commit(vec![second.clone()]).await;
    set_reference(&warehouse, MAIN_BRANCH, before.snapshot_id.unwrap()).await;
    assert_eq!(warehouse.ids().await, ["1"]);

    let report = warehouse.commit(vec![second]).await;
    assert_eq!(outcomes(&report), [ReceiptOutcome::AlreadyCommitted]);
    let third = warehouse.receipt("third", &["3"]).await;
    let report = warehouse.commit(vec![third]).await;
    assert_eq!(outcomes(&report), [committed(&report)]);
    assert_eq!(warehouse.ids().await, ["1", "3"]);
}

/// Points a branch or a tag to a snapshot, as an operator does with another tool.
async fn set_reference(warehouse: &Warehouse, name: &str, snapshot_id: i64) {
    let retention = if name == MAIN_BRANCH {
        SnapshotRetention::branch(Some(3), None, None)
    } else {
        SnapshotRetention::Tag {
            max_ref_age_ms: None,
        }
    };
    let update = TableUpdate::SetSnapshotRef {
        ref_name: name.to_owned(),
        reference: SnapshotReference::new(snapshot_id, retention),
    };
    let directory = warehouse.directory.path();
    let storage = std::sync::Arc::new(LocalStorage);
    let path = directory.join("catalog.db");
    let location = directory.display().to_string();
    let catalog = SqliteCatalog::open(&path, DEFAULT_CATALOG_NAME, &location, storage).unwrap();
    catalog
        .commit(&warehouse.name, Vec::new(), vec![update])
        .await
        .unwrap();
}

#[tokio::test]
async fn the_retention_of_the_main_branch_outlives_our_commits() {
    let warehouse = Warehouse::new().await;
    let first = warehouse.receipt("first", &["1"]).await;
    let report = warehouse.commit(vec![first]).await;
    set_reference(&warehouse, MAIN_BRANCH, report.snapshot_id.unwrap()).await;
    let second = warehouse.receipt("second", &["2"]).await;
    warehouse.commit(vec![second]).await;
    let table = warehouse.table().await;
    let json = serde_json::to_value(table.metadata()).unwrap();
    assert_eq!(json["refs"]["main"]["min-snapshots-to-keep"], 3);
}

#[tokio::test]
async fn the_ledger_goes_on_in_new_segments_and_forgets_nothing() {
    let warehouse = Warehouse::new().await;
    let small = CommitOptions {
        ledger_segment_bytes: 1500,
        ..options(1)
    };
    let mut receipts = Vec::new();
    for n in 0..12 {
        let id = format!("{n:02}");
        let receipt = warehouse.receipt(&id, &[&id]).await;
        receipts.push(receipt.clone());
        warehouse
            .lake
            .commit(&warehouse.name, vec![receipt], &small)
            .await
            .unwrap();
    }
    let stranger = lake::Lake::embedded(warehouse.directory.path()).unwrap();
    let report = stranger
        .commit(&warehouse.name, receipts, &small)
        .await
        .unwrap();
    assert_eq!(
        outcomes(&report),
        vec![ReceiptOutcome::AlreadyCommitted; 12]
    );
    assert_eq!(warehouse.ids().await.len(), 12);
}

#[tokio::test]
async fn a_full_disk_names_the_object_and_changes_nothing() {
    for word in [
        "/data/",
        "-m0.avro",
        "snap-",
        "calve-ledger",
        ".metadata.json",
    ] {
        let warehouse = Warehouse::new().await;
        let lake = Disk::under(warehouse.directory.path(), Fault::Full(word.to_owned()));
        let error = if word == "/data/" {
            let table = lake.load_table(&warehouse.name).await.unwrap().unwrap();
            let id = crate::support::batch_id(&table, "a");
            let rows = crate::support::batch(&[(0, "1")]);
            lake.write(&table, &[rows], &id, &lake::WriteOptions::default())
                .await
                .unwrap_err()
        } else {
            let receipt = warehouse.receipt("a", &["1"]).await;
            lake.commit(&warehouse.name, vec![receipt], &options(1))
                .await
                .unwrap_err()
        };
        let mut causes = Vec::new();
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        let chain = causes.join(": ");
        let directory = warehouse.directory.path().display().to_string();
        assert!(
            chain.contains(word) && chain.contains(&directory),
            "{chain}"
        );
        assert_eq!(error.disposition(), Disposition::Retry, "{chain}");
        assert!(warehouse.ids().await.is_empty());
        assert_eq!(warehouse.table().await.metadata().snapshots().len(), 0);
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named() {
    let warehouse = Warehouse::new().await;
    let receipt = warehouse.receipt("a", &["1"]).await;
    let name = "t.absent".parse().unwrap();
    let error = warehouse
        .lake
        .commit(&name, vec![receipt], &options(1))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no table `t.absent`");
    assert_eq!(
        error.hint().as_deref(),
        Some("make it with `calve table create --table t.absent`")
    );
}
