use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema as ArrowSchema};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::PrimitiveType;
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::ParquetError;
use parquet::schema::types::TypePtr;

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
    /// Its type in a file, when it is not a struct, list or map: made once, since a small file would spend more on it than on the
    /// values.
    pub(crate) in_file: Option<TypePtr>,
}

impl FileLayout {
    /// Returns the layout of the table's current schema.
    ///
    /// # Errors
    ///
    /// [`LakeError::UnsupportedTable`] when the table cannot be written to.
    pub fn new(table: &Table) -> Result<Self, LakeError> {
        table.check_writable()?;
        let unsupported = |reason| LakeError::UnsupportedTable {
            table: table.name().clone(),
            reason,
        };
        let arrow_schema = schema_to_arrow_schema(table.schema())
            .map_err(|error| unsupported(error.to_string()))?;
        let fields = table.schema().as_struct().fields();
        let columns = fields
            .iter()
            .zip(arrow_schema.fields())
            .enumerate()
            .map(|(position, (iceberg, arrow))| {
                let field: FieldRef = Arc::new(without_doc(arrow));
                let primitive = iceberg.field_type.as_primitive_type().cloned();
                Ok(LayoutColumn {
                    position,
                    id: iceberg.id,
                    in_file: primitive.is_some().then(|| in_file(&field)).transpose()?,
                    field,
                    primitive,
                })
            })
            .collect::<Result<_, ParquetError>>()
            .map_err(|error| unsupported(error.to_string()))?;
        Ok(Self {
            table: table.name().clone(),
            columns,
        })
    }

    /// The table.
    pub(crate) fn table(&self) -> &TableName {
        &self.table
    }

    /// The table's columns, in order.
    pub(crate) fn columns(&self) -> &[LayoutColumn] {
        &self.columns
    }
}

/// The Parquet type of a column.
fn in_file(field: &FieldRef) -> Result<TypePtr, ParquetError> {
    let schema = ArrowSchema::new(vec![Arc::clone(field)]);
    let converted = ArrowSchemaConverter::new().convert(&schema)?;
    let [column] = converted.root_schema().get_fields() else {
        return Err(ParquetError::General(format!("no type for {field}")));
    };
    Ok(Arc::clone(column))
}

/// Parquet needs the field ids and nothing else; docs stay in the table.
fn without_doc(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.remove("doc");
    field.clone().with_metadata(metadata)
}
