//! The one case in which a commit reads a data file: some of its records are in the table already.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{Field, Schema};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use crate::data_file::DataFile;
use crate::encode::WriteOptions;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::layout::FileLayout;
use crate::range::{RangeSet, SequenceNumber};
use crate::receipt::Receipt;
use crate::retype::retyped;
use crate::storage::StorageError;
use crate::table::Table;
use crate::token::BatchId;
use crate::write::computed;

/// The column with the record that a row came from: for those of a shard `stream/shard/sequence number`.
const SOURCE_ID_COLUMN: &str = "_source_id";

/// What became of a receipt's files.
#[derive(Debug)]
pub(crate) enum Rewritten {
    /// These have its rows without those of the known records; none when there are no others.
    Files(Vec<DataFile>),
    /// The rows cannot be told apart, for this reason: the receipt can never be committed.
    Never(String),
}

/// What one data file gives.
enum Kept {
    /// No row of it is of a known record.
    Whole,
    /// These rows are of other records. The column with a bloom filter, if there is one.
    Rows(Vec<RecordBatch>, Option<String>),
}

/// Writes the rows of the receipt's files again, without those of the known records. Files without such rows stay as they
/// are; nothing is overwritten. `attempt` gives random numbers for names.
///
/// # Errors
///
/// When a file cannot be read now, or a new one not written.
pub(crate) async fn rewrite(
    lake: &Lake,
    table: &Table,
    receipt: &Receipt,
    known: &RangeSet,
    mut attempt: impl FnMut() -> u64,
) -> Result<Rewritten, LakeError> {
    let layout = table.layout()?;
    let mut files = Vec::new();
    for file in &receipt.data_files {
        let bytes = match table.storage().get(&file.location).await {
            Ok(bytes) => bytes,
            Err(error @ StorageError::NotFound { .. }) => {
                return Ok(Rewritten::Never(error.to_string()));
            }
            Err(source) => {
                return Err(LakeError::ReadDataFile {
                    table: table.name().clone(),
                    source,
                });
            }
        };
        let n_rows = usize::try_from(file.n_rows).unwrap_or(usize::MAX);
        let (layout, known) = (Arc::clone(&layout), known.clone());
        let kept = computed(table, n_rows, move || kept(bytes, &layout, &known)).await;
        // A file that makes its reader panic does so every time.
        match kept.unwrap_or_else(|error| Err(error.to_string())) {
            Err(reason) => {
                let location = &file.location;
                return Ok(Rewritten::Never(format!("`{location}`: {reason}")));
            }
            Ok(Kept::Whole) => files.push(file.clone()),
            Ok(Kept::Rows(batches, bloom_column)) => {
                let batch = BatchId {
                    token: receipt.token,
                    attempt: attempt(),
                };
                let options = WriteOptions {
                    bounded_columns: bounded(table, file),
                    bloom_column,
                    ..WriteOptions::default()
                };
                match lake.write(table, &batches, &batch, &options).await {
                    Ok(written) => files.extend(written),
                    Err(error @ (LakeError::Column { .. } | LakeError::Encode { .. })) => {
                        return Ok(Rewritten::Never(error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(Rewritten::Files(files))
}

/// The columns of which the file has bounds, so that the new one has them too.
fn bounded(table: &Table, file: &DataFile) -> Vec<String> {
    let bounded = file.columns.iter();
    let bounded = bounded.filter(|(_, facts)| facts.lower.is_some() || facts.upper.is_some());
    let fields = bounded.filter_map(|(id, _)| table.schema().field_by_id(*id));
    fields.map(|field| field.name.clone()).collect()
}

/// The rows of a file that are of other records than the known ones, in the table's columns.
fn kept(bytes: Bytes, layout: &FileLayout, known: &RangeSet) -> Result<Kept, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes);
    let builder = builder.map_err(|error| format!("it is not read as Parquet: {error}"))?;
    let bloom_column = with_bloom_filter(builder.metadata(), builder.schema(), layout);
    let reader = builder.build();
    let reader = reader.map_err(|error| format!("it is not read as Parquet: {error}"))?;
    let mut batches = Vec::new();
    let mut n_known = 0;
    for batch in reader {
        let batch = batch.map_err(|error| format!("it is not read as Parquet: {error}"))?;
        let batch = in_columns_of(layout, &batch)?;
        let others = of_other_records(&batch, known)?;
        n_known += batch.num_rows() - others.true_count();
        let batch = filter_record_batch(&batch, &others).map_err(|error| error.to_string())?;
        batches.push(batch);
    }
    if n_known == 0 {
        return Ok(Kept::Whole);
    }
    batches.retain(|batch| batch.num_rows() > 0);
    Ok(Kept::Rows(batches, bloom_column))
}

/// The column of the table, by its name now, of which the file has a bloom filter.
fn with_bloom_filter(
    footer: &ParquetMetaData,
    schema: &Schema,
    layout: &FileLayout,
) -> Option<String> {
    let mut chunks = footer.row_groups().first()?.columns().iter();
    let chunk = chunks.find(|chunk| chunk.bloom_filter_offset().is_some())?;
    let name = chunk.column_path().parts().first()?;
    let id = id_of(schema.field_with_name(name).ok()?)?;
    let mut columns = layout.columns().iter();
    let column = columns.find(|column| column.id == id)?;
    Some(column.field.name().clone())
}

/// The field id that a column of a file has.
fn id_of(field: &Field) -> Option<i32> {
    let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY)?;
    id.parse().ok()
}

/// The batch with the names and types that its columns have in the table now: they are told by their field ids.
fn in_columns_of(layout: &FileLayout, batch: &RecordBatch) -> Result<RecordBatch, String> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let id = id_of(field);
        let column = layout
            .columns()
            .iter()
            .find(|column| Some(column.id) == id)
            .ok_or_else(|| format!("the table does not have its column `{}`", field.name()))?;
        let data_type = column.field.data_type();
        let array = retyped(array, data_type).map_err(|error| error.to_string())?;
        fields.push(Field::new(column.field.name(), data_type.clone(), true));
        columns.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| error.to_string())
}

/// For each row whether its record is not a known one.
fn of_other_records(batch: &RecordBatch, known: &RangeSet) -> Result<BooleanArray, String> {
    let ids = batch
        .column_by_name(SOURCE_ID_COLUMN)
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or_else(|| format!("it has no text column `{SOURCE_ID_COLUMN}`"))?;
    let mut last: Option<(&str, bool)> = None; // The rows of a record follow each other.
    let mut others = Vec::with_capacity(ids.len());
    for id in ids {
        let id = id.ok_or_else(|| format!("a row has no `{SOURCE_ID_COLUMN}`"))?;
        let is_other = match last {
            Some((same, is_other)) if same == id => is_other,
            _ => !known.contains(&sequence_of(id)?),
        };
        last = Some((id, is_other));
        others.push(is_other);
    }
    Ok(BooleanArray::from(others))
}

/// `stream/shard/sequence number`
fn sequence_of(source_id: &str) -> Result<SequenceNumber, String> {
    let number = source_id.rsplit('/').next().unwrap_or_default();
    let parsed = number.parse::<SequenceNumber>();
    parsed.map_err(|error| format!("`{SOURCE_ID_COLUMN}` is `{source_id}`, where {error}"))
}
