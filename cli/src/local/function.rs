//! A function with as many instances as may run at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::instance::{FunctionPlan, Instance, InvokeError};

/// The largest payload and the largest answer that Lambda takes, in bytes.
pub(super) const MAX_PAYLOAD_BYTES: usize = 6 << 20;

/// A function: instances are started when they are needed, kept when they are not, and replaced when they fail.
#[derive(Debug)]
pub(super) struct Function {
    plan: FunctionPlan,
    room: Arc<Semaphore>,
    idle: Mutex<Vec<Instance>>,
    n_started: AtomicU64,
}

/// The right to one invocation.
#[derive(Debug)]
pub(super) struct Turn(OwnedSemaphorePermit);

impl Function {
    /// Starts the first instance, so that a function that cannot start is known before anything is received for it.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub(super) async fn start(plan: FunctionPlan, concurrency: usize) -> Result<Self, InvokeError> {
        let function = Self {
            plan,
            room: Arc::new(Semaphore::new(concurrency)),
            idle: Mutex::new(Vec::new()),
            n_started: AtomicU64::new(0),
        };
        let first = function.start_instance().await?;
        function.put_back(first);
        Ok(function)
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        self.plan.name
    }

    /// How long one invocation may take.
    pub(super) fn timeout(&self) -> Duration {
        self.plan.timeout
    }

    /// How many instances were ever started.
    pub(super) fn n_started(&self) -> u64 {
        self.n_started.load(Ordering::Relaxed)
    }

    /// Waits until one more invocation may run.
    pub(super) async fn turn(&self) -> Option<Turn> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.room).acquire_owned().await;
        permit.ok().map(Turn)
    }

    /// Has one payload worked on.
    ///
    /// # Errors
    ///
    /// When there is no answer to it, or the answer is an error.
    pub(super) async fn invoke(&self, payload: Bytes, turn: Turn) -> Result<Bytes, InvokeError> {
        let mut instance = match self.take_idle() {
            Some(instance) => instance,
            None => self.start_instance().await?,
        };
        let answer = instance.invoke(payload).await;
        match &answer {
            Err(error) if !error.leaves_instance_usable() => instance.end().await,
            _ => self.put_back(instance),
        }
        drop(turn.0);
        answer
    }

    /// Ends all instances that have no work.
    pub(super) async fn end(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for instance in idle {
            instance.end().await;
        }
    }

    async fn start_instance(&self) -> Result<Instance, InvokeError> {
        self.n_started.fetch_add(1, Ordering::Relaxed);
        Instance::start(&self.plan).await
    }

    fn take_idle(&self) -> Option<Instance> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut instance) = idle.pop() {
            if instance.is_alive() {
                return Some(instance);
            }
        }
        None
    }

    fn put_back(&self, instance: Instance) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(instance);
    }
}
