//! What the REST catalog promises: its exact answers to a scripted server, its signatures checked by botocore, the
//! commit protocol behind a server that fails in every way, and all of it against a catalog that we did not write.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose preparation fails should stop right there"
)]

mod access;
mod answers;
mod aws;
mod commits;
mod facade;
mod http_server;
mod listing;
mod seaweedfs;
mod sent_once;
mod signatures;
#[path = "../lake/support.rs"]
#[expect(dead_code, reason = "the tests on a directory need more of it")]
mod support;
mod tls;
mod tokens;
