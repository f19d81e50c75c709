use std::fmt;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Credentials, RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider,
    SharedHttpClient,
};
use aws_smithy_http_client::Builder as HttpClientBuilder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::storage::StorageError;

/// S3 allows no smaller part, but for the last.
const MIN_PART_BYTES: u64 = 5 << 20;

/// The first wait before a request is sent again is a random share of this; each further one of twice as much.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a machine of EC2 may take to hand out its credentials. Elsewhere nobody answers, and nobody should wait.
const EC2_METADATA_TIMEOUT: Duration = Duration::from_millis(500);

/// Where S3 is, who asks, and how patiently.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The URL of what speaks S3; without one AWS, or what `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` names.
    pub endpoint: Option<String>,
    /// The region of the buckets; without one, that of `AWS_REGION` or of the AWS profile. With an endpoint it may be
    /// missing there too: `us-east-1` then.
    pub region: Option<String>,
    /// Whether the bucket stands in the path of a request, as most stores other than AWS want it, or in the host name.
    pub path_style: bool,
    /// Who asks.
    pub credentials: S3Credentials,
    /// How long to wait for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long one attempt may take, in milliseconds: a request with its body and the head of its answer. Also how long
    /// a body may stand still.
    pub attempt_timeout_ms: u64,
    /// How often a request is sent at most. The waits between are random and grow.
    pub max_attempts: u32,
    /// Objects of more bytes are sent in parts.
    pub multipart_bytes: u64,
    /// The size of a part in bytes, at least 5 MiB. It grows where the object would have more than 10,000 parts.
    pub part_bytes: u64,
    /// How many parts of one object are under way at once.
    pub max_concurrent_parts: usize,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            path_style: false,
            credentials: S3Credentials::Default,
            connect_timeout_ms: 3_000,
            attempt_timeout_ms: 30_000,
            max_attempts: 5,
            multipart_bytes: 16 << 20,
            part_bytes: 8 << 20,
            max_concurrent_parts: 4,
        }
    }
}

impl S3Options {
    /// Returns the options for a store other than AWS.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: Some(endpoint.into()),
            path_style: true,
            ..Self::default()
        }
    }

    /// The bounds on sending an object in parts.
    pub(crate) fn parts(&self) -> PartOptions {
        PartOptions {
            multipart_bytes: self.multipart_bytes,
            part_bytes: self.part_bytes.max(MIN_PART_BYTES),
            max_concurrent: self.max_concurrent_parts.max(1),
        }
    }

    /// Makes the client: the only one that a process needs.
    ///
    /// # Errors
    ///
    /// When the endpoint is no URL, or nothing names a region.
    pub(crate) async fn connect(&self) -> Result<Client, StorageError> {
        let config = aws_sdk_s3::config::Builder::from(&self.sdk_config().await?)
            .force_path_style(self.path_style)
            .build();
        Ok(Client::from_conf(config))
    }

    /// Returns what any client of AWS is made from: endpoint, region, credentials, connections, patience.
    ///
    /// # Errors
    ///
    /// When the endpoint is no URL, or nothing names a region.
    pub async fn sdk_config(&self) -> Result<SdkConfig, StorageError> {
        self.check_endpoint()?;
        let region = self.find_region().await?;
        let http = HttpClientBuilder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let credentials = self.credentials.provider(&region, &http).await;
        let attempt = Duration::from_millis(self.attempt_timeout_ms);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region)
            .http_client(http)
            .credentials_provider(credentials)
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(self.max_attempts.max(1))
                    .with_initial_backoff(FIRST_WAIT)
                    .with_max_backoff(LONGEST_WAIT),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_millis(self.connect_timeout_ms))
                    .operation_attempt_timeout(attempt)
                    .build(),
            )
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled()
                    .grace_period(attempt)
                    .build(),
            )
            // Many stores other than AWS refuse the checksums that the SDK would add by itself. What is sent is signed
            // with its SHA-256 all the same.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Ok(loader.load().await)
    }

    fn check_endpoint(&self) -> Result<(), StorageError> {
        match &self.endpoint {
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                Err(StorageError::Open {
                    store: url.clone(),
                    source: "its endpoint begins with neither `http://` nor `https://`".into(),
                })
            }
            _ => Ok(()),
        }
    }

    async fn find_region(&self) -> Result<Region, StorageError> {
        let given = self.region.clone().map(Region::new);
        let fallback = self.endpoint.as_ref().map(|_| Region::new("us-east-1"));
        // Without the metadata of EC2, which the SDK would ask too: elsewhere that costs seconds.
        let chain = RegionProviderChain::first_try(given)
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(fallback);
        chain.region().await.ok_or_else(|| StorageError::Open {
            store: "S3".to_owned(),
            source: "no region is set, neither here nor as `AWS_REGION` nor in an AWS profile"
                .into(),
        })
    }
}

/// The bounds on sending an object in parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartOptions {
    /// Objects of more bytes are sent in parts.
    pub(crate) multipart_bytes: u64,
    /// The size of a part, in bytes.
    pub(crate) part_bytes: u64,
    /// How many parts are under way at once.
    pub(crate) max_concurrent: usize,
}

/// Who asks S3.
#[derive(Debug, Clone)]
pub enum S3Credentials {
    /// Whoever AWS's usual chain finds: the environment (Lambda's session token is there), an AWS profile, a web
    /// identity, a container's role, and last the role of an EC2 machine. Renewed before they expire.
    Default,
    /// These.
    Static(S3Keys),
}

impl S3Credentials {
    /// Whoever hands these out. Nobody is asked yet.
    pub(crate) async fn provider(
        &self,
        region: &Region,
        http: &SharedHttpClient,
    ) -> SharedCredentialsProvider {
        if let Self::Static(keys) = self {
            return keys.provider();
        }
        let config = ProviderConfig::without_region()
            .with_region(Some(region.clone()))
            .with_http_client(http.clone());
        let ec2 = imds::Client::builder()
            .configure(&config)
            .max_attempts(1)
            .connect_timeout(EC2_METADATA_TIMEOUT)
            .read_timeout(EC2_METADATA_TIMEOUT)
            .build();
        let chain = DefaultCredentialsChain::builder()
            .configure(config)
            .region(region.clone())
            .imds_client(ec2);
        SharedCredentialsProvider::new(chain.build().await)
    }
}

/// An access key. Printing it shows the id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Keys {
    /// The access key's id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// What temporary keys need besides.
    pub session_token: Option<String>,
}

impl S3Keys {
    pub(crate) fn provider(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Credentials::new(
            &self.access_key_id,
            &self.secret_access_key,
            self.session_token.clone(),
            None,
            "calve",
        ))
    }
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Keys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_options_hold_no_secret() {
        let options = S3Options {
            credentials: S3Credentials::Static(S3Keys {
                access_key_id: "public".to_owned(),
                secret_access_key: "hidden-key".to_owned(),
                session_token: Some("hidden-token".to_owned()),
            }),
            ..S3Options::default()
        };
        let printed = format!("{options:?}");
        assert!(printed.contains("public") && !printed.contains("hidden"));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_no_url_is_refused_by_name() {
        let error = S3Options::at("localhost:9000").connect().await.unwrap_err();
        assert_eq!(error.to_string(), "cannot use `localhost:9000`");
        assert!(!error.retryable());
    }
}
