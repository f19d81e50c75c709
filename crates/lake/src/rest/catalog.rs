use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::{TableRequirement, TableUpdate};

use crate::access::StorageAccess;
use crate::catalog::{Catalog, CatalogError, CommitError, Committed, NewTable, TableState};
use crate::name::TableName;
use crate::rest::call::Call;
use crate::rest::client::{RestClient, parsed};
use crate::rest::error::RestError;
use crate::rest::namespaces;
use crate::rest::options::{RestAuth, RestOptions};
use crate::rest::sigv4::SigV4Service;
use crate::rest::wire::{
    CommitTable, CommittedTable, CreateTable, Identifier, LoadedMetadata, LoadedTable,
};

/// A catalog that speaks Iceberg's REST protocol: Polaris, Lakekeeper, Nessie, AWS Glue, S3 Tables and others.
///
/// What changes something is sent once. Whether it happened when no answer came is for the caller to find out.
#[derive(Debug)]
pub struct RestCatalog {
    client: RestClient,
    vended_credentials: bool,
    /// What the catalog is of AWS's, which differ from others.
    service: Option<SigV4Service>,
}

impl RestCatalog {
    /// Returns the catalog. It is not asked anything yet.
    ///
    /// # Errors
    ///
    /// [`RestError::Options`] when its URL is none, or a header or a certificate cannot be used.
    pub fn new(options: RestOptions) -> Result<Self, RestError> {
        let vended_credentials = options.vended_credentials;
        let service = match &options.auth {
            RestAuth::SigV4(sigv4) => Some(sigv4.service),
            _ => None,
        };
        Ok(Self {
            client: RestClient::new(options)?,
            vended_credentials,
            service,
        })
    }

