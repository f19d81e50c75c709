use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, ManifestFile, PartitionSpec, Schema, TableMetadata, Transform};
use uuid::Uuid;

use crate::access::StorageAccess;
use crate::catalog::{Committed, TableState};
use crate::error::LakeError;
use crate::layout::FileLayout;
use crate::manifests::{ListedManifests, current_manifests};
use crate::metadata::{UpdateError, updated};
use crate::name::TableName;
use crate::references::References;
use crate::schema::{ColumnDefinition, column_of};
use crate::storage::Storage;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A table as it was when it was loaded. It does not change; load again to see what others did.
#[derive(Debug, Clone)]
pub struct Table {
    name: TableName,
    metadata: Arc<TableMetadata>,
    metadata_location: String,
    columns: Arc<Vec<ColumnDefinition>>,
    access: StorageAccess,
    storage: Arc<dyn Storage>,
    /// Found out when somebody asks.
    references: Arc<OnceLock<Arc<References>>>,
    /// Those of the current snapshot, when this process wrote their list.
    manifests: Option<Arc<ListedManifests>>,
    /// What its files look like, once some are written; the same after commits that leave the schema as it is.
    layout: Arc<OnceLock<Arc<FileLayout>>>,
}

impl Table {
    /// Returns the table with its columns in Arrow types. Its objects lie in the storage that serves this one table.
    ///
    /// # Errors
    ///
    /// [`LakeError::UnsupportedTable`] when a column has no Arrow type.
    pub(crate) fn new(
        name: TableName,
        state: TableState,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, LakeError> {
        let fields = state.metadata.current_schema().as_struct().fields();
        let columns = fields
            .iter()
            .map(|field| column_of(&name, field))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name,
            metadata: state.metadata,
            metadata_location: state.metadata_location,
            columns: Arc::new(columns),
            access: state.access,
            storage,
            references: Arc::new(state.references.map(OnceLock::from).unwrap_or_default()),
            manifests: None,
            layout: Arc::default(),
        })
    }

    /// What its files look like.
    ///
    /// # Errors
    ///
    /// As for [`FileLayout::new`].
    pub(crate) fn layout(&self) -> Result<Arc<FileLayout>, LakeError> {
        self.check_writable()?;
        if let Some(known) = self.layout.get() {
            return Ok(known.clone());
        }
        let layout = Arc::new(FileLayout::new(self)?);
        Ok(self.layout.get_or_init(|| layout).clone())
    }

    /// Returns the table as a commit of these updates left it: what the catalog answered, if that is at hand, and
    /// otherwise this table with the updates applied. What others changed and the commit did not assert is not seen then:
    /// properties, other branches and tags.
    pub(crate) fn after(
        &self,
        committed: &Committed,
        updates: &[TableUpdate],
    ) -> Result<Self, Cause> {
        let state = if let Some(state) = committed.at_hand() {
            state
        } else {
            let metadata = updated(&self.metadata, &self.metadata_location, &[], updates);
            let metadata = metadata.map_err(UpdateError::into_cause)?;
            let references = self.references()?.moved(updates).within(&metadata);
            let location = committed.metadata_location().to_owned();
            TableState::new(Arc::new(metadata), location, StorageAccess::default())
                .with_references(Arc::new(references))
        };
        let state = TableState {
            access: self.access.clone(), // Which answers to commits do not repeat.
            ..state
        };
        let mut table = Self::new(self.name.clone(), state, self.storage.clone())?;
        if table.metadata.current_schema() == self.metadata.current_schema() {
            table.layout = Arc::clone(&self.layout);
        }
        Ok(table)
    }

    /// Its branches and tags. Of a table that is [`Table::after`] a commit those that the commit knew of: not good for what
    /// expires.
    pub(crate) fn references(&self) -> serde_json::Result<Arc<References>> {
        if let Some(known) = self.references.get() {
            return Ok(known.clone());
        }
        let found = Arc::new(References::of(&self.metadata)?);
        Ok(self.references.get_or_init(|| found).clone())
    }

    /// The same table, with the list of manifests that was written for its current snapshot.
    pub(crate) fn with_manifests(self, listed: ListedManifests) -> Self {
        Self {
            manifests: Some(Arc::new(listed)),
            ..self
        }
    }

    /// The manifests of its current snapshot: those that are at hand, or else read from their list.
    pub(crate) async fn manifests(&self) -> Result<Vec<ManifestFile>, Cause> {
        let snapshot = self.metadata.current_snapshot();
        match &self.manifests {
            Some(listed) if snapshot.is_some_and(|s| s.manifest_list() == listed.location) => {
                Ok(listed.manifests.clone())
            }
            _ => current_manifests(self.storage.as_ref(), &self.metadata).await,
        }
    }

    /// Its name.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// Its identity, which a table of the same name made later does not share.
    pub fn uuid(&self) -> Uuid {
        self.metadata.uuid()
    }

    /// The location that its objects lie under, without a slash at the end.
    pub fn location(&self) -> &str {
        self.metadata.location().trim_end_matches('/')
    }

    /// Its columns in order, those of the top level.
    pub fn columns(&self) -> Vec<ColumnDefinition> {
        self.columns.as_ref().clone()
    }

    /// The names of the partition fields of all its specs, each once, in the order of the specs; without identities that
    /// are named like their column, since that column may well exist.
    pub fn partition_names(&self) -> Vec<String> {
        let mut specs: Vec<_> = self.metadata.partition_specs_iter().collect();
        specs.sort_by_key(|spec| spec.spec_id());
        let mut names: Vec<String> = Vec::new();
        for field in specs.iter().flat_map(|spec| spec.fields()) {
            let source = self.schema().field_by_id(field.source_id);
            let is_its_column = field.transform == Transform::Identity
                && source.is_some_and(|source| source.name == field.name);
            if !is_its_column && !names.contains(&field.name) {
                names.push(field.name.clone());
            }
        }
        names
    }

    /// Its properties.
    pub fn properties(&self) -> &HashMap<String, String> {
        self.metadata.properties()
    }

    /// All that Iceberg knows of it.
    pub fn metadata(&self) -> &TableMetadata {
        &self.metadata
    }

    /// Where its `metadata.json` is.
    pub fn metadata_location(&self) -> &str {
        &self.metadata_location
    }

    /// What the catalog gave out for its objects when it was loaded. Once that has expired, load the table again.
    pub fn access(&self) -> &StorageAccess {
        &self.access
    }

    /// Where its objects are kept: the lake's storage, with what the catalog gave out for this table.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Its current schema.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        self.metadata.current_schema()
    }

    /// The spec that new data files follow.
    pub(crate) fn spec(&self) -> &PartitionSpec {
        self.metadata.default_partition_spec()
    }

    /// Says whether rows can be written to the table.
    ///
    /// # Errors
    ///
    /// [`LakeError::UnsupportedTable`], naming the format version or the partition field.
    pub fn check_writable(&self) -> Result<(), LakeError> {
        check_writable(&self.metadata).map_err(|reason| LakeError::UnsupportedTable {
            table: self.name.clone(),
            reason,
        })
    }
}

fn check_writable(metadata: &TableMetadata) -> Result<(), String> {
    if metadata.format_version() != FormatVersion::V2 {
        return Err(format!(
            "its format version is {}, not 2",
            metadata.format_version() as u8
        ));
    }
    let schema = metadata.current_schema();
    let top_level = schema.as_struct();
    for field in metadata.default_partition_spec().fields() {
        if field.transform == Transform::Unknown {
            return Err(format!(
                "partition field `{}` has an unknown transform",
                field.name
            ));
        }
        let source = top_level.field_by_id(field.source_id);
        let is_column = source.is_some_and(|f| f.field_type.is_primitive());
        if !is_column && field.transform != Transform::Void {
            return Err(format!(
                "partition field `{}` is not made from a column of the top level",
                field.name
            ));
        }
    }
    Ok(())
}
