//! Writers send receipts through SQS, and two committers make snapshots of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName},
};
use benches::Result;
use pipeline::{Committer, CommitterReport, Pipeline, ReceiptAnswer, ReceiptMessage};

use crate::{
    arm::{Arm, Load, now, wall_us},
    direct::{bring_columns, write},
    servers::Servers,
};

const N_COMMITTERS: usize = 2;
/// The most receipts of one invocation.
const MAX_MESSAGES: usize = 1_000;
/// No receipt for this long means that some are lost.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn measure(servers: &Servers, load: Load, window_ms: u64) -> Result<Arm> {
    let table = servers.table(&format!("staged_{}", load.n_writers));
    let queue = Queue::create(servers, &table.replace('.', "-")).await?;
    bring_columns(&Pipeline::open(servers.settings(&table, &[])?).await?, load).await?;
    let staged = [
        ("CALVE_MODE", "staged"),
        ("CALVE_RECEIPT_QUEUE_URL", queue.url.as_str()),
    ];
    let settings = servers.settings(&table, &staged)?;

    let mut pipelines = Vec::new();
    for _ in 0..load.n_writers {
        pipelines.push(Pipeline::open(settings.clone()).await?);
    }
    let n_left = Arc::new(AtomicUsize::new(load.n_all()));
    let started = Instant::now();
    let mut committers = tokio::task::JoinSet::new();
    for _ in 0..N_COMMITTERS {
        let committer = Committer::open(servers.settings(&table, &[])?).await?;
        let (queue, n_left) = (queue.clone(), Arc::clone(&n_left));
        let window = Duration::from_millis(window_ms);
        committers.spawn(async move { commit(&committer, &queue, window, &n_left).await });
    }
    let written = write(pipelines, load).await?;
    let mut runs = Vec::new();
    while let Some(run) = committers.join_next().await {
        runs.extend(run??);
    }
    let seconds = started.elapsed().as_secs_f64();
    queue.delete().await?;

    let tables = || runs.iter().flat_map(|run| &run.report.tables);
    let n_attempts: usize = tables().map(|table| table.n_attempts as usize).sum();
    let n_commits = tables().filter(|table| table.snapshot_id.is_some()).count();
    let n_unsent = written
        .iter()
        .filter(|batch| batch.report.is_none())
        .count();
    Ok(Arm {
        name: "staged",
        load,
        seconds,
        n_visible: load.n_all() - n_left.load(Ordering::Relaxed),
        n_failed: n_unsent + tables().filter(|table| table.error.is_some()).count(),
        n_commits,
        n_conflicts: n_attempts - n_commits,
        acknowledged_ms: written.iter().map(|batch| batch.ms).collect(),
        visible_ms: runs.into_iter().flat_map(|run| run.visible_ms).collect(),
        n_rows_sent: load.n_rows(),
        read_back: servers.read_back(&table)?,
        table,
    })
}

/// One invocation of a committer.
#[derive(Debug)]
struct Run {
    report: CommitterReport,
    /// From the queue's time of a receipt until its rows were visible.
    visible_ms: Vec<f64>,
}

/// Plays the event source mapping of the commit function until no receipt is left.
async fn commit(
    committer: &Committer,
    queue: &Queue,
    window: Duration,
    n_left: &AtomicUsize,
) -> std::result::Result<Vec<Run>, String> {
    let mut runs = Vec::new();
    let mut heard = Instant::now();
    while n_left.load(Ordering::Relaxed) > 0 {
        let received = queue
            .receive(window)
            .await
            .map_err(|error| error.to_string())?;
        if received.is_empty() {
            if heard.elapsed() > PATIENCE {
                return Err("receipts are missing".to_owned());
            }
            continue;
        }
        heard = Instant::now();
        let messages = received
            .iter()
            .map(|received| received.message.clone())
            .collect();
        let report = committer.run(messages, &now()).await;
        let seen_us = wall_us();
        let settled = |position: &usize| report.outcomes[*position].answer != ReceiptAnswer::Retry;
        let settled: Vec<usize> = (0..received.len()).filter(settled).collect();
        let handles = settled
            .iter()
            .map(|&position| received[position].handle.as_str());
        queue
            .settle(handles)
            .await
            .map_err(|error| error.to_string())?;
        let ours = settled
            .iter()
            .filter(|&&position| report.outcomes[position].answer == ReceiptAnswer::Committed);
        let visible_ms: Vec<f64> = ours
            .map(|&position| (seen_us - received[position].message.sent_us) as f64 / 1e3)
            .collect();
        n_left.fetch_sub(visible_ms.len(), Ordering::Relaxed);
        runs.push(Run { report, visible_ms });
    }
    Ok(runs)
}

/// A queue of its own for one measurement.
#[derive(Debug, Clone)]
struct Queue {
    client: Client,
    url: String,
}

/// A receipt, and how the queue is told that it is settled.
#[derive(Debug)]
struct Received {
    message: ReceiptMessage,
    handle: String,
}

impl Queue {
    async fn create(servers: &Servers, name: &str) -> Result<Self> {
        let options = lake::S3Options {
            endpoint: Some(servers.get("SQS_ENDPOINT").to_owned()),
            region: Some(servers.get("S3_REGION").to_owned()),
            ..lake::S3Options::default()
        };
        let client = Client::new(&options.sdk_config().await?);
        let made = client
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::VisibilityTimeout, "120")
            .send()
            .await?;
        let url = made.queue_url.ok_or("the queue has no URL")?;
        Ok(Self { client, url })
    }

    /// Receives until the window is over or nothing more fits; from the first message on.
    async fn receive(&self, window: Duration) -> Result<Vec<Received>> {
        let mut received = Vec::new();
        let mut end = None;
        while received.len() < MAX_MESSAGES && end.is_none_or(|end| Instant::now() < end) {
            let answer = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(10)
                .wait_time_seconds(i32::from(end.is_none()))
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
                .await?;
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                match end {
                    None => break,
                    Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
                continue;
            }
            end = end.or_else(|| Some(Instant::now() + window));
            for message in messages {
                received.push(Received::of(message)?);
            }
        }
        Ok(received)
    }

    async fn settle<'a>(&self, handles: impl Iterator<Item = &'a str>) -> Result<()> {
        let handles: Vec<&str> = handles.collect();
        for batch in handles.chunks(10) {
            let mut request = self.client.delete_message_batch().queue_url(&self.url);
            for (n, handle) in batch.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder();
                request = request.entries(entry.id(n.to_string()).receipt_handle(*handle).build()?);
            }
            request.send().await?;
        }
        Ok(())
    }

    async fn delete(&self) -> Result<()> {
        self.client
            .delete_queue()
            .queue_url(&self.url)
            .send()
            .await?;
        Ok(())
    }
}

impl Received {
    fn of(message: aws_sdk_sqs::types::Message) -> Result<Self> {
        let sent_ms = message
            .attributes
            .as_ref()
            .and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp))
            .ok_or("a message has no time")?;
        Ok(Self {
            message: ReceiptMessage {
                delivery_id: message.message_id.ok_or("a message has no id")?,
                body: message.body.unwrap_or_default(),
                sent_us: sent_ms.parse::<i64>()? * 1_000,
            },
            handle: message.receipt_handle.ok_or("a message has no handle")?,
        })
    }
}
