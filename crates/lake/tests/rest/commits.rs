use lake::{CommitOptions, LakeError, ReceiptOutcome, SchemaChange};
use serde_json::json;
use tempfile::TempDir;

use crate::facade::{Facade, Fault};
use crate::http_server::{Reply, no};
use crate::support::{Warehouse, committed, definition, options, outcomes, receipt};

/// An empty table whose catalog is a REST server that meets these faults.
async fn warehouse(faults: Vec<Fault>) -> (Warehouse, Facade) {
    let directory = tempfile::tempdir().unwrap();
    let facade = Facade::over(directory.path(), faults).await;
    (opened(directory, &facade).await, facade)
}

async fn opened(directory: TempDir, facade: &Facade) -> Warehouse {
    let lake = facade.lake();
    let name = "outer.inner.events".parse().unwrap();
    let table = definition(&["day(event_time)"]);
    lake.create_table(&name, &table).await.unwrap();
    Warehouse {
        directory,
        lake,
        name,
    }
}

/// One receipt is committed through these faults: once, in so many commits that were sent.
async fn check(faults: Vec<Fault>, n_sent: usize) {
    let (warehouse, facade) = warehouse(faults.clone()).await;
    let receipt = warehouse.receipt("a", &["1", "2"]).await;
    let report = warehouse.commit(vec![receipt.clone()]).await;
    assert_eq!(outcomes(&report), [committed(&report)], "{faults:?}");
    assert_eq!(facade.n_commits(), n_sent, "{faults:?}");
    let again = warehouse.commit(vec![receipt]).await;
    assert_eq!(outcomes(&again), [ReceiptOutcome::AlreadyCommitted]);
    assert_eq!(warehouse.ids().await, ["1", "2"], "{faults:?}");
}

fn trouble(status: u16) -> Reply {
    no(status, "ServiceFailure", "the server is in trouble")
}

#[tokio::test]
async fn a_commit_that_did_not_happen_is_sent_again() {
    let cases = [
        trouble(500),
        trouble(503),
        trouble(429),
        no(409, "CommitFailedException", "somebody was first"),
        Reply::Close,
        Reply::Silence,
        Reply::Answer(502, "<html>bad gateway</html>".to_owned()),
        Reply::Answer(200, "not JSON".to_owned()),
    ];
    for reply in cases {
        check(
            vec![Fault::Instead(reply.clone()), Fault::Instead(reply)],
            3,
        )
        .await;
    }
}

#[tokio::test]
async fn a_commit_that_happened_is_recognised_whatever_the_answer_was() {
    let cases = [
        trouble(500),
        trouble(503),
        trouble(504),
        no(
            409,
            "CommitFailedException",
            "the requirement no longer holds",
        ),
        Reply::Close,
        Reply::Silence,
        Reply::Answer(502, "<html>bad gateway</html>".to_owned()),
        Reply::Answer(200, "{}".to_owned()),
    ];
    for reply in cases {
        check(vec![Fault::Afterwards(reply)], 1).await;
    }
    check(vec![Fault::HalfAnswer], 1).await;
}

#[tokio::test]
async fn a_commit_that_is_refused_twice_ends_and_says_why() {
    for status in [400, 401, 403, 404] {
        let reply = no(status, "SomeException", "not with me");
        let faults = vec![Fault::Instead(reply.clone()), Fault::Instead(reply)];
        let (warehouse, facade) = warehouse(faults).await;
        let receipt = warehouse.receipt("a", &["1"]).await;
        let options = options(1);
        let commit = warehouse
            .lake
            .commit(&warehouse.name, vec![receipt], &options);
        let error = commit.await.unwrap_err();
        let chain = chain(&error);
        assert!(
            chain.contains("not with me") && chain.contains("SomeException"),
            "{chain}"
        );
        assert!(
            chain.contains(&format!("answered with {status}")),
            "{chain}"
        );
        assert!(
            chain.contains("/namespaces/outer%1Finner/tables/events"),
            "{chain}"
        );
        assert_eq!(facade.n_commits(), 2);
    }
}

fn chain(error: &LakeError) -> String {
    let mut chain = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        chain = format!("{chain}: {cause}");
        next = cause.source();
    }
    chain
}

