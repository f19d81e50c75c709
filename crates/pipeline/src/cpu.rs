//! The threads that flatten: the async threads only wait for them.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::PipelineError;

/// A pool of threads for CPU work.
#[derive(Debug)]
pub(crate) struct Cpu {
    pool: Arc<ThreadPool>,
}

impl Cpu {
    /// Starts this many threads; 0 for one per core.
    pub(crate) fn start(n_threads: usize) -> Result<Self, PipelineError> {
        let builder = ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .thread_name(|index| format!("flatten-{index}"))
            // A panic that reaches the pool has lost its answer: `run` sees that and says so.
            .panic_handler(|_| {});
        let pool = builder.build();
        let pool = pool.map_err(|source| PipelineError::StartThreads { n_threads, source })?;
        Ok(Self {
            pool: Arc::new(pool),
        })
    }

    /// The same threads, for those who split work further.
    pub(crate) fn pool(&self) -> Arc<ThreadPool> {
        Arc::clone(&self.pool)
    }

    /// How many threads there are.
    pub(crate) fn n_threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs the work on the pool. `None` when it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            // Nobody listens any more when the deadline came first.
            let _ = sender.send(work());
        });
        receiver.await.ok()
    }
}
