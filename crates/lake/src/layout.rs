use std::sync::Arc;

use arrow_schema::{Field, FieldRef};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::PrimitiveType;

use crate::error::LakeError;
use crate::name::TableName;
use crate::table::Table;

/// What a table's Parquet files look like: its columns with their field ids. No storage is needed to use it.
#[derive(Debug, Clone)]
pub struct FileLayout {
    table: TableName,
    columns: Vec<LayoutColumn>,
}

/// One column of the table, as the encoder sees it.
#[derive(Debug, Clone)]
pub(crate) struct LayoutColumn {
    /// Its place in the table, from 0.
    pub(crate) position: usize,
    /// Its Iceberg field id.
    pub(crate) id: i32,
    /// Its Arrow field, with field ids at all depths.
    pub(crate) field: FieldRef,
    /// Its Iceberg type, when it is not a struct, list or map.
    pub(crate) primitive: Option<PrimitiveType>,
}

impl FileLayout {
    /// Returns the layout of the table's current schema.
    ///
    /// # Errors
    ///
    /// [`LakeError::UnsupportedTable`] when the table cannot be written to.
    pub fn new(table: &Table) -> Result<Self, LakeError> {
        table.check_writable()?;
        let arrow_schema = schema_to_arrow_schema(table.schema()).map_err(|error| {
            LakeError::UnsupportedTable {
                table: table.name().clone(),
                reason: error.to_string(),
            }
        })?;
        let fields = table.schema().as_struct().fields();
        let columns = fields
            .iter()
            .zip(arrow_schema.fields())
            .enumerate()
            .map(|(position, (iceberg, arrow))| LayoutColumn {
                position,
                id: iceberg.id,
                field: Arc::new(without_doc(arrow)),
                primitive: iceberg.field_type.as_primitive_type().cloned(),
            })
            .collect();
        Ok(Self {
            table: table.name().clone(),
            columns,
        })
    }

    /// The table.
    pub(crate) fn table(&self) -> &TableName {
        &self.table
    }

    /// The column of that name.
    pub(crate) fn column(&self, name: &str) -> Option<&LayoutColumn> {
        self.columns
            .iter()
            .find(|column| column.field.name() == name)
    }

    /// The table's columns, in order.
    pub(crate) fn columns(&self) -> &[LayoutColumn] {
        &self.columns
    }
}

/// Parquet needs the field ids and nothing else; docs stay in the table.
fn without_doc(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.remove("doc");
    field.clone().with_metadata(metadata)
}
