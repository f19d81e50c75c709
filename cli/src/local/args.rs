//! The words of `calve local`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

/// What to run, and what for.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("functions").args(["ingest", "commit"]).required(true).multiple(true),
    group = ArgGroup::new("events").args(["events_queue", "stream"]).multiple(true),
    after_help = "\
The functions are the programs that would be deployed, unchanged, with the settings and the environment of this command. \
Each instance is a process with a Lambda Runtime API of its own on the loopback. One that ends, or takes longer than \
--timeout-s, is ended and replaced, and its batch is delivered again.

Queues: messages that the function does not name in `batchItemFailures` are deleted; all others come again after the \
queue's visibility timeout, and go to the dead-letter queue by the queue's own redrive policy. Streams: one batch of a \
shard at a time, in order, again from the lowest sequence number that was named; where a shard was is remembered only as \
long as the command runs, so it begins anew the next time.

Not played: limits of memory, IAM, filters, bisecting of batches, more than one invocation per shard.

SIGINT or SIGTERM end it: what was received is still worked on, then the instances are ended and the counts printed. A \
second signal ends it at once.

Example:
  calve local --ingest target/quick/ingest --events-queue http://127.0.0.1:4566/000000000000/events \\
      --commit target/quick/commit --receipts-queue http://127.0.0.1:4566/000000000000/receipts"
)]
pub(crate) struct LocalArguments {
    /// Program of the ingest function
    #[arg(long, value_name = "PATH", requires = "events")]
    pub(crate) ingest: Option<PathBuf>,
    /// Standard SQS queue of events, for the ingest function
    #[arg(long, value_name = "URL", requires = "ingest")]
    pub(crate) events_queue: Option<String>,
    /// Kinesis stream of events, for the ingest function
    #[arg(long, value_name = "NAME", requires = "ingest")]
    pub(crate) stream: Option<String>,
    /// Program of the commit function
    #[arg(long, value_name = "PATH")]
    pub(crate) commit: Option<PathBuf>,
    /// Queue of receipts: both functions then work in `staged` mode with it [default: the setting `receipt_queue_url`]
    #[arg(long, value_name = "URL")]
    pub(crate) receipts_queue: Option<String>,

    /// Most messages of the events queue in one invocation; more than 10 need a window
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count(10_000))]
    pub(crate) batch_size: u32,
    /// How long to wait for a batch of events to fill, from its first message on, in seconds
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=300))]
    pub(crate) window_s: u32,
    /// Most invocations of the ingest function at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = count(1_000))]
    pub(crate) concurrency: u32,

    /// Most receipts in one invocation
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count(10_000))]
    pub(crate) commit_batch_size: u32,
    /// How long to wait for a batch of receipts to fill, in seconds
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=300))]
    pub(crate) commit_window_s: u32,
    /// Most invocations of the commit function at the same time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = count(1_000))]
    pub(crate) commit_concurrency: u32,

    /// Most records of a shard in one invocation
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count(10_000))]
    pub(crate) stream_batch_size: u32,
    /// How long to wait for a batch of a shard to fill, in seconds
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=300))]
    pub(crate) stream_window_s: u32,
    /// How often records of a shard are delivered again without progress before they are given up [default: for ever, as AWS does]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) stream_retries: Option<u32>,
    /// Where to begin in a stream
    #[arg(long, value_enum, value_name = "WHERE", default_value_t = Start::TrimHorizon)]
    pub(crate) stream_start: Start,

    /// How long one invocation may take, in seconds
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=900))]
    pub(crate) timeout_s: u32,
    /// How much memory the functions are told to have, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1_769, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    pub(crate) memory_mib: u32,
    /// What speaks SQS and Kinesis [default: the setting `sqs_endpoint`, the host of the queue, or AWS]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}

/// Where to begin in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Start {
    /// With the oldest record
    TrimHorizon,
    /// With what comes from now on
    Latest,
}

fn count(most: i64) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=most)
}
