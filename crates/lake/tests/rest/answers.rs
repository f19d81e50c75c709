use std::time::{Duration, Instant};

use lake::{Catalog, CatalogError, CommitError, RestCatalog, RestOptions};
use serde_json::{Value, json};

use crate::facade::options;
use crate::http_server::{HttpServer, Reply, no, ok};

fn config() -> Reply {
    ok(&json!({"defaults": {}, "overrides": {}}))
}

fn name() -> lake::TableName {
    "a.t".parse().unwrap()
}

fn catalog(server: &HttpServer) -> RestCatalog {
    RestCatalog::new(options(&server.uri)).unwrap()
}

/// The causes of an error, its own words left out.
fn causes(error: &dyn std::error::Error) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts.join(": ")
}

/// What a commit of nothing means when this is the answer.
async fn commit_answered(reply: Reply) -> (CommitError, HttpServer) {
    let server = HttpServer::scripted([config(), reply]).await;
    let committed = catalog(&server)
        .commit(&name(), Vec::new(), Vec::new())
        .await;
    (committed.unwrap_err(), server)
}

#[tokio::test]
async fn each_answer_to_a_commit_means_one_thing_and_is_never_asked_for_twice() {
    let html = |status| Reply::Answer(status, "<html>\n  <b>gone</b>\n</html>".to_owned());
    let conflict = no(409, "CommitFailedException", "no");
    let cases = [
        ("Conflict", true, conflict),
        ("Conflict", true, html(409)),
        ("Refused", false, no(400, "BadRequestException", "no")),
        ("Refused", false, no(401, "NotAuthorizedException", "no")),
        ("Refused", false, no(403, "ForbiddenException", "no")),
        ("Refused", false, no(404, "NoSuchTableException", "no")),
        ("Refused", false, html(307)),
        ("Refused", false, html(404)),
        ("Unknown", true, html(408)),
        ("Unknown", true, no(429, "TooManyRequestsException", "no")),
        (
            "Unknown",
            true,
            no(500, "CommitStateUnknownException", "no"),
        ),
        ("Unknown", true, html(502)),
        (
            "Unknown",
            true,
            no(503, "ServiceUnavailableException", "no"),
        ),
        ("Unknown", true, html(504)),
        (
            "Unknown",
            true,
            Reply::Answer(200, "{\"metadata\":".to_owned()),
        ),
        ("Unknown", true, Reply::Answer(204, String::new())),
        (
            "Unknown",
            true,
            Reply::BreakOff(200, "{\"metadata\":{}}".to_owned()),
        ),
        ("Unknown", true, Reply::Close),
        ("Unknown", true, Reply::Silence),
    ];
    for (expected, retryable, reply) in cases {
        let (error, server) = commit_answered(reply.clone()).await;
        let found = format!("{error:?}");
        assert!(found.starts_with(expected), "{reply:?}: {found}");
        assert_eq!(error.retryable(), retryable, "{reply:?}");
        let sent = ["GET /v1/config", "POST /v1/namespaces/a/tables/t"];
        assert_eq!(server.names(), sent, "{reply:?}");
    }
}

#[tokio::test]
async fn errors_name_the_endpoint_the_status_and_what_the_catalog_says() {
    let (error, server) = commit_answered(no(403, "ForbiddenException", "not you")).await;
    assert_eq!(
        causes(&error),
        format!(
            "POST {}/v1/namespaces/a/tables/t was answered with 403: ForbiddenException: not you",
            server.uri
        )
    );
    let html = Reply::Answer(502, "<html>\n  <b>gone</b>\n</html>".to_owned());
    let (error, _server) = commit_answered(html).await;
    assert!(
        causes(&error).ends_with("502: <html> <b>gone</b> </html>"),
        "{}",
        causes(&error)
    );
    let (error, _server) = commit_answered(Reply::Answer(503, String::new())).await;
    assert!(
        causes(&error).ends_with("503: Service Unavailable"),
        "{}",
        causes(&error)
    );
}

