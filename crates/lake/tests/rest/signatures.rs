use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use iceberg::spec::{Schema, UnboundPartitionSpec};
use lake::{
    Catalog, Clock, NewTable, RestAuth, RestCatalog, RestOptions, S3Credentials, S3Keys, SigV4,
    SigV4Service, TableName,
};
use serde_json::{Value, json};

use crate::facade::options;
use crate::http_server::{HttpServer, Reply, Request, no, ok};

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// As temporary tokens look like: Base64, with what URLs escape.
const TOKEN: &str = "IQoJb3JpZ2luX2Vj//+EXAMPLE==";
const NOW: &str = "20261121T000000Z";
const ARN: &str = "arn:aws:s3tables:eu-central-1:111122223333:bucket/lake";
const ARN_AS_PREFIX: &str = "arn%3Aaws%3As3tables%3Aeu-central-1%3A111122223333%3Abucket%2Flake";

/// What becomes of a request whose path is of this kind, so that each call goes all its ways.
fn answer(prefix: &str, request: &Request) -> Reply {
    let path = request
        .target
        .replacen(&format!("/iceberg/v1/{prefix}"), "", 1);
    match (request.method.as_str(), path.as_str()) {
        (_, path) if path.starts_with("/iceberg/v1/config") => {
            ok(&json!({"overrides": {"prefix": prefix}, "idempotency-key-lifetime": "PT1H"}))
        }
        ("GET", "/namespaces") => ok(&json!({"namespaces": [], "next-page-token": "a+b /=&~é"})),
        ("GET", path) if path.starts_with("/namespaces?pageToken") => {
            ok(&json!({"namespaces": [["a"]]}))
        }
        ("GET", path) if path.starts_with("/namespaces?parent") => ok(&json!({"namespaces": []})),
        ("GET", "/namespaces/a/tables") => ok(&json!({"identifiers": []})),
        ("POST", "/namespaces") => ok(&json!({})),
        ("DELETE", _) => Reply::Answer(204, String::new()),
        _ => no(404, "NoSuchNamespaceException", "no"),
    }
}

/// Lets a catalog say everything that it can say, signed in this way, and returns what arrived.
async fn all_calls(service: SigV4Service, token: Option<&str>, prefix: &'static str) -> Vec<Value> {
    let server =
        HttpServer::answering(move |request| std::future::ready(answer(prefix, &request))).await;
    let keys = S3Keys {
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: SECRET_KEY.to_owned(),
        session_token: token.map(str::to_owned),
    };
    let region = "eu-central-1";
    let catalog = RestCatalog::new(RestOptions {
        uri: format!("{}/iceberg", server.uri),
        warehouse: Some(ARN.to_owned()),
        auth: RestAuth::SigV4(SigV4::new(service, region, &S3Credentials::Static(keys)).await),
        vended_credentials: true,
        ..options("")
    });
    let catalog = catalog.unwrap();
    let name: TableName = "one.two-2.events".parse().unwrap();
    let table = NewTable {
        schema: Schema::builder().build().unwrap(),
        partitioning: UnboundPartitionSpec::builder().build(),
        properties: [("umlaut".to_owned(), "ü ✓".to_owned())].into(),
    };
    assert!(catalog.load(&name).await.unwrap().is_none());
    catalog.create(&name, table).await.unwrap_err();
    catalog
        .commit(&name, Vec::new(), Vec::new())
        .await
        .unwrap_err();
    assert!(catalog.list().await.unwrap().is_empty());
    assert!(catalog.drop_table(&name).await.unwrap());
    let seen = server.seen();
    seen.iter()
        .map(|request| signed(&server.uri, request, service, token))
        .collect()
}

fn signed(uri: &str, request: &Request, service: SigV4Service, token: Option<&str>) -> Value {
    json!({
        "service": service.name(),
        "region": "eu-central-1",
        "token": token,
        "now": NOW,
        "method": request.method,
        "url": format!("{uri}{}", request.target),
        "headers": request.headers,
        "body": request.body,
    })
}

/// What botocore makes of the requests: how many it signs as we do, or what is wrong with the first that it does not.
fn botocore(requests: &[Value]) -> Result<usize, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut child = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("crates/lake/tests/rest/signatures.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let given = json!({"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "requests": requests});
    serde_json::to_writer(child.stdin.take().unwrap(), &given).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    Ok(usize::try_from(printed["n_right"].as_u64().unwrap()).unwrap())
}

