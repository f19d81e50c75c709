//! Lambda on this machine: its event source mappings and its Runtime API, for the real programs of the functions.

mod answer;
mod args;
mod error;
mod event;
mod function;
mod instance;
mod kinesis_source;
mod report;
mod runtime_api;
mod sqs_source;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::types::ShardIteratorType;
use pipeline::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::args::Start;
use self::function::Function;
use self::instance::FunctionPlan;
use self::kinesis_source::KinesisSource;
use self::report::{Counter, LocalReport};
use self::sqs_source::SqsSource;
pub(crate) use self::{args::LocalArguments, error::LocalError};
use crate::error::CliError;
use crate::printer::Printer;

/// How often in a row a source may not answer before that is the end.
const MAX_ASK_ERRORS: u32 = 3;

/// How long to wait before a source is asked again that did not answer. The SDK has tried several times by then.
const PAUSE: Duration = Duration::from_secs(1);

/// How many records make a batch, and how long to wait for them.
#[derive(Debug, Clone, Copy)]
struct BatchOptions {
    size: usize,
    window: Duration,
}

impl BatchOptions {
    fn new(size: u32, window_s: u32) -> Self {
        Self {
            size: usize::try_from(size).unwrap_or(usize::MAX),
            window: Duration::from_secs(window_s.into()),
        }
    }
}

/// Runs the functions for their queues and streams until a signal comes, and prints what was done.
///
/// `variables` is what the functions find in their environment.
///
/// # Errors
///
/// When a function cannot start, or a queue or stream does not answer.
pub(crate) async fn run(
    arguments: &LocalArguments,
    settings: &Settings,
    variables: BTreeMap<String, String>,
    printer: Printer,
) -> Result<(), CliError> {
    let (stopper, stop) = watch::channel(false);
    let plan = Plan::new(arguments, settings, variables, printer).await?;
    let desk = plan.open().await?;
    let signals = tokio::spawn(await_signals(stopper)?);
    let ended = desk.run(stop).await;
    signals.abort();
    let report = LocalReport::new(&desk.counters, &desk.functions);
    printer.result(&report, &report)?;
    Ok(ended?)
}

/// What was asked for, with all that a client of AWS needs.
struct Plan<'a> {
    arguments: &'a LocalArguments,
    receipts_queue: Option<String>,
    variables: BTreeMap<String, String>,
    sqs: aws_sdk_sqs::Client,
    kinesis: aws_sdk_kinesis::Client,
    region: String,
    printer: Printer,
}

impl<'a> Plan<'a> {
    async fn new(
        arguments: &'a LocalArguments,
        settings: &Settings,
        mut variables: BTreeMap<String, String>,
        printer: Printer,
    ) -> Result<Self, CliError> {
        let receipts_queue = arguments.receipts_queue.clone();
        if let Some(queue) = &receipts_queue {
            variables.insert("CALVE_MODE".to_owned(), "staged".to_owned());
            variables.insert("CALVE_RECEIPT_QUEUE_URL".to_owned(), queue.clone());
        }
        let receipts_queue = receipts_queue.or_else(|| settings.receipt_queue_url.clone());
        if arguments.commit.is_some() && receipts_queue.is_none() {
            return Err(LocalError::NoReceiptsQueue.into());
        }
        let queue = arguments.events_queue.as_ref().or(receipts_queue.as_ref());
        let queue = queue.map_or("", String::as_str);
        let mut settings = settings.clone();
        let endpoint = arguments.endpoint.clone();
        settings.sqs_endpoint = endpoint.or(settings.sqs_endpoint).or(host_of(queue));
        if let Some(endpoint) = &settings.sqs_endpoint {
            variables.insert("CALVE_SQS_ENDPOINT".to_owned(), endpoint.clone());
        }
        let config = pipeline::queue_config(&settings, queue).await;
        let config = config.map_err(CliError::open_warehouse)?;
        Ok(Self {
            arguments,
            receipts_queue,
            variables,
            sqs: aws_sdk_sqs::Client::new(&config),
            kinesis: aws_sdk_kinesis::Client::new(&config),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            printer,
        })
    }

    /// Starts the functions and asks their sources what they are.
    async fn open(&self) -> Result<Desk, LocalError> {
        let mut desk = Desk::default();
        if let Some(path) = &self.arguments.ingest {
            let concurrency = self.arguments.concurrency;
            let function = self.function("ingest", path, concurrency).await?;
            self.open_events(&mut desk, &function).await?;
            desk.functions.push(function);
        }
        if let (Some(path), Some(queue)) = (&self.arguments.commit, &self.receipts_queue) {
            let concurrency = self.arguments.commit_concurrency;
            let function = self.function("commit", path, concurrency).await?;
            let batches = BatchOptions::new(
                self.arguments.commit_batch_size,
                self.arguments.commit_window_s,
            );
            self.open_queue(&mut desk, queue, &function, batches)
                .await?;
            desk.functions.push(function);
        }
        self.printer.note("ready; Ctrl-C ends it");
        Ok(desk)
    }