#[tokio::test]
async fn a_table_is_absent_only_when_the_catalog_itself_says_so() {
    for kind in [
        "NoSuchTableException",
        "NoSuchNamespaceException",
        "EntityNotFoundException",
    ] {
        let server = HttpServer::scripted([config(), no(404, kind, "no")]).await;
        assert!(catalog(&server).load(&name()).await.unwrap().is_none());
    }
    let proxy = Reply::Answer(404, "<html>no such page</html>".to_owned());
    let server = HttpServer::scripted([config(), proxy]).await;
    let error = catalog(&server).load(&name()).await.unwrap_err();
    let CatalogError::Unavailable { retryable, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(!retryable);
    assert!(
        causes(&error).contains("no such page"),
        "{}",
        causes(&error)
    );
}

#[tokio::test]
async fn what_changes_nothing_is_asked_again_until_it_is_answered() {
    for reply in [
        no(500, "X", "no"),
        no(503, "X", "no"),
        Reply::Close,
        Reply::Silence,
    ] {
        let answers = [
            config(),
            reply.clone(),
            reply.clone(),
            no(404, "NoSuchTableException", "no"),
        ];
        let server = HttpServer::scripted(answers).await;
        assert!(
            catalog(&server).load(&name()).await.unwrap().is_none(),
            "{reply:?}"
        );
        let server = HttpServer::scripted([config(), reply.clone()]).await;
        let error = catalog(&server).load(&name()).await.unwrap_err();
        assert!(
            matches!(
                error,
                CatalogError::Unavailable {
                    retryable: true,
                    ..
                }
            ),
            "{reply:?}: {error:?}"
        );
        assert_eq!(server.seen().len(), 1 + 3, "{reply:?}");
    }
}

#[tokio::test]
async fn a_catalog_that_asks_for_time_gets_it_unless_it_asks_for_too_much() {
    let after = |seconds: &str| {
        Reply::With(
            429,
            vec![("retry-after", seconds.to_owned())],
            String::new(),
        )
    };
    let server = HttpServer::scripted([config(), after("1"), no(404, "X", "no")]).await;
    let begun = Instant::now();
    assert!(catalog(&server).load(&name()).await.unwrap().is_none());
    assert!(begun.elapsed() >= Duration::from_secs(1));

    let server = HttpServer::scripted([config(), after("3600")]).await;
    catalog(&server).load(&name()).await.unwrap_err();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    let long = json!({"overrides": {"x": "y".repeat(2_000)}});
    let server = HttpServer::scripted([ok(&long)]).await;
    let catalog = RestCatalog::new(RestOptions {
        max_answer_bytes: 1_000,
        max_attempts: 1,
        ..options(&server.uri)
    });
    let error = catalog.unwrap().load(&name()).await.unwrap_err();
    assert!(
        causes(&error).contains("longer than 1000 bytes"),
        "{}",
        causes(&error)
    );
}

#[tokio::test]
async fn the_catalog_says_where_it_is_and_how_it_separates_levels() {
    let absent = no(404, "NoSuchTableException", "no");
    let deep: lake::TableName = "a.b.t".parse().unwrap();
    let check = async |config: Value, expected: &str| {
        let server = HttpServer::scripted([ok(&config), absent.clone()]).await;
        let options = RestOptions {
            uri: format!("{}/iceberg/", server.uri),
            warehouse: Some("arn:aws:x/y z".to_owned()),
            ..options("")
        };
        let catalog = RestCatalog::new(options).unwrap();
        assert!(catalog.load(&deep).await.unwrap().is_none());
        assert!(catalog.load(&deep).await.unwrap().is_none());
        let seen = server.seen();
        let targets: Vec<&str> = seen.iter().map(|request| request.target.as_str()).collect();
        let config = "/iceberg/v1/config?warehouse=arn%3Aaws%3Ax%2Fy%20z";
        assert_eq!(
            targets,
            [config, expected, expected],
            "asked for its config once"
        );
    };
    check(json!({}), "/iceberg/v1/namespaces/a%1Fb/tables/t").await;
    check(
        json!({"defaults": {"prefix": "p"}, "overrides": {"prefix": null}}),
        "/iceberg/v1/p/namespaces/a%1Fb/tables/t",
    )
    .await;
    check(
        json!({"defaults": {"prefix": "p"}, "overrides": {"prefix": "catalogs/1%3A2"}}),
        "/iceberg/v1/catalogs/1%3A2/namespaces/a%1Fb/tables/t",
    )
    .await;
    check(
        json!({"defaults": {"namespace-separator": "%2E"}}),
        "/iceberg/v1/namespaces/a%2Eb/tables/t",
    )
    .await;
}

#[tokio::test]
async fn without_the_servers_word_for_it_no_key_is_sent() {
    let server = HttpServer::scripted([config(), no(500, "X", "no")]).await;
    let committed = catalog(&server)
        .commit(&name(), Vec::new(), Vec::new())
        .await;
    committed.unwrap_err();
    let seen = server.seen();
    assert_eq!(seen[1].header("idempotency-key"), None);
    assert_eq!(seen[1].header("content-type"), Some("application/json"));
    assert!(seen[1].header("user-agent").unwrap().starts_with("calve/"));
}

#[test]
fn options_that_cannot_be_used_are_refused_by_name() {
    let error = RestCatalog::new(options("catalog.example:8181")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`catalog.example:8181` cannot be used as a REST catalog"
    );
    assert!(!error.retryable());
}
