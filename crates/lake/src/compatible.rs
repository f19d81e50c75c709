use std::path::Component;

use iceberg::spec::{PrimitiveType, Schema, TableMetadata, Type};

use crate::data_file::DataFile;
use crate::manifests::iceberg_data_file;
use crate::receipt::{RECEIPT_FORMAT, Receipt};

/// Says whether the receipt's files fit the table as it is now.
///
/// # Errors
///
/// The reason for a person, when they do not.
pub(crate) fn check(receipt: &Receipt, metadata: &TableMetadata) -> Result<(), String> {
    if receipt.format > RECEIPT_FORMAT {
        return Err(format!(
            "the receipt has format {}, and this program knows formats up to {RECEIPT_FORMAT}",
            receipt.format
        ));
    }
    if receipt.table_uuid != metadata.uuid() {
        return Err(format!(
            "it was written for the table with id {}, and the table of that name now has id {}",
            receipt.table_uuid,
            metadata.uuid()
        ));
    }
    let schema = metadata.current_schema();
    for (id, written) in &receipt.columns {
        check_column(*id, written, schema)?;
    }
    let missing = schema
        .as_struct()
        .fields()
        .iter()
        .find(|field| field.required && !receipt.columns.contains_key(&field.id));
    if let Some(field) = missing {
        return Err(format!("the table requires column `{}`", field.name));
    }
    receipt
        .data_files
        .iter()
        .try_for_each(|file| check_file(file, metadata))
}

/// Says whether a manifest can tell of the file, and whether it is one of the table's.
///
/// # Errors
///
/// The reason for a person, when not.
fn check_file(file: &DataFile, metadata: &TableMetadata) -> Result<(), String> {
    let (spec_id, schema) = (file.spec_id, metadata.current_schema());
    let spec = metadata.partition_spec_by_id(spec_id);
    let spec = spec.ok_or_else(|| format!("the table has no partition spec {spec_id}"))?;
    let partition_type = spec.partition_type(schema).map_err(|error| {
        format!("partition spec {spec_id} rests on a column that is gone: {error}")
    })?;
    let location = &file.location;
    if !is_of_table(location, metadata) {
        return Err(format!(
            "`{location}` is not where the table keeps its data"
        ));
    }
    for (id, facts) in &file.columns {
        if facts.lower.is_some() || facts.upper.is_some() {
            check_column(*id, &facts.column_type, schema)?;
        }
    }
    let built = iceberg_data_file(file, partition_type.fields());
    built.map_err(|error| format!("`{location}` cannot be told of in a manifest: {error}"))?;
    Ok(())
}

/// Whether the location is below the table's own, or below the place that the table names for its data.
fn is_of_table(location: &str, metadata: &TableMetadata) -> bool {
    let data_path = metadata.properties().get("write.data.path");
    let mut places = data_path
        .map(String::as_str)
        .into_iter()
        .chain([metadata.location()]);
    let path = places.find_map(|place| {
        let path = location.strip_prefix(place.trim_end_matches('/'))?;
        path.strip_prefix('/')
    });
    path.is_some_and(|path| {
        let mut parts = std::path::Path::new(path).components();
        parts.all(|part| matches!(part, Component::Normal(_)))
    })
}

/// Says whether a column that was written like this is read as what it is now.
fn check_column(id: i32, written: &PrimitiveType, schema: &Schema) -> Result<(), String> {
    let field = schema.field_by_id(id);
    let field = field.ok_or_else(|| format!("the table has no column with field id {id}"))?;
    let fits = match field.field_type.as_ref() {
        Type::Primitive(current) => readable_as(written, current),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(format!(
        "column `{}` was written as `{written}` and is `{}` in the table",
        field.name, field.field_type
    ))
}

/// Iceberg's promotions: a reader of the newer type understands the older.
fn readable_as(written: &PrimitiveType, current: &PrimitiveType) -> bool {
    use PrimitiveType::{Decimal, Double, Float, Int, Long};
    match (written, current) {
        (Int, Long) | (Float, Double) => true,
        (
            Decimal {
                precision: p,
                scale: s,
            },
            Decimal { precision, scale },
        ) => s == scale && p <= precision,
        (written, current) => written == current,
    }
}
