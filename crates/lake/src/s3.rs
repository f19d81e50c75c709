use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::identity::IdentityCache;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::Object;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use crate::access::StorageAccess;
use crate::backoff::Backoff;
use crate::lake::random_seed;
use crate::s3_error::S3Error;
use crate::s3_location::S3Location;
use crate::s3_options::{PartOptions, S3Keys, S3Options};
use crate::storage::{Listed, Put, Storage, StorageError};

/// S3, or anything that speaks it. Locations are `s3://bucket/key`, of any bucket that the credentials may use.
///
/// Clones share the connections. Requests are repeated when that may help ([`S3Options::max_attempts`]), with random
/// waits between; a write is never repeated in a way that could replace an object.
#[derive(Clone)]
pub struct S3Storage {
    pub(crate) client: Client,
    pub(crate) parts: PartOptions,
    pub(crate) max_attempts: u32,
}

impl S3Storage {
    /// Makes the client, once for a process. S3 is not asked anything yet.
    ///
    /// # Errors
    ///
    /// [`StorageError::Open`] when the endpoint is no URL, or nothing names a region.
    pub async fn new(options: &S3Options) -> Result<Self, StorageError> {
        Ok(Self {
            client: options.connect().await?,
            parts: options.parts(),
            max_attempts: options.max_attempts.max(1),
        })
    }

    /// The same storage for somebody else, say with the keys that a catalog gives out for one table.
    #[must_use]
    pub fn with_credentials(&self, keys: &S3Keys) -> Self {
        let config = self.client.config().to_builder();
        let config = config
            .credentials_provider(keys.provider())
            .identity_cache(IdentityCache::lazy().build());
        Self {
            client: Client::from_conf(config.build()),
            ..self.clone()
        }
    }

    /// Reads the whole object: `begin` makes a value of the answer's head, and `take` adds the bytes to it as they come.
    /// When the connection breaks off, both start again.
    pub(crate) async fn read<T>(
        &self,
        object: S3Location<'_>,
        begin: impl Fn(&GetObjectOutput) -> T,
        mut take: impl FnMut(&mut T, Bytes),
    ) -> Result<T, S3Error> {
        let mut backoff = Backoff::new(random_seed());
        let mut n_attempts = 0;
        loop {
            n_attempts += 1;
            let request = self.client.get_object();
            let answer = request.bucket(object.bucket).key(object.key).send().await;
            let mut answer = answer.map_err(S3Error::of)?;
            let mut read = begin(&answer);
            let broken = loop {
                match answer.body.next().await {
                    Some(Ok(bytes)) => take(&mut read, bytes),
                    Some(Err(error)) => break error,
                    None => return Ok(read),
                }
            };
            if n_attempts == self.max_attempts {
                return Err(S3Error::cut_off(broken));
            }
            backoff.wait(None).await;
        }
    }

