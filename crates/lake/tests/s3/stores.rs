use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::Builder;
use lake::{S3Credentials, S3Keys, S3Options, S3Storage};

/// A server of `scripts/servers.py`, and a place in its bucket that no other test uses.
pub(crate) struct Store {
    pub(crate) name: &'static str,
    pub(crate) options: S3Options,
    pub(crate) bucket: String,
    place: String,
}

impl Store {
    pub(crate) fn seaweedfs() -> Self {
        Self::new(
            "SeaweedFS",
            "CALVE_TEST_S3_ENDPOINT",
            "CALVE_TEST_S3_BUCKET",
            writer(),
        )
    }

    pub(crate) fn localstack() -> Self {
        let keys = keys(
            "CALVE_TEST_AWS_ACCESS_KEY_ID",
            "CALVE_TEST_AWS_SECRET_ACCESS_KEY",
        );
        Self::new(
            "LocalStack",
            "CALVE_TEST_LOCALSTACK_S3_ENDPOINT",
            "CALVE_TEST_LOCALSTACK_S3_BUCKET",
            keys,
        )
    }

    pub(crate) fn both() -> [Self; 2] {
        [Self::seaweedfs(), Self::localstack()]
    }

    fn new(name: &'static str, endpoint: &str, bucket: &str, keys: S3Keys) -> Self {
        Self {
            name,
            options: S3Options {
                region: Some("us-east-1".to_owned()),
                credentials: S3Credentials::Static(keys),
                ..S3Options::at(variable(endpoint))
            },
            bucket: variable(bucket),
            place: uuid::Uuid::new_v4().to_string(),
        }
    }

    pub(crate) async fn storage(&self) -> S3Storage {
        S3Storage::new(&self.options).await.unwrap()
    }

    /// The location of an object of this test.
    pub(crate) fn at(&self, key: &str) -> String {
        format!("s3://{}/{}/{key}", self.bucket, self.place)
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.options.endpoint.as_deref().unwrap()
    }

    pub(crate) fn keys(&self) -> S3Keys {
        match &self.options.credentials {
            S3Credentials::Static(keys) => keys.clone(),
            S3Credentials::Default => panic!("a store of a test has keys of its own"),
        }
    }

    /// A client for what the lake never does.
    pub(crate) fn client(&self) -> Client {
        let keys = self.keys();
        let (id, secret) = (keys.access_key_id, keys.secret_access_key);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(self.endpoint())
            .force_path_style(true)
            .http_client(Builder::new().build_http())
            .credentials_provider(Credentials::new(id, secret, None, None, "test"));
        Client::from_conf(config.build())
    }

    /// How many uploads in parts were begun for objects of this test and are not over.
    pub(crate) async fn n_open_uploads(&self) -> usize {
        let client = self.client();
        let request = client.list_multipart_uploads().bucket(&self.bucket);
        let answer = request.prefix(&self.place).send().await.unwrap();
        answer.uploads().len()
    }
}

/// Keys of SeaweedFS that may do everything.
pub(crate) fn writer() -> S3Keys {
    keys(
        "CALVE_TEST_S3_ACCESS_KEY_ID",
        "CALVE_TEST_S3_SECRET_ACCESS_KEY",
    )
}

/// Keys of SeaweedFS that may only read.
pub(crate) fn reader() -> S3Keys {
    keys(
        "CALVE_TEST_S3_READER_ACCESS_KEY_ID",
        "CALVE_TEST_S3_READER_SECRET_ACCESS_KEY",
    )
}

fn keys(id: &str, secret: &str) -> S3Keys {
    S3Keys {
        access_key_id: variable(id),
        secret_access_key: variable(secret),
        session_token: None,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the servers of a test are no setting of Calve"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `scripts/servers.py run -- cargo test … -- --ignored`")
    })
}
