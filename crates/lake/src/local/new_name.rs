use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::storage::Put;

/// A way of giving a file a name that is not taken; an error of kind `AlreadyExists` when it is.
type Way = fn(&Path, &Path) -> io::Result<()>;

/// Gives the file its name, or an additional one, unless the name is taken. Whoever looks sees a whole object or none.
///
/// Where a file system knows neither hard links nor renames that replace nothing, the name is taken by an empty file first:
/// there a crash between the two may leave an empty object, which nothing refers to.
pub(super) fn take(file: &Path, name: &Path) -> io::Result<Put> {
    take_by(&[link, rename], file, name)
}

/// The first of these ways that the file system knows, or else the last resort.
fn take_by(ways: &[Way], file: &Path, name: &Path) -> io::Result<Put> {
    for way in ways {
        match way(file, name) {
            Ok(()) => return Ok(Put::Written),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(Put::AlreadyThere);
            }
            Err(error) if is_unknown(&error) => {}
            Err(error) => return Err(error),
        }
    }
    match OpenOptions::new().write(true).create_new(true).open(name) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Put::AlreadyThere),
        Err(error) => return Err(error),
    }
    let renamed = fs::rename(file, name).map(|()| Put::Written);
    if renamed.is_err() {
        let _ = fs::remove_file(name); // It is our own empty one.
    }
    renamed
}

fn link(file: &Path, name: &Path) -> io::Result<()> {
    fs::hard_link(file, name)
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename(file: &Path, name: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, file, CWD, name, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename(_file: &Path, _name: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Whether the file system does not know what it was asked for, in the words of various ones.
fn is_unknown(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::PermissionDenied | ErrorKind::InvalidInput
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As file systems without hard links answer.
    fn unknown(_file: &Path, _name: &Path) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(1))
    }

    const WAYS: [&[Way]; 4] = [
        &[link, rename],
        &[unknown, rename],
        &[rename],
        &[unknown, unknown],
    ];

    #[test]
    fn a_free_name_is_given_and_a_taken_one_is_left_whatever_the_file_system_knows() {
        for ways in WAYS {
            let directory = tempfile::tempdir().unwrap();
            let [first, second, name] = ["1", "2", "name"].map(|file| directory.path().join(file));
            fs::write(&first, "first").unwrap();
            fs::write(&second, "second").unwrap();
            assert_eq!(take_by(ways, &first, &name).unwrap(), Put::Written);
            assert_eq!(take_by(ways, &second, &name).unwrap(), Put::AlreadyThere);
            assert_eq!(fs::read(&name).unwrap(), b"first");
        }
    }

    #[test]
    fn what_fails_leaves_no_empty_object() {
        for ways in WAYS {
            let directory = tempfile::tempdir().unwrap();
            let [absent, name] = ["absent", "name"].map(|file| directory.path().join(file));
            take_by(ways, &absent, &name).unwrap_err();
            assert!(!name.exists());
        }
    }
}
