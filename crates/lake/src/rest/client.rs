use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use uuid::{Builder, Uuid};

use crate::backoff::Backoff;
use crate::rest::authority::Authority;
use crate::rest::call::Call;
use crate::rest::error::RestError;
use crate::rest::http::Http;
use crate::rest::options::{Clock, RestOptions};
use crate::rest::server::Server;
use crate::rest::wire::Config;

/// A catalog that asks to be left alone for longer is not asked again at once.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Makes calls in somebody's name: those that change nothing until they are answered, all others once.
#[derive(Debug)]
pub(crate) struct RestClient {
    http: Http,
    authority: Authority,
    clock: Clock,
    uri: String,
    warehouse: Option<String>,
    max_attempts: u32,
    server: OnceCell<Server>,
}

impl RestClient {
    pub(crate) fn new(options: RestOptions) -> Result<Self, RestError> {
        let unusable = |source| RestError::Options {
            uri: options.uri.clone(),
            source,
        };
        if !options.uri.starts_with("http://") && !options.uri.starts_with("https://") {
            let reason = "it begins with neither `http://` nor `https://`";
            return Err(unusable(reason.into()));
        }
        let http = Http::new(&options).map_err(unusable)?;
        Ok(Self {
            http,
            authority: Authority::new(&options.uri, options.auth),
            clock: options.clock,
            uri: options.uri,
            warehouse: options.warehouse,
            max_attempts: options.max_attempts.max(1),
            server: OnceCell::new(),
        })
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// What the catalog says about itself; asked once.
    pub(crate) async fn server(&self) -> Result<&Server, RestError> {
        let ask = || async {
            let call = Server::config(&self.uri, self.warehouse.as_deref());
            let config: Config = self.read(call).await?;
            Ok(Server::new(&self.uri, &config))
        };
        self.server.get_or_try_init(ask).await
    }

    /// Makes a call that changes nothing, until there is an answer. After a refusal of who asks it is made once more.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, RestError> {
        let mut backoff = Backoff::new(Uuid::new_v4().as_u64_pair().0);
        let mut n_attempts = 0;
        let mut renewed = false;
        loop {
            n_attempts += 1;
            let (error, renewable) = match self.attempt(call.clone()).await {
                Ok(body) => return parsed(&call, &body),
                Err(failure) => failure,
            };
            if renewable && !renewed {
                renewed = true;
                continue;
            }
            let pause = retry_after(&error);
            if !error.retryable() || n_attempts >= self.max_attempts || pause > LONGEST_RETRY_AFTER
            {
                return Err(error);
            }
            backoff.wait_at_least(pause).await;
        }
    }

    /// Makes a call that changes something: once, whatever comes of it.
    pub(crate) async fn change(&self, call: Call) -> Result<Bytes, RestError> {
        let call = if self.server().await?.takes_idempotency_keys {
            call.with_header("idempotency-key", &self.idempotency_key().to_string())
        } else {
            call
        };
        self.attempt(call).await.map_err(|(error, renewable)| {
            if renewable {
                error.made_retryable() // The next call comes with another proof of who asks.
            } else {
                error
            }
        })
    }

    /// Makes the call. An error comes with whether another proof of who asks might help.
    async fn attempt(&self, call: Call) -> Result<Bytes, (RestError, bool)> {
        let authorized = self
            .authority
            .authorize(&self.http, call, self.clock.now_ms());
        let (call, number) = authorized.await.map_err(|error| (error, false))?;
        match self.http.send(&call).await {
            Ok(body) => Ok(body),
            Err(error) => {
                let status = error.status().unwrap_or_default();
                let renewable = self.authority.forget(number, status).await;
                Err((error, renewable))
            }
        }
    }

    /// A new UUID of version 7, as the protocol wants it.
    fn idempotency_key(&self) -> Uuid {
        let now_ms = u64::try_from(self.clock.now_ms()).unwrap_or_default();
        let mut random = [0; 10]; // Without the bytes that say that it is of version 4.
        random[..6].copy_from_slice(&Uuid::new_v4().as_bytes()[..6]);
        random[6..].copy_from_slice(&Uuid::new_v4().as_bytes()[12..]);
        Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid()
    }
}

/// Reads the body of an answer that says yes.
pub(crate) fn parsed<T: DeserializeOwned>(call: &Call, body: &[u8]) -> Result<T, RestError> {
    serde_json::from_slice(body).map_err(|error| RestError::Unreadable {
        request: call.name(),
        source: error.into(),
    })
}

fn retry_after(error: &RestError) -> Duration {
    match error {
        RestError::Answer {
            retry_after_s: Some(seconds),
            ..
        } => Duration::from_secs(*seconds),
        _ => Duration::ZERO,
    }
}
