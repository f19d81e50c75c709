use iceberg::spec::{PrimitiveType, TableMetadata, Type};

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
    for spec_id in receipt.data_files.iter().map(|file| file.spec_id) {
        let spec = metadata.partition_spec_by_id(spec_id);
        let spec = spec.ok_or_else(|| format!("the table has no partition spec {spec_id}"))?;
        spec.partition_type(metadata.current_schema())
            .map_err(|error| {
                format!("partition spec {spec_id} rests on a column that is gone: {error}")
            })?;
    }
    let schema = metadata.current_schema();
    for (id, written) in &receipt.columns {
        let field = schema.field_by_id(*id);
        let field = field.ok_or_else(|| format!("the table has no column with field id {id}"))?;
        let fits = match field.field_type.as_ref() {
            Type::Primitive(current) => readable_as(written, current),
            _ => false,
        };
        if !fits {
            return Err(format!(
                "column `{}` was written as `{written}` and is `{}` in the table",
                field.name, field.field_type
            ));
        }
    }
    let missing = schema
        .as_struct()
        .fields()
        .iter()
        .find(|field| field.required && !receipt.columns.contains_key(&field.id));
    match missing {
        Some(field) => Err(format!("the table requires column `{}`", field.name)),
        None => Ok(()),
    }
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
