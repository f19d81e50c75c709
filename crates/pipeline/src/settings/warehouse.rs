//! Where the lake is: a directory of this machine, or a prefix of a bucket.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What stands before the bucket.
const S3: &str = "s3://";

/// Where tables, quarantine and large receipts are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Warehouse {
    /// A directory of this machine.
    Directory(PathBuf),
    /// `s3://bucket` or `s3://bucket/prefix`, without a `/` behind.
    S3(String),
}

impl Warehouse {
    /// The directory, when it is one.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::S3(_) => None,
        }
    }

    /// Its location as the storage knows it, without a `/` behind. A directory has to be there.
    pub(crate) fn root(&self) -> String {
        match self {
            Self::S3(location) => location.clone(),
            Self::Directory(path) => {
                let resolved = path.canonicalize().unwrap_or_else(|_| path.clone());
                let path = resolved.display().to_string();
                format!("file://{}", path.trim_end_matches('/'))
            }
        }
    }

    /// Whether it can be one at all.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Self::Directory(path) => {
                let path = path.to_string_lossy();
                !path.is_empty() && !path.contains("://")
            }
            Self::S3(location) => location
                .strip_prefix(S3)
                .is_some_and(|rest| rest.split('/').all(is_part)),
        }
    }
}

/// The location of what is below the warehouse at this root, or elsewhere in S3.
pub(crate) fn place_in(root: &str, path: &str) -> String {
    if path.contains("://") {
        path.to_owned()
    } else {
        format!("{root}/{path}")
    }
}

/// Whether this may stand between two `/` of a location.
pub(super) fn is_part(part: &str) -> bool {
    !part.is_empty() && part != "." && part != ".."
}

impl From<String> for Warehouse {
    fn from(text: String) -> Self {
        if text.starts_with(S3) {
            Self::S3(text.trim_end_matches('/').to_owned())
        } else {
            Self::Directory(PathBuf::from(text))
        }
    }
}

impl From<&Path> for Warehouse {
    fn from(path: &Path) -> Self {
        Self::Directory(path.to_owned())
    }
}

impl From<Warehouse> for String {
    fn from(warehouse: Warehouse) -> Self {
        warehouse.to_string()
    }
}

impl fmt::Display for Warehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3(location) => f.write_str(location),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, root: &str, is_sound: bool) {
        let warehouse = Warehouse::from(text.to_owned());
        assert_eq!(
            (warehouse.root().as_str(), warehouse.is_sound()),
            (root, is_sound),
            "{text}"
        );
    }

    #[test]
    fn a_warehouse_is_a_directory_or_a_prefix_of_a_bucket() {
        check("/nowhere/lake/", "file:///nowhere/lake", true);
        check("s3://bucket", "s3://bucket", true);
        check("s3://bucket/a/b/", "s3://bucket/a/b", true);
        check("s3://bucket//b", "s3://bucket//b", false);
        check("s3://bucket/../b", "s3://bucket/../b", false);
        check("s3://", "s3:", false);
        check("gs://bucket", "file://gs://bucket", false);
    }
}
