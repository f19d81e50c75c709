//! Objects of somebody else, read part by part while they may change.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use lake::{ObjectPartError, ObjectVersion};

use crate::stores::Store;

const KEY: &str = "a b/c+d.json";

/// Writes an object and returns its `ETag` and version id.
async fn put(client: &Client, bucket: &str, bytes: Vec<u8>) -> (String, Option<String>) {
    let request = client.put_object().bucket(bucket).key(KEY);
    let put = request.body(bytes.into()).send().await.unwrap();
    let etag = put.e_tag().unwrap().trim_matches('"').to_owned();
    (etag, put.version_id().map(str::to_owned))
}

async fn new_bucket(client: &Client, is_versioned: bool) -> String {
    let bucket = format!("source-{}", uuid::Uuid::new_v4());
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    if is_versioned {
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        let request = client.put_bucket_versioning().bucket(&bucket);
        let request = request.versioning_configuration(enabled);
        request.send().await.unwrap();
    }
    bucket
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn an_object_is_read_in_parts_only_while_it_is_the_same() {
    for store in Store::both() {
        let (client, storage) = (store.client(), store.storage().await);
        let bucket = new_bucket(&client, false).await;
        let location = format!("s3://{bucket}/{KEY}");
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let (etag, _) = put(&client, &bucket, content.clone()).await;
        let version = ObjectVersion::ETag(etag);

        let mut read = Vec::new();
        loop {
            let offset = read.len() as u64;
            let part = storage.part(&location, &version, offset, 150_000).await;
            let part = part.unwrap();
            if part.bytes.is_empty() {
                break;
            }
            // 2026-01-01
            assert!(
                part.modified_ms.unwrap() > 1_767_225_600_000,
                "{}",
                store.name
            );
            read.extend_from_slice(&part.bytes);
        }
        assert!(read == content, "{}", store.name);

        let is_superseded = async || {
            let part = storage.part(&location, &version, 150_000, 10).await;
            matches!(part, Err(ObjectPartError::Superseded { .. }))
        };
        assert!(!is_superseded().await, "{}", store.name);
        let (etag, _) = put(&client, &bucket, Vec::new()).await;
        assert!(is_superseded().await, "{}", store.name);
        let empty = ObjectVersion::ETag(etag);
        let part = storage.part(&location, &empty, 0, 10).await.unwrap();
        assert!(part.bytes.is_empty(), "{}", store.name);

        let request = client.delete_object().bucket(&bucket).key(KEY);
        request.send().await.unwrap();
        assert!(is_superseded().await, "{}", store.name);
        // SeaweedFS says of an object in a bucket that is not there what it says of an object that is not there.
        if store.name != "SeaweedFS" {
            let nowhere = format!("s3://no-{bucket}/{KEY}");
            let error = storage.part(&nowhere, &version, 0, 10).await.unwrap_err();
            assert!(matches!(error, ObjectPartError::Storage(_)), "{error:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_version_is_read_whatever_was_written_after_it() {
    for store in Store::both() {
        let (client, storage) = (store.client(), store.storage().await);
        let bucket = new_bucket(&client, true).await;
        let location = format!("s3://{bucket}/{KEY}");
        let (_, first) = put(&client, &bucket, b"first".to_vec()).await;
        let (_, second) = put(&client, &bucket, b"second".to_vec()).await;
        let (first, second) = (first.unwrap(), second.unwrap());
        for (id, content) in [(&first, "first"), (&second, "second")] {
            let version = ObjectVersion::Id(id.clone());
            let part = storage.part(&location, &version, 0, 100).await.unwrap();
            assert_eq!(part.bytes, content, "{}", store.name);
        }
        let request = client.delete_object().bucket(&bucket).key(KEY);
        request.version_id(&first).send().await.unwrap();
        let version = ObjectVersion::Id(first);
        let error = storage.part(&location, &version, 0, 100).await.unwrap_err();
        assert!(
            matches!(error, ObjectPartError::Superseded { .. }),
            "{}: {error:?}",
            store.name
        );
    }
}
