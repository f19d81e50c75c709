use std::error::Error;
use std::process::Command;

use bytes::Bytes;
use lake::{S3Credentials, S3Error, S3Keys, S3Options, S3Storage, Storage, StorageError};

use crate::proxy::Proxy;
use crate::stores::{Store, reader, writer};

/// Holds an error that cannot be helped by trying again against its words.
#[track_caller]
fn check_refused(error: &StorageError, outer: &str, inner: &str, hint: &str) {
    assert_eq!(error.to_string(), outer);
    let cause = error.source().unwrap();
    let text = cause.to_string();
    assert!(text.starts_with(inner), "{text}");
    assert!(!error.retryable(), "{text}");
    let hinted = cause.downcast_ref::<S3Error>().unwrap().hint();
    assert!(hinted.is_some_and(|text| text.contains(hint)), "{hinted:?}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_bucket_that_is_not_there_is_named_and_nothing_makes_it() {
    for store in Store::both() {
        let storage = store.storage().await;
        let location = "s3://no-such-bucket-here/key";
        let hint = "make the bucket";
        let put = storage.put_new(location, Bytes::from_static(b"x")).await;
        let outer = format!("cannot write `{location}`");
        check_refused(&put.unwrap_err(), &outer, "NoSuchBucket", hint);
        let get = storage.get(location).await.unwrap_err();
        let outer = format!("cannot read `{location}`");
        check_refused(&get, &outer, "NoSuchBucket", hint);
        let list = storage.list("s3://no-such-bucket-here").await.unwrap_err();
        let outer = "cannot list `s3://no-such-bucket-here`";
        check_refused(&list, outer, "NoSuchBucket", hint);
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn wrong_keys_are_refused_for_good() {
    let store = Store::seaweedfs();
    let storage = store.storage().await;
    let location = store.at("object");
    let outer = format!("cannot write `{location}`");
    let unknown = S3Keys {
        access_key_id: "nobody".to_owned(),
        ..writer()
    };
    let wrong = S3Keys {
        secret_access_key: "guessed".to_owned(),
        ..writer()
    };
    for (keys, inner, hint) in [
        (unknown, "InvalidAccessKeyId", "access key"),
        (wrong, "SignatureDoesNotMatch", "access key"),
        (reader(), "AccessDenied", "let these credentials"),
    ] {
        let storage = storage.with_credentials(&keys);
        let put = storage.put_new(&location, Bytes::from_static(b"x")).await;
        check_refused(&put.unwrap_err(), &outer, inner, hint);
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_storage_with_other_credentials_asks_with_those_and_leaves_the_first_alone() {
    let store = Store::seaweedfs();
    let writing = store.storage().await;
    let location = store.at("object");
    let content = Bytes::from_static(b"written");
    writing.put_new(&location, content.clone()).await.unwrap();

    let reading = writing.with_credentials(&reader());
    assert_eq!(reading.get(&location).await.unwrap(), content);
    let error = reading.delete(&location).await.unwrap_err();
    let outer = format!("cannot delete `{location}`");
    check_refused(&error, &outer, "AccessDenied", "let these credentials");

    writing.delete(&location).await.unwrap();
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_server_that_is_not_there_may_come_back() {
    let store = Store::seaweedfs();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = S3Options {
        credentials: S3Credentials::Static(store.keys()),
        region: Some("us-east-1".to_owned()),
        max_attempts: 2,
        ..S3Options::at(endpoint)
    };
    let storage = S3Storage::new(&options).await.unwrap();
    let error = storage.get("s3://lake/object").await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "the connection failed");
    assert!(error.retryable());
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn temporary_keys_send_their_token_and_no_request_carries_a_checksum_of_its_own() {
    let store = Store::localstack();
    let proxy = Proxy::before(store.endpoint(), &[]).await;
    let keys = S3Keys {
        session_token: Some("the-token".to_owned()),
        ..store.keys()
    };
    let options = S3Options {
        endpoint: Some(proxy.endpoint.clone()),
        ..store.options.clone()
    };
    let storage = S3Storage::new(&options).await.unwrap();
    let storage = storage.with_credentials(&keys);
    let location = store.at("object");
    storage
        .put_new(&location, Bytes::from_static(b"x"))
        .await
        .unwrap();
    storage.get(&location).await.unwrap();

    let heads = proxy.heads();
    assert_eq!(heads.len(), 2, "{heads:?}");
    for head in heads {
        assert!(
            head.contains("x-amz-security-token: the-token\r\n"),
            "{head}"
        );
        assert!(
            !head.contains("x-amz-checksum") && !head.contains("trailer"),
            "{head}"
        );
    }
}

/// What a process of its own does with the environment that it was given.
const CHILD: &str = "CALVE_TEST_CHILD_WRITES";

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn credentials_region_and_endpoint_come_from_the_environment() {
    if let Some(location) = std::env::var_os(CHILD) {
        let options = S3Options {
            path_style: true,
            ..S3Options::default()
        };
        let storage = S3Storage::new(&options).await.unwrap();
        let location = location.to_str().unwrap();
        let put = storage.put_new(location, Bytes::from_static(b"x")).await;
        put.map_err(|error| error.source().unwrap().to_string())
            .unwrap();
        return;
    }
    let store = Store::seaweedfs();
    let location = store.at("object");
    let keys = [
        ("AWS_ACCESS_KEY_ID", writer().access_key_id),
        ("AWS_SECRET_ACCESS_KEY", writer().secret_access_key),
    ];
    let region = ("AWS_REGION", "us-east-1".to_owned());
    let (passed, said) = child(&location, &store, std::slice::from_ref(&region));
    assert!(
        !passed && said.contains("no AWS credentials were found"),
        "{said}"
    );
    let (passed, said) = child(&location, &store, &keys);
    assert!(!passed && said.contains("no region is set"), "{said}");
    let (passed, said) = child(&location, &store, &[&keys[..], &[region]].concat());
    assert!(passed, "{said}");
    assert_eq!(
        store.storage().await.size(&location).await.unwrap(),
        Some(1)
    );
}

/// Runs the test above in a process that knows only these variables, and says whether it passed and what it printed.
fn child(location: &str, store: &Store, variables: &[(&str, String)]) -> (bool, String) {
    let nowhere = tempfile::tempdir().unwrap();
    let name = "access::credentials_region_and_endpoint_come_from_the_environment";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name])
        .env_clear()
        .env("HOME", nowhere.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL_S3", store.endpoint())
        .env(CHILD, location)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}
