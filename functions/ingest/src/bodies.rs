//! The bytes of an invocation, past what the runtime would make of them.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use lambda_runtime::LambdaInvocation;
use lambda_runtime::tower::{Layer, Service};

/// Hands the body of the invocation at hand from the runtime to the handler as it came.
///
/// The runtime gives a handler what `serde_json` reads from the body: for a payload of 6 MB a parse and a copy of all of it,
/// before anything is known of it. As a layer this keeps the body back, and the runtime reads `null`. Invocations come one
/// after another in one process.
#[derive(Debug, Clone, Default)]
pub struct Bodies(Arc<Mutex<Bytes>>);

impl Bodies {
    /// The body of the invocation at hand; empty when it was taken before.
    pub fn take(&self) -> Bytes {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, body: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
    }
}

impl<S> Layer<S> for Bodies {
    type Service = KeepingBodies<S>;

    fn layer(&self, inner: S) -> Self::Service {
        KeepingBodies {
            inner,
            bodies: self.clone(),
        }
    }
}

/// The service around the handler's.
#[derive(Debug, Clone)]
pub struct KeepingBodies<S> {
    inner: S,
    bodies: Bodies,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for KeepingBodies<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let body = mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        self.bodies.keep(body);
        self.inner.call(invocation)
    }
}
