//! Plays the event source mapping of a Kinesis stream: each shard in order, from the last record that was acknowledged on,
//! cut into batches anew each time.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{
    events::Message,
    fault::mix,
    function::{Ended, Function},
    source::is_failed,
};

/// The most records of one invocation.
const MAX_BATCH: u64 = 5;
/// How far the checkpoint is lost when everything comes twice.
const MAX_STEP_BACK: u64 = 4;
/// A shard that has not come to an end by then never will.
const MAX_INVOCATIONS: usize = 400;
/// What the numbers of records begin with: they are longer than any integer type holds.
const FIRST_DIGITS: &str = "49590338271490256608559692538361571095921575989136";

/// One shard, and where it is read from next.
#[derive(Debug)]
pub(crate) struct Shard {
    number: usize,
    messages: Vec<Message>,
    next: usize,
    seed: u64,
    /// Whether the checkpoint is lost now and then.
    is_forgetful: bool,
}

impl Shard {
    /// The messages spread over shards.
    pub(crate) fn spread(
        messages: &[Message],
        n_shards: usize,
        seed: u64,
        is_forgetful: bool,
    ) -> Vec<Self> {
        let shard = |number| Self {
            number,
            messages: messages
                .iter()
                .skip(number)
                .step_by(n_shards)
                .cloned()
                .collect(),
            next: 0,
            seed: mix(seed ^ number as u64),
            is_forgetful,
        };
        (0..n_shards).map(shard).collect()
    }

    /// Invokes the function until every record is acknowledged.
    pub(crate) async fn drain(&mut self, function: &mut Function) -> Result<(), String> {
        for _ in 0..MAX_INVOCATIONS {
            let left = self.messages.len() - self.next;
            if left == 0 {
                return Ok(());
            }
            self.seed = mix(self.seed);
            let n = 1 + usize::try_from(self.seed % MAX_BATCH).unwrap_or(0);
            let batch = self.next..self.next + n.min(left);
            let records: Vec<Value> = batch.clone().map(|at| self.record(at)).collect();
            let ended = function.invoke(&json!({"Records": records})).await;
            if let Ended::Answered(answer) = ended.map_err(|error| error.to_string())? {
                let failed = batch.clone().find(|&at| is_failed(&answer, &sequence(at)));
                self.next = failed.unwrap_or(batch.end);
            }
            self.seed = mix(self.seed);
            if self.is_forgetful && self.seed.is_multiple_of(2) {
                let back = usize::try_from(mix(self.seed) % MAX_STEP_BACK).unwrap_or(0);
                self.next = self.next.saturating_sub(back);
            }
        }
        Err(format!("shard {} is never read to its end", self.number))
    }

    /// A record as Lambda tells it.
    fn record(&self, at: usize) -> Value {
        let (message, sequence) = (&self.messages[at], sequence(at));
        let seconds = message.sent_ms / 1_000;
        let millis = message.sent_ms % 1_000;
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": message.id,
                "sequenceNumber": sequence,
                "data": BASE64.encode(&message.body),
                "approximateArrivalTimestamp": serde_json::Number::from_f64(
                    format!("{seconds}.{millis:03}").parse().unwrap_or(0.0)
                ),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("shardId-{:012}:{sequence}", self.number),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/calve",
            "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/events",
        })
    }
}

fn sequence(at: usize) -> String {
    format!("{FIRST_DIGITS}{:06}", at * 7)
}
