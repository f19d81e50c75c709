use std::sync::Arc;

use lake::{Catalog, CatalogError, RestCatalog, RestOptions};
use serde_json::json;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::facade::options;
use crate::http_server::{HttpServer, Request, no, ok};

/// A server for this host, with a certificate that it signed itself; and the certificate, as PEM.
async fn server(host: &str) -> (HttpServer, String) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    let tls = TlsAcceptor::from(Arc::new(config.unwrap()));
    let answer = |request: Request| {
        std::future::ready(match request.target.as_str() {
            "/v1/config" => ok(&json!({})),
            _ => no(404, "NoSuchTableException", "no"),
        })
    };
    (HttpServer::over_tls(tls, answer).await, made.cert.pem())
}

fn catalog(server: &HttpServer, trusted: Option<&str>) -> RestCatalog {
    RestCatalog::new(RestOptions {
        trusted_certificates: trusted.map(|pem| pem.as_bytes().to_vec()),
        max_attempts: 1,
        ..options(&server.uri)
    })
    .unwrap()
}

#[tokio::test]
async fn a_catalog_is_asked_over_tls_when_its_certificate_is_trusted() {
    let (server, certificate) = server("127.0.0.1").await;
    let name = "a.t".parse().unwrap();
    let trusting = catalog(&server, Some(&certificate));
    assert!(trusting.load(&name).await.unwrap().is_none());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_of_another_host_gets_no_request() {
    let name = "a.t".parse().unwrap();
    let (unknown, _) = server("127.0.0.1").await;
    let (other, certificate) = server("catalog.example").await;
    for (server, trusted) in [(unknown, None), (other, Some(certificate))] {
        let loaded = catalog(&server, trusted.as_deref()).load(&name).await;
        assert!(
            matches!(loaded, Err(CatalogError::Unavailable { .. })),
            "{loaded:?}"
        );
        assert!(server.seen().is_empty());
    }
}

#[test]
fn what_is_no_certificate_is_refused() {
    let error = RestCatalog::new(RestOptions {
        trusted_certificates: Some(
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec(),
        ),
        ..options("https://catalog.example")
    });
    assert!(
        matches!(error, Err(lake::RestError::Options { .. })),
        "{error:?}"
    );
}