#[tokio::test]
async fn a_commit_carries_what_it_rests_on_and_a_key_of_its_own() {
    let (warehouse, facade) = warehouse(vec![Fault::Instead(trouble(500))]).await;
    let uuid = warehouse.table().await.uuid();
    for source in ["a", "b"] {
        let receipt = warehouse.receipt(source, &[source]).await;
        warehouse.commit(vec![receipt]).await;
    }
    let commits: Vec<_> = facade
        .server
        .seen()
        .into_iter()
        .filter(|request| request.body.contains("add-snapshot"))
        .collect();
    let first = commits[1].json();
    let snapshot_id = &first["updates"][0]["snapshot"]["snapshot-id"];
    let expected = |snapshot_id: &serde_json::Value| {
        json!([
            {"type": "assert-table-uuid", "uuid": uuid.to_string()},
            {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": snapshot_id},
        ])
    };
    assert_eq!(first["requirements"], expected(&json!(null)));
    assert_eq!(commits[2].json()["requirements"], expected(snapshot_id));
    assert_eq!(
        first["identifier"],
        json!({"namespace": ["outer", "inner"], "name": "events"})
    );
    let keys: std::collections::HashSet<_> = commits
        .iter()
        .map(|commit| commit.header("idempotency-key").unwrap())
        .collect();
    assert_eq!(keys.len(), 3, "each commit that is sent is another one");
    for key in keys {
        let key: uuid::Uuid = key.parse().unwrap();
        assert_eq!(key.get_version_num(), 7);
        let seconds = key.get_timestamp().unwrap().to_unix().0;
        assert_eq!(
            i64::try_from(seconds).unwrap(),
            crate::support::NOW_MS / 1000
        );
    }
}

#[tokio::test]
async fn no_answer_before_the_deadline_is_an_unknown_outcome_that_is_settled_next_time() {
    let (warehouse, facade) = warehouse(vec![Fault::Afterwards(Reply::Silence)]).await;
    let receipt = warehouse.receipt("a", &["1"]).await;
    let soon = tokio::time::Instant::now() + std::time::Duration::from_millis(300);
    let hurried = CommitOptions {
        deadline: Some(soon),
        ..options(1)
    };
    let commit = warehouse
        .lake
        .commit(&warehouse.name, vec![receipt.clone()], &hurried);
    let report = commit.await.unwrap();
    assert_eq!(
        outcomes(&report),
        [committed(&report)],
        "the table knows that it landed"
    );
    assert_eq!(facade.n_commits(), 1);
    assert_eq!(warehouse.ids().await, ["1"]);
}

#[tokio::test]
async fn columns_added_while_the_answer_is_lost_are_there_once() {
    for fault in [
        Fault::Afterwards(trouble(503)),
        Fault::Instead(trouble(503)),
    ] {
        let happened = matches!(fault, Fault::Afterwards(_));
        let (warehouse, _facade) = warehouse(vec![fault]).await;
        let base = warehouse.table().await;
        let column = lake::ColumnDefinition {
            name: "new".to_owned(),
            doc: Some("/new".to_owned()),
            data_type: arrow_schema::DataType::Utf8,
            required: false,
        };
        let change = warehouse.lake.add_columns(&base, &[column]).await.unwrap();
        assert_eq!(
            matches!(change, SchemaChange::Raced(_)),
            happened,
            "{change:?}"
        );
        let names: Vec<String> = warehouse
            .table()
            .await
            .columns()
            .into_iter()
            .map(|c| c.name)
            .collect();
        assert_eq!(names, ["event_time", "id", "n", "new"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_through_a_bad_network_lose_nothing_and_double_nothing() {
    let faults = (0..40).map(|n| match n % 5 {
        0 => Fault::Instead(trouble(503)),
        1 => Fault::Afterwards(trouble(500)),
        2 => Fault::Afterwards(Reply::Close),
        3 => Fault::HalfAnswer,
        _ => Fault::Nothing,
    });
    let directory = tempfile::tempdir().unwrap();
    let facade = Facade::over(directory.path(), Vec::new()).await;
    let warehouse = opened(directory, &facade).await;
    let bad = Facade::over(warehouse.directory.path(), faults.collect()).await;
    let writers = (0..4_u64).map(|writer| {
        let (lake, name) = (bad.lake(), warehouse.name.clone());
        tokio::spawn(async move {
            for n in 0..5 {
                let id = format!("{writer}-{n}");
                let table = lake.load_table(&name).await.unwrap().unwrap();
                let receipt = receipt(&lake, &table, &id, &[&id]).await;
                let options = options(writer * 100 + n);
                let report = lake.commit(&name, vec![receipt], &options);
                let report = report.await.unwrap();
                assert_eq!(outcomes(&report), [committed(&report)]);
            }
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer.unwrap();
    }
    let mut expected: Vec<String> = (0..4)
        .flat_map(|writer| (0..5).map(move |n| format!("{writer}-{n}")))
        .collect();
    expected.sort();
    assert_eq!(warehouse.ids().await, expected);
    assert!(bad.n_commits() >= 20 + 8, "the faults were met");
}
