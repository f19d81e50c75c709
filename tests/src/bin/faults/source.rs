//! Plays the event source mapping of SQS: hands out messages, takes what was not acknowledged back, and hands it out
//! again in other company.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::{
    events::Message,
    fault::mix,
    function::{Ended, Function},
};

/// The most messages of one invocation.
const MAX_BATCH: u64 = 5;
/// An event source that has not come to an end by then never will.
const MAX_INVOCATIONS: usize = 400;

/// Messages that were not acknowledged yet and are with nobody.
#[derive(Debug)]
pub(crate) struct Source {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    waiting: Vec<Message>,
    n_out: usize,
    n_handed_out: usize,
    seed: u64,
}

impl Source {
    /// `copies` of each message: all of them are delivered, whatever is said of the others.
    pub(crate) fn new(messages: &[Message], copies: usize, seed: u64) -> Self {
        let waiting = messages.iter().cloned();
        let waiting = (0..copies).flat_map(|_| waiting.clone()).collect();
        Self {
            state: Mutex::new(State {
                waiting,
                n_out: 0,
                n_handed_out: 0,
                seed,
            }),
        }
    }

    /// Invokes the function until every message is acknowledged.
    pub(crate) async fn drain(&self, function: &mut Function) -> Result<(), String> {
        loop {
            let batch = match self.take()? {
                Taken::Batch(batch) => batch,
                Taken::Later => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
                Taken::Done => return Ok(()),
            };
            let records: Vec<Value> = batch.iter().map(record).collect();
            let ended = function.invoke(&json!({"Records": records})).await;
            let ended = ended.map_err(|error| error.to_string())?;
            let again: Vec<Message> = match ended {
                Ended::Failed | Ended::Died => batch.clone(),
                Ended::Answered(answer) => batch
                    .iter()
                    .filter(|message| is_failed(&answer, &message.id))
                    .cloned()
                    .collect(),
            };
            let mut state = self.state();
            state.n_out -= batch.len();
            state.waiting.extend(again);
        }
    }

    fn take(&self) -> Result<Taken, String> {
        let mut state = self.state();
        state.n_handed_out += 1;
        if state.n_handed_out > MAX_INVOCATIONS * 50 {
            return Err("the messages are never acknowledged".to_owned());
        }
        if state.waiting.is_empty() {
            return Ok(if state.n_out == 0 {
                Taken::Done
            } else {
                Taken::Later
            });
        }
        state.seed = mix(state.seed);
        let n = 1 + usize::try_from(state.seed % MAX_BATCH).unwrap_or(0);
        let mut batch: Vec<Message> = Vec::new();
        for _ in 0..n.min(state.waiting.len()) {
            state.seed = mix(state.seed);
            let at = usize::try_from(state.seed % state.waiting.len() as u64).unwrap_or(0);
            // A queue never hands out two copies of a message at once.
            if !batch.iter().any(|taken| taken.id == state.waiting[at].id) {
                let message = state.waiting.swap_remove(at);
                batch.push(message);
            }
        }
        state.n_out += batch.len();
        Ok(Taken::Batch(batch))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Taken {
    Batch(Vec<Message>),
    Later,
    Done,
}

/// Whether a partial batch response names the message.
pub(crate) fn is_failed(answer: &Value, id: &str) -> bool {
    let failures = answer["batchItemFailures"].as_array();
    failures.is_some_and(|all| all.iter().any(|one| one["itemIdentifier"] == id))
}

/// A message as Lambda tells it.
fn record(message: &Message) -> Value {
    json!({
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": message.sent_ms.to_string(),
            "SenderId": "faults",
            "ApproximateFirstReceiveTimestamp": message.sent_ms.to_string(),
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events",
        "awsRegion": "us-east-1",
    })
}
