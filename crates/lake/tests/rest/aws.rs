use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use lake::{
    Catalog, NewTable, RestAuth, RestCatalog, RestOptions, S3Credentials, S3Keys, SigV4,
    SigV4Service, TableName,
};
use serde_json::{Value, json};

use crate::facade::options;
use crate::http_server::{HttpServer, Request, no, ok};

/// What a catalog of this kind is asked when a table is made and dropped, with a namespace of these properties.
async fn asked(auth: Option<SigV4Service>, properties: Value) -> Vec<Request> {
    let server = HttpServer::answering(move |request| {
        std::future::ready(match request.name().as_str() {
            "GET /v1/namespaces/sales" => ok(&json!({"properties": properties})),
            "GET /v1/config" | "DELETE /v1/namespaces/sales/tables/events" => ok(&json!({})),
            "GET /v1/namespaces/sales/tables/events" => no(404, "NoSuchTableException", "not yet"),
            _ => no(400, "BadRequestException", "enough"),
        })
    })
    .await;
    let keys = S3Keys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
    };
    let keys = S3Credentials::Static(keys);
    let auth = match auth {
        Some(service) => RestAuth::SigV4(SigV4::new(service, "eu-central-1", &keys).await),
        None => RestAuth::None,
    };
    let catalog = RestCatalog::new(RestOptions {
        auth,
        ..options(&server.uri)
    });
    let catalog = catalog.unwrap();
    let name: TableName = "sales.events".parse().unwrap();
    catalog.create(&name, table()).await.unwrap_err();
    catalog.drop_table(&name).await.unwrap();
    server.seen()
}

fn table() -> NewTable {
    let time = NestedField::optional(1, "event_time", Type::Primitive(PrimitiveType::Timestamptz));
    let schema = Schema::builder().with_fields([time.into()]).build();
    NewTable {
        schema: schema.unwrap(),
        partitioning: iceberg::spec::UnboundPartitionSpec::default(),
        properties: std::collections::HashMap::new(),
    }
}

fn location_asked_for(requests: &[Request]) -> Value {
    let made = requests.iter().find(|request| request.method == "POST");
    made.unwrap().json()["location"].clone()
}

fn is_purged(requests: &[Request]) -> bool {
    let dropped = requests.iter().find(|request| request.method == "DELETE");
    dropped.unwrap().target.ends_with("?purgeRequested=true")
}

#[tokio::test]
async fn a_table_of_glue_lies_below_its_database_which_keeps_its_files_when_it_is_dropped() {
    for location in ["s3://lake/prod/tables", "s3://lake/prod/tables/"] {
        let requests = asked(Some(SigV4Service::Glue), json!({"location": location})).await;
        assert_eq!(
            location_asked_for(&requests),
            "s3://lake/prod/tables/events"
        );
        assert!(!is_purged(&requests));
    }
    for nothing in [json!({}), Value::Null] {
        let requests = asked(Some(SigV4Service::Glue), nothing).await;
        assert_eq!(location_asked_for(&requests), Value::Null);
    }
}

#[tokio::test]
async fn a_table_bucket_finds_a_place_itself_and_drops_a_table_with_its_files() {
    let service = Some(SigV4Service::S3Tables);
    let requests = asked(service, json!({"location": "s3://lake"})).await;
    assert_eq!(location_asked_for(&requests), Value::Null);
    assert!(is_purged(&requests));
}

#[tokio::test]
async fn any_other_catalog_finds_a_place_itself_and_keeps_the_files() {
    let requests = asked(None, json!({"location": "s3://lake"})).await;
    assert_eq!(location_asked_for(&requests), Value::Null);
    assert!(!is_purged(&requests));
}