    async fn try_load(&self, name: &TableName) -> Result<Option<TableState>, RestError> {
        let server = self.client.server().await?;
        let call = Call::get(server.table(name.namespace(), name.name()));
        match self.client.read(self.delegating(call)).await {
            Ok(loaded) => Ok(Some(self.state(loaded))),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the table; nothing when there is one of that name.
    async fn try_create(
        &self,
        name: &TableName,
        table: &NewTable,
    ) -> Result<Option<TableState>, RestError> {
        let server = self.client.server().await?;
        // Some catalogs answer with the table that is there, as if they had made it.
        if self.try_load(name).await?.is_some() {
            return Ok(None);
        }
        let mut properties = table.properties.clone();
        properties.insert("format-version".to_owned(), "2".to_owned());
        let body = CreateTable {
            name: name.name(),
            location: self.location(name).await?,
            schema: &table.schema,
            partition_spec: &table.partitioning,
            stage_create: false,
            properties,
        };
        let call = self.delegating(Call::post(server.tables(name.namespace()), &body)?);
        let mut answer = self.client.change(call.clone()).await;
        if matches!(&answer, Err(error) if error.is_absent()) {
            // There is no such namespace, so nothing was made.
            namespaces::make(&self.client, name.namespace()).await?;
            answer = self.client.change(call.clone()).await;
        }
        let answer = match answer {
            Err(error) if error.status() == Some(409) => return Ok(None),
            answer => answer?,
        };
        Ok(Some(self.state(parsed(&call, &answer)?)))
    }

    /// Where a new table is to lie: below its namespace in Glue, which wants to be told; the others find a place, and S3
    /// Tables refuses to be told.
    async fn location(&self, name: &TableName) -> Result<Option<String>, RestError> {
        if self.service != Some(SigV4Service::Glue) {
            return Ok(None);
        }
        let parent = namespaces::location(&self.client, name.namespace()).await?;
        Ok(parent.map(|parent| format!("{}/{}", parent.trim_end_matches('/'), name.name())))
    }

    async fn try_commit(
        &self,
        name: &TableName,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<Committed, RestError> {
        let server = self.client.server().await?;
        let body = CommitTable {
            identifier: Identifier {
                namespace: name.namespace().to_vec(),
                name: name.name().to_owned(),
            },
            requirements,
            updates,
        };
        let call = Call::post(server.table(name.namespace(), name.name()), &body)?;
        let answer = self.client.change(call.clone()).await?;
        let committed: CommittedTable = parsed(&call, &answer)?;
        check_uuid(&committed, requirements).map_err(|source| RestError::Unreadable {
            request: call.name(),
            source,
        })?;
        Ok(Committed::unread(committed.metadata_location, answer))
    }

    async fn try_drop(&self, name: &TableName) -> Result<bool, RestError> {
        let server = self.client.server().await?;
        let call = Call::delete(server.table(name.namespace(), name.name()));
        // S3 Tables drops nothing whose files are to stay; others keep them.
        let is_purged = self.service == Some(SigV4Service::S3Tables);
        let call = call.with_query("purgeRequested", &is_purged.to_string());
        match self.client.change(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn delegating(&self, call: Call) -> Call {
        if self.vended_credentials {
            call.with_header("x-iceberg-access-delegation", "vended-credentials")
        } else {
            call
        }
    }

    fn state(&self, loaded: LoadedTable) -> TableState {
        let access = if self.vended_credentials {
            access(&loaded)
        } else {
            StorageAccess::default()
        };
        let LoadedMetadata {
            metadata,
            references,
        } = loaded.metadata;
        TableState::new(Arc::new(metadata), loaded.metadata_location, access)
            .with_references(Arc::new(references))
    }

    fn unavailable(&self, operation: &'static str) -> impl Fn(RestError) -> CatalogError {
        move |error| error.of_operation(self.client.uri(), operation)
    }
}

#[async_trait]
impl Catalog for RestCatalog {
    async fn load(&self, name: &TableName) -> Result<Option<TableState>, CatalogError> {
        let loaded = self.try_load(name).await;
        loaded.map_err(self.unavailable("load the table"))
    }

    async fn create(&self, name: &TableName, table: NewTable) -> Result<TableState, CatalogError> {
        let created = self.try_create(name, &table).await;
        let created = created.map_err(self.unavailable("create the table"))?;
        created.ok_or_else(|| CatalogError::AlreadyExists {
            table: name.clone(),
        })
    }

    async fn commit(
        &self,
        name: &TableName,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Committed, CommitError> {
        let committed = self.try_commit(name, &requirements, &updates).await;
        committed.map_err(RestError::of_commit)
    }

    async fn list(&self) -> Result<Vec<TableName>, CatalogError> {
        let tables = namespaces::all_tables(&self.client).await;
        let tables = tables.map_err(self.unavailable("list the tables"))?;
        Ok(tables.into_iter().collect())
    }

    async fn drop_table(&self, name: &TableName) -> Result<bool, CatalogError> {
        let dropped = self.try_drop(name).await;
        dropped.map_err(self.unavailable("drop the table"))
    }
}

/// Says whether the answer is about the table that the commit asserted.
fn check_uuid(
    committed: &CommittedTable,
    requirements: &[TableRequirement],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let found = committed.metadata.table_uuid;
    for requirement in requirements {
        if let TableRequirement::UuidMatch { uuid } = requirement
            && *uuid != found
        {
            return Err(format!("it is about the table {found}, not {uuid}").into());
        }
    }
    Ok(())
}

/// What the catalog gives out for the table's objects: of its credentials those for the longest part of their locations.
fn access(loaded: &LoadedTable) -> StorageAccess {
    let mut properties = loaded.config.clone().unwrap_or_default();
    let location = loaded.metadata.metadata.location();
    let credentials = loaded.storage_credentials.as_deref().unwrap_or_default();
    let matching = credentials
        .iter()
        .filter(|credential| location.starts_with(&credential.prefix));
    if let Some(nearest) = matching.max_by_key(|credential| credential.prefix.len()) {
        properties.extend(nearest.config.clone());
    }
    StorageAccess::new(properties.into_iter().collect::<HashMap<_, _>>())
}
