//! What stays in the quarantine after a replay, and how an object gives way to it.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use lake::Token;
use sha2::{Digest as _, Sha256};

use super::Batch;
use crate::{
    Pipeline, PipelineError, QuarantinedEvent, Stored, StoredIn, open_table::OpenTable,
    pipeline::Landing, quarantine,
};

impl Pipeline {
    /// The events of the object, all of them.
    pub(super) async fn quarantined_events(
        &self,
        stored: &Stored,
        object: &Bytes,
    ) -> Result<Vec<QuarantinedEvent>, PipelineError> {
        let object = object.clone();
        let read = self.cpu.run(move || quarantine::read(&object)).await;
        let read = read.ok_or(PipelineError::Internal {
            stage: "reading quarantined events",
            n: 1,
        })?;
        read.map_err(|source| PipelineError::ReadQuarantine {
            location: stored.location.clone(),
            source: source.into(),
        })
    }

    /// Writes what will stay when the commit is made, and returns its path; nothing when nothing stays.
    ///
    /// The same events give the same object, so that a replay that was cut short finds its own again.
    pub(super) async fn put_rest(
        &self,
        open: &Arc<OpenTable>,
        stored: &Stored,
        batch: &Arc<Batch>,
        landing: &Arc<Landing>,
    ) -> Result<Option<String>, PipelineError> {
        let work = {
            let (batch, landing, open) = (batch.clone(), landing.clone(), open.clone());
            let path = stored.path.clone();
            move || {
                let rest = batch.rest(&landing, &open.shape.event_type, &path);
                let object = quarantine::encode_events(&rest);
                (rest.len(), object)
            }
        };
        let encoded = self.cpu.run(work).await.ok_or(PipelineError::Internal {
            stage: "quarantining events",
            n: batch.n_events(),
        })?;
        let (n_events, object) = encoded;
        if n_events == 0 {
            return Ok(None);
        }
        let place = self.rests_of(stored);
        let failed = |location: &str, source| PipelineError::Quarantine {
            location: location.to_owned(),
            n_events,
            source,
        };
        let object = object.map_err(|source| failed(&place, source.into()))?;
        let path = format!("{place}/{}.ndjson.zst", hash(&object));
        let location = self.location(&path);
        // That it is there already is a success: an earlier replay wrote the same bytes.
        let put = self.lake.storage().put_new(&location, object.into()).await;
        put.map_err(|source| failed(&location, source.into()))?;
        Ok(Some(path))
    }

    /// Takes an object out of the quarantine whose token is in the ledger, or that is gone already, and returns the location of its rest.
    ///
    /// Rests of replays that were cut short go first and the object goes last, so that none of them is ever taken for the rest.
    pub(super) async fn settle_object(
        &self,
        open: &OpenTable,
        stored: &Stored,
    ) -> Result<Option<String>, PipelineError> {
        let place = self.location(&self.rests_of(stored));
        let listed = self.lake.storage().list(&place).await;
        let listed = listed.map_err(|source| PipelineError::SettleQuarantine {
            location: stored.location.clone(),
            source: source.into(),
        })?;
        let root = format!("{}/", self.root);
        let paths: Vec<&str> = listed
            .iter()
            .filter_map(|listed| listed.location.strip_prefix(&root))
            .filter(|path| path.ends_with(".ndjson.zst"))
            .collect();
        let no_rest = mark_of(open, stored, None);
        let marks = paths.iter().map(|path| mark_of(open, stored, Some(path)));
        let marks: HashSet<Token> = marks
            .chain([no_rest, replayed_mark(open, stored)])
            .collect();
        let known = self
            .lake
            .committed(&self.name, &marks, i64::MIN, None)
            .await;
        let known = known.map_err(|source| self.failed("look into the ledger of", source))?;
        let is_rest = |path: &&str| known.contains_key(&mark_of(open, stored, Some(path)));
        let rest = paths.iter().copied().find(is_rest);
        // A receipt may be in the table by itself: committed while it was here.
        let is_replayed = known.contains_key(&replayed_mark(open, stored));
        let is_whole = stored.holds == StoredIn::Receipt && !is_replayed;
        if rest.is_none() && !is_whole && !known.contains_key(&no_rest) {
            let there = self.lake.storage().exists(&stored.location).await;
            if !matches!(there, Ok(false)) {
                return Err(PipelineError::LostRest {
                    location: stored.location.clone(),
                });
            }
            // Another replay has settled it, and the rest after it. What is here now is ours and belongs to no commit.
        }
        for path in paths.iter().filter(|path| !is_rest(path)) {
            self.delete(path).await?;
        }
        self.delete(&stored.path).await?;
        Ok(rest.map(|path| self.location(path)))
    }

    /// Where the rests of an object are, below the warehouse.
    fn rests_of(&self, stored: &Stored) -> String {
        let prefix = &self.settings.quarantine_prefix;
        let id = hash(stored.path.as_bytes());
        format!("{prefix}/{}/{}/rest-{id}", self.name, stored.day)
    }

    fn location(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }

    async fn delete(&self, path: &str) -> Result<(), PipelineError> {
        let location = self.location(path);
        let deleted = self.lake.storage().delete(&location).await;
        deleted.map_err(|source| PipelineError::SettleQuarantine {
            location,
            source: source.into(),
        })
    }
}

/// What the ledger keeps of a commit, to tell which rest belongs to it.
pub(super) fn mark_of(open: &OpenTable, stored: &Stored, rest: Option<&str>) -> Token {
    let uuid = open.table.uuid();
    match rest {
        Some(path) => Token::new(uuid, "rest", path.as_bytes()),
        None => Token::new(uuid, "no rest", stored.path.as_bytes()),
    }
}

/// What the ledger keeps of a commit beside that, to tell it from one of the receipt itself.
pub(super) fn replayed_mark(open: &OpenTable, stored: &Stored) -> Token {
    Token::new(open.table.uuid(), "replayed", stored.path.as_bytes())
}

/// The first half of a SHA-256, in hex digits.
fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let hash = Sha256::digest(bytes);
    hash[..16].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // Writing to a string cannot fail.
        hex
    })
}
