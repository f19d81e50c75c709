//! Messages that were no receipts for the committer that met them, and are receipts for another one.

use std::path::Path;

use lake::Lake;
use pipeline::{
    Committer, Quarantine, ReplayOptions, ReplayOutcome, Settings, settings::ByteSize,
    telemetry::error_chain,
};
use tempfile::tempdir;

use crate::common::{files, invocation, open, settings};
use crate::replay::{committed, replay, rows_of_receipts};
use crate::staged::{committer, deliver, receipts};

/// Lets a committer with other settings quarantine two messages, replays them, and delivers them once more.
async fn check(warehouse: &Path, other: Settings, sent: &[String], kind: &str) {
    let lake = Lake::embedded(warehouse).unwrap();
    let report = Committer::with_lake(other, lake)
        .run(deliver(sent), &invocation(1))
        .await;
    assert_eq!(report.n_quarantined, 2, "{report:?}");
    let kept = files(
        &warehouse.join("quarantine/receipts/analytics.events"),
        "zst",
    );
    assert_eq!(kept.len(), 2, "{kind}: by the table that the messages name");

    for report in replay(warehouse, 2).await {
        assert_eq!(report.outcome, ReplayOutcome::Landed, "{kind}: {report:?}");
    }
    assert_eq!(committed(warehouse).await, rows_of_receipts(), "{kind}");
    assert!(files(&warehouse.join("quarantine"), "zst").is_empty());
    let again = committer(warehouse)
        .run(deliver(sent), &invocation(3))
        .await;
    assert_eq!(again.n_known, 2, "{kind}: {again:?}");
}

#[tokio::test]
async fn a_receipt_that_was_too_large_lands_when_there_is_room() {
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), "analytics.events", 0..2).await;
    let mut tight = settings(directory.path());
    tight.max_payload_inflated_bytes = ByteSize::new(1_000);
    check(directory.path(), tight, &sent, "too large").await;
}

#[tokio::test]
async fn a_receipt_whose_place_was_set_differently_lands_where_it_is_looked_for_there() {
    let directory = tempdir().unwrap();
    let sent = receipts(directory.path(), "analytics.events", 0..2).await;
    let place = directory.path().canonicalize().unwrap().join("receipts");
    std::fs::create_dir_all(&place).unwrap();
    let pointers: Vec<String> = (0..)
        .zip(&sent)
        .map(|(n, message)| {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let mut envelope: serde_json::Value = serde_json::from_str(message).unwrap();
            let object = STANDARD.decode(envelope["zstd"].as_str().unwrap()).unwrap();
            let path = place.join(format!("{n}.json.zst"));
            std::fs::write(&path, object).unwrap();
            envelope["zstd"] = serde_json::Value::Null;
            envelope["location"] = format!("file://{}", path.display()).into();
            envelope.to_string()
        })
        .collect();
    let mut elsewhere = settings(directory.path());
    "others".clone_into(&mut elsewhere.receipt_bucket_prefix);
    check(directory.path(), elsewhere, &pointers, "elsewhere").await;
}

#[tokio::test]
async fn a_message_of_a_later_version_stays_and_a_replay_says_which() {
    let directory = tempdir().unwrap();
    let warehouse = directory.path();
    let sent = receipts(warehouse, "analytics.events", 0..1).await;
    let newer = sent[0].replace("\"calve_receipt\":1", "\"calve_receipt\":9");
    let report = committer(warehouse)
        .run(deliver([newer]), &invocation(1))
        .await;
    assert_eq!(report.n_quarantined, 1, "{report:?}");
    let kept = files(&warehouse.join("quarantine"), "zst");
    let lake = Lake::embedded(warehouse).unwrap();
    let quarantine = Quarantine::new(&settings(warehouse), lake);
    let place = format!("file://{}", kept[0].display());
    let stored = quarantine.find(&place);
    let (stored, options) = (stored.await.unwrap(), ReplayOptions::default());
    let replayed = open(warehouse).await;
    let replayed = replayed.replay(&stored, &options, &invocation(2)).await;
    let error = error_chain(&replayed.unwrap_err());
    assert!(error.contains("the receipt has format 9"), "{error}");
    assert!(kept[0].exists());
}
