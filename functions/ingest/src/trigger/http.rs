//! API Gateway v1 and v2, and Function URLs.

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use bytes::Bytes;
use pipeline::{Payload, Record, SourceBatch};
use serde_json::json;

use super::Delivery;
use crate::answer::{Reply, http};

const KEY: &str = "idempotency-key";

/// Why the key of a request cannot be taken. It must not be passed over: its sender counts on it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum UnreadableKey {
    #[error("the header `Idempotency-Key` holds other characters than visible ASCII")]
    NotAscii,
    #[error("the header `Idempotency-Key` is given more than once, with different values")]
    Several,
}

/// The one key that is given; an empty one is none.
fn one_key<'a, E>(
    keys: impl Iterator<Item = Result<&'a str, E>>,
) -> Result<Option<String>, UnreadableKey> {
    let mut found: Option<String> = None;
    for key in keys {
        let key = key.map_err(|_| UnreadableKey::NotAscii)?;
        if key.is_empty() {
            continue;
        }
        if found.as_ref().is_some_and(|found| found != key) {
            return Err(UnreadableKey::Several);
        }
        found = Some(key.to_owned());
    }
    Ok(found)
}

/// What all of them say.
pub(super) struct Request {
    method: String,
    id: Option<String>,
    arrival_ms: i64,
    idempotency_key: Result<Option<String>, UnreadableKey>,
    body: Option<String>,
    is_base64: bool,
}

impl Request {
    pub(super) fn v1(request: ApiGatewayProxyRequest) -> Self {
        let (once, many) = (&request.headers, &request.multi_value_headers);
        let keys = once.get_all(KEY).iter().chain(many.get_all(KEY));
        Self {
            idempotency_key: one_key(keys.map(|key| key.to_str())),
            method: request.http_method.to_string(),
            id: request.request_context.request_id,
            arrival_ms: request.request_context.request_time_epoch,
            body: request.body,
            is_base64: request.is_base64_encoded,
        }
    }

    pub(super) fn v2(request: ApiGatewayV2httpRequest) -> Self {
        let keys = request.headers.get_all(KEY).iter();
        Self {
            idempotency_key: one_key(keys.map(|key| key.to_str())),
            method: request.request_context.http.method.to_string(),
            id: request.request_context.request_id,
            arrival_ms: request.request_context.time_epoch,
            body: request.body,
            is_base64: request.is_base64_encoded,
        }
    }
}

pub(super) fn read(request: Request, invocation_id: &str, now_us: i64) -> Delivery {
    let request_id = request.id.unwrap_or_else(|| invocation_id.to_owned());
    if !matches!(request.method.as_str(), "POST" | "PUT") {
        let message = "send events with POST";
        let body = json!({ "request_id": request_id, "message": message });
        let mut answer = http(405, &body);
        answer["headers"]["allow"] = "POST, PUT".into();
        return Delivery::Answered(answer);
    }
    let key = match request.idempotency_key {
        Ok(key) => key,
        Err(error) => return refused(&request_id, &error.to_string()),
    };
    // Key and body name the request for its sender's repeats: the same key with another body is another request, since
    // nothing that is answered with 200 may be lost. Without a key every request is another one.
    let identity = match &key {
        Some(key) => format!("key {key}\n{}", request.body.as_deref().unwrap_or_default()),
        None => format!("request {request_id}"),
    };
    let arrival_us = request.arrival_ms.checked_mul(1_000).filter(|&us| us > 0);
    let record = Record {
        delivery_id: request_id.clone(),
        source_id: request_id.clone(),
        arrival_us: arrival_us.unwrap_or(now_us),
        body: Bytes::from(request.body.unwrap_or_default()),
        is_base64: request.is_base64,
    };
    let mut source = SourceBatch::answered("http", identity);
    if key.is_none() {
        source.repeat_window_s = 0;
    }
    Delivery::Payload(
        Payload {
            records: vec![record],
            source,
        },
        Reply::Http { request_id },
    )
}

/// The answer to a request that cannot be taken as it is.
pub(super) fn refused(request_id: &str, message: &str) -> Delivery {
    let body = json!({ "request_id": request_id, "message": message });
    Delivery::Answered(http(400, &body))
}
