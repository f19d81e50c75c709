use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::{Bytes, BytesMut};

use crate::backoff::Backoff;
use crate::lake::random_seed;
use crate::s3::{S3Storage, unsigned};
use crate::s3_error::S3Error;
use crate::s3_location::S3Location;
use crate::storage::StorageError;

/// Which object is meant: what has this name now may be another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectVersion {
    /// The version with this id, of a bucket that keeps versions.
    Id(String),
    /// The one with this `ETag`, without quotes.
    ETag(String),
}

/// Some bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPart {
    /// The bytes; fewer than asked for at its end.
    pub bytes: Bytes,
    /// When the object was written, in milliseconds since 1970, when the store says it.
    pub modified_ms: Option<i64>,
}

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectPartError {
    /// It was replaced or removed.
    #[error("`{location}` is not there as it was: it was replaced or removed")]
    Superseded {
        /// The object.
        location: String,
    },
    /// It could not be read.
    #[error(transparent)]
    Storage(StorageError),
}

impl S3Storage {
    /// Reads `n_bytes` of this very object from `offset` on; none at its end.
    ///
    /// # Errors
    ///
    /// [`ObjectPartError::Superseded`] when the object of this version is not there any more.
    pub async fn part(
        &self,
        location: &str,
        version: &ObjectVersion,
        offset: u64,
        n_bytes: usize,
    ) -> Result<ObjectPart, ObjectPartError> {
        let object = S3Location::object(location).map_err(ObjectPartError::Storage)?;
        match self.part_of(object, version, offset, n_bytes).await {
            Ok(part) => Ok(part),
            Err(error) if error.is_past_end() => Ok(ObjectPart {
                bytes: Bytes::new(),
                modified_ms: None,
            }),
            Err(error) if error.is_taken() || error.is_no_key() || error.is_no_version() => {
                Err(ObjectPartError::Superseded {
                    location: location.to_owned(),
                })
            }
            Err(source) => Err(ObjectPartError::Storage(StorageError::Read {
                location: location.to_owned(),
                source: source.into(),
            })),
        }
    }

    async fn part_of(
        &self,
        object: S3Location<'_>,
        version: &ObjectVersion,
        offset: u64,
        n_bytes: usize,
    ) -> Result<ObjectPart, S3Error> {
        let last = offset.saturating_add(n_bytes.max(1) as u64) - 1;
        let mut backoff = Backoff::new(random_seed());
        let mut n_attempts = 0;
        loop {
            n_attempts += 1;
            let request = self.client.get_object();
            let request = request.bucket(object.bucket).key(object.key);
            let request = match version {
                ObjectVersion::Id(id) => request.version_id(id),
                ObjectVersion::ETag(tag) => request.if_match(format!("\"{tag}\"")),
            };
            let answer = request.range(format!("bytes={offset}-{last}")).send().await;
            let mut answer = answer.map_err(S3Error::of)?;
            let mut bytes = BytesMut::with_capacity(n_bytes.min(room(&answer)));
            let broken = loop {
                match answer.body.next().await {
                    Some(Ok(more)) => bytes.extend_from_slice(&more),
                    Some(Err(error)) => break error,
                    None => {
                        let modified = answer.last_modified();
                        return Ok(ObjectPart {
                            bytes: bytes.freeze(),
                            modified_ms: modified.and_then(|time| time.to_millis().ok()),
                        });
                    }
                }
            };
            if n_attempts == self.max_attempts {
                return Err(S3Error::cut_off(broken));
            }
            backoff.wait(None).await;
        }
    }
}

fn room(answer: &GetObjectOutput) -> usize {
    usize::try_from(unsigned(answer.content_length())).unwrap_or(usize::MAX)
}
