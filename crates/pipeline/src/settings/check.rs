//! What the types of settings cannot say: ranges and spellings.

use flatten::ShapeError;
use toml::{Table, Value};

use super::{
    CatalogAuth, Mode, Settings, SettingsError, Warehouse,
    load::{insert, print_toml},
    reference::{KEYS, Key, Kind},
    secret::HIDDEN,
    warehouse::is_part,
};

impl Settings {
    /// Checks what the types cannot: ranges and spellings.
    fn check(&self) -> Result<(), Wrong> {
        let wrong = |key, value| Err(Wrong::new(key, value));
        if !(1..=22).contains(&self.zstd_level) {
            return wrong("zstd_level", self.zstd_level.to_string());
        }
        if !(1..=365).contains(&self.receipt_horizon_days) {
            return wrong(
                "receipt_horizon_days",
                self.receipt_horizon_days.to_string(),
            );
        }
        self.check_places()?;
        if self.commit_timeout_ms == 0 {
            return wrong("commit_timeout_ms", "0".to_owned());
        }
        for (key, size) in [
            ("target_file_bytes", self.target_file_bytes),
            ("row_group_bytes", self.row_group_bytes),
            (
                "max_payload_inflated_bytes",
                self.max_payload_inflated_bytes,
            ),
        ] {
            if size.is_empty() {
                return wrong(key, size.to_string());
            }
        }
        if self.max_payload_inflated_bytes.len() > crate::MAX_BODY_BYTES {
            return Err(Wrong {
                key: "max_payload_inflated_bytes",
                value: self.max_payload_inflated_bytes.to_string(),
                expected: Some("a size below `4 GiB`".to_owned()),
            });
        }
        if self.table.name.parse::<lake::TableName>().is_err() {
            return wrong("table.name", self.table.name.clone());
        }
        self.routes.check()?;
        for term in &self.table.partitioning {
            if let Err(error) = term.parse::<lake::PartitionTerm>() {
                let expected = Some(error.reason.to_owned());
                return Err(Wrong {
                    key: "table.partitioning",
                    value: term.clone(),
                    expected,
                });
            }
        }
        match self.table.shape.check() {
            Err(ShapeError::Value {
                key,
                value,
                expected,
            }) => {
                let field = key.strip_prefix("calve.").unwrap_or(key).replace('-', "_");
                let path = format!("table.shape.{field}");
                let key = KEYS.iter().find(|key| key.path == path);
                let key = key.map_or("table.shape.columns", |key| key.path);
                Err(Wrong {
                    key,
                    value,
                    expected: Some(expected),
                })
            }
            _ => Ok(()),
        }
    }
}

impl Settings {
    /// Checks what one setting asks of another.
    pub(crate) fn check_together(&self) -> Result<(), SettingsError> {
        let is_s3 = matches!(self.warehouse, Warehouse::S3(_));
        let (has_catalog, auth) = (self.catalog_uri.is_some(), self.catalog_auth);
        let needs = [
            (
                is_s3 && !has_catalog,
                "catalog_uri",
                "when the warehouse is in S3",
            ),
            (
                auth != CatalogAuth::None && !has_catalog,
                "catalog_uri",
                "when `catalog_auth` is",
            ),
            (
                auth == CatalogAuth::Bearer && self.catalog_token.is_none(),
                "catalog_token",
                "when `catalog_auth` is `bearer`",
            ),
            (
                auth == CatalogAuth::Oauth2 && self.catalog_credential.is_none(),
                "catalog_credential",
                "when `catalog_auth` is `oauth2`",
            ),
            (
                self.mode == Mode::Staged && self.receipt_queue_url.is_none(),
                "receipt_queue_url",
                "when `mode` is `staged`",
            ),
        ];
        let places = [
            ("receipt_bucket_prefix", Some(&self.receipt_bucket_prefix)),
            ("table.ledger_path", self.table.ledger_path.as_ref()),
        ];
        for (key, place) in places {
            if let Some(place) = place.filter(|place| place.contains("://") && !is_s3) {
                return Err(wrong_value(key, key, place));
            }
        }
        if let Some(own) = self
            .source_buckets
            .iter()
            .find(|source| self.is_own(source))
        {
            let key = "source_buckets";
            return Err(wrong_value(key, key, own));
        }
        self.check_routes()?;
        let missing = needs.into_iter().find(|(is_missing, ..)| *is_missing);
        match missing {
            None => Ok(()),
            Some((_, name, because)) => Err(SettingsError::Missing {
                name,
                because,
                expected: expected_of(name).to_owned(),
            }),
        }
    }
}

impl Settings {
    /// Whether objects of this place may be what this lake wrote itself.
    fn is_own(&self, source: &str) -> bool {
        let warehouse = match &self.warehouse {
            Warehouse::S3(location) => Some(location.as_str()),
            Warehouse::Directory(_) => None,
        };
        let receipts = Some(self.receipt_bucket_prefix.as_str());
        let places = [warehouse, receipts, self.table.ledger_path.as_deref()];
        let mut places = places.into_iter().flatten();
        places.any(|place| is_shared(place, source))
    }

