//! What can go wrong at the desk, each with the thing it happened to.

use std::io;

use pipeline::{PipelineError, SettingsError, pieces::PieceError};

use crate::local::LocalError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CliError {
    /// A setting is wrong.
    #[error("cannot use the settings")]
    Settings(#[source] SettingsError),
    /// The warehouse or the table cannot be used.
    #[error("cannot open the table `{table}`")]
    OpenTable {
        table: String,
        source: Box<PipelineError>,
    },
    /// The warehouse or its catalog cannot be used.
    #[error(transparent)]
    OpenWarehouse(Box<PipelineError>),
    /// The warehouse was never made.
    #[error("there is no warehouse at `{warehouse}`")]
    NoWarehouse { warehouse: String },
    /// The table was never made.
    #[error("there is no table `{table}` in `{warehouse}`")]
    NoTable { table: String, warehouse: String },
    /// There is a table of that name already.
    #[error("the table `{table}` exists already")]
    TableExists { table: String },
    /// An operation on the tables of the warehouse failed.
    #[error("cannot {operation}")]
    Lake {
        operation: String,
        source: Box<pipeline::LakeError>,
    },
    /// The table's properties cannot be read.
    #[error("the table `{table}` does not say how events become rows")]
    Shape {
        table: String,
        source: pipeline::ShapeError,
    },
    /// A file cannot be opened.
    #[error("cannot open `{file}`")]
    OpenFile { file: String, source: io::Error },
    /// A file cannot be read to its end. What was read before is in the table.
    #[error("cannot read `{file}` to its end ({n_rows} rows of it are in the table)")]
    ReadFile {
        file: String,
        n_rows: u64,
        source: PieceError,
    },
    /// A piece of a file did not land. What came before it is in the table.
    #[error("cannot ingest `{file}` from byte {offset} on ({n_rows} rows of it are in the table)")]
    Ingest {
        file: String,
        offset: u64,
        n_rows: u64,
        source: Box<PipelineError>,
    },
    /// Of several files not all were ingested. Which, and why, was told when it happened.
    #[error("{n_whole} of {n_files} files were ingested whole")]
    NotAllFiles { n_whole: u64, n_files: usize },
    /// Repeated rows were not removed.
    #[error("cannot remove repeated rows of `{table}`")]
    Dedupe {
        table: String,
        source: Box<PipelineError>,
    },
    /// The quarantine cannot be read.
    #[error(transparent)]
    Quarantine(Box<PipelineError>),
    /// An object of the quarantine was not replayed.
    #[error("cannot replay `{object}`")]
    Replay {
        object: String,
        source: Box<PipelineError>,
    },
    /// Of several objects not all were replayed. Which, and why, was told when it happened.
    #[error("{n_failed} of {n_objects} objects could not be replayed")]
    NotAllReplayed { n_failed: u64, n_objects: u64 },
    /// Something that the settings name cannot be reached.
    #[error("{n_unreachable} of {n_locations} locations cannot be used")]
    Unreachable {
        n_unreachable: usize,
        n_locations: usize,
    },
    /// The functions cannot be run here.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The result cannot be written as JSON.
    #[error("cannot write the result as JSON")]
    Encode(#[source] serde_json::Error),
    /// The result cannot be written.
    #[error("cannot write to standard output")]
    Print { source: io::Error },
}

impl CliError {
    pub(crate) fn open_warehouse(source: PipelineError) -> Self {
        Self::OpenWarehouse(source.into())
    }

    /// What a person can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(source) => source.hint(),
            Self::OpenTable { source, .. }
            | Self::Ingest { source, .. }
            | Self::Replay { source, .. }
            | Self::Dedupe { source, .. }
            | Self::Quarantine(source)
            | Self::OpenWarehouse(source) => source.hint(),
            Self::NotAllReplayed { .. } => Some(
                "once the cause is gone, replay them again: what is in the table already is not repeated".to_owned(),
            ),
            Self::Lake { source, .. } => source.hint(),
            Self::Local(error) => error.hint().map(str::to_owned),
            Self::NoWarehouse { .. } => Some(
                "`calve ingest FILE` makes it; `--warehouse DIR` names another one".to_owned(),
            ),
            Self::NoTable { .. } => Some(
                "`calve table list` names the tables; `calve ingest FILE` or `calve table create` makes one".to_owned(),
            ),
            Self::TableExists { .. } => Some(
                "`calve table show` prints it, `calve table configure` changes how events become rows".to_owned(),
            ),
            Self::Shape { .. } => {
                Some("`calve table configure` writes the shape that the settings give".to_owned())
            }
            Self::ReadFile { source: PieceError::TooLong { .. }, .. } => Some(
                "put each event on a line of its own".to_owned(),
            ),
            Self::ReadFile { source: PieceError::BrokenArray { .. }, .. } => {
                Some("repair the file and ingest it again: pieces that are in the table already are not repeated".to_owned())
            }
            Self::NotAllFiles { .. } => Some(
                "once the cause is gone, ingest the same files again: what is in the table already is not repeated".to_owned(),
            ),
            _ => None,
        }
    }
}
