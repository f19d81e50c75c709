//! `calve local` before a real SQS and a real Kinesis (LocalStack, which `scripts/servers.py` starts) and behind them a
//! function that misbehaves as it is told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "local/desk.rs"]
mod desk;
#[path = "local/queues.rs"]
mod queues;
#[path = "local/starts.rs"]
mod starts;
#[path = "local/streams.rs"]
mod streams;