    /// Refuses sources of which the table at this location may be one.
    pub(crate) fn check_sources(&self, table_location: &str) -> Result<(), SettingsError> {
        let mut sources = self.source_buckets.iter();
        match sources.find(|source| is_shared(table_location, source)) {
            Some(own) => Err(wrong_value("source_buckets", "source_buckets", own)),
            None => Ok(()),
        }
    }
}

/// Whether one of a location in S3 and a source holds the other.
fn is_shared(location: &str, source: &str) -> bool {
    let schemes = ["s3://", "s3a://", "s3n://"];
    let mut places = schemes
        .iter()
        .filter_map(|scheme| location.strip_prefix(scheme));
    places.any(|place| is_below(place, source) || is_below(source, place))
}

/// Whether the place is the other one, or lies in it.
fn is_below(place: &str, other: &str) -> bool {
    let rest = place.strip_prefix(other.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether it is a path below the warehouse, or a place in S3.
fn is_place(text: &str) -> bool {
    let below = text.strip_prefix("s3://").unwrap_or(text);
    below.split('/').all(is_part)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

impl Settings {
    /// The same for what names places: paths, URLs, and who asks there.
    fn check_places(&self) -> Result<(), Wrong> {
        if !self.warehouse.is_sound() {
            return Err(Wrong::new("warehouse", self.warehouse.to_string()));
        }
        for (key, url) in [
            ("catalog_uri", &self.catalog_uri),
            ("catalog_oauth2_uri", &self.catalog_oauth2_uri),
            ("s3_endpoint", &self.s3_endpoint),
            ("sqs_endpoint", &self.sqs_endpoint),
            ("receipt_queue_url", &self.receipt_queue_url),
        ] {
            if let Some(url) = url
                && !is_url(url)
            {
                return Err(Wrong::new(key, url.clone()));
            }
        }
        let signing_name = &self.catalog_signing_name;
        if signing_name.parse::<lake::SigV4Service>().is_err() {
            return Err(Wrong::new("catalog_signing_name", signing_name.clone()));
        }
        // A FIFO queue hands out ten messages at most, and takes none without a group.
        if let Some(url) = &self.receipt_queue_url
            && url.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo")
        {
            return Err(Wrong::new("receipt_queue_url", url.clone()));
        }
        if let Some(credential) = &self.catalog_credential
            && !credential.expose().contains(':')
        {
            return Err(Wrong::new("catalog_credential", HIDDEN.to_owned()));
        }
        for source in &self.source_buckets {
            let place = source.strip_suffix('/').unwrap_or(source);
            if source.contains("://") || !place.split('/').all(is_part) {
                return Err(Wrong::new("source_buckets", source.clone()));
            }
        }
        for (key, place) in [
            ("receipt_bucket_prefix", Some(&self.receipt_bucket_prefix)),
            ("table.ledger_path", self.table.ledger_path.as_ref()),
        ] {
            if let Some(place) = place.filter(|place| !is_place(place)) {
                return Err(Wrong::new(key, place.clone()));
            }
        }
        if !self.quarantine_prefix.split('/').all(is_part) {
            return Err(Wrong::new(
                "quarantine_prefix",
                self.quarantine_prefix.clone(),
            ));
        }
        Ok(())
    }
}

/// A value of the right type that is wrong nevertheless.
pub(super) struct Wrong {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) expected: Option<String>,
}

impl Wrong {
    pub(super) fn new(key: &'static str, value: String) -> Self {
        Self {
            key,
            value,
            expected: None,
        }
    }
}

/// Reads one value as if it were the only one set, so that the error can name it.
pub(super) fn check_alone(key: &Key, value: &Value, name: &str) -> Result<(), SettingsError> {
    let mut alone = Table::new();
    insert(&mut alone, key.path, value.clone());
    let settings: Result<Settings, _> = Value::Table(alone).try_into();
    let settings = settings.map_err(|_| wrong(key, name, &print_toml(value)))?;
    settings.check().map_err(|wrong| SettingsError::Value {
        name: name.to_owned(),
        value: wrong.value,
        expected: wrong
            .expected
            .unwrap_or_else(|| expected_of(wrong.key).to_owned()),
    })
}

pub(super) fn expected_of(path: &str) -> &'static str {
    KEYS.iter()
        .find(|key| key.path == path)
        .map_or("", |key| key.expected)
}

pub(super) fn wrong(key: &Key, name: &str, value: &str) -> SettingsError {
    let value = if key.kind == Kind::Secret {
        HIDDEN
    } else {
        value
    };
    wrong_value(key.path, name, value)
}

/// The error of the setting at this path, which the reader knows by this name.
pub(super) fn wrong_value(path: &str, name: &str, value: &str) -> SettingsError {
    SettingsError::Value {
        name: name.to_owned(),
        value: value.to_owned(),
        expected: expected_of(path).to_owned(),
    }
}
