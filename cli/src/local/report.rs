//! What `calve local` did, source by source.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::function::Function;

/// The counts of one source.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct SourceCounts {
    /// The function that is invoked.
    function: &'static str,
    /// The queue or stream.
    source: String,
    /// Invocations, those that failed too.
    pub(super) n_batches: u64,
    /// Records handed to the function, each time that they were.
    pub(super) n_records: u64,
    /// Records that will not be delivered again.
    pub(super) n_done: u64,
    /// Records that the function named as failed.
    pub(super) n_named_failed: u64,
    /// Invocations without a usable answer.
    pub(super) n_failed_batches: u64,
    /// Records of a stream that were given up after as many retries as allowed.
    pub(super) n_given_up: u64,
}

/// Counts that a source writes and the report reads.
#[derive(Debug, Clone)]
pub(super) struct Counter(Arc<Mutex<SourceCounts>>);

impl Counter {
    pub(super) fn new(function: &'static str, source: &str) -> Self {
        Self(Arc::new(Mutex::new(SourceCounts {
            function,
            source: source.to_owned(),
            ..SourceCounts::default()
        })))
    }

    pub(super) fn add(&self, change: impl FnOnce(&mut SourceCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read(&self) -> SourceCounts {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}

/// What is told at the end.
#[derive(Debug, Serialize)]
pub(crate) struct LocalReport {
    sources: Vec<SourceCounts>,
    functions: Vec<FunctionCounts>,
}

#[derive(Debug, Serialize)]
struct FunctionCounts {
    name: &'static str,
    n_instances: u64,
}

impl LocalReport {
    pub(super) fn new(counters: &[Counter], functions: &[Arc<Function>]) -> Self {
        let functions = functions.iter().map(|function| FunctionCounts {
            name: function.name(),
            n_instances: function.n_started(),
        });
        Self {
            sources: counters.iter().map(Counter::read).collect(),
            functions: functions.collect(),
        }
    }
}

impl fmt::Display for LocalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for counts in &self.sources {
            let SourceCounts {
                function,
                source,
                n_batches,
                n_records,
                n_done,
                n_named_failed,
                n_failed_batches,
                n_given_up,
            } = counts;
            write!(
                f,
                "{function}: {n_records} records of {source} in {n_batches} batches, {n_done} done"
            )?;
            for (n, what) in [
                (n_named_failed, "named as failed"),
                (n_failed_batches, "batches failed"),
                (n_given_up, "given up"),
            ] {
                if *n > 0 {
                    write!(f, ", {n} {what}")?;
                }
            }
            writeln!(f)?;
        }
        for FunctionCounts { name, n_instances } in &self.functions {
            writeln!(f, "{name}: {n_instances} instances started")?;
        }
        Ok(())
    }
}
