use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use iceberg::spec::{Schema, UnboundPartitionSpec};
use iceberg::{TableRequirement, TableUpdate};
use lake::{
    Catalog, CatalogError, Clock, CommitError, Lake, LocalStorage, NewTable, RestCatalog,
    RestOptions, SqliteCatalog, Storage, TableState,
};
use serde_json::{Value, json};

use crate::http_server::{HttpServer, Reply, Request, no, ok};
use crate::support::NOW_MS;

/// What happens to one commit on its way through the network.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is not done, and this is the answer.
    Instead(Reply),
    /// It is done if it can be, and this is the answer then.
    Afterwards(Reply),
    /// It is done, and half of the answer arrives.
    HalfAnswer,
    /// Nothing special.
    Nothing,
}

/// A catalog server that speaks the REST protocol over a SQLite catalog, behind a network that loses what it is told to.
#[derive(Debug)]
pub(crate) struct Facade {
    pub(crate) server: HttpServer,
}

impl Facade {
    /// The server over the catalog of this directory; its first commits meet these faults.
    pub(crate) async fn over(directory: &Path, faults: Vec<Fault>) -> Self {
        let warehouse = format!("file://{}", directory.display());
        let path = directory.join("catalog.db");
        let name = lake::DEFAULT_CATALOG_NAME;
        let catalog = SqliteCatalog::open(&path, name, &warehouse, Arc::new(LocalStorage));
        let catalog = Arc::new(catalog.unwrap());
        let faults = Arc::new(Mutex::new(VecDeque::from(faults)));
        let answer = move |request| respond(catalog.clone(), faults.clone(), request);
        let server = HttpServer::answering(answer).await;
        Self { server }
    }

    /// A lake whose catalog is this server and whose objects are files.
    pub(crate) fn lake(&self) -> Lake {
        let storage: Arc<dyn Storage> = Arc::new(LocalStorage);
        Lake::new(Arc::new(self.client()), storage)
    }

    pub(crate) fn client(&self) -> RestCatalog {
        RestCatalog::new(options(&self.server.uri)).unwrap()
    }

    /// How many commits of data arrived.
    pub(crate) fn n_commits(&self) -> usize {
        let commits = self.server.seen();
        let commits = commits.iter().filter(|request| is_commit(request));
        commits
            .filter(|request| request.body.contains("add-snapshot"))
            .count()
    }
}

/// Options that give up on silence soon.
pub(crate) fn options(uri: &str) -> RestOptions {
    RestOptions {
        request_timeout_ms: 2_000,
        max_attempts: 3,
        ..RestOptions::at(uri, Clock::new(|| NOW_MS))
    }
}

fn is_commit(request: &Request) -> bool {
    request.method == "POST" && segments(request).len() == 6
}

/// `v1`, the prefix, `namespaces`, a namespace, `tables`, a table.
fn segments(request: &Request) -> Vec<&str> {
    let path = request.target.split('?').next().unwrap();
    path.trim_start_matches('/').split('/').collect()
}

async fn respond(
    catalog: Arc<SqliteCatalog>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    request: Request,
) -> Reply {
    if !is_commit(&request) {
        return done(&catalog, &request).await;
    }
    let fault = faults.lock().unwrap().pop_front();
    match fault.unwrap_or(Fault::Nothing) {
        Fault::Nothing => done(&catalog, &request).await,
        Fault::Instead(reply) => reply,
        Fault::Afterwards(reply) => match done(&catalog, &request).await {
            Reply::Answer(200, _) => reply,
            answer => answer,
        },
        Fault::HalfAnswer => match done(&catalog, &request).await {
            Reply::Answer(200, body) => Reply::BreakOff(200, body),
            answer => answer,
        },
    }
}

async fn done(catalog: &SqliteCatalog, request: &Request) -> Reply {
    let segments = segments(request);
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["v1", "config"]) => ok(&json!({
            "defaults": {"prefix": "not/this"},
            "overrides": {"prefix": "a%2Fb"},
            "idempotency-key-lifetime": "PT30M",
        })),
        ("GET", ["v1", "a%2Fb", "namespaces", namespace, "tables", table]) => {
            match catalog.load(&name(namespace, table)).await.unwrap() {
                Some(state) => ok(&body(&state)),
                None => no(404, "NoSuchTableException", "there is no such table"),
            }
        }
        ("POST", ["v1", "a%2Fb", "namespaces", namespace, "tables"]) => {
            let json = request.json();
            let mut properties: HashMap<String, String> = part(&json, "properties");
            // No property of the table: it says which format it is to have.
            assert_eq!(properties.remove("format-version").as_deref(), Some("2"));
            let table = NewTable {
                schema: part::<Schema>(&json, "schema"),
                partitioning: part::<UnboundPartitionSpec>(&json, "partition-spec"),
                properties,
            };
            let name = name(namespace, json["name"].as_str().unwrap());
            match catalog.create(&name, table).await {
                Ok(state) => ok(&body(&state)),
                Err(CatalogError::AlreadyExists { .. }) => {
                    no(409, "AlreadyExistsException", "it is there")
                }
                Err(error) => no(500, "ServerError", &error.to_string()),
            }
        }
        ("POST", ["v1", "a%2Fb", "namespaces", namespace, "tables", table]) => {
            let json = request.json();
            let requirements: Vec<TableRequirement> = part(&json, "requirements");
            let updates: Vec<TableUpdate> = part(&json, "updates");
            let name = name(namespace, table);
            match catalog.commit(&name, requirements, updates).await {
                Ok(committed) => ok(&body(&committed.state().unwrap())),
                Err(CommitError::Conflict { source }) => {
                    no(409, "CommitFailedException", &source.to_string())
                }
                Err(error) => no(400, "BadRequestException", &error.to_string()),
            }
        }
        ("DELETE", ["v1", "a%2Fb", "namespaces", namespace, "tables", table]) => {
            if catalog.drop_table(&name(namespace, table)).await.unwrap() {
                Reply::Answer(204, String::new())
            } else {
                no(404, "NoSuchTableException", "there is no such table")
            }
        }
        _ => no(
            405,
            "NotFound",
            &format!("{request:?} is nothing that this server knows"),
        ),
    }
}

fn part<T: serde::de::DeserializeOwned>(json: &Value, key: &str) -> T {
    serde_json::from_value(json[key].clone()).unwrap()
}

fn name(namespace: &str, table: &str) -> lake::TableName {
    let levels = namespace.split("%1F").map(str::to_owned).collect();
    lake::TableName::new(levels, table.to_owned()).unwrap()
}

fn body(state: &TableState) -> Value {
    json!({
        "metadata-location": state.metadata_location,
        "metadata": state.metadata.as_ref(),
    })
}
