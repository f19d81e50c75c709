//! Which failures of the catalog may pass by themselves.

use rusqlite::ErrorCode;

use crate::storage::StorageError;

/// Says whether what failed inside the catalog may succeed later.
pub(crate) fn retryable(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<StorageError>() {
        return error.retryable();
    }
    // Another process may be done by then, a disk be emptied, a mount be back. What is no database, or may not be written
    // to, stays so.
    matches!(
        sqlite_code(error),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory
                | ErrorCode::SchemaChanged
        )
    )
}

/// What SQLite calls the failure, if it is one of SQLite.
pub(super) fn sqlite_code(
    error: &(dyn std::error::Error + Send + Sync + 'static),
) -> Option<ErrorCode> {
    error
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[track_caller]
    fn check(code: i32, expected: bool) {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert_eq!(retryable(&error), expected, "{error}");
    }

    #[test]
    fn what_may_pass_by_itself_is_tried_again() {
        for code in [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_FULL,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_NOMEM,
        ] {
            check(code, true);
        }
        for code in [
            ffi::SQLITE_READONLY,
            ffi::SQLITE_PERM,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_CONSTRAINT,
            ffi::SQLITE_ERROR,
        ] {
            check(code, false);
        }
    }
}
