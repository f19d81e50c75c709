use std::error::Error;

use bytes::Bytes;
use lake::{Put, S3Options, S3Storage, Storage};

use crate::proxy::Fault::{
    AnswerCut, AnswerLost, AnswerStuck, Conflict, Reset, Silence, Unavailable,
};
use crate::proxy::{Fault, Planned, Proxy};
use crate::stores::Store;

const MIB: usize = 1 << 20;

/// A storage behind a proxy. Objects above 5 MiB go in parts of that size.
async fn behind(proxy: &Proxy, store: &Store, attempt_timeout_ms: u64) -> S3Storage {
    let options = S3Options {
        endpoint: Some(proxy.endpoint.clone()),
        attempt_timeout_ms,
        multipart_bytes: 5 * MIB as u64,
        part_bytes: 5 * MIB as u64,
        ..store.options.clone()
    };
    S3Storage::new(&options).await.unwrap()
}

/// The requests that a write consists of, as the first line of each shows them.
const PUT: (&str, &str) = ("PUT", "x-id=PutObject");
const BEGIN: (&str, &str) = ("POST", "?uploads");
const PART: (&str, &str) = ("PUT", "partNumber=2");
const COMPLETE: (&str, &str) = ("POST", "?uploadId=");
const GET: (&str, &str) = ("GET", "x-id=GetObject");
const HEAD: (&str, &str) = ("HEAD", "");
const DELETE: (&str, &str) = ("DELETE", "");
const LIST: (&str, &str) = ("GET", "list-type=2");

fn plan(faults: &[((&'static str, &'static str), Fault)]) -> Vec<Planned> {
    let planned = faults.iter().map(|((method, holds), fault)| Planned {
        method,
        holds,
        fault: *fault,
    });
    planned.collect()
}

/// Long enough for any answer of these servers; `Silence` makes a test wait as long.
const PATIENT_MS: u64 = 10_000;

