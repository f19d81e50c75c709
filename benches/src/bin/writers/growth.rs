//! Does a commit cost more when many came before?

use benches::Result;
use pipeline::{Invocation, Pipeline};

use crate::{
    arm::{Batches, Load, now},
    direct::bring_columns,
    print,
    servers::Servers,
};

/// How far the clock goes on from commit to commit, in microseconds. Snapshots are kept for an hour at least, so that
/// this decides how many there are.
const STEP_US: i64 = 2_000_000;
const N_EVENTS: usize = 10;
/// How many commits are compared.
const N_COMPARED: usize = 100;
const MAX_RATIO: f64 = 1.5;
const MAX_METADATA_BYTES: usize = 2_000_000;

/// Commits again and again with default retention, and prints what the first and the last commits took.
pub(crate) async fn measure(servers: &Servers, n_commits: usize) -> Result<bool> {
    let table = servers.table("growth");
    let load = Load {
        n_writers: 1,
        n_batches: n_commits,
        batch_rows: N_EVENTS,
    };
    let pipeline = Pipeline::open(servers.settings(&table, &[])?).await?;
    // Columns are added by the catalog's own clock, which is behind as soon as ours goes faster.
    bring_columns(&pipeline, load).await?;
    let mut batches = Batches::of_writer(0, N_EVENTS);
    let begun = now();
    let mut commit_ms = Vec::with_capacity(n_commits);
    print(&format!(
        "\n{n_commits} commits of {N_EVENTS} events, {} s apart by the clock that they are given\n\n\
         | commits | commit p50 ms | metadata.json bytes | snapshots |\n| --- | ---: | ---: | ---: |",
        STEP_US / 1_000_000
    ))?;
    let mut now_us = begun.now_us;
    for n in 0..n_commits {
        let (payload, invocation) = batches.next();
        let invocation = Invocation {
            now_us,
            ..invocation
        };
        now_us += STEP_US;
        let report = pipeline.run(payload, &invocation).await?;
        commit_ms.push(report.elapsed_ms.commit);
        if (n + 1).is_multiple_of((n_commits / 10).max(N_COMPARED)) || n + 1 == N_COMPARED {
            let (metadata_bytes, n_snapshots) = metadata(&pipeline).await?;
            let p50 = median(&commit_ms[n + 1 - N_COMPARED..]);
            let (from, to) = (n + 2 - N_COMPARED, n + 1);
            print(&format!(
                "| {from}–{to} | {p50:.1} | {metadata_bytes} | {n_snapshots} |"
            ))?;
        }
    }
    let [first, last] = [
        &commit_ms[..N_COMPARED],
        &commit_ms[n_commits - N_COMPARED..],
    ];
    let ratio = median(last) / median(first);
    let (metadata_bytes, _) = metadata(&pipeline).await?;
    let (n_rows, n_distinct) = servers.read_back(&table)?;
    let n_sent = load.n_rows();
    print(&format!(
        "\nthe last {N_COMPARED} commits against the first: {ratio:.2}× (at most {MAX_RATIO}); metadata.json {metadata_bytes} bytes \
         (below {MAX_METADATA_BYTES}); {n_sent} rows sent, {n_rows} read back, {n_distinct} distinct"
    ))?;
    let is_whole = (n_rows, n_distinct) == (n_sent, n_sent);
    Ok(is_whole && ratio <= MAX_RATIO && metadata_bytes < MAX_METADATA_BYTES)
}

/// The size of the table's metadata as an object, and the number of its snapshots.
async fn metadata(pipeline: &Pipeline) -> Result<(usize, usize)> {
    let table = pipeline.lake().load_table(pipeline.table_name()).await?;
    let table = table.ok_or("the table is gone")?;
    let bytes = table.storage().get(table.metadata_location()).await?;
    Ok((bytes.len(), table.metadata().snapshots().len()))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
