//! Opening the catalog's file.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Opens a file that is there, to look at it; `check` has to be content with the connection.
pub(super) fn open_to_read<T>(
    path: &Path,
    check: impl Fn(Connection) -> Result<T, rusqlite::Error>,
) -> Result<T, rusqlite::Error> {
    // Writing is asked for where it is allowed (SQLite falls back to reading by itself): a reader of a write-ahead log
    // needs its index beside it, and only a connection that may write takes both away again.
    let usual = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let error = match Connection::open_with_flags(path, usual).and_then(&check) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    // In a directory that may not be written to, the index cannot be made. `immutable` does without it, but reads past
    // the log, too. So it is right only when the log is empty; then nobody has the file open for writing either, since
    // its index would be there and the first try would have worked. A log with something in it is what a process left
    // that was killed, and stays an error: what it holds was committed, and must not be passed over.
    let cannot_write = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    );
    let log_bytes = std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    if !cannot_write || log_bytes > 0 || beside(path, "-shm").exists() {
        return Err(error);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(immutable_uri(path), flags).and_then(&check)
}

/// The file that SQLite keeps beside another one.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file as a URI that says that it does not change while it is read.
fn immutable_uri(path: &Path) -> String {
    let escaped = |byte: &u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
            char::from(*byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    let bytes = path.as_os_str().as_encoded_bytes();
    let path: String = bytes.iter().map(escaped).collect();
    format!("file:{path}?immutable=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri_byte_by_byte() {
        let uri = immutable_uri(Path::new("/a b/\u{e9}?#%/catalog.db"));
        assert_eq!(uri, "file:/a%20b/%C3%A9%3F%23%25/catalog.db?immutable=1");
    }
}
