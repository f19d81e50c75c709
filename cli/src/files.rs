//! Files and pipes to be ingested, and how they are cut into pieces.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use pipeline::pieces::Limits;

/// How large the pieces of a file get. These numbers decide where it is cut, and so what is known of it when it comes
/// again: they are no settings, and must stay as they are.
pub(crate) const PIECES: Limits = Limits {
    piece_bytes: 64 << 20,
    piece_events: 1 << 20,
    event_bytes: 256 << 20,
};

/// Opens a file or pipe.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "it is a directory",
        ));
    }
    Ok((file, metadata))
}
