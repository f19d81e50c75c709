//! The lake that the settings name: the one place where catalog and storage are chosen.

use std::{path::Path, sync::Arc};

use lake::{
    ClientCredentials, Clock, Lake, LakeError, LocalStorage, RestAuth, RestCatalog, RestOptions,
    S3Credentials, S3Options, S3Storage, Secret, SigV4, SigV4Service, Storage,
};

use crate::{
    PipelineError, Settings,
    objects::ObjectReader,
    settings::{CatalogAuth, Warehouse},
};

/// Opens the lake of the settings: a directory with its SQLite catalog, made when absent, or tables of a REST catalog.
///
/// # Errors
///
/// When the directory cannot be made or written to, or when an endpoint, region or catalog cannot be used.
pub async fn open_lake(settings: &Settings) -> Result<Lake, PipelineError> {
    open(settings, Lake::embedded).await
}

/// The same to look at tables: makes nothing, and works on a directory that may not be written to.
///
/// # Errors
///
/// When there is no warehouse, too.
pub async fn open_lake_to_read(settings: &Settings) -> Result<Lake, PipelineError> {
    open(settings, Lake::embedded_to_read).await
}

async fn open(
    settings: &Settings,
    embedded: impl Fn(&Path) -> Result<Lake, LakeError>,
) -> Result<Lake, PipelineError> {
    settings.check_together()?;
    match (&settings.catalog_uri, &settings.warehouse) {
        (Some(uri), _) => {
            let catalog = RestCatalog::new(rest_options(settings, uri).await?);
            let catalog = catalog.map_err(|source| PipelineError::OpenCatalog {
                catalog: uri.clone(),
                source: source.into(),
            })?;
            Ok(Lake::new(Arc::new(catalog), storage(settings).await?))
        }
        (None, Warehouse::Directory(path)) => {
            embedded(path).map_err(|source| failed(settings, source))
        }
        // The check above has refused this.
        (None, Warehouse::S3(location)) => Err(failed(
            settings,
            LakeError::OpenWarehouse {
                path: location.clone(),
                source: "it has no catalog".into(),
            },
        )),
    }
}

fn failed(settings: &Settings, source: LakeError) -> PipelineError {
    PipelineError::OpenWarehouse {
        warehouse: settings.warehouse.to_string(),
        source: source.into(),
    }
}

/// Where objects are, when a REST catalog knows the tables.
async fn storage(settings: &Settings) -> Result<Arc<dyn Storage>, PipelineError> {
    let warehouse = || settings.warehouse.to_string();
    match &settings.warehouse {
        Warehouse::Directory(path) => {
            std::fs::create_dir_all(path).map_err(|source| {
                let path = warehouse();
                let source = source.into();
                failed(settings, LakeError::OpenWarehouse { path, source })
            })?;
            Ok(Arc::new(LocalStorage))
        }
        Warehouse::S3(_) => match S3Storage::new(&s3_options(settings)).await {
            Ok(storage) => Ok(Arc::new(storage)),
            Err(source) => Err(open_storage(warehouse(), source)),
        },
    }
}

/// What objects are read from that notifications tell of, when any may be read.
pub(crate) async fn open_source(
    settings: &Settings,
) -> Result<Option<Arc<dyn ObjectReader>>, PipelineError> {
    let Some(first) = settings.source_buckets.first() else {
        return Ok(None);
    };
    match S3Storage::new(&s3_options(settings)).await {
        Ok(storage) => Ok(Some(Arc::new(storage))),
        Err(source) => Err(open_storage(format!("s3://{first}"), source)),
    }
}

fn open_storage(warehouse: String, source: lake::StorageError) -> PipelineError {
    PipelineError::OpenStorage { warehouse, source }
}

/// How S3 is asked.
pub(crate) fn s3_options(settings: &Settings) -> S3Options {
    S3Options {
        endpoint: settings.s3_endpoint.clone(),
        region: settings.s3_region.clone(),
        path_style: settings.s3_path_style,
        ..S3Options::default()
    }
}

/// How the catalog is asked, and in whose name.
async fn rest_options(settings: &Settings, uri: &str) -> Result<RestOptions, PipelineError> {
    // Tokens and signatures expire by the wall clock; no row, file or snapshot gets this time.
    let clock = Clock::new(|| jiff::Timestamp::now().as_millisecond());
    let hidden = |secret: &Option<crate::settings::Secret>| {
        let text = secret.as_ref().map(|secret| secret.expose().to_owned());
        text.unwrap_or_default()
    };
    let auth = match settings.catalog_auth {
        CatalogAuth::None => RestAuth::None,
        CatalogAuth::Bearer => RestAuth::Bearer(Secret::new(hidden(&settings.catalog_token))),
        CatalogAuth::Oauth2 => {
            let credential = hidden(&settings.catalog_credential);
            let (id, secret) = credential.split_once(':').unwrap_or((&credential, ""));
            RestAuth::ClientCredentials(ClientCredentials {
                token_uri: settings.catalog_oauth2_uri.clone(),
                client_id: id.to_owned(),
                client_secret: Secret::new(secret),
                scope: Some(settings.catalog_scope.clone()).filter(|scope| !scope.is_empty()),
                parameters: std::collections::BTreeMap::new(),
            })
        }
        CatalogAuth::Sigv4 => RestAuth::SigV4(signatures(settings, uri).await?),
    };
    Ok(RestOptions {
        warehouse: settings.catalog_warehouse.clone(),
        vended_credentials: settings.catalog_vended_credentials,
        auth,
        ..RestOptions::at(uri, clock)
    })
}

async fn signatures(settings: &Settings, uri: &str) -> Result<SigV4, PipelineError> {
    let service = settings.catalog_signing_name.parse::<SigV4Service>();
    let service = service.map_err(|reason| PipelineError::OpenCatalog {
        catalog: uri.to_owned(),
        source: reason.into(),
    })?;
    let options = S3Options {
        region: settings.catalog_signing_region.clone(),
        ..S3Options::default()
    };
    let config = options.sdk_config().await;
    let config = config.map_err(|source| open_storage(uri.to_owned(), source))?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    Ok(SigV4::new(service, &region, &S3Credentials::Default).await)
}
