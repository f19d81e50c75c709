//! From a payload to a snapshot.

use crate::{Payload, PipelineError, Report, Settings, cpu::Cpu};

/// What one run is given from outside, so that no stage reads a clock or a source of randomness.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    /// The one reading of the wall clock, in microseconds since 1970-01-01T00:00:00Z; goes to `_ingested_at`.
    pub now_us: i64,
    /// When the invocation is cut off; `deadline_margin_ms` before it the run gives up. `None`: never.
    pub deadline: Option<tokio::time::Instant>,
    /// Random, another one for every invocation: names data files and snapshots, and spreads waiting times.
    pub seed: u64,
}

/// Everything that is made once per process: the lake, the open table, the threads.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    cpu: Cpu,
}

impl Pipeline {
    /// Opens the warehouse and the table, creating the table when the settings say so.
    pub async fn open(settings: Settings) -> Result<Self, PipelineError> {
        let cpu = Cpu::start(settings.threads)?;
        Ok(Self { settings, cpu })
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Lands a payload: returns when every record is committed, in the quarantine, or to be delivered again.
    ///
    /// # Errors
    ///
    /// Then nothing may be acknowledged; the same payload may be run again.
    pub async fn run(
        &self,
        payload: Payload,
        invocation: &Invocation,
    ) -> Result<Report, PipelineError> {
        let _ = (payload, invocation, self.cpu.n_threads());
        Ok(Report::default())
    }
}
