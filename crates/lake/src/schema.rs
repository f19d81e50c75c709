use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, TimeUnit};
use iceberg::arrow::type_to_arrow_type;
use iceberg::spec::{NestedField, NestedFieldRef, PrimitiveType, Schema, Type};

use crate::error::LakeError;
use crate::name::TableName;
use crate::partition::PartitionTerm;

/// A column of a table, or one to add to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its Iceberg doc. Calve keeps the source path there.
    pub doc: Option<String>,
    /// Its type in Arrow, which decides the Iceberg type.
    pub data_type: DataType,
    /// Whether each row must have a value.
    pub required: bool,
}

/// What a new table is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableDefinition {
    /// Its columns, in order.
    pub columns: Vec<ColumnDefinition>,
    /// Its partitioning; empty for none.
    pub partitioning: Vec<PartitionTerm>,
    /// Its properties. Parquet's codec is added when it is not among them.
    pub properties: BTreeMap<String, String>,
}

/// Returns the schema of a new table; field ids are 1 to n.
pub(crate) fn new_schema(
    table: &TableName,
    columns: &[ColumnDefinition],
) -> Result<Schema, LakeError> {
    build_schema(table, Vec::new(), columns, 0, Vec::new(), 0)
}

/// Returns the schema with the columns added behind the others, as the one of this id. Their field ids follow
/// `last_column_id`.
pub(crate) fn schema_with(
    table: &TableName,
    present: &Schema,
    columns: &[ColumnDefinition],
    last_column_id: i32,
    schema_id: i32,
) -> Result<Schema, LakeError> {
    let fields = present.as_struct().fields().to_vec();
    build_schema(
        table,
        fields,
        columns,
        last_column_id,
        present.identifier_field_ids().collect(),
        schema_id,
    )
}

fn build_schema(
    table: &TableName,
    present: Vec<NestedFieldRef>,
    columns: &[ColumnDefinition],
    last_column_id: i32,
    identifier_field_ids: Vec<i32>,
    schema_id: i32,
) -> Result<Schema, LakeError> {
    let mut names: HashSet<String> = present
        .iter()
        .map(|field| field.name.to_ascii_lowercase())
        .collect();
    let mut fields = present;
    let mut id = last_column_id;
    for column in columns {
        id += 1;
        if !names.insert(column.name.to_ascii_lowercase()) {
            return Err(refused(
                table,
                &column.name,
                "there is a column of that name already",
            ));
        }
        let field_type = Type::Primitive(primitive_type(table, column)?);
        let mut field = NestedField::new(id, &column.name, field_type, column.required);
        field.doc.clone_from(&column.doc);
        fields.push(Arc::new(field));
    }
    Schema::builder()
        .with_schema_id(schema_id)
        .with_fields(fields)
        .with_identifier_field_ids(identifier_field_ids)
        .build()
        .map_err(|error| refused(table, "", &error.to_string()))
}

/// The Iceberg type of an Arrow type that may cross the crate's boundary.
fn primitive_type(
    table: &TableName,
    column: &ColumnDefinition,
) -> Result<PrimitiveType, LakeError> {
    Ok(match &column.data_type {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int32 => PrimitiveType::Int,
        DataType::Int64 => PrimitiveType::Long,
        DataType::Float32 => PrimitiveType::Float,
        DataType::Float64 => PrimitiveType::Double,
        DataType::Decimal128(precision, scale)
            if (1..=38).contains(precision) && (0..=38).contains(scale) =>
        {
            PrimitiveType::Decimal {
                precision: u32::from(*precision),
                scale: u32::from(scale.unsigned_abs()),
            }
        }
        DataType::Date32 => PrimitiveType::Date,
        DataType::Time64(TimeUnit::Microsecond) => PrimitiveType::Time,
        DataType::Timestamp(TimeUnit::Microsecond, None) => PrimitiveType::Timestamp,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone))
            if matches!(zone.as_ref(), "+00:00" | "UTC") =>
        {
            PrimitiveType::Timestamptz
        }
        DataType::Utf8 | DataType::LargeUtf8 => PrimitiveType::String,
        DataType::Binary | DataType::LargeBinary => PrimitiveType::Binary,
        DataType::FixedSizeBinary(width) if *width > 0 => {
            PrimitiveType::Fixed(u64::from(width.unsigned_abs()))
        }
        other => {
            return Err(refused(
                table,
                &column.name,
                &format!("no Iceberg type for `{other}`"),
            ));
        }
    })
}

