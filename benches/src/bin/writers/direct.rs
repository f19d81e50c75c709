//! Each writer commits what it writes.

use std::{sync::Arc, time::Instant};

use benches::Result;
use pipeline::{Pipeline, Report};
use tokio::sync::Barrier;

use crate::{
    arm::{Arm, Batches, Load},
    servers::Servers,
};

pub(crate) async fn measure(servers: &Servers, load: Load) -> Result<Arm> {
    let table = servers.table(&format!("direct_{}", load.n_writers));
    let settings = servers.settings(&table, &[])?;
    bring_columns(&Pipeline::open(settings.clone()).await?, load).await?;

    // Each writer has connections, caches and threads of its own, as if it were a process.
    let mut pipelines = Vec::new();
    for _ in 0..load.n_writers {
        pipelines.push(Pipeline::open(settings.clone()).await?);
    }
    let started = Instant::now();
    let written = write(pipelines, load).await?;
    let seconds = started.elapsed().as_secs_f64();

    let reports: Vec<&Report> = written
        .iter()
        .filter_map(|batch| batch.report.as_ref())
        .collect();
    Ok(Arm {
        name: "direct",
        load,
        seconds,
        n_visible: reports.len(),
        n_failed: written.len() - reports.len(),
        n_commits: reports.len(),
        n_conflicts: reports
            .iter()
            .map(|report| report.n_attempts as usize - 1)
            .sum(),
        acknowledged_ms: written.iter().map(|batch| batch.ms).collect(),
        visible_ms: Vec::new(),
        n_rows_sent: load.n_rows(),
        read_back: servers.read_back(&table)?,
        table,
    })
}

/// A batch that a writer was done with.
#[derive(Debug)]
pub(crate) struct Written {
    /// How long it took.
    pub(crate) ms: f64,
    /// None when it failed.
    pub(crate) report: Option<Report>,
}

/// Lands a first batch, so that no measured one has to add columns: one of 1,000 events has all of them.
pub(crate) async fn bring_columns(pipeline: &Pipeline, load: Load) -> Result<()> {
    let (payload, invocation) = Batches::of_writer(load.n_writers, load.first_rows()).next();
    pipeline.run(payload, &invocation).await?;
    Ok(())
}

/// Lets all writers land their batches at once, each one after the other.
pub(crate) async fn write(pipelines: Vec<Pipeline>, load: Load) -> Result<Vec<Written>> {
    let barrier = Arc::new(Barrier::new(pipelines.len()));
    let mut writers = tokio::task::JoinSet::new();
    for (writer, pipeline) in pipelines.into_iter().enumerate() {
        let barrier = Arc::clone(&barrier);
        writers.spawn(async move {
            let mut batches = Batches::of_writer(writer, load.batch_rows);
            let mut written = Vec::new();
            barrier.wait().await;
            for _ in 0..load.n_batches {
                let (payload, invocation) = batches.next();
                let started = Instant::now();
                let landed = pipeline.run(payload, &invocation).await;
                let ms = started.elapsed().as_secs_f64() * 1e3;
                let report = landed.inspect_err(|error| tell(writer, error)).ok();
                written.push(Written { ms, report });
            }
            written
        });
    }
    let mut all = Vec::new();
    while let Some(written) = writers.join_next().await {
        all.extend(written?);
    }
    Ok(all)
}

#[expect(clippy::print_stderr, reason = "a bench tells its troubles there")]
fn tell(writer: usize, error: &pipeline::PipelineError) {
    eprintln!(
        "writer {writer}: {}",
        pipeline::telemetry::error_chain(error)
    );
}