/// Writes an object through these faults: it is written, once, and says so.
async fn check_written(n_bytes: usize, faults: &[((&'static str, &'static str), Fault)]) {
    for store in Store::both() {
        let proxy = Proxy::before(store.endpoint(), &plan(faults)).await;
        let storage = behind(&proxy, &store, PATIENT_MS).await;
        let content = Bytes::from(vec![7; n_bytes]);
        let location = store.at("object");
        let put = storage.put_new(&location, content.clone()).await;
        let case = format!("{}: {faults:?}", store.name);
        assert_eq!(put.unwrap(), Put::Written, "{case}");
        proxy.check_all_happened();
        let direct = store.storage().await;
        assert!(direct.get(&location).await.unwrap() == content, "{case}");
        assert_eq!(store.n_open_uploads().await, 0, "{case}");
        // Whoever comes later is told the truth.
        let again = storage.put_new(&location, content).await.unwrap();
        assert_eq!(again, Put::AlreadyThere, "{case}");
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_write_survives_what_happens_before_the_server_hears_of_it() {
    check_written(1_000, &[(PUT, Unavailable), (PUT, Reset)]).await;
    check_written(1_000, &[(PUT, Conflict), (PUT, Conflict)]).await;
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_write_whose_answer_is_lost_is_still_ours() {
    check_written(1_000, &[(PUT, AnswerLost)]).await;
    check_written(0, &[(PUT, AnswerLost)]).await;
    check_written(1_000, &[(PUT, AnswerLost), (PUT, Conflict)]).await;
    // Finding out whose it is meets faults as well.
    check_written(
        1_000,
        &[
            (PUT, AnswerLost),
            (PUT, AnswerLost),
            (HEAD, Unavailable),
            (GET, AnswerCut),
        ],
    )
    .await;
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_write_in_parts_survives_faults_at_every_request() {
    let n_bytes = 11 * MIB;
    for request in [BEGIN, PART, COMPLETE] {
        check_written(n_bytes, &[(request, Unavailable), (request, Reset)]).await;
    }
    check_written(n_bytes, &[(PART, AnswerLost)]).await;
    check_written(n_bytes, &[(COMPLETE, Conflict)]).await;
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_write_in_parts_whose_last_answer_is_lost_is_still_ours() {
    check_written(11 * MIB, &[(COMPLETE, AnswerLost)]).await;
    check_written(11 * MIB, &[(COMPLETE, AnswerLost), (GET, AnswerCut)]).await;
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_lost_answer_about_the_object_of_another_does_not_make_it_ours() {
    for store in Store::both() {
        for n_bytes in [1_000, 11 * MIB] {
            let request = if n_bytes > MIB { COMPLETE } else { PUT };
            let proxy = Proxy::before(store.endpoint(), &plan(&[(request, AnswerLost)])).await;
            let storage = behind(&proxy, &store, PATIENT_MS).await;
            let location = store.at(&format!("taken-{n_bytes}"));
            // As long as ours, other in the last byte only.
            let mut theirs = vec![7; n_bytes];
            theirs[n_bytes - 1] = 8;
            let direct = store.storage().await;
            direct
                .put_new(&location, theirs.clone().into())
                .await
                .unwrap();

            let put = storage.put_new(&location, vec![7; n_bytes].into()).await;
            assert_eq!(put.unwrap(), Put::AlreadyThere, "{}", store.name);
            proxy.check_all_happened();
            assert!(direct.get(&location).await.unwrap() == theirs, "{location}");
        }
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_write_that_fails_for_good_says_why_and_leaves_no_upload_behind() {
    for store in Store::both() {
        for (request, n_bytes) in [(PUT, 1_000), (PART, 11 * MIB), (COMPLETE, 11 * MIB)] {
            let proxy = Proxy::before(store.endpoint(), &plan(&[(request, Unavailable); 5])).await;
            let storage = behind(&proxy, &store, PATIENT_MS).await;
            let location = store.at("object");
            let put = storage.put_new(&location, vec![7; n_bytes].into()).await;
            let error = put.unwrap_err();
            assert_eq!(error.to_string(), format!("cannot write `{location}`"));
            assert_eq!(
                error.source().unwrap().to_string(),
                "SlowDown: planned (status 503)"
            );
            assert!(error.retryable());
            proxy.check_all_happened();
            assert!(!storage.exists(&location).await.unwrap());
            assert_eq!(store.n_open_uploads().await, 0, "{}", store.name);
        }
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn reads_lists_and_deletes_survive_faults() {
    for store in Store::both() {
        let content = Bytes::from(vec![7; 300_000]);
        let location = store.at("object");
        let direct = store.storage().await;
        direct.put_new(&location, content.clone()).await.unwrap();
        let faults = [GET, HEAD, LIST, DELETE]
            .map(|request| [Unavailable, Reset, AnswerLost].map(|fault| (request, fault)));
        let mut faults = faults.concat();
        faults.extend([(GET, AnswerCut), (GET, AnswerCut)]);
        let proxy = Proxy::before(store.endpoint(), &plan(&faults)).await;
        let storage = behind(&proxy, &store, PATIENT_MS).await;

        assert!(storage.get(&location).await.unwrap() == content);
        assert_eq!(storage.size(&location).await.unwrap(), Some(300_000));
        let listed = storage.list(&store.at("")).await.unwrap();
        assert_eq!(listed.len(), 1, "{}", store.name);
        storage.delete(&location).await.unwrap();
        assert!(!direct.exists(&location).await.unwrap());
        proxy.check_all_happened();
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_server_that_says_nothing_is_given_up_and_asked_again() {
    for store in Store::both() {
        let location = store.at("object");
        // The server did what it was asked, so the second request finds the object there.
        let faults = [
            (PUT, Silence),
            (HEAD, Silence),
            (GET, Silence),
            (GET, AnswerStuck),
        ];
        let proxy = Proxy::before(store.endpoint(), &plan(&faults)).await;
        let storage = behind(&proxy, &store, 1_000).await;
        let put = storage.put_new(&location, vec![7; 1_000].into()).await;
        assert_eq!(put.unwrap(), Put::Written, "{}", store.name);
        proxy.check_all_happened();

        let proxy = Proxy::before(store.endpoint(), &plan(&[(GET, Silence); 5])).await;
        let storage = behind(&proxy, &store, 200).await;
        let error = storage.get(&location).await.unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "no answer in time");
        assert!(error.retryable());
        proxy.check_all_happened();
    }
}
