//! Signatures of AWS for requests over HTTP: a Function URL with IAM auth takes no others.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use reqwest::Url;
use tokio::sync::Mutex;

use crate::args::{Args, Service};
use crate::carrier::sdk_config;
use crate::clock;

type Cause = Box<dyn Error + Send + Sync>;

/// How long before they expire credentials are asked for anew.
const MARGIN: Duration = Duration::from_mins(1);

/// Signs requests for one service, with credentials at hand.
#[derive(Debug)]
pub(super) struct Signer {
    service: Service,
    region: String,
    provider: SharedCredentialsProvider,
    at_hand: Mutex<Option<Credentials>>,
}

impl Signer {
    /// Nothing when requests are not to be signed.
    ///
    /// # Errors
    ///
    /// When nobody names the region, or has credentials.
    pub(super) async fn open(args: &Args, url: &Url) -> Result<Option<Self>, Cause> {
        let Some(service) = args.sign else {
            return Ok(None);
        };
        let config = sdk_config(args, None).await;
        let region = region_of(url.host_str().unwrap_or_default())
            .or_else(|| config.region().map(ToString::to_string))
            .ok_or("`--sign` needs a region, which the URL does not name\nhint: set AWS_REGION")?;
        let signer = Self {
            service,
            region,
            provider: config
                .credentials_provider()
                .ok_or("`--sign` needs credentials of AWS")?,
            at_hand: Mutex::new(None),
        };
        // Asked for now, so that a run without credentials ends before it begins.
        signer.credentials(now()).await?;
        Ok(Some(signer))
    }

    /// The headers that a POST of this body needs beside those given. Everything that is sent is signed.
    pub(super) async fn sign(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<Vec<(&'static str, String)>, Cause> {
        let now = now();
        let identity = self.credentials(now).await?.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service.name())
            .time(now)
            .settings(settings)
            .build()?
            .into();
        let given = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let request = SignableRequest::new("POST", url.as_str(), given, SignableBody::Bytes(body))?;
        let (signature, _) = sign(request, &params)?.into_parts();
        let (added, _) = signature.into_parts();
        let added = added.into_iter();
        Ok(added
            .map(|header| (header.name(), header.value().to_owned()))
            .collect())
    }

    async fn credentials(&self, now: SystemTime) -> Result<Credentials, Cause> {
        let mut at_hand = self.at_hand.lock().await;
        let is_fresh = |credentials: &&Credentials| {
            let expiry = credentials.expiry();
            expiry.is_none_or(|expiry| now + MARGIN < expiry)
        };
        if let Some(credentials) = at_hand.as_ref().filter(is_fresh) {
            return Ok(credentials.clone());
        }
        let credentials = self.provider.provide_credentials().await?;
        Ok(at_hand.insert(credentials).clone())
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(clock::now_ms()).unwrap_or_default())
}

/// The region that a host of AWS, or of what plays it, names.
fn region_of(host: &str) -> Option<String> {
    let mut labels = host.split('.');
    labels.find(|label| matches!(*label, "lambda-url" | "lambda" | "execute-api"))?;
    // Behind it a region has hyphens; a domain of one's own may well be `lambda.example.com`.
    labels
        .next()
        .filter(|label| label.contains('-') && labels.next().is_some())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_host() {
        for (host, region) in [
            ("abc.lambda-url.eu-central-1.on.aws", Some("eu-central-1")),
            ("abc.lambda-url.us-east-1.localhost", Some("us-east-1")),
            ("lambda.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            (
                "a1b2.execute-api.eu-west-1.amazonaws.com",
                Some("eu-west-1"),
            ),
            ("lambda.example.com", None),
            ("events.example.com", None),
            ("127.0.0.1", None),
            ("lambda-url", None),
        ] {
            assert_eq!(region_of(host).as_deref(), region, "{host}");
        }
    }
}
