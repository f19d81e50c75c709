//! One run: a table, the functions with proxies before everything that they talk to, one fault, and the count.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use futures::future::try_join_all;
use lake::Lake;
use pipeline::{DedupeBy, DedupeScope, Invocation, Pipeline, Settings, dedupe, open_lake};

use crate::{
    events::Sent,
    fault::{Fault, Mode, Origin, Place, Role, Trap},
    function::{Function, wall},
    proxy::Proxy,
    reader::Reader,
    receipts::ReceiptQueue,
    servers::{Result, Servers},
    shard::Shard,
    source::Source,
    step::Server,
    verdict::{End, Verdict},
};

const N_WRITERS: usize = 2;
const N_COMMITTERS: usize = 2;

/// Limits so small that a run of some seconds meets them.
const PROPERTIES: [(&str, &str); 3] = [
    ("commit.manifest.min-count-to-merge", "3"),
    ("history.max-snapshots", "3"),
    ("calve.min-snapshot-age-ms", "200"),
];

/// What all runs share.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) servers: &'a Servers,
    /// Where the functions are.
    pub(crate) programs: PathBuf,
    /// Where their logs go.
    pub(crate) logs: PathBuf,
    pub(crate) reader: Reader,
}

/// What one run ended with.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) n_hits: usize,
}

/// Runs the fault once.
pub(crate) async fn run(bench: &mut Bench<'_>, fault: Fault, seed: u64) -> Result<Outcome> {
    let servers = bench.servers;
    let name = format!("run_{}_{seed:x}", std::process::id());
    let place = Run {
        warehouse: format!("s3://{}/faults/{name}", servers.get("S3_BUCKET")),
        table: format!("faults.{name}"),
        log: bench.logs.join(&name),
    };
    let lake = place.make_table(servers).await?;
    let queue = ReceiptQueue::create(servers, &name).await?;
    let trap = Trap::new(fault, seed);
    let sent = Sent::of(seed, i64::try_from(wall().as_millis())?);
    let repeats = matches!(fault.place, Place::Repeats);
    let source = Source::new(&sent.messages, 1 + usize::from(repeats), seed);
    let mut shards = Shard::spread(&sent.messages, N_WRITERS, seed, repeats);

    let mut writers = Vec::new();
    for _ in 0..N_WRITERS {
        let program = bench.programs.join("ingest");
        let function = place.function(servers, &program, &queue, fault.mode, Role::Ingest, &trap);
        writers.push(function.await?);
    }
    let n_committers = if fault.mode == Mode::Staged {
        N_COMMITTERS
    } else {
        0
    };
    let mut committers = Vec::new();
    for _ in 0..n_committers {
        let program = bench.programs.join("commit");
        let function = place.function(servers, &program, &queue, fault.mode, Role::Commit, &trap);
        committers.push(function.await?);
    }

    let are_done = AtomicBool::new(false);
    let writing = async {
        let drained = match fault.origin {
            Origin::Queue => {
                let drained = writers.iter_mut().map(|(writer, _)| source.drain(writer));
                try_join_all(drained).await
            }
            Origin::Stream => {
                let pairs = writers.iter_mut().zip(&mut shards);
                let drained = pairs.map(|((writer, _), shard)| shard.drain(writer));
                try_join_all(drained).await
            }
        };
        are_done.store(true, Ordering::SeqCst);
        drained.map_err(Into::into)
    };
    let committing = async {
        let drained = committers
            .iter_mut()
            .map(|(committer, _)| queue.drain(committer, &are_done, repeats));
        try_join_all(drained).await
    };
    let ended: Result<_> = tokio::try_join!(writing, committing);
    for (function, _) in writers.into_iter().chain(committers) {
        function.stop().await;
    }
    queue.delete().await?;
    ended?;

    let end = End {
        lake: &lake,
        name: place.table.parse()?,
        warehouse: &place.warehouse,
        sent: &sent,
    };
    let mut verdict = end.judge(&mut bench.reader).await?;
    if verdict.n_repeated_rows > 0 && !fault.is_exact() {
        place.dedupe(servers, &lake, seed).await?;
        let n_removed = verdict.n_repeated_rows;
        verdict = end.judge(&mut bench.reader).await?;
        verdict.n_removed = n_removed;
    }
    lake.drop_table(&end.name).await?;
    Ok(Outcome {
        verdict,
        n_hits: trap.n_hits(),
    })
}

/// Where one run takes place.
struct Run {
    warehouse: String,
    table: String,
    log: PathBuf,
}

impl Run {
    /// Settings without anything between us and the servers.
    fn settings(&self, servers: &Servers) -> Result<Settings> {
        let endpoints =
            ["S3_ENDPOINT", "CATALOG_URI", "SQS_ENDPOINT"].map(|name| servers.get(name));
        let variables = servers.variables(&self.warehouse, &self.table, endpoints);
        let ours = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with("CALVE_"));
        Ok(Settings::from_parts(&ours.collect(), None)?)
    }

    /// Removes repeated rows, as `calve table dedupe --all` does.
    async fn dedupe(&self, servers: &Servers, lake: &Lake, seed: u64) -> Result<()> {
        let invocation = Invocation {
            now_us: i64::try_from(wall().as_micros())?,
            deadline: None,
            seed,
        };
        let (settings, scope) = (self.settings(servers)?, DedupeScope::default());
        dedupe(&settings, lake, DedupeBy::Source, scope, &invocation).await?;
        Ok(())
    }

    /// Makes the table, without anything in between, and returns its lake.
    async fn make_table(&self, servers: &Servers) -> Result<Lake> {
        let settings = self.settings(servers)?;
        let lake = open_lake(&settings).await?;
        let pipeline = Pipeline::with_lake(settings, lake.clone()).await?;
        let table = lake.load_table(pipeline.table_name()).await?;
        let table = table.ok_or("the table was not made")?;
        let properties = PROPERTIES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        lake.set_properties(&table, &properties.into()).await?;
        Ok(lake)
    }

    /// A function, and the proxies before the servers that it uses.
    async fn function(
        &self,
        servers: &Servers,
        program: &Path,
        queue: &ReceiptQueue,
        mode: Mode,
        role: Role,
        trap: &Trap,
    ) -> Result<(Function, Vec<Proxy>)> {
        let trap = trap.of_process();
        let mut proxies = Vec::new();
        for server in Server::ALL {
            let endpoint = match server {
                Server::Storage => servers.get("S3_ENDPOINT"),
                Server::Catalog => servers.get("CATALOG_URI"),
                Server::Queue => servers.get("SQS_ENDPOINT"),
            };
            proxies.push(Proxy::before(server, endpoint, role, trap.clone()).await?);
        }
        let endpoints = [0, 1, 2].map(|n: usize| proxies[n].endpoint.as_str());
        let mut variables: BTreeMap<_, _> =
            servers.variables(&self.warehouse, &self.table, endpoints);
        if mode == Mode::Staged && role == Role::Ingest {
            variables.insert("CALVE_MODE".to_owned(), "staged".to_owned());
            variables.insert("CALVE_RECEIPT_QUEUE_URL".to_owned(), queue.url.clone());
        }
        let function = Function::new(program, variables, &self.log, role, trap);
        Ok((function, proxies))
    }
}
