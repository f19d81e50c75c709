use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

type Cause = Box<dyn StdError + Send + Sync>;

/// What S3 answered when it did not do it, or why it could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct S3Error {
    text: String,
    /// S3's own word for it, such as `AccessDenied`.
    code: String,
    retryable: bool,
    source: Option<Cause>,
}

impl S3Error {
    /// Says what is the matter in the words of this crate.
    pub(crate) fn new(text: &str, retryable: bool) -> Self {
        Self {
            text: text.to_owned(),
            code: String::new(),
            retryable,
            source: None,
        }
    }

    /// A body that ended too early, or a connection that did.
    pub(crate) fn cut_off(source: impl Into<Cause>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new("the answer broke off", true)
        }
    }

    /// Takes what is worth telling from the SDK's error.
    pub(crate) fn of<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        let request = error.request_id().map(str::to_owned);
        match error {
            SdkError::ServiceError(service) => {
                let error = service.err();
                let code = error.code().filter(|code| !code.is_empty());
                Self::answered(code, error.message(), status, request.as_deref())
            }
            SdkError::TimeoutError(_) => Self {
                source: error.into_source().ok(),
                ..Self::new("no answer in time", true)
            },
            SdkError::DispatchFailure(_) => {
                Self::not_asked(error.into_source().ok(), "the connection failed", true)
            }
            SdkError::ConstructionFailure(_) => Self::not_asked(
                error.into_source().ok(),
                "the request cannot be made",
                false,
            ),
            _ => Self {
                source: error.into_source().ok(),
                ..Self::new("the answer could not be understood", true)
            },
        }
    }

    fn answered(
        code: Option<&str>,
        message: Option<&str>,
        status: Option<u16>,
        request: Option<&str>,
    ) -> Self {
        let status = status.unwrap_or_default();
        // The answer to HEAD has no body, so no code either.
        let code = code.unwrap_or(match status {
            403 => "AccessDenied",
            404 => "NotFound",
            412 => "PreconditionFailed",
            416 => "InvalidRange",
            _ => "error",
        });
        let message = message.map_or_else(String::new, |message| format!(": {message}"));
        let request = request.map_or_else(String::new, |id| format!(", request {id}"));
        Self {
            text: format!("{code}{message} (status {status}{request})"),
            code: code.to_owned(),
            retryable: retryable(code, status),
            source: None,
        }
    }

    /// The request was never sent, or its answer never came; for want of credentials, or else as given.
    fn not_asked(source: Option<Cause>, otherwise: &'static str, retryable: bool) -> Self {
        let reason = source.as_deref().and_then(find_credentials_error);
        let (text, code, retryable) = match reason {
            None => (otherwise, "", retryable),
            Some(CredentialsError::CredentialsNotLoaded(_)) => {
                ("no AWS credentials were found", NO_CREDENTIALS, false)
            }
            Some(CredentialsError::InvalidConfiguration(_)) => (
                "the AWS credentials are set up wrongly",
                NO_CREDENTIALS,
                false,
            ),
            Some(_) => (
                "the AWS credentials could not be fetched",
                NO_CREDENTIALS,
                true,
            ),
        };
        Self {
            text: text.to_owned(),
            code: code.to_owned(),
            retryable,
            source,
        }
    }

    /// Says whether the same call may succeed later without anybody's help.
    pub fn retryable(&self) -> bool {
        self.retryable
    }

    /// The next step for a person, where there is one to name.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "NoSuchBucket" => "make the bucket, or name another one",
            "AccessDenied" => {
                "let these credentials get, put, list and delete objects of the bucket"
            }
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" => {
                "see that the access key, its secret and the session token belong together and to this store"
            }
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => "name the bucket's own region",
            NO_CREDENTIALS => {
                "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE`"
            }
            _ => return None,
        })
    }

    /// The object is not there, though its bucket may be.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.code.as_str(), "NoSuchKey" | "NotFound")
    }

    /// The store itself says that there is no such object, not somebody on the way to it.
    pub(crate) fn is_no_key(&self) -> bool {
        self.code == "NoSuchKey"
    }

    /// There is no such version of the object. Some stores say so of an id that they cannot have given.
    pub(crate) fn is_no_version(&self) -> bool {
        self.code == "NoSuchVersion"
    }

    /// The range begins behind the end of the object.
    pub(crate) fn is_past_end(&self) -> bool {
        self.code == "InvalidRange"
    }

    /// The name is taken, or the object is another one than was asked for.
    pub(crate) fn is_taken(&self) -> bool {
        self.code == "PreconditionFailed"
    }

    /// The upload in parts is over, or never was.
    pub(crate) fn is_upload_gone(&self) -> bool {
        self.code == "NoSuchUpload"
    }

    /// Another request for the same name was under way; this one was not carried out.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ConditionalRequestConflict" | "OperationAborted"
        )
    }
}

const NO_CREDENTIALS: &str = "NoCredentials";

fn retryable(code: &str, status: u16) -> bool {
    match code {
        "ConditionalRequestConflict" | "OperationAborted" | "NoSuchUpload" | "RequestTimeout"
        | "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded"
        // Whoever gave out these credentials gives out new ones.
        | "ExpiredToken" | "ExpiredTokenException" => true,
        _ => matches!(status, 408 | 429 | 500 | 502..=599),
    }
}

fn find_credentials_error<'a>(
    error: &'a (dyn StdError + Send + Sync + 'static),
) -> Option<&'a CredentialsError> {
    let first: &'a (dyn StdError + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |&error| error.source());
    causes.find_map(<dyn StdError>::downcast_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_by_itself_is_retryable_and_nothing_else() {
        let check = |code: Option<&str>, status, expected| {
            let error = S3Error::answered(code, None, Some(status), None);
            assert_eq!(error.retryable(), expected, "{error}");
        };
        check(Some("SlowDown"), 503, true);
        check(Some("InternalError"), 500, true);
        check(None, 502, true);
        check(None, 429, true);
        check(Some("RequestTimeout"), 400, true);
        check(Some("ExpiredToken"), 400, true);
        check(Some("ConditionalRequestConflict"), 409, true);
        check(Some("AccessDenied"), 403, false);
        check(None, 403, false);
        check(Some("InvalidAccessKeyId"), 403, false);
        check(Some("NoSuchBucket"), 404, false);
        check(Some("PermanentRedirect"), 301, false);
        check(Some("NotImplemented"), 501, false);
        check(Some("EntityTooLarge"), 400, false);
    }

    #[test]
    fn an_answer_is_told_with_code_message_status_and_request() {
        let error = S3Error::answered(
            Some("AccessDenied"),
            Some("not yours"),
            Some(403),
            Some("AB12"),
        );
        assert_eq!(
            error.to_string(),
            "AccessDenied: not yours (status 403, request AB12)"
        );
        assert_eq!(
            S3Error::answered(None, None, Some(403), None).to_string(),
            "AccessDenied (status 403)"
        );
    }
}
