//! One file per word of the command line.

pub(crate) mod config;
pub(crate) mod ingest;
pub(crate) mod quarantine;
pub(crate) mod table;
