mod new_name;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::storage::{Listed, Put, Storage, StorageError};

/// The local file system. Locations are `file:///…` URLs or absolute paths, both taken literally.
///
/// An object appears whole or not at all: it is written beside its place, made durable, and given its name. Only where a file
/// system knows neither hard links nor renames that replace nothing, a crash may leave an empty object, which nobody refers to.
#[derive(Debug, Clone, Default)]
pub struct LocalStorage;

#[async_trait]
impl Storage for LocalStorage {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        let path = path_of(location)?;
        let result = blocking(move || put_new(&path, &bytes)).await;
        result.map_err(|source| StorageError::Write {
            location: location.to_owned(),
            source: source.into(),
        })
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        let path = path_of(location)?;
        match blocking(move || fs::read(path)).await {
            Ok(bytes) => Ok(Bytes::from(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StorageError::NotFound {
                location: location.to_owned(),
            }),
            Err(source) => Err(StorageError::Read {
                location: location.to_owned(),
                source: source.into(),
            }),
        }
    }

    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError> {
        let path = path_of(location)?;
        match blocking(move || fs::metadata(path)).await {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StorageError::Read {
                location: location.to_owned(),
                source: source.into(),
            }),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        let root = path_of(prefix)?;
        let url = prefix.trim_end_matches('/').to_owned();
        let result = blocking(move || {
            let mut found = Vec::new();
            list_below(&root, &url, &mut found)?;
            found.sort_by(|a, b| a.location.cmp(&b.location));
            Ok(found)
        })
        .await;
        result.map_err(|source| StorageError::List {
            location: prefix.to_owned(),
            source: source.into(),
        })
    }

    async fn delete(&self, location: &str) -> Result<(), StorageError> {
        let path = path_of(location)?;
        match blocking(move || fs::remove_file(path)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StorageError::Delete {
                location: location.to_owned(),
                source: error.into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The path that a location means. Nothing is decoded: a `%20` is three characters of the file's name.
fn path_of(location: &str) -> Result<PathBuf, StorageError> {
    let refused = |reason| {
        Err(StorageError::Location {
            location: location.to_owned(),
            reason,
        })
    };
    let path = match location.strip_prefix("file:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None if location.contains("://") => return refused("it is not a `file://` URL"),
        None => location,
    };
    let path = Path::new(path);
    if !path.is_absolute() {
        return refused("its path is not absolute");
    }
    if path
        .components()
        .any(|part| part == std::path::Component::ParentDir)
    {
        return refused("it holds `..`");
    }
    Ok(path.to_owned())
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn put_new(path: &Path, bytes: &[u8]) -> io::Result<Put> {
    let parent = path
        .parent()
        .ok_or_else(|| io::Error::other("it has no directory"))?;
    make_directories(parent)?;
    let temporary = parent.join(format!(".{}.tmp", Uuid::new_v4()));
    let put = write_durably(&temporary, bytes).and_then(|()| new_name::take(&temporary, path));
    // The name is taken or not by now; a temporary file that stays is only litter.
    let _ = fs::remove_file(&temporary);
    let put = put?;
    sync_directory(parent)?;
    Ok(put)
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the directory and those above it, each durable in the one above.
fn make_directories(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directories(parent)?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => sync_directory(parent)?,
        }
    }
    Ok(())
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn list_below(directory: &Path, url: &str, found: &mut Vec<Listed>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let location = format!("{url}/{name}");
        if entry.file_type()?.is_dir() {
            list_below(&entry.path(), &location, found)?;
            continue;
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => continue, // A temporary file went away.
            Err(error) => return Err(error),
        };
        let modified = metadata
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        found.push(Listed {
            location,
            bytes: metadata.len(),
            modified_ms: i64::try_from(modified.as_millis()).unwrap_or(i64::MAX),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(directory: &tempfile::TempDir, name: &str) -> String {
        format!("file://{}/{name}", directory.path().display())
    }

    #[tokio::test]
    async fn an_object_is_written_once_and_keeps_its_first_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let location = at(&directory, "a/b/object");
        let put = async |bytes: &'static [u8]| {
            LocalStorage
                .put_new(&location, Bytes::from_static(bytes))
                .await
                .unwrap()
        };
        assert_eq!(put(b"first").await, Put::Written);
        assert_eq!(put(b"second").await, Put::AlreadyThere);
        assert_eq!(
            LocalStorage.get(&location).await.unwrap().as_ref(),
            b"first"
        );
        assert_eq!(LocalStorage.size(&location).await.unwrap(), Some(5));
        let listed = LocalStorage.list(&at(&directory, "")).await.unwrap();
        assert_eq!(listed.len(), 1, "no temporary file stays: {listed:?}");
        assert_eq!(listed[0].location, location);
    }

    #[tokio::test]
    async fn of_many_writers_of_one_name_exactly_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let location = at(&directory, "contested");
        let puts = (0..16_u8).map(|writer| {
            let location = location.clone();
            tokio::spawn(async move {
                LocalStorage
                    .put_new(&location, Bytes::from(vec![writer; 1000]))
                    .await
                    .unwrap()
            })
        });
        let puts = futures::future::join_all(puts).await;
        let n_written = puts
            .into_iter()
            .filter(|put| *put.as_ref().unwrap() == Put::Written)
            .count();
        assert_eq!(n_written, 1);
        let bytes = LocalStorage.get(&location).await.unwrap();
        assert!(bytes.len() == 1000 && bytes.iter().all(|b| *b == bytes[0]));
    }

    #[tokio::test]
    async fn an_object_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let location = at(&directory, "absent");
        let error = LocalStorage.get(&location).await.unwrap_err();
        assert_eq!(error.to_string(), format!("`{location}` is not there"));
        assert!(LocalStorage.list(&location).await.unwrap().is_empty());
        LocalStorage.delete(&location).await.unwrap();
    }

    #[tokio::test]
    async fn a_path_through_a_file_cannot_be_written_and_the_error_names_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), b"").unwrap();
        let location = at(&directory, "file/object");
        let error = LocalStorage
            .put_new(&location, Bytes::new())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write `{location}`"));
    }

    #[tokio::test]
    async fn other_locations_are_refused() {
        for location in ["s3://bucket/key", "relative/path", "file:///a/../b"] {
            let error = LocalStorage.get(location).await.unwrap_err();
            assert!(matches!(error, StorageError::Location { .. }), "{error}");
            assert!(!error.retryable());
        }
    }
}
