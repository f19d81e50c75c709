//! What becomes of commits that the catalog refuses.

use std::collections::BTreeMap;

use lake::{CommitOptions, Disposition, LakeError};

use crate::fakes::{Answer, Luck, UnluckyCatalog};
use crate::support::{NOW_MS, Warehouse, committed, options, outcomes};

const REFUSED: Luck = Luck::Fail(Answer::Refused);

#[tokio::test]
async fn a_commit_that_is_refused_twice_in_a_row_is_not_sent_again() {
    let warehouse = Warehouse::new().await;
    let receipt = warehouse.receipt("a", &["1"]).await;
    let luck = vec![REFUSED, Luck::Fail(Answer::Conflict), REFUSED, REFUSED];
    let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
    let error = lake
        .commit(&warehouse.name, vec![receipt], &options(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, LakeError::Commit { n_attempts: 4, .. }),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Fatal);
    assert_eq!(warehouse.ids().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_commit_that_was_refused_is_looked_for_and_sent_once_more() {
    let warehouse = Warehouse::new().await;
    let receipt = warehouse.receipt("a", &["1"]).await;
    let lake = UnluckyCatalog::over(warehouse.directory.path(), vec![REFUSED]);
    let report = lake
        .commit(&warehouse.name, vec![receipt], &options(1))
        .await;
    let report = report.unwrap();
    assert_eq!(
        (report.n_attempts, outcomes(&report)),
        (2, vec![committed(&report)])
    );
    assert_eq!(warehouse.ids().await, ["1"]);
}

#[tokio::test]
async fn a_refusal_of_what_had_happened_is_seen_through() {
    for n_refusals in [1, 2] {
        let warehouse = Warehouse::new().await;
        let receipt = warehouse.receipt("a", &["1"]).await;
        let mut luck = vec![REFUSED; n_refusals - 1];
        luck.push(Luck::LoseAnswer(Answer::Refused));
        let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
        let report = lake
            .commit(&warehouse.name, vec![receipt], &options(1))
            .await;
        let report = report.unwrap();
        assert_eq!(outcomes(&report), [committed(&report)]);
        assert_eq!(warehouse.ids().await, ["1"]);
    }
}

#[tokio::test]
async fn a_catalog_that_refuses_to_expire_snapshots_takes_the_rows() {
    let warehouse = Warehouse::new().await;
    let properties = [
        ("history.max-snapshots", "1"),
        ("calve.min-snapshot-age-ms", "1000"),
    ];
    let properties: BTreeMap<String, String> = properties
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let table = warehouse.table().await;
    let set = warehouse.lake.set_properties(&table, &properties);
    set.await.unwrap();
    let luck = vec![Luck::Refuse("remove-"); 4];
    let lake = UnluckyCatalog::over(warehouse.directory.path(), luck);
    // The table's timestamps begin with the real time at which it was made.
    let begun_ms = NOW_MS.max(warehouse.table().await.metadata().last_updated_ms());
    for (n, n_attempts) in [(1, 1), (2, 1), (3, 2)] {
        let id = n.to_string();
        let receipt = warehouse.receipt(&id, &[&id]).await;
        let at = CommitOptions {
            now_ms: begun_ms + n * 5000,
            ..options(1)
        };
        let report = lake
            .commit(&warehouse.name, vec![receipt], &at)
            .await
            .unwrap();
        assert_eq!(
            (report.n_attempts, report.n_expired_snapshots),
            (n_attempts, 0)
        );
    }
    assert_eq!(warehouse.ids().await, ["1", "2", "3"]);
}
