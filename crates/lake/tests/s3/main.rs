//! What S3 storage promises, against servers that speak S3: SeaweedFS, which checks credentials, and LocalStack, which
//! is nearer to AWS in what it answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose preparation fails should stop right there"
)]

mod access;
mod faults;
mod objects;
mod proxy;
mod stores;
#[path = "../lake/support.rs"]
#[expect(dead_code, reason = "the tests on a directory need more of it")]
mod support;
mod tables;
mod versions;
