//! API Gateway v1 and v2, and Function URLs.

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use bytes::Bytes;
use pipeline::{Payload, Record, SourceBatch};
use serde_json::json;

use super::Delivery;
use crate::answer::{Reply, http};

/// What all of them say.
pub(super) struct Request {
    method: String,
    id: Option<String>,
    arrival_ms: i64,
    idempotency_key: Option<String>,
    body: Option<String>,
    is_base64: bool,
}

impl Request {
    pub(super) fn v1(request: ApiGatewayProxyRequest) -> Self {
        let header = |name| {
            request
                .headers
                .get(name)
                .or(request.multi_value_headers.get(name))
        };
        let key = header("idempotency-key").and_then(|value| value.to_str().ok());
        Self {
            idempotency_key: key.filter(|key| !key.is_empty()).map(str::to_owned),
            method: request.http_method.to_string(),
            id: request.request_context.request_id,
            arrival_ms: request.request_context.request_time_epoch,
            body: request.body,
            is_base64: request.is_base64_encoded,
        }
    }

    pub(super) fn v2(request: ApiGatewayV2httpRequest) -> Self {
        let key = request
            .headers
            .get("idempotency-key")
            .and_then(|value| value.to_str().ok());
        Self {
            idempotency_key: key.filter(|key| !key.is_empty()).map(str::to_owned),
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
    // Key and body name the request for its sender's repeats: the same key with another body is another request, since
    // nothing that is answered with 200 may be lost. Without a key every request is another one.
    let identity = match &request.idempotency_key {
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
    if request.idempotency_key.is_none() {
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
