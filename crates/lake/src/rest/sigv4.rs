use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Builder as HttpClientBuilder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::sync::Mutex;

use crate::rest::call::Call;
use crate::s3_options::S3Credentials;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How long before they expire credentials are asked for anew.
const MARGIN: Duration = Duration::from_mins(1);

/// Signatures of AWS: for which service, in which region, in whose name.
#[derive(Debug, Clone)]
pub struct SigV4 {
    /// The service that checks the signatures.
    pub service: SigV4Service,
    /// Its region.
    pub region: String,
    /// Who hands out the credentials; asked again before they expire, and after the service refused them.
    pub provider: SharedCredentialsProvider,
}

impl SigV4 {
    /// Returns signatures in the name of these credentials. Nobody is asked for them yet.
    pub async fn new(service: SigV4Service, region: &str, credentials: &S3Credentials) -> Self {
        let http = HttpClientBuilder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let provider = credentials
            .provider(&Region::new(region.to_owned()), &http)
            .await;
        Self {
            service,
            region: region.to_owned(),
            provider,
        }
    }
}

/// An AWS service that speaks Iceberg's REST protocol, or stands before one that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigV4Service {
    /// The data catalog of AWS Glue.
    Glue,
    /// A table bucket of S3 Tables.
    S3Tables,
    /// A catalog behind API Gateway.
    ExecuteApi,
}

impl SigV4Service {
    /// Its name in a signature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Glue => "glue",
            Self::S3Tables => "s3tables",
            Self::ExecuteApi => "execute-api",
        }
    }
}

impl FromStr for SigV4Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Glue, Self::S3Tables, Self::ExecuteApi]
            .into_iter()
            .find(|service| service.name() == text)
            .ok_or_else(|| format!("`{text}` is not one of `glue`, `s3tables`, `execute-api`"))
    }
}

/// Signs calls, with credentials at hand.
#[derive(Debug)]
pub(crate) struct Signer {
    options: SigV4,
    at_hand: Mutex<Option<(Credentials, u64)>>,
}

impl Signer {
    pub(crate) fn new(options: SigV4) -> Self {
        Self {
            options,
            at_hand: Mutex::new(None),
        }
    }

    /// Returns the call signed, and the number of the credentials that it was signed with.
    pub(crate) async fn sign(&self, call: Call, now_ms: i64) -> Result<(Call, u64), Cause> {
        let (credentials, number) = self.credentials(now_ms).await?;
        Ok((signed(call, &self.options, &credentials, now_ms)?, number))
    }

    /// Forgets the credentials of that number.
    pub(crate) async fn forget(&self, number: u64) {
        let mut at_hand = self.at_hand.lock().await;
        if let Some((credentials, known)) = at_hand.take_if(|(_, known)| *known == number) {
            // Its number stays, so that those that follow have another.
            *at_hand = Some((expired(&credentials), known));
        }
    }

    async fn credentials(&self, now_ms: i64) -> Result<(Credentials, u64), Cause> {
        let mut at_hand = self.at_hand.lock().await;
        let number = match at_hand.as_ref() {
            Some((credentials, number)) if is_fresh(credentials, now_ms) => {
                return Ok((credentials.clone(), *number));
            }
            Some((_, number)) => number + 1,
            None => 0,
        };
        let credentials = self.options.provider.provide_credentials().await?;
        *at_hand = Some((credentials.clone(), number));
        Ok((credentials, number))
    }
}

fn is_fresh(credentials: &Credentials, now_ms: i64) -> bool {
    let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
    credentials
        .expiry()
        .is_none_or(|expiry| UNIX_EPOCH + now + MARGIN < expiry)
}

fn expired(credentials: &Credentials) -> Credentials {
    let mut credentials = credentials.clone();
    *credentials.expiry_mut() = Some(UNIX_EPOCH);
    credentials
}

/// Adds the headers of a signature. Everything that the call says is signed: method, path, query, headers, body.
///
/// The path of a URL is escaped once more for the signature, as every service but S3 wants it: `%1F` is signed as `%251F`.
fn signed(
    mut call: Call,
    options: &SigV4,
    credentials: &Credentials,
    now_ms: i64,
) -> Result<Call, Cause> {
    let identity = credentials.clone().into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&options.region)
        .name(options.service.name())
        .time(UNIX_EPOCH + now)
        .settings(settings)
        .build()?
        .into();
    let headers = call
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Bytes(&call.body);
    let request = SignableRequest::new(call.method.as_str(), call.url.as_str(), headers, body)?;
    let (instructions, _) = sign(request, &params)?.into_parts();
    let added: Vec<(String, String)> = instructions
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    call.headers.extend(added);
    Ok(call)
}
