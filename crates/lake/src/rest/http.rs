use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Request, Response, Url, redirect, retry};

use crate::rest::call::Call;
use crate::rest::error::{RestError, is_passing};
use crate::rest::options::{RestOptions, Secret};
use crate::rest::wire::{Refusal, RefusalText};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How long a connection that nobody uses is kept: shorter than load balancers keep it (60 s).
const IDLE: Duration = Duration::from_secs(45);

/// How much of an answer that says no is shown to people.
const SHOWN_BYTES: usize = 500;

/// Sends requests, each of them once.
///
/// Nothing below repeats a request of which a byte may have been sent: retries of protocol errors and redirections are
/// off, and HTTP/1.1 is spoken alone. What stays is hyper's: a request that was waiting for a kept connection when the
/// server closed that is given another connection. It is one that was never begun.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    headers: HeaderMap,
    max_answer_bytes: usize,
}

impl Http {
    pub(crate) fn new(options: &RestOptions) -> Result<Self, Cause> {
        let mut builder = Client::builder()
            .user_agent(concat!("calve/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .retry(retry::never())
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(Duration::from_millis(options.connect_timeout_ms))
            .timeout(Duration::from_millis(options.request_timeout_ms))
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true);
        for certificate in options
            .trusted_certificates
            .iter()
            .map(|pem| Certificate::from_pem_bundle(pem))
        {
            for certificate in certificate? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            client: builder.build()?,
            headers: header_map(&options.headers)?,
            max_answer_bytes: options.max_answer_bytes,
        })
    }

    /// Returns the body of an answer that says yes.
    pub(crate) async fn send(&self, call: &Call) -> Result<Bytes, RestError> {
        let request = self.request(call).map_err(|source| RestError::NotSent {
            request: call.name(),
            retryable: false,
            source,
        })?;
        let no_answer = |source: Cause| RestError::NoAnswer {
            request: call.name(),
            source,
        };
        let answer = self.client.execute(request).await;
        let mut answer = answer.map_err(|error| no_answer(error.without_url().into()))?;
        if answer.status().is_success() {
            match self.body(&mut answer).await {
                Ok(body) => Ok(body),
                Err(source) => Err(RestError::Unreadable {
                    request: call.name(),
                    source,
                }),
            }
        } else {
            let body = self.body(&mut answer).await;
            Err(refusal(call, &answer, &body.unwrap_or_default()))
        }
    }

    fn request(&self, call: &Call) -> Result<Request, Cause> {
        let mut request = Request::new(call.method.clone(), Url::parse(&call.url)?);
        *request.headers_mut() = self.headers.clone();
        for (name, value) in &call.headers {
            let name: HeaderName = name.parse()?;
            request.headers_mut().insert(name, value.parse()?);
        }
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        Ok(request)
    }

    async fn body(&self, answer: &mut Response) -> Result<Bytes, Cause> {
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + piece.len() > self.max_answer_bytes {
                return Err(format!("it is longer than {} bytes", self.max_answer_bytes).into());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}

fn header_map(headers: &BTreeMap<String, Secret>) -> Result<HeaderMap, Cause> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let wrong = || format!("header `{name}` is not one that HTTP allows");
        let parsed: HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value: HeaderValue = value.expose().parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        map.insert(parsed, value);
    }
    Ok(map)
}

fn refusal(call: &Call, answer: &Response, body: &[u8]) -> RestError {
    let status = answer.status();
    let known = serde_json::from_slice::<Refusal>(body).ok();
    let by_catalog = known.is_some();
    let message = known.and_then(words).unwrap_or_else(|| {
        let shown = &body[..body.len().min(SHOWN_BYTES)];
        let text = String::from_utf8_lossy(shown);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = status.canonical_reason().unwrap_or("no reason given");
        if text.is_empty() {
            reason.to_owned()
        } else {
            text
        }
    });
    let retry_after = answer.headers().get(RETRY_AFTER);
    RestError::Answer {
        request: call.name(),
        status: status.as_u16(),
        message,
        by_catalog,
        retry_after_s: retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok()),
        retryable: is_passing(status.as_u16()),
    }
}

/// Kind and message of a refusal as one text.
fn words(refusal: Refusal) -> Option<String> {
    let (kind, message) = match refusal.error {
        RefusalText::Catalog { message, r#type } => (r#type, message),
        RefusalText::Word(word) => (Some(word), refusal.error_description),
    };
    let words: Vec<String> = [kind, message]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(": "))
}
