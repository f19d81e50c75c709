use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use lake::{
    Catalog, Lake, Listed, LocalStorage, Put, RestCatalog, RestOptions, SchemaChange, Storage,
    StorageAccess, StorageError, TableName, WriteOptions,
};
use serde_json::{Value, json};

use crate::facade::{Facade, options};
use crate::http_server::{HttpServer, Reply, ok};
use crate::support::{TODAY_US, batch, batch_id, committed, definition, outcomes, receipt};

/// A directory that serves a table only with the key that the catalog gave out for it, and keeps which key each write
/// came with.
#[derive(Debug, Clone, Default)]
struct Guarded {
    key: Option<String>,
    writes: Arc<Mutex<Vec<(String, String)>>>,
}

impl Guarded {
    fn check(&self, location: &str) -> Result<(), StorageError> {
        self.key.as_ref().map(|_| ()).ok_or(StorageError::Location {
            location: location.to_owned(),
            reason: "nobody gave out a key for it",
        })
    }
}

#[async_trait]
impl Storage for Guarded {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        self.check(location)?;
        let key = self.key.clone().unwrap();
        self.writes.lock().unwrap().push((key, location.to_owned()));
        LocalStorage.put_new(location, bytes).await
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        self.check(location)?;
        LocalStorage.get(location).await
    }

    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError> {
        self.check(location)?;
        LocalStorage.size(location).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        LocalStorage.list(prefix).await
    }

    async fn delete(&self, location: &str) -> Result<(), StorageError> {
        LocalStorage.delete(location).await
    }

    fn for_table(&self, access: &StorageAccess) -> Option<Arc<dyn Storage>> {
        let key = access.get("s3.access-key-id")?.to_owned();
        Some(Arc::new(Self {
            key: Some(key),
            ..self.clone()
        }))
    }
}

/// A server that gives out a key with each table, before another one.
async fn vending(facade: Facade) -> HttpServer {
    let inner = facade.server.uri.clone();
    let facade = Arc::new(facade);
    HttpServer::answering(move |request| {
        let (inner, facade) = (inner.clone(), facade.clone());
        async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let method = request.method.parse().unwrap();
            let answer = client
                .request(method, format!("{inner}{}", request.target))
                .body(request.body.clone())
                .send()
                .await
                .unwrap();
            let status = answer.status().as_u16();
            let mut body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            let asked = request.header("x-iceberg-access-delegation");
            let is_commit = request.body.contains("requirements");
            if asked == Some("vended-credentials") && !is_commit && body["metadata"].is_object() {
                let location = body["metadata"]["location"].as_str().unwrap().to_owned();
                let near = json!({"s3.access-key-id": "near", "s3.session-token-expires-at-ms": "17"});
                body["config"] = json!({"s3.access-key-id": "general", "client.region": "here"});
                body["storage-credentials"] = json!([
                    {"prefix": "file", "config": {"s3.access-key-id": "far"}},
                    {"prefix": location, "config": near},
                    {"prefix": format!("{location}/elsewhere"), "config": {"s3.access-key-id": "other"}},
                ]);
            }
            drop(facade);
            Reply::Answer(status, body.to_string())
        }
    })
    .await
}

#[tokio::test]
async fn a_tables_objects_are_read_and_written_with_what_its_catalog_gave_out() {
    let directory = tempfile::tempdir().unwrap();
    let server = vending(Facade::over(directory.path(), Vec::new()).await).await;
    let storage = Guarded::default();
    let catalog = RestCatalog::new(RestOptions {
        vended_credentials: true,
        ..options(&server.uri)
    });
    let lake = Lake::new(Arc::new(catalog.unwrap()), Arc::new(storage.clone()));
    let name: TableName = "a.events".parse().unwrap();

    let table = lake.create_table(&name, &definition(&[])).await.unwrap();
    assert_eq!(table.access().expires_at_ms(), Some(17));
    assert_eq!(table.access().get("client.region"), Some("here"));
    let column = lake::ColumnDefinition {
        name: "new".to_owned(),
        doc: None,
        data_type: arrow_schema::DataType::Utf8,
        required: false,
    };
    let SchemaChange::Added(table) = lake.add_columns(&table, &[column]).await.unwrap() else {
        panic!("nobody else is here");
    };
    let rows = [batch(&[(TODAY_US, "1")])];
    let (id, how) = (batch_id(&table, "x"), WriteOptions::default());
    let files = lake.write(&table, &rows, &id, &how).await.unwrap();
    assert_eq!(
        files.len(),
        1,
        "also after a commit, whose answer gives out nothing"
    );
    for source in ["a", "b"] {
        let receipt = receipt(&lake, &table, source, &[source]).await;
        let options = crate::support::options(1);
        let report = lake.commit(&name, vec![receipt], &options);
        let report = report.await.unwrap();
        assert_eq!(outcomes(&report), [committed(&report)]);
    }
    let writes = storage.writes.lock().unwrap().clone();
    assert_eq!(
        writes.len(),
        3 + 2 * 3,
        "data files; manifests, lists, segments: {writes:?}"
    );
    assert!(writes.iter().all(|(key, _)| key == "near"), "{writes:?}");
}

#[tokio::test]
async fn what_nobody_asked_for_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let facade = Facade::over(directory.path(), Vec::new()).await;
    let name: TableName = "a.events".parse().unwrap();
    let made = facade
        .lake()
        .create_table(&name, &definition(&[]))
        .await
        .unwrap();
    let body = json!({
        "metadata-location": made.metadata_location(),
        "metadata": made.metadata(),
        "config": {"s3.access-key-id": "general"},
    });
    let headers = BTreeMap::new();
    let server = HttpServer::scripted([ok(&json!({})), ok(&body)]).await;
    let catalog = RestCatalog::new(RestOptions {
        headers,
        ..options(&server.uri)
    })
    .unwrap();
    let state = catalog.load(&name).await.unwrap().unwrap();
    assert!(state.access.is_empty());
    assert_eq!(server.seen()[1].header("x-iceberg-access-delegation"), None);
}
