//! An object as a stream of pieces, of which one is in memory.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use lake::{ObjectPartError, StorageError};
use tokio::runtime::Handle;

use super::{ObjectReader, SourceObject};
use crate::{
    PipelineError,
    pieces::{Limits, Piece, PieceError, Pieces, inflated},
};

/// How much is asked of the store at once.
const PART_BYTES: usize = 8 << 20;

/// How large the pieces of an object get. What is refused of a piece is one object of the quarantine, so these must not
/// depend on settings.
const PIECES: Limits = Limits {
    piece_bytes: 32 << 20,
    piece_events: 1 << 19,
    event_bytes: 128 << 20,
};

/// Why an object is not read.
#[derive(Debug)]
pub(super) enum NotRead {
    /// It was replaced or removed.
    Superseded,
    /// It cannot be told apart from here on.
    Broken(String),
    /// Something failed.
    Failed(PipelineError),
}

/// The pieces of an object, in order.
pub(super) struct ObjectPieces {
    object: SourceObject,
    /// Taken while a thread works with it.
    pieces: Option<Pieces<Box<dyn Read + Send>>>,
    /// When the object was written, in milliseconds since 1970, when the store says it.
    pub(super) modified_ms: Option<i64>,
}

impl ObjectPieces {
    /// Reads the beginning of the object.
    pub(super) async fn open(
        reader: &Arc<dyn ObjectReader>,
        object: &SourceObject,
    ) -> Result<Self, NotRead> {
        let location = object.location();
        let first = match reader.read(object, 0, PART_BYTES).await {
            Ok(first) => first,
            Err(error) => return Err(not_read(&location, error)),
        };
        let parts = Parts {
            reader: Arc::clone(reader),
            object: object.clone(),
            runtime: Handle::current(),
            offset: first.bytes.len() as u64,
            is_at_end: first.bytes.len() < PART_BYTES,
            left: first.bytes,
        };
        let stream = inflated(parts).map_err(|source| of_piece(object, read_error(0, source)))?;
        Ok(Self {
            object: object.clone(),
            pieces: Some(Pieces::new(stream, PIECES)),
            modified_ms: first.modified_ms,
        })
    }

    /// The next piece; none behind the last. Waits for the store on a thread of its own.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, NotRead> {
        let Some(mut pieces) = self.pieces.take() else {
            return Ok(None);
        };
        let cut = tokio::task::spawn_blocking(move || (pieces.next_piece(), pieces)).await;
        let Ok((piece, pieces)) = cut else {
            return Err(NotRead::Failed(PipelineError::Internal {
                stage: "cutting an object into pieces",
                n: 1,
            }));
        };
        self.pieces = Some(pieces);
        piece.map_err(|error| of_piece(&self.object, error))
    }
}

/// What a stream of pieces says when the store does.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct StoreError(#[from] ObjectPartError);

/// Reads an object part by part, each of the very same version.
struct Parts {
    reader: Arc<dyn ObjectReader>,
    object: SourceObject,
    runtime: Handle,
    offset: u64,
    left: Bytes,
    is_at_end: bool,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() && !self.is_at_end {
            let read = self.reader.read(&self.object, self.offset, PART_BYTES);
            let part = self.runtime.block_on(read);
            let part = part.map_err(|error| io::Error::other(StoreError(error)))?;
            self.offset += part.bytes.len() as u64;
            self.is_at_end = part.bytes.len() < PART_BYTES;
            self.left = part.bytes;
        }
        let n_bytes = buffer.len().min(self.left.len());
        self.left.copy_to_slice(&mut buffer[..n_bytes]);
        Ok(n_bytes)
    }
}

fn read_error(offset: u64, source: io::Error) -> PieceError {
    PieceError::Read { offset, source }
}

/// The store's own errors came through the decoders; others are of the object.
fn of_piece(object: &SourceObject, error: PieceError) -> NotRead {
    let PieceError::Read { source, .. } = error else {
        return NotRead::Broken(error.to_string());
    };
    let inner = source.get_ref();
    if inner.is_none_or(|inner| !inner.is::<StoreError>()) {
        return NotRead::Broken(source.to_string());
    }
    match source.downcast::<StoreError>() {
        Ok(error) => not_read(&object.location(), error.0),
        Err(source) => NotRead::Broken(source.to_string()),
    }
}

fn not_read(location: &str, error: ObjectPartError) -> NotRead {
    let failed = |source: StorageError| {
        NotRead::Failed(PipelineError::ReadObject {
            location: location.to_owned(),
            source,
        })
    };
    match error {
        ObjectPartError::Storage(source) => failed(source),
        _ => NotRead::Superseded,
    }
}
