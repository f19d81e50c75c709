//! What the lake promises, from rows to snapshots, on a directory and a SQLite file.

mod commits;
mod fakes;
mod files;
mod races;
mod support;
mod tables;
