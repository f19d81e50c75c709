//! Does a commit cost more when many came before?
//!
//! Asked of the embedded catalog, where all of a commit is ours, and of a REST catalog, where the server works on metadata
//! that grows with the number of snapshots; how long the answer to the commit took is shown beside the whole.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use benches::Result;
use pipeline::{Invocation, Pipeline, Settings, open_lake};

use crate::{
    arm::{Batches, Load, now},
    direct::bring_columns,
    print,
    servers::Servers,
    timed::TimedCatalog,
};

/// How far the clock goes on from commit to commit, in microseconds. Snapshots are kept for ten minutes at least, so
/// that this decides how many there are.
const STEP_US: i64 = 2_000_000;
const N_EVENTS: usize = 10;
/// How many commits are compared.
const N_COMPARED: usize = 100;
const MAX_RATIO: f64 = 1.5;
const MAX_METADATA_BYTES: usize = 2_000_000;

/// One table that grows.
struct Growth {
    pipeline: Pipeline,
    catalog: Arc<TimedCatalog>,
    load: Load,
}

/// What one commit took, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Took {
    commit_ms: f64,
    /// Of that, until the catalog had answered.
    catalog_ms: f64,
}

/// Commits again and again to a table of an embedded catalog. The whole commit must not grow.
pub(crate) async fn measure_embedded(servers: &Servers, n_commits: usize) -> Result<bool> {
    let directory = tempfile::tempdir()?;
    let growth = Growth::of(embedded(directory.path())?, n_commits).await?;
    print("\nembedded catalog")?;
    let took = growth.commits().await?;
    let ratio = ratio(&took, |took| took.commit_ms);
    print(&format!(
        "\nthe last {N_COMPARED} commits against the first: {ratio:.2}× (at most {MAX_RATIO})"
    ))?;
    let warehouse = directory.path().display().to_string();
    Ok(growth.is_sound(servers, &warehouse).await? && ratio <= MAX_RATIO)
}

/// The same with a REST catalog. What it does itself is not ours to bound: all else must not grow.
pub(crate) async fn measure_rest(servers: &Servers, n_commits: usize) -> Result<bool> {
    let settings = servers.settings(&servers.table("growth"), &[])?;
    let growth = Growth::of(settings, n_commits).await?;
    print("\nREST catalog")?;
    let took = growth.commits().await?;
    let whole = ratio(&took, |took| took.commit_ms);
    let catalog = ratio(&took, |took| took.catalog_ms);
    let ours = ratio(&took, |took| took.commit_ms - took.catalog_ms);
    print(&format!(
        "\nthe last {N_COMPARED} commits against the first: {whole:.2}×; the catalog alone {catalog:.2}×, all else \
         {ours:.2}× (at most {MAX_RATIO})"
    ))?;
    let warehouse = servers.get("CATALOG_URI").to_owned();
    Ok(growth.is_sound(servers, &warehouse).await? && ours <= MAX_RATIO)
}

fn embedded(directory: &Path) -> Result<Settings> {
    let variables = [
        ("CALVE_WAREHOUSE", directory.display().to_string()),
        ("CALVE_TABLE_NAME", "bench.growth".to_owned()),
        ("CALVE_THREADS", "1".to_owned()),
    ];
    let variables: BTreeMap<_, _> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(Settings::from_parts(&variables, None)?)
}

impl Growth {
    async fn of(settings: Settings, n_commits: usize) -> Result<Self> {
        let lake = Box::pin(open_lake(&settings)).await?;
        let (lake, catalog) = TimedCatalog::over(&lake);
        let pipeline = Pipeline::with_lake(settings, lake).await?;
        let load = Load {
            n_writers: 1,
            n_batches: n_commits,
            batch_rows: N_EVENTS,
        };
        // Columns are added by the catalog's own clock, which is behind as soon as ours goes faster.
        bring_columns(&pipeline, load).await?;
        Ok(Self {
            pipeline,
            catalog,
            load,
        })
    }

    /// Commits with default retention, prints now and then what commits take, and returns it of all.
    async fn commits(&self) -> Result<Vec<Took>> {
        let n_commits = self.load.n_batches;
        print(&format!(
            "{n_commits} commits of {N_EVENTS} events, {} s apart by the clock that they are given\n\n\
             | commits | commit p50 ms | until the catalog's answer p50 ms | metadata.json bytes | snapshots |\n\
             | --- | ---: | ---: | ---: | ---: |",
            STEP_US / 1_000_000
        ))?;
        let mut batches = Batches::of_writer(0, N_EVENTS);
        let mut now_us = now().now_us;
        let mut took = Vec::with_capacity(n_commits);
        self.catalog.take_commit_ms();
        for n in 0..n_commits {
            let (payload, invocation) = batches.next();
            let invocation = Invocation {
                now_us,
                ..invocation
            };
            now_us += STEP_US;
            let report = self.pipeline.run(payload, &invocation).await?;
            took.push(Took {
                commit_ms: report.elapsed_ms.commit,
                catalog_ms: self.catalog.take_commit_ms(),
            });
            if (n + 1).is_multiple_of((n_commits / 10).max(N_COMPARED)) || n + 1 == N_COMPARED {
                let (metadata_bytes, n_snapshots) = self.metadata().await?;
                let last = &took[n + 1 - N_COMPARED..];
                let (from, to) = (n + 2 - N_COMPARED, n + 1);
                print(&format!(
                    "| {from}–{to} | {:.1} | {:.1} | {metadata_bytes} | {n_snapshots} |",
                    median(last, |took| took.commit_ms),
                    median(last, |took| took.catalog_ms),
                ))?;
            }
        }
        Ok(took)
    }

    /// Whether all rows are there, once, and the metadata is small enough.
    async fn is_sound(&self, servers: &Servers, warehouse: &str) -> Result<bool> {
        let (metadata_bytes, _) = self.metadata().await?;
        let table = self.pipeline.table_name().to_string();
        let (n_rows, n_distinct) = servers.read_back_from(warehouse, &table)?;
        let n_sent = self.load.n_rows();
        print(&format!(
            "metadata.json {metadata_bytes} bytes (below {MAX_METADATA_BYTES}); {n_sent} rows sent, {n_rows} read back, \
             {n_distinct} distinct"
        ))?;
        Ok((n_rows, n_distinct) == (n_sent, n_sent) && metadata_bytes < MAX_METADATA_BYTES)
    }

    /// The size of the table's metadata as an object, and the number of its snapshots.
    async fn metadata(&self) -> Result<(usize, usize)> {
        let name = self.pipeline.table_name();
        let table = self.pipeline.lake().load_table(name).await?;
        let table = table.ok_or("the table is gone")?;
        let bytes = table.storage().get(table.metadata_location()).await?;
        Ok((bytes.len(), table.metadata().snapshots().len()))
    }
}

/// What the last commits took against what the first took.
fn ratio(took: &[Took], of: impl Fn(&Took) -> f64) -> f64 {
    median(&took[took.len() - N_COMPARED..], &of) / median(&took[..N_COMPARED], &of)
}

fn median(took: &[Took], of: impl Fn(&Took) -> f64) -> f64 {
    let mut sorted: Vec<f64> = took.iter().map(of).collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
