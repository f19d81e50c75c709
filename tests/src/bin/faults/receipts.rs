//! The real queue of receipts, and the event source mapping of the commit function on it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use serde_json::{Value, json};

use crate::{
    function::{Ended, Function},
    servers::{Result, Servers},
    source::is_failed,
};

/// Between two looks at an empty queue.
const PAUSE: Duration = Duration::from_millis(50);

/// So few receipts in an invocation that each run has several commits, however fast the writers are: a fault may be meant
/// for the second one.
const AT_ONCE: i32 = 2;

/// The queue of one run.
#[derive(Debug, Clone)]
pub(crate) struct ReceiptQueue {
    client: Client,
    pub(crate) url: String,
}

impl ReceiptQueue {
    pub(crate) async fn create(servers: &Servers, name: &str) -> Result<Self> {
        let options = lake::S3Options {
            endpoint: Some(servers.get("SQS_ENDPOINT").to_owned()),
            region: Some(servers.get("AWS_REGION").to_owned()),
            ..lake::S3Options::default()
        };
        let client = Client::new(&options.sdk_config().await?);
        let made = client
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::VisibilityTimeout, "30")
            .send()
            .await?;
        let url = made.queue_url.ok_or("the queue has no URL")?;
        Ok(Self { client, url })
    }

    /// Invokes the committer until the writers are done and no receipt is left. `repeats`: what it has settled is handed
    /// out a second time.
    pub(crate) async fn drain(
        &self,
        committer: &mut Function,
        writers_are_done: &AtomicBool,
        repeats: bool,
    ) -> Result<()> {
        let mut n_idle = 0;
        while n_idle < 2 {
            let done = writers_are_done.load(Ordering::SeqCst);
            let messages = self.receive().await?;
            if messages.is_empty() {
                let is_over = done && self.n_left().await? == 0;
                n_idle = if is_over { n_idle + 1 } else { 0 };
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            n_idle = 0;
            let records: Vec<Value> = messages.iter().map(|one| one.record.clone()).collect();
            let event = json!({"Records": records});
            let mut ended = committer.invoke(&event).await?;
            if repeats {
                ended = committer.invoke(&event).await?;
            }
            for message in &messages {
                let is_settled = match &ended {
                    Ended::Answered(answer) => !is_failed(answer, &message.id),
                    Ended::Failed | Ended::Died => false,
                };
                self.settle(message, is_settled).await?;
            }
        }
        Ok(())
    }

    async fn receive(&self) -> Result<Vec<Received>> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(AT_ONCE)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await?;
        let messages = answer.messages.unwrap_or_default();
        messages.into_iter().map(Received::of).collect()
    }

    /// Deletes a message, or lets it be handed out again soon.
    async fn settle(&self, message: &Received, is_settled: bool) -> Result<()> {
        if is_settled {
            let request = self.client.delete_message().queue_url(&self.url);
            request.receipt_handle(&message.handle).send().await?;
        } else {
            let request = self.client.change_message_visibility().queue_url(&self.url);
            let request = request
                .receipt_handle(&message.handle)
                .visibility_timeout(0);
            request.send().await?;
            tokio::time::sleep(PAUSE).await; // As any queue takes a while.
        }
        Ok(())
    }

    /// The messages in the queue, and those that somebody has.
    async fn n_left(&self) -> Result<usize> {
        let [waiting, out] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let request = request
            .attribute_names(waiting.clone())
            .attribute_names(out.clone());
        let attributes = request.send().await?.attributes.unwrap_or_default();
        let count = |name| {
            let text = attributes.get(&name).map_or("0", String::as_str);
            text.parse::<usize>()
        };
        Ok(count(waiting)? + count(out)?)
    }

    pub(crate) async fn delete(self) -> Result<()> {
        self.client
            .delete_queue()
            .queue_url(&self.url)
            .send()
            .await?;
        Ok(())
    }
}

/// A message that somebody has.
#[derive(Debug)]
struct Received {
    id: String,
    handle: String,
    record: Value,
}

impl Received {
    fn of(message: aws_sdk_sqs::types::Message) -> Result<Self> {
        let id = message.message_id.ok_or("a message has no id")?;
        let attributes = message.attributes.unwrap_or_default();
        let attributes: serde_json::Map<String, Value> = attributes
            .into_iter()
            .map(|(name, value)| (name.to_string(), Value::String(value)))
            .collect();
        let record = json!({
            "messageId": id,
            "receiptHandle": "-",
            "body": message.body.unwrap_or_default(),
            "attributes": attributes,
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:receipts",
            "awsRegion": "us-east-1",
        });
        let handle = message.receipt_handle.ok_or("a message has no handle")?;
        Ok(Self { id, handle, record })
    }
}
