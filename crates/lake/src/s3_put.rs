//! Writing an object to S3 once.
//!
//! Every write says `If-None-Match: *`, so nothing is ever replaced, and S3 answers 412 where the name is taken. A 412 to
//! the only request that was sent means that somebody else was there first. A 412 after a request whose answer was lost
//! may be about our own object: then what is there is read and compared. The same bytes: it is written. Other bytes:
//! it was there already. So the answer is right whatever was lost, and no two writers of different bytes are both told
//! that they wrote.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backoff::Backoff;
use crate::lake::random_seed;
use crate::s3::S3Storage;
use crate::s3_error::S3Error;
use crate::s3_location::S3Location;
use crate::storage::Put;

/// How often a write is begun anew because another one of the same name was under way.
const MAX_ROUNDS: u32 = 5;

/// S3 allows no more parts of one object.
const MAX_PARTS: u64 = 10_000;

/// What became of the request that would make the object visible.
enum Sent {
    Done,
    NameTaken,
}

impl S3Storage {
    /// Writes the object unless its name is taken.
    pub(crate) async fn put_once(
        &self,
        object: S3Location<'_>,
        bytes: Bytes,
    ) -> Result<Put, S3Error> {
        let attempts = Attempts::default();
        let mut backoff = Backoff::new(random_seed());
        let mut n_rounds = 0;
        loop {
            n_rounds += 1;
            let sent = if bytes.len() as u64 > self.parts.multipart_bytes {
                self.put_in_parts(object, &bytes, &attempts).await
            } else {
                self.put_whole(object, &bytes, &attempts).await
            };
            match sent {
                Ok(Sent::Done) => return Ok(Put::Written),
                Ok(Sent::NameTaken) if attempts.n() == 1 => return Ok(Put::AlreadyThere),
                Ok(Sent::NameTaken) => return self.whose(object, &bytes).await,
                Err(error) if error.is_conflict() && n_rounds < MAX_ROUNDS => {
                    backoff.wait(None).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn put_whole(
        &self,
        object: S3Location<'_>,
        bytes: &Bytes,
        attempts: &Attempts,
    ) -> Result<Sent, S3Error> {
        let request = self.client.put_object();
        let answer = request
            .bucket(object.bucket)
            .key(object.key)
            .if_none_match("*")
            .body(bytes.clone().into())
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await;
        match answer.map_err(S3Error::of) {
            Ok(_) => Ok(Sent::Done),
            Err(error) if error.is_taken() => Ok(Sent::NameTaken),
            Err(error) => Err(error),
        }
    }

    /// The parts are nothing anybody can see until the last request, which makes them one object.
    async fn put_in_parts(
        &self,
        object: S3Location<'_>,
        bytes: &Bytes,
        attempts: &Attempts,
    ) -> Result<Sent, S3Error> {
        let request = self.client.create_multipart_upload();
        let begun = request.bucket(object.bucket).key(object.key).send().await;
        let begun = begun.map_err(S3Error::of)?;
        let upload = begun.upload_id().unwrap_or_default();
        let sent = match self.put_parts(object, upload, bytes).await {
            Ok(parts) => self.complete(object, upload, parts, attempts).await,
            Err(error) => Err(error),
        };
        if !matches!(sent, Ok(Sent::Done)) {
            // What cannot be taken back now is left to the bucket's lifecycle rule; it is only litter.
            let request = self.client.abort_multipart_upload();
            let request = request.bucket(object.bucket).key(object.key);
            let _ = request.upload_id(upload).send().await;
        }
        sent
    }

    async fn put_parts(
        &self,
        object: S3Location<'_>,
        upload: &str,
        bytes: &Bytes,
    ) -> Result<Vec<CompletedPart>, S3Error> {
        let parts = cut(bytes, self.parts.part_bytes);
        let sent = (1..).zip(parts).map(async |(number, part)| {
            let request = self.client.upload_part();
            let answer = request
                .bucket(object.bucket)
                .key(object.key)
                .upload_id(upload)
                .part_number(number)
                .body(part.into())
                .send()
                .await;
            let answer = answer.map_err(S3Error::of)?;
            Ok(CompletedPart::builder()
                .part_number(number)
                .set_e_tag(answer.e_tag().map(str::to_owned))
                .build())
        });
        stream::iter(sent)
            .buffered(self.parts.max_concurrent)
            .try_collect()
            .await
    }

    async fn complete(
        &self,
        object: S3Location<'_>,
        upload: &str,
        parts: Vec<CompletedPart>,
        attempts: &Attempts,
    ) -> Result<Sent, S3Error> {
        let n_before = attempts.n();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self.client.complete_multipart_upload();
        let answer = request
            .bucket(object.bucket)
            .key(object.key)
            .upload_id(upload)
            .multipart_upload(parts.build())
            .if_none_match("*")
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await;
        let repeated = attempts.n() > n_before + 1;
        match answer.map_err(S3Error::of) {
            Ok(_) => Ok(Sent::Done),
            Err(error) if error.is_taken() => Ok(Sent::NameTaken),
            // An upload is gone once it was completed: by our own request, whose answer was lost.
            Err(error) if error.is_upload_gone() && repeated => Ok(Sent::NameTaken),
            Err(error) => Err(error),
        }
    }

    /// Decides whether the object that is there is ours, by its bytes.
    async fn whose(&self, object: S3Location<'_>, bytes: &Bytes) -> Result<Put, S3Error> {
        match self.head(object).await? {
            None => Err(S3Error::new(
                "its name was taken, and now it is not there",
                true,
            )),
            Some(there) if there != bytes.len() as u64 => Ok(Put::AlreadyThere),
            Some(_) => self.has_bytes(object, bytes).await.map(|same| {
                if same {
                    Put::Written
                } else {
                    Put::AlreadyThere
                }
            }),
        }
    }

    async fn has_bytes(&self, object: S3Location<'_>, bytes: &Bytes) -> Result<bool, S3Error> {
        let left = self.read(
            object,
            |_| Some(bytes.as_ref()),
            |left, read| *left = left.and_then(|left| left.strip_prefix(read.as_ref())),
        );
        Ok(left.await?.is_some_and(<[u8]>::is_empty))
    }
}

/// The parts of an object, none of them copied.
fn cut(bytes: &Bytes, part_bytes: u64) -> Vec<Bytes> {
    let part_bytes = part_bytes.max((bytes.len() as u64).div_ceil(MAX_PARTS));
    let part_bytes = usize::try_from(part_bytes).unwrap_or(usize::MAX);
    let starts = (0..bytes.len()).step_by(part_bytes);
    starts
        .map(|start| bytes.slice(start..bytes.len().min(start.saturating_add(part_bytes))))
        .collect()
}

/// Counts how often a request is sent, the SDK's own repetitions among them.
#[derive(Debug, Clone, Default)]
struct Attempts(Arc<AtomicU32>);

impl Attempts {
    fn n(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_join_to_the_object_and_are_never_too_many() {
        for (n_bytes, part_bytes, n_parts, last) in [
            (10, 4, 3, 2),
            (8, 4, 2, 4),
            (3, 4, 1, 3),
            (40_001, 1, 8_001, 1),
        ] {
            let bytes: Bytes = (0..n_bytes).map(|n: u32| n.to_le_bytes()[0]).collect();
            let parts = cut(&bytes, part_bytes);
            assert_eq!((parts.len(), parts[n_parts - 1].len()), (n_parts, last));
            assert_eq!(parts.concat(), bytes);
        }
    }
}
