use std::error::Error as StdError;

use crate::catalog::{CatalogError, CommitError};

type Cause = Box<dyn StdError + Send + Sync>;

/// What came of a request to a REST catalog that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// The options are not usable.
    #[error("`{uri}` cannot be used as a REST catalog")]
    Options {
        /// The catalog.
        uri: String,
        /// What is wrong.
        source: Cause,
    },
    /// It was never sent, so nothing was changed.
    #[error("{request} was not sent")]
    NotSent {
        /// Method and URL.
        request: String,
        /// Whether it may be sent later.
        retryable: bool,
        /// The cause.
        source: Cause,
    },
    /// There was no answer, or not all of one.
    #[error("{request} got no answer")]
    NoAnswer {
        /// Method and URL.
        request: String,
        /// The cause.
        source: Cause,
    },
    /// The answer says no.
    #[error("{request} was answered with {status}: {message}")]
    Answer {
        /// Method and URL.
        request: String,
        /// The HTTP status.
        status: u16,
        /// What the catalog says itself.
        message: String,
        /// Whether the answer is one that the protocol of Iceberg's REST catalogs knows, and not some proxy's.
        by_catalog: bool,
        /// How long the catalog asks to be left alone, in seconds.
        retry_after_s: Option<u64>,
        /// Whether the same request may succeed later.
        retryable: bool,
    },
    /// The answer says yes and cannot be understood.
    #[error("{request} got an answer that cannot be read")]
    Unreadable {
        /// Method and URL.
        request: String,
        /// What is wrong with it.
        source: Cause,
    },
}

impl RestError {
    /// Says whether the same request may succeed later without anybody's help.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Options { .. } => false,
            Self::NotSent { retryable, .. } | Self::Answer { retryable, .. } => *retryable,
            Self::NoAnswer { .. } | Self::Unreadable { .. } => true,
        }
    }

    /// The next step for a person, where there is one to name.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoAnswer { .. } => {
                Some("see that the catalog runs and can be reached from here at this URL")
            }
            Self::Answer { status: 401, .. } => {
                Some("see that the catalog's credentials are set and have not expired")
            }
            Self::Answer { status: 403, .. } => {
                Some("see what the catalog allows these credentials to do")
            }
            Self::Answer {
                status: 301..=308, ..
            } => Some("name the URL that the catalog is really at: redirections are not followed"),
            Self::Answer {
                by_catalog: false,
                status: 404 | 405,
                ..
            } => Some("see that the URL is that of an Iceberg REST catalog, and the warehouse its"),
            _ => None,
        }
    }

    /// The same error, of a request that may succeed later after all.
    pub(crate) fn made_retryable(mut self) -> Self {
        if let Self::Answer { retryable, .. } = &mut self {
            *retryable = true;
        }
        self
    }

    /// The HTTP status, where there was an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the catalog itself says that there is no such thing.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(
            self,
            Self::Answer {
                status: 404,
                by_catalog: true,
                ..
            }
        )
    }

    /// What it means for a commit. Only answers that rule it out do not leave it open whether it happened.
    pub(crate) fn of_commit(self) -> CommitError {
        let status = self.status();
        let source = Box::new(self);
        match (status, source.as_ref()) {
            (_, Self::NotSent { .. } | Self::Options { .. }) => CommitError::Refused { source },
            (Some(409), _) => CommitError::Conflict { source },
            (Some(status @ 300..500), _) if !is_passing(status) => CommitError::Refused { source },
            _ => CommitError::Unknown { source },
        }
    }

    /// What it means for anything else.
    pub(crate) fn of_operation(self, catalog: &str, operation: &'static str) -> CatalogError {
        CatalogError::Unavailable {
            catalog: catalog.to_owned(),
            operation,
            retryable: self.retryable(),
            source: Box::new(self),
        }
    }
}

/// Whether this status passes by itself: too early, too many, too late, or a server in trouble.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> RestError {
        RestError::Answer {
            request: "POST https://catalog.example/v1/x".to_owned(),
            status,
            message: "no".to_owned(),
            by_catalog: true,
            retry_after_s: None,
            retryable: is_passing(status),
        }
    }

    #[test]
    fn only_an_answer_that_rules_a_commit_out_is_a_refusal() {
        for (status, expected) in [
            (301, "refuses"),
            (400, "refuses"),
            (401, "refuses"),
            (403, "refuses"),
            (404, "refuses"),
            (408, "unknown"),
            (409, "another writer"),
            (429, "unknown"),
            (500, "unknown"),
            (502, "unknown"),
            (503, "unknown"),
            (504, "unknown"),
        ] {
            let text = answer(status).of_commit().to_string();
            assert!(text.contains(expected), "{status}: {text}");
        }
    }
}
