//! What the lake promises, from rows to snapshots, on a directory and a SQLite file.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose preparation fails should stop right there"
)]

mod columns;
mod commits;
mod dedupe;
mod fakes;
mod files;
mod merging;
mod races;
mod ranges;
mod receipts;
mod refusals;
mod schemas;
mod support;
mod tables;
mod writing;
