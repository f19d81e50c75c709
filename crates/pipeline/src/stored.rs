//! The quarantine of a warehouse as somebody finds it who looks: its objects, and what is in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use lake::{Lake, Listed, StorageError};

use crate::{
    PipelineError, QuarantinedEvent, QuarantinedReceipt, Settings,
    quarantine::{self, QuarantineError},
};

/// The quarantine of a warehouse.
#[derive(Debug, Clone)]
pub struct Quarantine {
    lake: Lake,
    /// The location of the warehouse, without a `/` behind.
    root: String,
    prefix: String,
}

/// One object of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it is.
    pub location: String,
    /// The same below the warehouse.
    pub path: String,
    /// What it holds.
    pub holds: StoredIn,
    /// The table that its events were for; none for messages that are no receipts.
    pub table: Option<String>,
    /// The day of arrival of its first event, or of the receipt, as `2026-11-21`.
    pub day: String,
    /// Its size, compressed.
    pub bytes: u64,
}

/// What an object of the quarantine holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredIn {
    /// Refused events.
    Events,
    /// A receipt that could not be committed, or a message that is none.
    Receipt,
}

/// What there is to count in an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Refused events, or receipts, by kind of refusal.
    pub n_by_kind: BTreeMap<String, u64>,
    /// Whether a replay that is under way, or was cut short, has made it: then its events count where they came from.
    pub is_pending: bool,
}

impl Quarantine {
    /// The quarantine of the warehouse of these settings.
    pub fn new(settings: &Settings, lake: Lake) -> Self {
        Self {
            root: settings.warehouse.root(),
            prefix: settings.quarantine_prefix.clone(),
            lake,
        }
    }