    /// Returns the object's size in bytes, or nothing when it is not there.
    pub(crate) async fn head(&self, object: S3Location<'_>) -> Result<Option<u64>, S3Error> {
        let request = self.client.head_object();
        let answer = request.bucket(object.bucket).key(object.key).send().await;
        match answer.map_err(S3Error::of) {
            Ok(head) => Ok(Some(unsigned(head.content_length()))),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn all_below(&self, prefix: S3Location<'_>) -> Result<Vec<Listed>, S3Error> {
        let mut found = Vec::new();
        let mut pages = self.pages_below(prefix);
        while let Some(page) = pages.next().await {
            found.extend(page?);
        }
        // AWS lists in order; not every store does.
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    fn pages_below(
        &self,
        prefix: S3Location<'_>,
    ) -> BoxStream<'static, Result<Vec<Listed>, S3Error>> {
        let root = prefix.root.to_owned();
        let request = self.client.list_objects_v2();
        let request = request.bucket(prefix.bucket).prefix(prefix.key_prefix());
        let pages = request.into_paginator().send();
        let listed = move |object: &Object| {
            let modified = object.last_modified();
            Some(Listed {
                location: format!("{root}{}", object.key()?),
                bytes: unsigned(object.size()),
                modified_ms: modified
                    .and_then(|time| time.to_millis().ok())
                    .unwrap_or_default(),
            })
        };
        let pages = stream::unfold(pages, |mut pages| async {
            Some((pages.next().await?, pages))
        });
        pages
            .map(move |page| {
                let page = page.map_err(S3Error::of)?;
                Ok(page.contents().iter().filter_map(&listed).collect())
            })
            .boxed()
    }
}

#[async_trait]
impl Storage for S3Storage {
    async fn put_new(&self, location: &str, bytes: Bytes) -> Result<Put, StorageError> {
        let object = S3Location::object(location)?;
        let put = self.put_once(object, bytes).await;
        put.map_err(|source| StorageError::Write {
            location: location.to_owned(),
            source: source.into(),
        })
    }

    async fn get(&self, location: &str) -> Result<Bytes, StorageError> {
        let object = S3Location::object(location)?;
        let room =
            |answer: &GetObjectOutput| usize::try_from(unsigned(answer.content_length())).ok();
        let read = self.read(
            object,
            |answer| BytesMut::with_capacity(room(answer).unwrap_or_default()),
            |read, bytes| read.extend_from_slice(&bytes),
        );
        match read.await {
            Ok(bytes) => Ok(bytes.freeze()),
            Err(error) if error.is_absent() => Err(StorageError::NotFound {
                location: location.to_owned(),
            }),
            Err(source) => Err(StorageError::Read {
                location: location.to_owned(),
                source: source.into(),
            }),
        }
    }

    async fn size(&self, location: &str) -> Result<Option<u64>, StorageError> {
        let size = self.head(S3Location::object(location)?).await;
        size.map_err(|source| StorageError::Read {
            location: location.to_owned(),
            source: source.into(),
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StorageError> {
        let listed = self.all_below(S3Location::prefix(prefix)?).await;
        listed.map_err(|source| StorageError::List {
            location: prefix.to_owned(),
            source: source.into(),
        })
    }

    fn pages(&self, prefix: String) -> BoxStream<'_, Result<Vec<Listed>, StorageError>> {
        let pages = match S3Location::prefix(&prefix) {
            Ok(location) => self.pages_below(location),
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        pages
            .map(move |page| {
                page.map_err(|source| StorageError::List {
                    location: prefix.clone(),
                    source: source.into(),
                })
            })
            .boxed()
    }

    async fn delete(&self, location: &str) -> Result<(), StorageError> {
        let object = S3Location::object(location)?;
        let request = self.client.delete_object();
        let answer = request.bucket(object.bucket).key(object.key).send().await;
        match answer.map_err(S3Error::of) {
            Err(error) if !error.is_absent() => Err(StorageError::Delete {
                location: location.to_owned(),
                source: error.into(),
            }),
            _ => Ok(()),
        }
    }

    fn for_table(&self, access: &StorageAccess) -> Option<Arc<dyn Storage>> {
        let keys = S3Keys {
            access_key_id: access.get("s3.access-key-id")?.to_owned(),
            secret_access_key: access.get("s3.secret-access-key")?.to_owned(),
            session_token: access.get("s3.session-token").map(str::to_owned),
        };
        let mut storage = self.with_credentials(&keys);
        let mut config = storage.client.config().to_builder();
        if let Some(region) = access.get("client.region").or(access.get("s3.region")) {
            config = config.region(Region::new(region.to_owned()));
        }
        if let Some(endpoint) = access.get("s3.endpoint") {
            config = config.endpoint_url(endpoint);
        }
        if let Some(path_style) = access.get("s3.path-style-access") {
            config = config.force_path_style(path_style == "true");
        }
        storage.client = Client::from_conf(config.build());
        Some(Arc::new(storage))
    }
}

impl fmt::Debug for S3Storage {
    /// The client's own words are pages long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Storage")
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

pub(crate) fn unsigned(bytes: Option<i64>) -> u64 {
    u64::try_from(bytes.unwrap_or_default()).unwrap_or_default()
}
