use std::collections::HashMap;

use iceberg::spec::{Schema, TableMetadata, UnboundPartitionSpec};
use iceberg::{TableRequirement, TableUpdate};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::references::References;

/// What `GET /v1/config` answers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Config {
    #[serde(default)]
    pub(crate) defaults: HashMap<String, Option<String>>,
    #[serde(default)]
    pub(crate) overrides: HashMap<String, Option<String>>,
    /// How long an idempotency key may be used, as an ISO 8601 duration; absent where the server knows none.
    pub(crate) idempotency_key_lifetime: Option<String>,
}

/// What loading and creating a table answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LoadedTable {
    pub(crate) metadata_location: String,
    pub(crate) metadata: LoadedMetadata,
    pub(crate) config: Option<HashMap<String, String>>,
    pub(crate) storage_credentials: Option<Vec<StorageCredential>>,
}

/// A table's metadata, with its branches and tags, which [`TableMetadata`] shows to nobody.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Box<RawValue>")]
pub(crate) struct LoadedMetadata {
    pub(crate) metadata: TableMetadata,
    pub(crate) references: References,
}

impl TryFrom<Box<RawValue>> for LoadedMetadata {
    type Error = serde_json::Error;

    fn try_from(json: Box<RawValue>) -> Result<Self, Self::Error> {
        Ok(Self {
            metadata: serde_json::from_str(json.get())?,
            references: References::in_json(json.get().as_bytes())?,
        })
    }
}

/// Credentials for the objects whose locations begin with the prefix.
#[derive(Debug, Deserialize)]
pub(crate) struct StorageCredential {
    pub(crate) prefix: String,
    pub(crate) config: HashMap<String, String>,
}

/// What a commit answers, as much as has to be known at once.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CommittedTable {
    pub(crate) metadata_location: String,
    pub(crate) metadata: CommittedMetadata,
}

/// Tells a table's metadata from anything else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CommittedMetadata {
    pub(crate) table_uuid: Uuid,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CreateTable<'a> {
    pub(crate) name: &'a str,
    /// None: where the catalog likes it best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    pub(crate) schema: &'a Schema,
    pub(crate) partition_spec: &'a UnboundPartitionSpec,
    pub(crate) stage_create: bool,
    pub(crate) properties: HashMap<String, String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CommitTable<'a> {
    pub(crate) identifier: Identifier,
    pub(crate) requirements: &'a [TableRequirement],
    pub(crate) updates: &'a [TableUpdate],
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identifier {
    pub(crate) namespace: Vec<String>,
    pub(crate) name: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct CreateNamespace<'a> {
    pub(crate) namespace: &'a [String],
    pub(crate) properties: HashMap<String, String>,
}

/// What loading a namespace answers.
#[derive(Debug, Deserialize)]
pub(crate) struct LoadedNamespace {
    /// Null where the catalog keeps none.
    pub(crate) properties: Option<HashMap<String, String>>,
}

/// One page of namespaces.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Namespaces {
    #[serde(default)]
    pub(crate) namespaces: Vec<Vec<String>>,
    pub(crate) next_page_token: Option<String>,
}

/// One page of tables.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Tables {
    #[serde(default)]
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) next_page_token: Option<String>,
}

/// What a token endpoint answers.
#[derive(Deserialize)]
pub(crate) struct GrantedToken {
    pub(crate) access_token: String,
    /// How long it is good for, in seconds.
    pub(crate) expires_in: Option<u64>,
}

/// What a catalog says when it does not do what it was asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: RefusalText,
    pub(crate) error_description: Option<String>,
}

/// Catalogs send an object. Token endpoints send a word, and perhaps a sentence beside it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum RefusalText {
    Catalog {
        message: Option<String>,
        r#type: Option<String>,
    },
    Word(String),
}
