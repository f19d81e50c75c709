//! Objects of buckets that notifications tell of: read in pieces, landed as one batch each.

mod land;
mod read;
mod work;

use std::fmt::Debug;

use async_trait::async_trait;
use lake::{ObjectPart, ObjectPartError, ObjectVersion, S3Storage};

use crate::Settings;

/// An object to be landed, as a notification names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceObject {
    /// The trigger's name for the notification: what a partial batch response calls it.
    pub delivery_id: String,
    /// The bucket.
    pub bucket: String,
    /// The key, as it is.
    pub key: String,
    /// Which object of that name.
    pub version: ObjectVersion,
    /// When the notification was made, in microseconds since 1970-01-01T00:00:00Z: the arrival of events where the store does
    /// not say when the object was written.
    pub notified_us: i64,
}

impl SourceObject {
    /// Where it is: `s3://bucket/key`.
    pub fn location(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    /// Goes to `_source_id`: `s3://bucket/key?version`, with the `ETag` where the bucket keeps no versions.
    pub fn source_id(&self) -> String {
        let (ObjectVersion::Id(version) | ObjectVersion::ETag(version)) = &self.version;
        format!("{}?{version}", self.location())
    }
}

/// What objects are read from.
#[async_trait]
pub trait ObjectReader: Send + Sync + Debug {
    /// Reads `n_bytes` of this very object from `offset` on; none at its end.
    ///
    /// # Errors
    ///
    /// [`ObjectPartError::Superseded`] when it is not there any more as it was.
    async fn read(
        &self,
        object: &SourceObject,
        offset: u64,
        n_bytes: usize,
    ) -> Result<ObjectPart, ObjectPartError>;
}

#[async_trait]
impl ObjectReader for S3Storage {
    async fn read(
        &self,
        object: &SourceObject,
        offset: u64,
        n_bytes: usize,
    ) -> Result<ObjectPart, ObjectPartError> {
        let location = object.location();
        self.part(&location, &object.version, offset, n_bytes).await
    }
}

impl Settings {
    /// Whether objects of this name may be read when a notification tells of them: `source_buckets` names the bucket, or a
    /// prefix that the key lies below.
    pub fn is_source(&self, bucket: &str, key: &str) -> bool {
        self.source_buckets.iter().any(|source| {
            let source = source.strip_suffix('/').unwrap_or(source);
            match source.split_once('/') {
                None => source == bucket,
                Some((of, prefix)) => {
                    let rest = key.strip_prefix(prefix);
                    of == bucket && rest.is_some_and(|rest| rest.starts_with('/'))
                }
            }
        })
    }

    /// Whether this bucket is one of `source_buckets`, or has one of its prefixes.
    pub fn is_source_bucket(&self, bucket: &str) -> bool {
        let buckets = self.source_buckets.iter();
        let mut buckets = buckets.filter_map(|source| source.split('/').next());
        buckets.any(|source| source == bucket)
    }
}
