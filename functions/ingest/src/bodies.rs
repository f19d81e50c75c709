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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Ready, ready};

    use lambda_runtime::service_fn;

    use super::*;

    /// What the handler's service is given instead of this body.
    fn given(bodies: &Bodies, body: &'static str) -> Bytes {
        let echo = |invocation: LambdaInvocation| -> Ready<Result<Bytes, Infallible>> {
            ready(Ok(invocation.body))
        };
        let (parts, ()) = http::Response::new(()).into_parts();
        let invocation = LambdaInvocation {
            parts,
            body: Bytes::from_static(body.as_bytes()),
            context: lambda_runtime::Context::default(),
        };
        let Ok(given) = bodies.layer(service_fn(echo)).call(invocation).into_inner();
        given
    }

    #[test]
    fn the_handler_s_service_sees_null_and_the_body_is_taken_once() {
        let bodies = Bodies::default();
        assert_eq!(bodies.take(), "");
        assert_eq!(given(&bodies, r#" {"a":1} "#), "null");
        assert_eq!(bodies.take(), r#" {"a":1} "#);
        assert_eq!(bodies.take(), "");
    }

    #[test]
    fn a_body_that_nobody_took_gives_way_to_the_next_one() {
        let bodies = Bodies::default();
        given(&bodies, "1");
        given(&bodies, "2");
        assert_eq!(bodies.take(), "2");
        assert_eq!(bodies.take(), "");
    }

    #[test]
    fn a_service_that_is_busy_says_so_through_the_layer() {
        struct Busy;

        impl Service<LambdaInvocation> for Busy {
            type Response = Bytes;
            type Error = Infallible;
            type Future = Ready<Result<Bytes, Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Pending
            }

            fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
                ready(Ok(invocation.body))
            }
        }

        let mut context = Context::from_waker(std::task::Waker::noop());
        let ready = Bodies::default().layer(Busy).poll_ready(&mut context);
        assert!(ready.is_pending());
    }
}
