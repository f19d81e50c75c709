use lake::ReceiptOutcome;
use serde_json::json;

use crate::support::{NOW_MS, Warehouse, committed, outcomes};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[tokio::test]
async fn receipts_that_do_not_fit_are_named_and_harm_no_others() {
    let warehouse = Warehouse::new().await;
    let good = warehouse.receipt("good", &["1"]).await;
    let mut other_table = warehouse.receipt("other table", &["2"]).await;
    other_table.table_uuid = uuid::Uuid::nil();
    let mut gone = warehouse.receipt("gone", &["3"]).await;
    gone.columns.insert(99, iceberg::spec::PrimitiveType::Long);
    let mut narrowed = warehouse.receipt("narrowed", &["4"]).await;
    narrowed
        .columns
        .insert(3, iceberg::spec::PrimitiveType::String);
    let mut promoted = warehouse.receipt("promoted", &["5"]).await;
    promoted
        .columns
        .insert(3, iceberg::spec::PrimitiveType::Int);
    let mut without_time = warehouse.receipt("without time", &["6"]).await;
    without_time.columns.remove(&1);
    let mut newer = warehouse.receipt("newer", &["7"]).await;
    newer.format = 2;
    let mut no_spec = warehouse.receipt("no spec", &["8"]).await;
    no_spec.data_files[0].spec_id = 5;
    let mut old = warehouse.receipt("old", &["9"]).await;
    old.written_at_ms = NOW_MS - 15 * DAY_MS;
    let mut empty = warehouse.receipt("empty", &["10"]).await;
    empty.data_files.clear();

    let all = vec![
        good,
        other_table,
        gone,
        narrowed,
        promoted,
        without_time,
        newer,
        no_spec,
        old,
        empty,
    ];
    let report = warehouse.commit(all).await;
    let reasons: Vec<String> = outcomes(&report)
        .into_iter()
        .map(|outcome| match outcome {
            ReceiptOutcome::Incompatible { reason } => reason,
            ReceiptOutcome::Committed { .. } => "committed".to_owned(),
            outcome => format!("{outcome:?}"),
        })
        .collect();
    let uuid = warehouse.table().await.uuid();
    assert_eq!(
        reasons,
        [
            "committed",
            &format!(
                "it was written for the table with id {}, and the table of that name now has id {uuid}",
                uuid::Uuid::nil()
            ),
            "the table has no column with field id 99",
            "column `n` was written as `string` and is `long` in the table",
            "committed",
            "the table requires column `event_time`",
            "the receipt has format 2, and this program knows formats up to 1",
            "the table has no partition spec 5",
            "TooOld",
            "Empty",
        ]
    );
    assert_eq!(warehouse.ids().await, ["1", "5"]);
}

#[tokio::test]
async fn a_receipt_survives_the_queue_as_json() {
    let warehouse = Warehouse::partitioned_by(&["day(event_time)", "bucket(4, id)", "id"]).await;
    let receipt = warehouse.receipt("a", &["1", "2", "ä\u{10ffff}"]).await;
    assert_eq!(receipt.data_files.len(), 3);
    let json = serde_json::to_string(&receipt).unwrap();
    let back: lake::Receipt = serde_json::from_str(&json).unwrap();
    assert_eq!(back, receipt);
    let report = warehouse.commit(vec![back]).await;
    assert_eq!(outcomes(&report), [committed(&report)]);
    assert_eq!(warehouse.ids().await.len(), 3);
}

/// Commits an odd receipt between two others: it is incompatible for a reason that begins like this, and the others land.
async fn check(spoil: impl FnOnce(&mut lake::Receipt), expected: &str) {
    let warehouse = Warehouse::new().await;
    let before = warehouse.receipt("before", &["1"]).await;
    let mut odd = warehouse.receipt("odd", &["2"]).await;
    spoil(&mut odd);
    let location = odd.data_files[0].location.clone();
    let after = warehouse.receipt("after", &["3"]).await;
    let report = warehouse.commit(vec![before, odd, after]).await;
    let expected = expected.replace("{file}", &location);
    let found = outcomes(&report);
    let ReceiptOutcome::Incompatible { reason } = &found[1] else {
        panic!("{found:?}");
    };
    assert!(reason.starts_with(&expected), "{reason}");
    assert_eq!([&found[0], &found[2]], [&committed(&report); 2]);
    assert_eq!(warehouse.ids().await, ["1", "3"]);
}

#[tokio::test]
async fn a_receipt_that_no_manifest_can_tell_of_harms_no_others() {
    check(
        |odd| odd.data_files[0].partition.push(json!(7)),
        "`{file}` cannot be told of in a manifest: it does not have the partition values of its spec",
    )
    .await;
    check(
        |odd| odd.data_files[0].partition[0] = json!({"day": 7}),
        "`{file}` cannot be told of in a manifest: DataInvalid => The json value {\"day\":7} doesn't fit",
    )
    .await;
    check(
        |odd| odd.data_files[0].columns.get_mut(&3).unwrap().lower = Some(vec![1, 2, 3]),
        "`{file}` cannot be told of in a manifest: ",
    )
    .await;
    check(
        |odd| odd.data_files[0].n_rows = u64::MAX,
        "`{file}` cannot be told of in a manifest: 18446744073709551615 is too large a count",
    )
    .await;
    check(
        |odd| {
            let facts = odd.data_files[0].columns.get_mut(&2).unwrap();
            facts.column_type = iceberg::spec::PrimitiveType::Binary;
        },
        "column `id` was written as `binary` and is `string` in the table",
    )
    .await;
}

#[tokio::test]
async fn a_file_that_is_not_below_the_table_is_none_of_its_own() {
    let reason = "`{file}` is not where the table keeps its data";
    let spoilt: [fn(&str) -> String; 4] = [
        |_| "file:///etc/passwd".to_owned(),
        |own| own.replace("/t/events/", "/t/events2/"),
        |own| own.replace("/t/events/", "/t/events/../other/"),
        |own| own.replace("file:", "s3:"),
    ];
    for spoil in spoilt {
        check(
            |odd| {
                let location = &mut odd.data_files[0].location;
                *location = spoil(location);
            },
            reason,
        )
        .await;
    }
}
