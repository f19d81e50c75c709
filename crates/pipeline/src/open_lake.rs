//! The lake that the settings name: the one place where catalog and storage are chosen.

use lake::{Lake, S3Options};

use crate::{PipelineError, Settings, settings::Warehouse};

/// Opens the lake of the settings: a directory with its SQLite catalog, made when absent, or a REST catalog over S3.
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

#[expect(clippy::unused_async, reason = "a REST catalog has to be asked")]
async fn open(
    settings: &Settings,
    embedded: impl Fn(&std::path::Path) -> Result<Lake, lake::LakeError>,
) -> Result<Lake, PipelineError> {
    settings.check_together()?;
    let failed = |source: lake::LakeError| PipelineError::OpenWarehouse {
        warehouse: settings.warehouse.to_string(),
        source: source.into(),
    };
    match (&settings.catalog_uri, &settings.warehouse) {
        (None, Warehouse::Directory(path)) => embedded(path).map_err(failed),
        _ => Err(PipelineError::NoRestCatalog),
    }
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
