use lake::{Catalog, RestCatalog, TableName};
use serde_json::{Value, json};

use crate::facade::options;
use crate::http_server::{HttpServer, Reply, Request, no, ok};

async fn listed(
    answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Vec<String>, HttpServer) {
    let server = HttpServer::answering(move |request| {
        let reply = match request.target.as_str() {
            "/v1/config" => ok(&json!({})),
            _ => answer(&request),
        };
        std::future::ready(reply)
    })
    .await;
    let catalog = RestCatalog::new(options(&server.uri)).unwrap();
    let tables = catalog.list().await.unwrap();
    (tables.iter().map(TableName::to_string).collect(), server)
}

fn tables(namespace: &[&str], names: &[&str], next: Option<&str>) -> Reply {
    let identifiers: Vec<Value> = names
        .iter()
        .map(|name| json!({"namespace": namespace, "name": name}))
        .collect();
    ok(&json!({"identifiers": identifiers, "next-page-token": next}))
}

#[tokio::test]
async fn tables_of_all_namespaces_and_pages_are_listed_in_order() {
    let (names, server) = listed(|request| match request.target.as_str() {
        "/v1/namespaces" => ok(&json!({"namespaces": [["b"]], "next-page-token": "p /2"})),
        "/v1/namespaces?pageToken=p%20%2F2" => {
            ok(&json!({"namespaces": [["a"]], "next-page-token": ""}))
        }
        "/v1/namespaces?parent=a" => {
            ok(&json!({"namespaces": [["a", "x"]], "next-page-token": null}))
        }
        "/v1/namespaces?parent=b" | "/v1/namespaces?parent=a%1Fx" => ok(&json!({"namespaces": []})),
        "/v1/namespaces/a/tables" => tables(&["a"], &["t1"], Some("2")),
        "/v1/namespaces/a/tables?pageToken=2" => tables(&["a"], &["t2", "näme"], None),
        "/v1/namespaces/a%1Fx/tables" => tables(&["a", "x"], &["t3"], None),
        "/v1/namespaces/b/tables" => tables(&["b"], &["t0"], None),
        other => panic!("{other}"),
    })
    .await;
    assert_eq!(names, ["a.t1", "a.t2", "a.x.t3", "b.t0"]);
    assert_eq!(server.seen().len(), 10);
}

#[tokio::test]
async fn catalogs_without_nested_namespaces_are_listed_too() {
    for nested in [
        ok(&json!({"namespaces": [["a"], ["b"]]})),
        no(400, "BadRequestException", "no nested namespaces"),
        no(404, "NoSuchNamespaceException", "none"),
    ] {
        let (names, _server) = listed(move |request| match request.target.as_str() {
            "/v1/namespaces" => ok(&json!({"namespaces": [["a"], ["b"]]})),
            "/v1/namespaces/a/tables" => tables(&["a"], &["t"], None),
            "/v1/namespaces/b/tables" => tables(&["b"], &[], None),
            _ => nested.clone(),
        })
        .await;
        assert_eq!(names, ["a.t"]);
    }
}

#[tokio::test]
async fn a_page_that_names_itself_as_the_next_one_ends_the_listing() {
    let server = HttpServer::answering(|request: Request| {
        std::future::ready(match request.target.as_str() {
            "/v1/config" => ok(&json!({})),
            _ => ok(&json!({"namespaces": [], "next-page-token": "again"})),
        })
    })
    .await;
    let catalog = RestCatalog::new(options(&server.uri)).unwrap();
    catalog.list().await.unwrap_err();
    assert_eq!(server.seen().len(), 3);
}
