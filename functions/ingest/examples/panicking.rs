//! A Lambda function with a bug: it panics when it is told to, and answers with its payload otherwise.
//!
//! Our functions have no such payload. They are built alike, with panics that unwind, on the same runtime.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(answer)).await
}

async fn answer(event: LambdaEvent<Value>) -> Result<Value, Error> {
    assert!(event.payload != "panic", "as it was told to");
    Ok(event.payload)
}
