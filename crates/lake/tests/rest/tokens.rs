use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use lake::{
    Catalog, CatalogError, ClientCredentials, Clock, CommitError, RestAuth, RestCatalog,
    RestOptions, Secret,
};
use serde_json::json;

use crate::facade::options;
use crate::http_server::{HttpServer, Reply, Request, no, ok};

const TOKEN_PATH: &str = "/v1/oauth/tokens";

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn clock(&self) -> Clock {
        let hand = self.clone();
        Clock::new(move || hand.0.load(Ordering::Relaxed))
    }

    fn move_to(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

fn credentials() -> ClientCredentials {
    ClientCredentials {
        token_uri: None,
        client_id: "me".to_owned(),
        client_secret: Secret::new("p&w"),
        scope: Some("PRINCIPAL_ROLE:ALL".to_owned()),
        parameters: BTreeMap::from([("audience".to_owned(), "them".to_owned())]),
    }
}

fn catalog(server: &HttpServer, hand: &Hand) -> RestCatalog {
    RestCatalog::new(RestOptions {
        auth: RestAuth::ClientCredentials(credentials()),
        clock: hand.clock(),
        ..options(&server.uri)
    })
    .unwrap()
}

/// A server that gives out the tokens `t0`, `t1`, …, each good for five seconds, and answers with this when it is
/// asked with the n-th.
async fn server(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> HttpServer {
    let n_granted = Arc::new(AtomicI64::new(0));
    HttpServer::answering(move |request| {
        let reply = if request.target == TOKEN_PATH {
            let n = n_granted.fetch_add(1, Ordering::Relaxed);
            ok(&json!({"access_token": format!("t{n}"), "token_type": "bearer", "expires_in": 5}))
        } else {
            let token = request.header("authorization").unwrap();
            let n = token.strip_prefix("Bearer t").unwrap().parse().unwrap();
            answer(n, &request)
        };
        std::future::ready(reply)
    })
    .await
}

fn absent_or_config(request: &Request) -> Reply {
    if request.target.starts_with("/v1/config") {
        ok(&json!({}))
    } else {
        no(404, "NoSuchTableException", "no")
    }
}

fn n_granted(server: &HttpServer) -> usize {
    let names = server.names();
    names
        .iter()
        .filter(|name| name.ends_with(TOKEN_PATH))
        .count()
}

fn name() -> lake::TableName {
    "a.t".parse().unwrap()
}

#[tokio::test]
async fn a_token_is_asked_for_with_all_that_was_given_and_renewed_before_it_expires() {
    let server = server(|_, request| absent_or_config(request)).await;
    let hand = Hand::default();
    let catalog = catalog(&server, &hand);
    for (now_ms, n_expected) in [(0, 1), (3_999, 1), (4_000, 2), (7_999, 2), (8_000, 3)] {
        hand.move_to(now_ms);
        assert!(catalog.load(&name()).await.unwrap().is_none());
        assert_eq!(n_granted(&server), n_expected, "at {now_ms} ms");
    }
    let first = &server.seen()[0];
    assert_eq!(
        first.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(first.header("authorization"), None);
    assert_eq!(
        first.body,
        "grant_type=client_credentials&client_id=me&client_secret=p%26w&scope=PRINCIPAL_ROLE%3AALL&audience=them"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_need_a_token_at_once_share_one() {
    let server = server(|_, request| absent_or_config(request)).await;
    let catalog = Arc::new(catalog(&server, &Hand::default()));
    let loads = (0..32).map(|_| {
        let catalog = catalog.clone();
        tokio::spawn(async move { catalog.load(&name()).await.unwrap() })
    });
    for load in futures::future::join_all(loads).await {
        assert!(load.unwrap().is_none());
    }
    assert_eq!(n_granted(&server), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_that_is_refused_is_renewed_once_and_what_changes_nothing_is_asked_again() {
    let server = server(|n, request| match n {
        0 => no(401, "NotAuthorizedException", "expired"),
        _ => absent_or_config(request),
    })
    .await;
    let catalog = Arc::new(catalog(&server, &Hand::default()));
    let loads = (0..8).map(|_| {
        let catalog = catalog.clone();
        tokio::spawn(async move { catalog.load(&name()).await.unwrap() })
    });
    for load in futures::future::join_all(loads).await {
        assert!(load.unwrap().is_none());
    }
    assert_eq!(n_granted(&server), 2);
}

#[tokio::test]
async fn tokens_that_are_always_refused_are_not_asked_for_without_end() {
    let server = server(|_, _| no(401, "NotAuthorizedException", "never")).await;
    let error = catalog(&server, &Hand::default())
        .load(&name())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CatalogError::Unavailable {
                retryable: false,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(server.seen().len(), 4, "two tokens, two questions");
}

#[tokio::test]
async fn a_commit_whose_token_is_refused_is_not_sent_again_and_the_next_one_has_a_new_token() {
    let server = server(|n, request| match (n, request.method.as_str()) {
        (0, "POST") => no(401, "NotAuthorizedException", "expired"),
        (_, "POST") => no(400, "BadRequestException", "no"),
        _ => absent_or_config(request),
    })
    .await;
    let catalog = catalog(&server, &Hand::default());
    let commit = async || {
        catalog
            .commit(&name(), Vec::new(), Vec::new())
            .await
            .unwrap_err()
    };
    let first = commit().await;
    assert!(
        matches!(first, CommitError::Refused { .. }) && first.retryable(),
        "{first:?}"
    );
    let second = commit().await;
    assert!(
        matches!(second, CommitError::Refused { .. }) && !second.retryable(),
        "{second:?}"
    );
    let sent: Vec<String> = server
        .seen()
        .iter()
        .filter(|request| request.target.contains("/tables/"))
        .map(|request| request.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Bearer t0", "Bearer t1"]);
}

#[tokio::test]
async fn a_commit_for_which_there_is_no_token_is_not_sent() {
    let denied = json!({"error": "invalid_client", "error_description": "who are you"});
    for (status, retryable) in [(401, false), (503, true)] {
        let server = HttpServer::scripted([Reply::Answer(status, denied.to_string())]).await;
        let catalog = catalog(&server, &Hand::default());
        let error = catalog
            .commit(&name(), Vec::new(), Vec::new())
            .await
            .unwrap_err();
        assert!(matches!(error, CommitError::Refused { .. }), "{error:?}");
        assert_eq!(error.retryable(), retryable);
        assert!(
            format!("{error:?}").contains("invalid_client: who are you"),
            "{error:?}"
        );
        assert!(server.names().iter().all(|name| name.ends_with(TOKEN_PATH)));
    }
}

#[tokio::test]
async fn a_token_that_was_given_is_sent_as_it_is_to_no_other_place() {
    let server =
        HttpServer::scripted([ok(&json!({})), no(404, "NoSuchTableException", "no")]).await;
    let catalog = RestCatalog::new(RestOptions {
        auth: RestAuth::Bearer(Secret::new("given")),
        headers: BTreeMap::from([("polaris-realm".to_owned(), Secret::new("ours"))]),
        ..options(&server.uri)
    })
    .unwrap();
    assert!(catalog.load(&name()).await.unwrap().is_none());
    for request in server.seen() {
        assert_eq!(request.header("authorization"), Some("Bearer given"));
        assert_eq!(request.header("polaris-realm"), Some("ours"));
    }
}
