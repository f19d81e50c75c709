use std::collections::HashMap;

use arrow_array::TimestampMicrosecondArray;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use iceberg::spec::NestedFieldRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};

use super::RepeatKey;
use crate::error::LakeError;
use crate::table::Table;

type Cause = Box<dyn std::error::Error + Send + Sync>;

const SOURCE_ID: &str = "_source_id";
const SOURCE_INDEX: &str = "_source_index";
const INGESTED_AT: &str = "_ingested_at";

/// Says whether the table has the columns by which its rows are compared and ordered.
pub(super) fn check(table: &Table, key: &RepeatKey) -> Result<(), LakeError> {
    for name in columns(key) {
        let field = table.schema().field_by_name(name);
        let reason = match field {
            None => "the table has no such column, so its rows cannot be compared by it",
            Some(field) if !field.field_type.is_primitive() => {
                "rows are compared by plain values only"
            }
            Some(_) => continue,
        };
        return Err(LakeError::Column {
            table: table.name().clone(),
            column: name.to_owned(),
            reason: reason.to_owned(),
        });
    }
    Ok(())
}

/// The columns that are read: the key, then those that order rows.
fn columns(key: &RepeatKey) -> Vec<&str> {
    let mut columns = vec![SOURCE_ID, SOURCE_INDEX, INGESTED_AT];
    if let RepeatKey::Column(name) = key
        && !columns.contains(&name.as_str())
    {
        columns.push(name);
    }
    columns
}

/// The keys of some rows of a file.
#[derive(Debug)]
pub(super) struct Keys {
    /// The named key as text; none when rows are compared by their source.
    named: Option<StringArray>,
    source_ids: StringArray,
    source_indices: Int64Array,
    ingested: TimestampMicrosecondArray,
}

impl Keys {
    pub(super) fn n_rows(&self) -> usize {
        self.ingested.len()
    }

    /// Writes the key of a row. False when it has none.
    pub(super) fn write_key(&self, row: usize, key: &mut Vec<u8>) -> bool {
        if let Some(named) = &self.named {
            key.extend_from_slice(named.value(row).as_bytes());
            return named.is_valid(row);
        }
        key.extend_from_slice(&self.source_indices.value(row).to_le_bytes());
        key.extend_from_slice(self.source_ids.value(row).as_bytes());
        self.source_ids.is_valid(row) && self.source_indices.is_valid(row)
    }

    /// What decides which of two rows is the first; without a time of ingestion a row comes last. Rows that are compared by
    /// their source do not differ in it.
    pub(super) fn order(&self, row: usize) -> (i64, Option<(&str, i64)>) {
        let ingested = self
            .ingested
            .is_valid(row)
            .then(|| self.ingested.value(row));
        let source = self.named.is_some() && self.source_ids.is_valid(row);
        let source = source.then(|| (self.source_ids.value(row), self.source_indices.value(row)));
        (ingested.unwrap_or(i64::MAX), source)
    }
}

/// Reads the keys of a file; nothing when no row of it has one.
pub(super) async fn read_keys(
    table: &Table,
    location: &str,
    key: &RepeatKey,
) -> Result<Option<Vec<Keys>>, LakeError> {
    let failed = |source: Cause| LakeError::ReadTable {
        table: table.name().clone(),
        source: format!("cannot read `{location}`: {source}").into(),
    };
    let object = table.storage().get(location).await;
    let object = object.map_err(|source| LakeError::ReadTable {
        table: table.name().clone(),
        source: source.into(),
    })?;
    let fields: Vec<NestedFieldRef> = columns(key)
        .into_iter()
        .filter_map(|name| table.schema().field_by_name(name).cloned())
        .collect();
    let key = key.clone();
    let read = tokio::task::spawn_blocking(move || keys_of(object, &fields, &key)).await;
    read.map_err(|source| failed(source.into()))?
        .map_err(failed)
}

fn keys_of(
    object: Bytes,
    fields: &[NestedFieldRef],
    key: &RepeatKey,
) -> Result<Option<Vec<Keys>>, Cause> {
    let (reader, in_table) = open(object, Some(fields))?;
    let has_key = match key {
        RepeatKey::Source => [SOURCE_ID, SOURCE_INDEX]
            .iter()
            .all(|name| in_table.values().any(|found| found == name)),
        RepeatKey::Column(name) => in_table.values().any(|found| found == name),
    };
    if !has_key {
        return Ok(None); // Each value is null.
    }
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let mut keys = Vec::new();
    for batch in reader {
        let batch = batch?;
        let column = |name: &str, data_type: &DataType| column(&batch, &in_table, name, data_type);
        let named = match key {
            RepeatKey::Source => None,
            RepeatKey::Column(name) => {
                Some(column(name, &DataType::Utf8)?.as_string::<i32>().clone())
            }
        };
        let ingested = column(INGESTED_AT, &micros)?;
        keys.push(Keys {
            named,
            source_ids: column(SOURCE_ID, &DataType::Utf8)?
                .as_string::<i32>()
                .clone(),
            source_indices: column(SOURCE_INDEX, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone(),
            ingested: ingested.as_primitive::<TimestampMicrosecondType>().clone(),
        });
    }
    Ok(Some(keys))
}

/// The column of that name in the table; nulls when the file has it not.
fn column(
    batch: &RecordBatch,
    names: &HashMap<String, String>,
    name: &str,
    data_type: &DataType,
) -> Result<ArrayRef, Cause> {
    let in_file = names.iter().find(|(_, found)| *found == name);
    let found = in_file.and_then(|(in_file, _)| batch.column_by_name(in_file));
    Ok(match found {
        None => arrow_array::new_null_array(data_type, batch.num_rows()),
        Some(array) => arrow_cast::cast(array, data_type)?,
    })
}

/// Opens a data file for the fields that it has of these, or of all. Also returns, for each column of the file that is one of
/// them, its name in the table.
///
/// Columns are known by their field ids; in a file without such by their names.
pub(super) fn open(
    object: Bytes,
    fields: Option<&[NestedFieldRef]>,
) -> Result<(ParquetRecordBatchReader, HashMap<String, String>), Cause> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(object)?;
    let id_of = |field: &arrow_schema::FieldRef| {
        let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY)?;
        id.parse::<i32>().ok()
    };
    let in_file = builder.schema().fields().clone();
    let has_ids = in_file.iter().any(|field| id_of(field).is_some());
    let Some(fields) = fields else {
        return Ok((builder.build()?, HashMap::new()));
    };
    let (mut roots, mut names) = (Vec::new(), HashMap::new());
    for (position, field) in in_file.iter().enumerate() {
        let in_table = fields.iter().find(|wanted| {
            if has_ids {
                id_of(field) == Some(wanted.id)
            } else {
                *field.name() == wanted.name
            }
        });
        if let Some(in_table) = in_table {
            roots.push(position);
            names.insert(field.name().clone(), in_table.name.clone());
        }
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    Ok((builder.with_projection(mask).build()?, names))
}
