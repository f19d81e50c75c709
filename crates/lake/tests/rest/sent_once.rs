use lake::{Catalog, CommitError, RestCatalog};
use serde_json::json;

use crate::facade::options;
use crate::http_server::{HttpServer, Reply, no, ok};

/// Asks for the config, so that a connection is kept, and commits.
async fn commit(server: &HttpServer) -> CommitError {
    let catalog = RestCatalog::new(options(&server.uri)).unwrap();
    let name = "a.t".parse().unwrap();
    assert!(catalog.load(&name).await.unwrap().is_none());
    let committed = catalog.commit(&name, Vec::new(), Vec::new()).await;
    committed.unwrap_err()
}

fn absent() -> Reply {
    no(404, "NoSuchTableException", "no")
}

fn n_commits(server: &HttpServer) -> usize {
    let seen = server.seen();
    seen.iter()
        .filter(|request| request.method == "POST")
        .count()
}

#[tokio::test]
async fn a_commit_on_a_kept_connection_that_the_server_then_closes_is_not_sent_again() {
    for reply in [Reply::Close, Reply::BreakOff(200, "{\"a\":1}".to_owned())] {
        let server = HttpServer::scripted([ok(&json!({})), absent(), reply]).await;
        let error = commit(&server).await;
        assert!(matches!(error, CommitError::Unknown { .. }), "{error:?}");
        let seen = server.seen();
        let connections: Vec<usize> = seen.iter().map(|request| request.connection).collect();
        assert_eq!(
            connections,
            [0, 0, 0],
            "the connection was kept, and nothing came after"
        );
    }
}

/// The server closes a kept connection as the commit sets out. Whether the commit notices before its first byte is a
/// matter of luck; that it arrives twice must not be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_meets_a_closing_connection_arrives_at_most_once() {
    let mut n_arrived = 0;
    for _ in 0..200 {
        let refused = no(400, "BadRequestException", "no");
        let absent = match absent() {
            Reply::Answer(status, body) => Reply::AnswerAndClose(status, body),
            other => other,
        };
        let server = HttpServer::scripted([ok(&json!({})), absent, refused]).await;
        let error = commit(&server).await;
        let n = n_commits(&server);
        assert!(n <= 1, "{n}");
        // An answer is only to be had for what arrived.
        assert_eq!(
            matches!(error, CommitError::Refused { .. }),
            n == 1,
            "{error:?}"
        );
        n_arrived += n;
    }
    assert!(n_arrived > 0, "most of them find another connection");
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let elsewhere = HttpServer::scripted([ok(&json!({}))]).await;
    let location = format!("{}/v1/namespaces/a/tables/t", elsewhere.uri);
    for status in [301, 302, 303, 307, 308] {
        let moved = Reply::With(status, vec![("location", location.clone())], String::new());
        let server = HttpServer::scripted([ok(&json!({})), absent(), moved]).await;
        let error = commit(&server).await;
        assert!(matches!(error, CommitError::Refused { .. }), "{error:?}");
        assert_eq!(n_commits(&server), 1);
    }
    assert!(elsewhere.seen().is_empty());
}