#[tokio::test]
async fn every_kind_of_request_is_signed_as_botocore_signs_it() {
    let mut requests = Vec::new();
    for service in [
        SigV4Service::Glue,
        SigV4Service::S3Tables,
        SigV4Service::ExecuteApi,
    ] {
        for token in [None, Some(TOKEN)] {
            for prefix in [
                ARN_AS_PREFIX,
                "catalogs/111122223333",
                "catalogs/111122223333%3As3tablescatalog%2Flake",
            ] {
                requests.extend(all_calls(service, token, prefix).await);
            }
        }
    }
    assert_eq!(botocore(&requests), Ok(requests.len()));

    // The nasty ones are among them.
    let urls: Vec<&str> = requests
        .iter()
        .map(|request| request["url"].as_str().unwrap())
        .collect();
    for part in [
        "/v1/arn%3Aaws%3As3tables%3Aeu-central-1%3A111122223333%3Abucket%2Flake/namespaces/one%1Ftwo-2/tables/events",
        "/config?warehouse=arn%3Aaws%3As3tables%3Aeu-central-1%3A111122223333%3Abucket%2Flake",
        "?pageToken=a%2Bb%20%2F%3D%26~%C3%A9",
        "?purgeRequested=false",
        "/catalogs/111122223333/namespaces/one",
    ] {
        assert!(
            urls.iter().any(|url| url.contains(part)),
            "{part} is not among {urls:?}"
        );
    }
}

#[tokio::test]
async fn botocore_notices_what_is_changed_on_the_way() {
    let requests = all_calls(SigV4Service::Glue, Some(TOKEN), ARN_AS_PREFIX).await;
    let post = requests
        .iter()
        .find(|request| request["method"] == "POST")
        .unwrap();
    assert_eq!(botocore(std::slice::from_ref(post)), Ok(1));
    for (key, value) in [
        ("method", json!("PUT")),
        (
            "url",
            json!(post["url"].as_str().unwrap().replace("%2F", "/")),
        ),
        ("body", json!("{}")),
        ("token", json!("another")),
        ("region", json!("eu-west-1")),
        ("service", json!("s3")),
    ] {
        let mut changed = post.clone();
        changed[key] = value;
        assert!(botocore(&[changed]).is_err(), "{key}");
    }
}

/// Hands out the keys `k0`, `k1`, …, each good for an hour.
#[derive(Debug, Clone)]
struct Role {
    now_ms: Arc<AtomicU64>,
    n_asked: Arc<AtomicU64>,
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        let n = self.n_asked.fetch_add(1, Ordering::Relaxed);
        let now = Duration::from_millis(self.now_ms.load(Ordering::Relaxed));
        let expiry = UNIX_EPOCH + now + Duration::from_hours(1);
        let (id, token) = (format!("k{n}"), Some(format!("session-{n}")));
        Provided::ready(Ok(Credentials::new(
            id,
            SECRET_KEY,
            token,
            Some(expiry),
            "test",
        )))
    }
}

#[tokio::test]
async fn keys_are_asked_for_again_before_they_expire_and_once_after_a_refusal() {
    // The keys `k2` are refused.
    let server = HttpServer::answering(|request: Request| {
        let signature = request.header("authorization").unwrap().to_owned();
        std::future::ready(match request.target.as_str() {
            _ if signature.contains("Credential=k2/") => {
                no(403, "ExpiredTokenException", "expired")
            }
            "/v1/config" => ok(&json!({})),
            _ => no(404, "NoSuchTableException", "no"),
        })
    })
    .await;
    let now_ms = Arc::new(AtomicU64::new(0));
    let role = Role {
        now_ms: now_ms.clone(),
        n_asked: Arc::default(),
    };
    let hand = now_ms.clone();
    let catalog = RestCatalog::new(RestOptions {
        auth: RestAuth::SigV4(SigV4 {
            service: SigV4Service::Glue,
            region: "eu-central-1".to_owned(),
            provider: SharedCredentialsProvider::new(role.clone()),
        }),
        clock: Clock::new(move || hand.load(Ordering::Relaxed).cast_signed()),
        ..options(&server.uri)
    });
    let catalog = catalog.unwrap();
    let name = "a.t".parse().unwrap();
    let minute = 60_000;
    for (at_ms, n_asked) in [
        (0, 1),
        (58 * minute, 1),
        (59 * minute, 2),
        (117 * minute, 2),
        (118 * minute, 4),
    ] {
        now_ms.store(at_ms, Ordering::Relaxed);
        assert!(catalog.load(&name).await.unwrap().is_none());
        assert_eq!(
            role.n_asked.load(Ordering::Relaxed),
            n_asked,
            "at {at_ms} ms"
        );
    }
}