/// The column that an Iceberg field is.
pub(crate) fn column_of(
    table: &TableName,
    field: &NestedFieldRef,
) -> Result<ColumnDefinition, LakeError> {
    let data_type = type_to_arrow_type(&field.field_type).map_err(|error| {
        let reason = format!("column `{}`: {error}", field.name);
        LakeError::UnsupportedTable {
            table: table.clone(),
            reason,
        }
    })?;
    Ok(ColumnDefinition {
        name: field.name.clone(),
        doc: field.doc.clone(),
        data_type,
        required: field.required,
    })
}

fn refused(table: &TableName, column: &str, reason: &str) -> LakeError {
    LakeError::Column {
        table: table.clone(),
        column: column.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: DataType) -> ColumnDefinition {
        ColumnDefinition {
            name: name.to_owned(),
            doc: None,
            data_type,
            required: false,
        }
    }

    fn table() -> TableName {
        "t.events".parse().unwrap()
    }

    #[track_caller]
    fn check(data_type: DataType, expected: &str) {
        let schema = new_schema(&table(), &[column("c", data_type.clone())]).unwrap();
        let field = &schema.as_struct().fields()[0];
        assert_eq!(field.field_type.to_string(), expected);
        let back = column_of(&table(), field).unwrap();
        let large = data_type == DataType::Binary;
        assert_eq!(
            back.data_type,
            if large {
                DataType::LargeBinary
            } else {
                data_type
            }
        );
    }

    #[test]
    fn each_arrow_type_has_an_iceberg_type_and_comes_back() {
        check(DataType::Boolean, "boolean");
        check(DataType::Int32, "int");
        check(DataType::Int64, "long");
        check(DataType::Float32, "float");
        check(DataType::Float64, "double");
        check(DataType::Decimal128(9, 2), "decimal(9, 2)");
        check(DataType::Date32, "date");
        check(DataType::Time64(TimeUnit::Microsecond), "time");
        check(
            DataType::Timestamp(TimeUnit::Microsecond, None),
            "timestamp",
        );
        check(
            DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            "timestamptz",
        );
        check(DataType::Utf8, "string");
        check(DataType::Binary, "binary");
        check(DataType::FixedSizeBinary(7), "fixed(7)");
    }

    #[test]
    fn types_without_an_iceberg_type_are_refused_with_their_column() {
        for data_type in [
            DataType::UInt64,
            DataType::Timestamp(TimeUnit::Second, None),
            DataType::Timestamp(TimeUnit::Microsecond, Some("+02:00".into())),
            DataType::Decimal128(9, -1),
        ] {
            let error = new_schema(&table(), &[column("odd", data_type)]).unwrap_err();
            assert!(error.to_string().contains("`odd`"), "{error}");
        }
    }

    #[test]
    fn added_columns_follow_the_others_and_a_taken_name_is_refused_without_case() {
        let first = new_schema(&table(), &[column("a", DataType::Int64)]).unwrap();
        let added = schema_with(&table(), &first, &[column("b", DataType::Utf8)], 7, 3).unwrap();
        assert_eq!(added.as_struct().fields()[1].id, 8);
        assert_eq!(added.schema_id(), 3);
        assert!(schema_with(&table(), &first, &[column("A", DataType::Utf8)], 7, 3).is_err());
    }
}
