use crate::rest::call::Call;
use crate::rest::error::RestError;
use crate::rest::http::Http;
use crate::rest::options::{RestAuth, Secret};
use crate::rest::sigv4::Signer;
use crate::rest::token::TokenSource;

/// In whose name calls are made.
#[derive(Debug)]
pub(crate) enum Authority {
    Nobody,
    Bearer(Secret),
    Tokens(TokenSource),
    Signer(Signer),
}

impl Authority {
    pub(crate) fn new(catalog_uri: &str, auth: RestAuth) -> Self {
        match auth {
            RestAuth::None => Self::Nobody,
            RestAuth::Bearer(token) => Self::Bearer(token),
            RestAuth::ClientCredentials(credentials) => {
                Self::Tokens(TokenSource::new(catalog_uri, credentials))
            }
            RestAuth::SigV4(options) => Self::Signer(Signer::new(options)),
        }
    }

    /// Returns the call with what proves who asks, and the number of that proof.
    ///
    /// # Errors
    ///
    /// [`RestError::NotSent`]: the call itself is not made here.
    pub(crate) async fn authorize(
        &self,
        http: &Http,
        call: Call,
        now_ms: i64,
    ) -> Result<(Call, u64), RestError> {
        match self {
            Self::Nobody => Ok((call, 0)),
            Self::Bearer(token) => Ok((with_token(call, token), 0)),
            Self::Tokens(source) => match source.token(http, now_ms).await {
                Ok((token, number)) => Ok((with_token(call, &token), number)),
                Err(error) => Err(RestError::NotSent {
                    request: call.name(),
                    retryable: error.retryable(),
                    source: error.into(),
                }),
            },
            Self::Signer(signer) => {
                let request = call.name();
                let answer = signer.sign(call, now_ms).await;
                answer.map_err(|source| RestError::NotSent {
                    request,
                    retryable: true,
                    source,
                })
            }
        }
    }

    /// Says whether an answer of this status may be due to a proof that is no longer good, and forgets it then.
    pub(crate) async fn forget(&self, number: u64, status: u16) -> bool {
        match self {
            Self::Tokens(source) if matches!(status, 401 | 419) => source.forget(number).await,
            // AWS answers 403 when credentials have expired, and when they never were good.
            Self::Signer(signer) if matches!(status, 401 | 403) => signer.forget(number).await,
            _ => return false,
        }
        true
    }
}

fn with_token(call: Call, token: &Secret) -> Call {
    call.with_header("authorization", &format!("Bearer {}", token.expose()))
}
