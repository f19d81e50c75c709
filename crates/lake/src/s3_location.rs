use crate::storage::StorageError;

/// Tables made by Hadoop's tools name the same objects by the other two.
const SCHEMES: [&str; 3] = ["s3://", "s3a://", "s3n://"];

/// An object's place: `s3://bucket/key`, both taken literally. A `%20` is three characters of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct S3Location<'a> {
    /// What both parts were taken from.
    pub(crate) location: &'a str,
    /// The scheme and the bucket, with the slash that ends them: what a key is appended to.
    pub(crate) root: &'a str,
    /// The bucket.
    pub(crate) bucket: &'a str,
    /// The key.
    pub(crate) key: &'a str,
}

impl<'a> S3Location<'a> {
    /// Reads the location of one object.
    pub(crate) fn object(location: &'a str) -> Result<Self, StorageError> {
        let parsed = Self::prefix(location)?;
        if parsed.key.is_empty() {
            return Err(refused(location, "it names a bucket but no object"));
        }
        Ok(parsed)
    }

    /// Reads a location that may also be a whole bucket.
    pub(crate) fn prefix(location: &'a str) -> Result<Self, StorageError> {
        let scheme = SCHEMES.iter().find(|scheme| location.starts_with(**scheme));
        let Some(scheme) = scheme else {
            return Err(refused(location, "it is not an `s3://` URL"));
        };
        let rest = location.get(scheme.len()..).unwrap_or_default();
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refused(location, "it names no bucket"));
        }
        // Legal in a key, but servers and proxies on the way may take them for steps in a path.
        if key.split('/').any(|part| part == "." || part == "..") {
            return Err(refused(location, "it holds `.` or `..`"));
        }
        let root = location
            .get(..location.len() - key.len())
            .unwrap_or(location);
        Ok(Self {
            location,
            root,
            bucket,
            key,
        })
    }

    /// The key that all objects below this prefix begin with.
    pub(crate) fn key_prefix(&self) -> String {
        match self.key.trim_end_matches('/') {
            "" => String::new(),
            key => format!("{key}/"),
        }
    }
}

fn refused(location: &str, reason: &'static str) -> StorageError {
    StorageError::Location {
        location: location.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_bucket_and_a_key_taken_literally() {
        for (location, root, bucket, key) in [
            ("s3://b/k", "s3://b/", "b", "k"),
            ("s3a://b.c/x y/%20+=/ü", "s3a://b.c/", "b.c", "x y/%20+=/ü"),
            ("s3n://b//k?a#b", "s3n://b/", "b", "/k?a#b"),
        ] {
            let parsed = S3Location::object(location).unwrap();
            assert_eq!(
                (parsed.root, parsed.bucket, parsed.key),
                (root, bucket, key)
            );
        }
    }

    #[test]
    fn what_is_no_object_of_a_bucket_is_refused() {
        for location in [
            "file:///a",
            "/a",
            "s3:/b/k",
            "S3://b/k",
            "s3://",
            "s3:///k",
            "s3://b",
            "s3://b/",
            "s3://b/../k",
            "s3://b/a/./k",
        ] {
            let error = S3Location::object(location).unwrap_err();
            assert!(matches!(error, StorageError::Location { .. }), "{error}");
            assert!(!error.retryable());
        }
    }

    #[test]
    fn a_prefix_ends_where_a_directory_would() {
        for (location, expected) in [
            ("s3://b", ""),
            ("s3://b/", ""),
            ("s3://b/a", "a/"),
            ("s3://b/a/", "a/"),
            ("s3://b/a/b", "a/b/"),
        ] {
            assert_eq!(S3Location::prefix(location).unwrap().key_prefix(), expected);
        }
    }
}
