//! The steps of functions, as one sees them on the wire.

use crate::http::Request;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Puts a data file.
    DataFile,
    /// Puts refused events into the quarantine.
    Quarantine,
    /// Adds columns to the table.
    Schema,
    /// Sends receipts.
    Receipt,
    /// Loads the table.
    Load,
    /// Puts a manifest.
    Manifest,
    /// Puts a list of manifests.
    ManifestList,
    /// Puts a segment of the ledger.
    Ledger,
    /// Adds a snapshot to the table.
    Commit,
    /// Buys a token from the catalog.
    Token,
    /// Answers an invocation: what the source is acknowledged by.
    Answer,
    /// Anything else.
    Other,
}

/// Which server a proxy stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Storage,
    Catalog,
    Queue,
}

impl Server {
    pub(crate) const ALL: [Self; 3] = [Self::Storage, Self::Catalog, Self::Queue];

    /// What a request to this server does.
    pub(crate) fn step(self, request: &Request) -> Step {
        let (method, path) = request.line();
        match self {
            Self::Storage if method == "PUT" => put(path),
            Self::Catalog if method == "POST" && path.ends_with("/oauth/tokens") => Step::Token,
            Self::Catalog if method == "POST" && path.contains("/tables/") => change(request),
            Self::Catalog if method == "GET" && path.contains("/tables/") => Step::Load,
            Self::Queue if is_send(request) => Step::Receipt,
            _ => Step::Other,
        }
    }
}

fn put(path: &str) -> Step {
    let path = path.split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if path.contains("/quarantine/") {
        Step::Quarantine
    } else if name.starts_with("calve-ledger-") {
        Step::Ledger
    } else if name.starts_with("snap-") {
        Step::ManifestList
    } else {
        match name.rsplit_once('.') {
            Some((_, "avro")) => Step::Manifest,
            Some((_, "parquet")) => Step::DataFile,
            _ => Step::Other,
        }
    }
}

fn change(request: &Request) -> Step {
    let holds = |words: &str| {
        let words = words.as_bytes();
        request.body.windows(words.len()).any(|part| part == words)
    };
    if holds("\"add-snapshot\"") {
        Step::Commit
    } else if holds("\"add-schema\"") {
        Step::Schema
    } else {
        Step::Other
    }
}

fn is_send(request: &Request) -> bool {
    let target = request.header("x-amz-target");
    target.is_some_and(|target| target.starts_with("AmazonSQS.SendMessage"))
}
