mod kept;

use std::sync::Arc;

use bytes::Bytes;
use iceberg::io::{FileIO, InputFile, MemoryStorage, OutputFile, Storage as _};
use iceberg::spec::TableMetadata;
use iceberg::{TableRequirement, TableUpdate};
use uuid::Uuid;

pub(crate) use self::kept::KeptMetadata;
use crate::storage::{Put, Storage};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The metadata in the bytes of a `metadata.json`, compressed or not, from this location.
async fn metadata_in(bytes: Bytes, location: &str) -> Result<TableMetadata, Cause> {
    let memory = FileIO::new_with_memory();
    memory.new_output(location)?.write(bytes).await?;
    Ok(TableMetadata::read_from(&memory, location).await?)
}

/// Writes the metadata as a new object and returns its location.
pub(crate) async fn write_metadata(
    storage: &dyn Storage,
    kept: &KeptMetadata,
    previous: Option<&str>,
) -> Result<String, Cause> {
    let location = next_location(&kept.metadata, previous);
    // Compression, where the table asks for it, is the business of other writers: plain JSON is always allowed.
    let bytes = Bytes::from(kept.to_json()?);
    match storage.put_new(&location, bytes).await? {
        Put::Written => Ok(location),
        Put::AlreadyThere => Err(format!("`{location}` is there already").into()),
    }
}

/// `<table>/metadata/<n>-<uuid>.metadata.json`, where `n` is one more than the number of the one before.
fn next_location(metadata: &TableMetadata, previous: Option<&str>) -> String {
    let number = previous.map_or(0, |previous| {
        let name = previous.rsplit('/').next().unwrap_or_default();
        let number = name
            .split('-')
            .next()
            .and_then(|number| number.parse::<u64>().ok());
        number.map_or(1, |number| number + 1)
    });
    format!(
        "{}/{number:05}-{}.metadata.json",
        metadata_directory(metadata),
        Uuid::new_v4()
    )
}

/// Where the table's metadata objects lie.
pub(crate) fn metadata_directory(metadata: &TableMetadata) -> String {
    match metadata.properties().get("write.metadata.path") {
        Some(path) => path.trim_end_matches('/').to_owned(),
        None => format!("{}/metadata", metadata.location().trim_end_matches('/')),
    }
}

/// Checks the requirements and applies the updates, as every catalog must.
pub(crate) fn updated(
    metadata: &TableMetadata,
    location: &str,
    requirements: &[TableRequirement],
    updates: &[TableUpdate],
) -> Result<TableMetadata, UpdateError> {
    for requirement in requirements {
        requirement
            .check(Some(metadata))
            .map_err(UpdateError::Requirement)?;
    }
    let mut builder = metadata.clone().into_builder(Some(location.to_owned()));
    for update in updates {
        builder = update.clone().apply(builder).map_err(UpdateError::Update)?;
    }
    Ok(builder.build().map_err(UpdateError::Update)?.metadata)
}

/// Why [`updated`] made no new metadata.
#[derive(Debug)]
pub(crate) enum UpdateError {
    /// A requirement does not hold.
    Requirement(iceberg::Error),
    /// An update cannot be applied.
    Update(iceberg::Error),
}

impl UpdateError {
    pub(crate) fn into_cause(self) -> Cause {
        match self {
            Self::Requirement(error) | Self::Update(error) => error.into(),
        }
    }
}

/// An output file in memory, for writers that insist on one; [`MemoryFile::bytes`] gives what was written.
///
/// It keeps the location it was made with, since manifests write down where they are.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    storage: Arc<MemoryStorage>,
    location: String,
}

impl MemoryFile {
    pub(crate) fn new(location: String) -> Self {
        Self {
            storage: Arc::new(MemoryStorage::new()),
            location,
        }
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    pub(crate) fn output(&self) -> OutputFile {
        OutputFile::new(self.storage.clone(), self.location.clone())
    }

    pub(crate) async fn bytes(&self) -> iceberg::Result<Bytes> {
        let input: InputFile = self.storage.new_input(&self.location)?;
        input.read().await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use iceberg::spec::{
        FormatVersion, Schema, SortOrder, TableMetadataBuilder, UnboundPartitionSpec,
    };

    use super::*;

    fn metadata(properties: &[(&str, &str)]) -> TableMetadata {
        let properties: HashMap<String, String> = properties
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let spec = UnboundPartitionSpec::builder().build();
        TableMetadataBuilder::new(
            Schema::builder().build().unwrap(),
            spec,
            SortOrder::unsorted_order(),
            "file:///w/t/".to_owned(),
            FormatVersion::V2,
            properties,
        )
        .unwrap()
        .build()
        .unwrap()
        .metadata
    }

    #[track_caller]
    fn check(previous: Option<&str>, expected_start: &str) {
        let location = next_location(&metadata(&[]), previous);
        assert!(location.starts_with(expected_start), "{location}");
    }

    #[test]
    fn metadata_files_are_numbered_whoever_wrote_the_one_before() {
        check(None, "file:///w/t/metadata/00000-");
        check(
            Some("file:///w/t/metadata/00041-abc.metadata.json"),
            "file:///w/t/metadata/00042-",
        );
        check(
            Some("file:///w/t/metadata/v7.metadata.json"),
            "file:///w/t/metadata/00001-",
        );
    }

    #[test]
    fn a_table_may_name_another_place_for_its_metadata() {
        let metadata = metadata(&[("write.metadata.path", "file:///other/")]);
        assert_eq!(metadata_directory(&metadata), "file:///other");
    }
}