    /// Its objects, page by page, so that memory holds no more than the storage tells at once. With a table only those of that
    /// table; with a day, as `2026-11-21`, only those since.
    pub fn objects<'a>(
        &'a self,
        table: Option<&'a str>,
        since: Option<String>,
    ) -> impl Stream<Item = Result<Stored, PipelineError>> + 'a {
        let place = |place: &str| format!("{}/{}{place}", self.root, self.prefix);
        let prefixes = match table {
            None => vec![place("")],
            Some(table) => vec![
                place(&format!("/{table}")),
                place(&format!("/receipts/{table}")),
            ],
        };
        stream::iter(prefixes).flat_map(move |prefix| self.below(prefix, since.clone()))
    }

    fn below(
        &self,
        prefix: String,
        since: Option<String>,
    ) -> impl Stream<Item = Result<Stored, PipelineError>> {
        let location = prefix.clone();
        let pages = self.lake.storage().pages(prefix);
        let pages = pages.map_err(move |source| PipelineError::ReadQuarantine {
            location: location.clone(),
            source: source.into(),
        });
        let objects = pages.map_ok(|page| stream::iter(page.into_iter().map(Ok)));
        let objects = objects.try_flatten();
        objects.try_filter_map(move |listed| {
            let stored = self.stored(listed);
            let is_since =
                |stored: &Stored| since.as_ref().is_none_or(|since| stored.day >= *since);
            std::future::ready(Ok(stored.filter(is_since)))
        })
    }

    /// The object of this name: its location, its path below the warehouse, or its path below the quarantine.
    ///
    /// # Errors
    ///
    /// When there is none, or the name is not one of the quarantine.
    pub async fn find(&self, name: &str) -> Result<Stored, PipelineError> {
        let below = |name: &str| format!("{}/{name}", self.root);
        let location = if name.contains("://") {
            name.to_owned()
        } else if name.starts_with(&format!("{}/", self.prefix)) {
            below(name)
        } else {
            below(&format!("{}/{name}", self.prefix))
        };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            let location = location.clone();
            PipelineError::ReadQuarantine { location, source }
        };
        let size = self.lake.storage().size(&location).await;
        let bytes = size.map_err(|source| failed(source.into()))?;
        let Some(bytes) = bytes else {
            let location = location.clone();
            return Err(failed(StorageError::NotFound { location }.into()));
        };
        let stored = self.stored(Listed {
            location: location.clone(),
            bytes,
            modified_ms: 0,
        });
        stored.ok_or_else(|| failed("it does not lie where the quarantine does".into()))
    }

    /// Counts what is in the object; nothing when it is gone meanwhile.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn contents(&self, stored: &Stored) -> Result<Option<Contents>, PipelineError> {
        let Some(object) = self.get(stored).await? else {
            return Ok(None);
        };
        let mut contents = Contents::default();
        let mut rest_of = None;
        let mut count = |kind: String| *contents.n_by_kind.entry(kind).or_default() += 1;
        match stored.holds {
            StoredIn::Receipt => count(receipt(stored, &object)?.kind),
            StoredIn::Events => {
                let read = quarantine::each(&object, |event| {
                    count(event.kind);
                    rest_of = event.rest_of;
                    true
                });
                read.map_err(|source| unreadable(stored, source))?;
            }
        }
        contents.is_pending = match rest_of {
            Some(parent) => self.is_there(&parent).await?,
            None => false,
        };
        Ok(Some(contents))
    }

    /// The bytes of the object as they are stored; nothing when it is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn get(&self, stored: &Stored) -> Result<Option<Bytes>, PipelineError> {
        match self.lake.storage().get(&stored.location).await {
            Ok(object) => Ok(Some(object)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(source) => Err(PipelineError::ReadQuarantine {
                location: stored.location.clone(),
                source: source.into(),
            }),
        }
    }

    /// Whether there is an object at this path below the warehouse.
    pub(crate) async fn is_there(&self, path: &str) -> Result<bool, PipelineError> {
        let location = format!("{}/{path}", self.root);
        let there = self.lake.storage().exists(&location).await;
        there.map_err(|source| PipelineError::ReadQuarantine {
            location,
            source: source.into(),
        })
    }

    /// What an object is by its place; nothing when it is none of ours.
    fn stored(&self, listed: Listed) -> Option<Stored> {
        let path = listed
            .location
            .strip_prefix(&self.root)?
            .strip_prefix('/')?;
        let below = path.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let parts: Vec<&str> = below.split('/').collect();
        let (holds, table, day) = match parts.as_slice() {
            ["receipts", "unreadable", day, name] if name.ends_with(".json.zst") => {
                (StoredIn::Receipt, None, day)
            }
            ["receipts", table, day, name] if name.ends_with(".json.zst") => {
                (StoredIn::Receipt, Some(*table), day)
            }
            [table, day, .., name] if name.ends_with(".ndjson.zst") => {
                (StoredIn::Events, Some(*table), day)
            }
            _ => return None,
        };
        Some(Stored {
            path: path.to_owned(),
            holds,
            table: table.map(str::to_owned),
            day: (*day).to_owned(),
            bytes: listed.bytes,
            location: listed.location,
        })
    }
}

impl Stored {
    /// The events of the object, one by one, until `take` says that it has enough.
    ///
    /// # Errors
    ///
    /// When it holds no events, or is cut short.
    pub fn each_event(
        &self,
        object: &Bytes,
        take: impl FnMut(QuarantinedEvent) -> bool,
    ) -> Result<(), PipelineError> {
        quarantine::each(object, take).map_err(|source| unreadable(self, source))
    }

    /// The receipt that the object holds.
    ///
    /// # Errors
    ///
    /// When it holds none.
    pub fn receipt(&self, object: &Bytes) -> Result<QuarantinedReceipt, PipelineError> {
        receipt(self, object)
    }
}

fn receipt(stored: &Stored, object: &Bytes) -> Result<QuarantinedReceipt, PipelineError> {
    QuarantinedReceipt::read(object).map_err(|source| PipelineError::ReadQuarantine {
        location: stored.location.clone(),
        source: source.into(),
    })
}

fn unreadable(stored: &Stored, source: QuarantineError) -> PipelineError {
    PipelineError::ReadQuarantine {
        location: stored.location.clone(),
        source: source.into(),
    }
}
