use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::rest::sigv4::SigV4;

/// Where a REST catalog is, who asks, and how patiently.
#[derive(Debug, Clone)]
pub struct RestOptions {
    /// The URL that `/v1/config` is below.
    pub uri: String,
    /// Which of the server's catalogs, in its own words: a name, a location, an ARN, an AWS account.
    pub warehouse: Option<String>,
    /// Who asks.
    pub auth: RestAuth,
    /// Whether the catalog is asked to give out credentials for the objects of each table.
    pub vended_credentials: bool,
    /// Headers that every request carries besides.
    pub headers: BTreeMap<String, Secret>,
    /// Certificates, as PEM, that are trusted beside the usual ones.
    pub trusted_certificates: Option<Vec<u8>>,
    /// How long to wait for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long one request may take with its answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// How often a request that changes nothing is sent at most. The waits between are random and grow. What changes
    /// something is sent once.
    pub max_attempts: u32,
    /// Longer answers are refused, in bytes.
    pub max_answer_bytes: usize,
    /// What the time is.
    pub clock: Clock,
}

impl RestOptions {
    /// Returns the options for the catalog at this URL that asks nobody who they are.
    pub fn at(uri: impl Into<String>, clock: Clock) -> Self {
        Self {
            uri: uri.into(),
            warehouse: None,
            auth: RestAuth::None,
            vended_credentials: false,
            headers: BTreeMap::new(),
            trusted_certificates: None,
            connect_timeout_ms: 3_000,
            request_timeout_ms: 30_000,
            max_attempts: 4,
            max_answer_bytes: 64 << 20,
            clock,
        }
    }
}

/// How a REST catalog knows who asks.
#[derive(Debug, Clone)]
pub enum RestAuth {
    /// It does not.
    None,
    /// By a token that never changes.
    Bearer(Secret),
    /// By a token that is fetched, and renewed before it expires (client credentials of `OAuth2`).
    ClientCredentials(ClientCredentials),
    /// By a signature of each request, as AWS wants it.
    SigV4(SigV4),
}

/// What tokens are fetched with.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// Where tokens are given out; without one, at `/v1/oauth/tokens` of the catalog.
    pub token_uri: Option<String>,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// What the token is to be good for.
    pub scope: Option<String>,
    /// What the server wants to know besides, such as `audience` or `resource`.
    pub parameters: BTreeMap<String, String>,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for sending it where it belongs.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Says what the time is: signatures carry it, and tokens expire by it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The clock that reads the time from this function, in milliseconds since 1970.
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// The time now, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_options_hold_no_secret() {
        let mut options = RestOptions::at("https://catalog.example", Clock::new(|| 0));
        options.auth = RestAuth::ClientCredentials(ClientCredentials {
            token_uri: None,
            client_id: "public".to_owned(),
            client_secret: Secret::new("hidden"),
            scope: None,
            parameters: BTreeMap::new(),
        });
        let printed = format!("{options:?}");
        assert!(printed.contains("public") && !printed.contains("hidden"));
    }
}