    async fn open_events(
        &self,
        desk: &mut Desk,
        function: &Arc<Function>,
    ) -> Result<(), LocalError> {
        let arguments = self.arguments;
        if let Some(queue) = &arguments.events_queue {
            let batches = BatchOptions::new(arguments.batch_size, arguments.window_s);
            self.open_queue(desk, queue, function, batches).await?;
        }
        if let Some(stream) = &arguments.stream {
            let source = KinesisSource::open(
                self.kinesis.clone(),
                stream,
                Arc::clone(function),
                BatchOptions::new(arguments.stream_batch_size, arguments.stream_window_s),
                arguments.stream_retries,
                match arguments.stream_start {
                    Start::TrimHorizon => ShardIteratorType::TrimHorizon,
                    Start::Latest => ShardIteratorType::Latest,
                },
                self.printer,
            );
            desk.add_stream(source.await?);
        }
        Ok(())
    }

    async fn open_queue(
        &self,
        desk: &mut Desk,
        queue: &str,
        function: &Arc<Function>,
        batches: BatchOptions,
    ) -> Result<(), LocalError> {
        let (client, function) = (self.sqs.clone(), Arc::clone(function));
        let source = SqsSource::open(client, queue, function, batches, self.printer);
        desk.add_queue(source.await?);
        Ok(())
    }

    async fn function(
        &self,
        name: &'static str,
        path: &Path,
        concurrency: u32,
    ) -> Result<Arc<Function>, LocalError> {
        let plan = FunctionPlan {
            name,
            path: path.to_owned(),
            variables: self.variables.clone(),
            region: self.region.clone(),
            memory_mib: self.arguments.memory_mib,
            timeout: Duration::from_secs(self.arguments.timeout_s.into()),
        };
        let concurrency = usize::try_from(concurrency).unwrap_or(1);
        let function = Function::start(plan, concurrency).await;
        function.map(Arc::new).map_err(LocalError::Start)
    }
}

/// What runs.
#[derive(Default)]
struct Desk {
    functions: Vec<Arc<Function>>,
    queues: Vec<SqsSource>,
    streams: Vec<KinesisSource>,
    counters: Vec<Counter>,
}

impl Desk {
    fn add_queue(&mut self, source: SqsSource) {
        self.counters.push(source.counter.clone());
        self.queues.push(source);
    }

    fn add_stream(&mut self, source: KinesisSource) {
        self.counters.push(source.counter.clone());
        self.streams.push(source);
    }

    /// Runs all sources until they are told to stop or one of them cannot go on, then ends the instances.
    async fn run(&self, mut stop: watch::Receiver<bool>) -> Result<(), LocalError> {
        let (fail, failed) = watch::channel(false);
        let mut sources = JoinSet::new();
        for source in &self.queues {
            sources.spawn(source.clone().run(failed.clone()));
        }
        for source in &self.streams {
            sources.spawn(source.clone().run(failed.clone()));
        }
        let mut ended = Ok(());
        loop {
            tokio::select! {
                () = stopped(&mut stop), if !*failed.borrow() => drop(fail.send(true)),
                source = sources.join_next() => match source {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => {
                        ended = ended.and(Err(error));
                        // The others finish what they have.
                        let _ = fail.send(true);
                    }
                    Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                },
            }
        }
        for function in &self.functions {
            function.end().await;
        }
        ended
    }
}

/// Tells the first SIGINT or SIGTERM; ends the process at the second.
fn await_signals(
    stopper: watch::Sender<bool>,
) -> Result<impl Future<Output = ()> + Send, LocalError> {
    let mut interrupts = signal(SignalKind::interrupt()).map_err(LocalError::Signals)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(LocalError::Signals)?;
    Ok(async move {
        for is_first in [true, false] {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            if !is_first {
                // The instances notice that their runtime API is gone, and end.
                std::process::exit(130);
            }
            // Whoever listened may be gone: then all is over anyhow.
            let _ = stopper.send(true);
        }
    })
}

/// Waits until told to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could tell.
        std::future::pending::<()>().await;
    }
}

/// How many records of these lengths fit in one event: one at least, if there is any.
fn n_fitting(lengths: impl Iterator<Item = usize>, most: usize, most_bytes: usize) -> usize {
    let mut n_bytes = 0;
    let fitting = lengths.take(most).enumerate().take_while(|(n, length)| {
        n_bytes += length + 1;
        *n == 0 || n_bytes <= most_bytes
    });
    fitting.count()
}

/// `http://127.0.0.1:4566/000000000000/events` → `http://127.0.0.1:4566`. AWS's own hosts need not be named.
fn host_of(queue_url: &str) -> Option<String> {
    let (scheme, rest) = queue_url.split_once("://")?;
    let host = rest.split('/').next()?;
    let is_aws = host.contains(".amazonaws.com");
    (!is_aws && !host.is_empty()).then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_at_its_number_or_its_bytes_and_holds_one_record_at_least() {
        let check = |lengths: &[usize], expected: usize| {
            assert_eq!(
                n_fitting(lengths.iter().copied(), 3, 100),
                expected,
                "{lengths:?}"
            );
        };
        check(&[], 0);
        check(&[1, 1, 1, 1], 3);
        check(&[500, 1], 1);
        check(&[49, 49, 1], 2);
        check(&[49, 50, 1], 1);
    }

    #[test]
    fn a_queue_elsewhere_is_asked_at_its_own_host() {
        assert_eq!(
            host_of("http://127.0.0.1:4566/000000000000/events").as_deref(),
            Some("http://127.0.0.1:4566")
        );
        assert_eq!(
            host_of("https://sqs.eu-west-1.amazonaws.com/123456789012/events"),
            None
        );
        assert_eq!(host_of(""), None);
    }
}
