use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, UInt32Array,
};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take;
use bytes::Bytes;
use iceberg::spec::{Literal, PrimitiveLiteral, Transform};

use super::DedupeOptions;
use super::find::{Candidate, Repeated};
use super::keys::open;
use crate::data_file::DataFile;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::table::Table;
use crate::token::{BatchId, Token};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Rows are written when they take this much memory, so that files of any size can be written again.
const MAX_ROWS_BYTES: usize = 128 << 20;

impl Lake {
    /// Writes the files again without the repeated rows. Nothing refers to the new files yet.
    pub(super) async fn rewritten(
        &self,
        table: &Table,
        candidates: &[Candidate],
        repeated: &Repeated,
        options: &DedupeOptions,
    ) -> Result<Vec<DataFile>, LakeError> {
        let mut written = Vec::new();
        let base = table.metadata().current_snapshot_id().unwrap_or_default();
        for (at, left_out) in repeated {
            let location = candidates[*at].location();
            let identity = format!("{base} {location}");
            let id = |attempt| BatchId {
                token: Token::new(table.uuid(), "dedupe", identity.as_bytes()),
                attempt,
            };
            let object = table.storage().get(location).await;
            let object = object.map_err(|source| LakeError::ReadTable {
                table: table.name().clone(),
                source: source.into(),
            })?;
            let mut kept = Kept::new(table, &candidates[*at], object, left_out.clone())?;
            let mut attempt = options.seed;
            while let Some(batches) = kept.next().map_err(|source| LakeError::ReadTable {
                table: table.name().clone(),
                source: format!("cannot read `{location}`: {source}").into(),
            })? {
                let id = id(attempt);
                let files = self.write(table, &batches, &id, &options.write).await?;
                written.extend(files);
                attempt = attempt.wrapping_add(1);
            }
        }
        Ok(written)
    }
}

/// The rows of a file that stay, in the columns of the table.
struct Kept {
    reader: parquet::arrow::arrow_reader::ParquetRecordBatchReader,
    names: HashMap<String, String>,
    types: HashMap<String, FieldRef>,
    /// Columns that the file does not have and its partition tells, one row of each.
    of_partition: Vec<(String, ArrayRef)>,
    left_out: std::iter::Peekable<std::vec::IntoIter<u32>>,
    next_row: u32,
}

impl Kept {
    fn new(
        table: &Table,
        candidate: &Candidate,
        object: Bytes,
        left_out: Vec<u32>,
    ) -> Result<Self, LakeError> {
        let layout = table.layout()?;
        let fields = table.schema().as_struct().fields();
        let opened = open(object, Some(fields)).map_err(|source| LakeError::ReadTable {
            table: table.name().clone(),
            source,
        });
        let (reader, names) = opened?;
        let types = layout.columns().iter().map(|column| {
            let field = column.field.clone();
            (field.name().clone(), field)
        });
        let types: HashMap<String, FieldRef> = types.collect();
        let of_partition = told_by_partition(table, candidate, &names, &types);
        let of_partition = of_partition.map_err(|source| LakeError::ReadTable {
            table: table.name().clone(),
            source: format!("cannot read `{}`: {source}", candidate.location()).into(),
        })?;
        Ok(Self {
            reader,
            names,
            types,
            of_partition,
            left_out: left_out.into_iter().peekable(),
            next_row: 0,
        })
    }

    /// The next rows, as many as memory should hold; nothing at the end.
    fn next(&mut self) -> Result<Option<Vec<RecordBatch>>, Cause> {
        let mut batches = Vec::new();
        let mut n_bytes = 0;
        while n_bytes < MAX_ROWS_BYTES {
            let Some(batch) = self.reader.next() else {
                break;
            };
            let batch = self.kept(&batch?)?;
            if batch.num_rows() > 0 {
                n_bytes += batch.get_array_memory_size();
                batches.push(batch);
            }
        }
        Ok((!batches.is_empty()).then_some(batches))
    }

    fn kept(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Cause> {
        let n_rows = u32::try_from(batch.num_rows())?;
        let rows = self.next_row..self.next_row + n_rows;
        self.next_row = rows.end;
        let stays: BooleanArray = rows
            .map(|row| Some(self.left_out.next_if_eq(&row).is_none()))
            .collect();
        let stay = filter_record_batch(batch, &stays)?;
        let mut fields = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (field, array) in stay.schema().fields().iter().zip(stay.columns()) {
            let Some(name) = self.names.get(field.name()) else {
                continue;
            };
            let Some(wanted) = self.types.get(name) else {
                continue;
            };
            let array = converted(array, wanted.data_type())?;
            fields.push(Field::new(name, array.data_type().clone(), true));
            columns.push(array);
        }
        for (name, value) in &self.of_partition {
            let rows = UInt32Array::from_value(0, stay.num_rows());
            fields.push(Field::new(name, value.data_type().clone(), true));
            columns.push(take(value, &rows, None)?);
        }
        let n_rows = RecordBatchOptions::new().with_row_count(Some(stay.num_rows()));
        let schema = Arc::new(Schema::new(fields));
        Ok(RecordBatch::try_new_with_options(schema, columns, &n_rows)?)
    }
}

/// The columns that the file does not have although its rows have a value, as in files of Hive-style directories that were added
/// to the table: the values of the partition fields that are columns as they are. One row of each.
fn told_by_partition(
    table: &Table,
    candidate: &Candidate,
    names: &HashMap<String, String>,
    types: &HashMap<String, FieldRef>,
) -> Result<Vec<(String, ArrayRef)>, Cause> {
    let spec = table.metadata().partition_spec_by_id(candidate.spec_id);
    let fields = spec.map_or(&[][..], |spec| spec.fields());
    let values = candidate.entry.data_file().partition().iter();
    let mut told = Vec::new();
    for (field, value) in fields.iter().zip(values) {
        let column = table.schema().field_by_id(field.source_id);
        let (Some(column), Some(Literal::Primitive(value))) = (column, value) else {
            continue;
        };
        let Some(wanted) = types.get(&column.name) else {
            continue;
        };
        let is_in_file = names.values().any(|name| *name == column.name);
        if field.transform == Transform::Identity && !is_in_file {
            told.push((column.name.clone(), row_of(value, wanted.data_type())?));
        }
    }
    Ok(told)
}

/// The value as one row of this type.
fn row_of(value: &PrimitiveLiteral, wanted: &DataType) -> Result<ArrayRef, Cause> {
    let row: ArrayRef = match value {
        PrimitiveLiteral::Boolean(value) => Arc::new(BooleanArray::from(vec![*value])),
        PrimitiveLiteral::Int(value) => Arc::new(Int32Array::from(vec![*value])),
        PrimitiveLiteral::Long(value) => Arc::new(Int64Array::from(vec![*value])),
        PrimitiveLiteral::Float(value) => Arc::new(Float32Array::from(vec![value.0])),
        PrimitiveLiteral::Double(value) => Arc::new(Float64Array::from(vec![value.0])),
        PrimitiveLiteral::String(value) => Arc::new(StringArray::from(vec![value.as_str()])),
        other => return Err(format!("the partition value {other:?} cannot be written").into()),
    };
    converted(&row, wanted)
}

/// The values in the type that the column has today: columns may have been promoted since the file was written.
fn converted(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Cause> {
    if array.data_type() == wanted || wanted.is_nested() {
        return Ok(array.clone());
    }
    let cast = arrow_cast::cast(array, wanted)?;
    if cast.null_count() != array.null_count() {
        return Err(format!("values of `{}` do not fit `{wanted}`", array.data_type()).into());
    }
    Ok(cast)
}
