mod value;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    Array, ArrayRef, Date32Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
    new_null_array,
};
use arrow_schema::DataType;
use arrow_select::take::{take, take_record_batch};
use iceberg::arrow::{arrow_primitive_to_literal, type_to_arrow_type};
use iceberg::spec::{Literal, StructType, Transform};
use iceberg::transform::{BoxedTransformFunction, create_transform_function};

use self::value::{for_people, json_of, safe_level};
use crate::error::LakeError;
use crate::group::{Groups, codes};
use crate::retype::retyped;
use crate::table::Table;

/// The values of the partition fields that all rows of a part share.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionKey {
    spec_id: i32,
    values: Vec<Option<Literal>>,
    json: Vec<serde_json::Value>,
    path: String,
}

impl PartitionKey {
    /// The spec that it belongs to.
    pub fn spec_id(&self) -> i32 {
        self.spec_id
    }

    /// The path below `data/`, such as `event_time_day=2026-11-21`; empty for a table without partitions.
    ///
    /// It is for people: two partitions may share one, and nothing is ever read out of it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The values of the partition fields in Iceberg's JSON form; null for none.
    pub fn values(&self) -> &[serde_json::Value] {
        &self.json
    }
}

/// Rows that all belong to one partition. Only [`split`] makes one, so the encoder never checks again.
#[derive(Debug, Clone)]
pub struct Part {
    key: PartitionKey,
    rows: Vec<PartRows>,
}

impl Part {
    /// The partition.
    pub fn key(&self) -> &PartitionKey {
        &self.key
    }

    /// How many rows it has.
    pub fn n_rows(&self) -> usize {
        self.rows.iter().map(PartRows::n_rows).sum()
    }

    /// Its rows as batches. Rows that lie together in their batch are not copied.
    pub(crate) fn batches(
        &self,
    ) -> impl Iterator<Item = Result<RecordBatch, arrow_schema::ArrowError>> {
        self.rows.iter().map(PartRows::batch)
    }
}

/// Some rows of a batch: all, or those at the indices.
#[derive(Debug, Clone)]
struct PartRows {
    batch: RecordBatch,
    indices: Option<UInt32Array>,
}

impl PartRows {
    fn n_rows(&self) -> usize {
        self.indices
            .as_ref()
            .map_or(self.batch.num_rows(), Array::len)
    }

    fn batch(&self) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let Some(indices) = &self.indices else {
            return Ok(self.batch.clone());
        };
        match indices.values().as_ref() {
            // Indices rise, so first and last say whether there is a gap.
            [first, .., last] if (last - first) as usize + 1 == indices.len() => {
                Ok(self.batch.slice(*first as usize, indices.len()))
            }
            _ => take_record_batch(&self.batch, indices),
        }
    }
}

/// Splits the rows by the table's partition spec.
///
/// Parts come in the order of their keys, nulls first; rows keep their order. Batches carry columns by name; a column that
/// a batch does not have counts as null.
///
/// # Errors
///
/// [`LakeError::UnsupportedTable`] for a spec that cannot be written to, [`LakeError::Column`] for a column whose values
/// the transform does not take.
pub fn split(table: &Table, batches: &[RecordBatch]) -> Result<Vec<Part>, LakeError> {
    table.check_writable()?;
    let splitter = Splitter::new(table)?;
    let mut parts: Vec<Part> = Vec::new();
    let mut by_values: HashMap<Vec<Option<Literal>>, usize> = HashMap::new();
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
        for (values, indices) in splitter.split(batch)? {
            let rows = PartRows {
                batch: batch.clone(),
                indices,
            };
            let next = parts.len();
            let place = *by_values.entry(values.clone()).or_insert(next);
            match parts.get_mut(place) {
                Some(part) => part.rows.push(rows),
                None => parts.push(Part {
                    key: splitter.key(values)?,
                    rows: vec![rows],
                }),
            }
        }
    }
    parts.sort_by(|a, b| compare(&a.key.values, &b.key.values));
    Ok(parts)
}

const US_PER_DAY: i64 = 86_400_000_000;

/// The days of times in microseconds. The library's own transform rounds a fraction of a second before 1970 towards the next day.
fn days(times: &TimestampMicrosecondArray) -> Date32Array {
    times.unary(|us| i32::try_from(us.div_euclid(US_PER_DAY)).unwrap_or(i32::MAX)) // 64 bits of microseconds are 2^28 days.
}

/// The values of a partition, and its rows in a batch; no indices mean all.
type SplitRows = (Vec<Option<Literal>>, Option<UInt32Array>);

/// A table's partition spec, made ready for batches.
struct Splitter<'a> {
    table: &'a Table,
    fields: Vec<SplitField>,
    partition_type: StructType,
}

struct SplitField {
    column: String,
    source_type: arrow_schema::DataType,
    transform: Transform,
    function: BoxedTransformFunction,
}

impl<'a> Splitter<'a> {
    fn new(table: &'a Table) -> Result<Self, LakeError> {
        let unsupported = |error: iceberg::Error| LakeError::UnsupportedTable {
            table: table.name().clone(),
            reason: error.to_string(),
        };
        let top_level = table.schema().as_struct();
        let spec = table.spec();
        let partition_type = spec.partition_type(table.schema()).map_err(unsupported)?;
        let mut fields = Vec::with_capacity(spec.fields().len());
        for field in spec.fields() {
            let source = top_level.field_by_id(field.source_id);
            let source_type = match source {
                Some(source) => type_to_arrow_type(&source.field_type).map_err(unsupported)?,
                None => arrow_schema::DataType::Null,
            };
            fields.push(SplitField {
                column: source.map(|source| source.name.clone()).unwrap_or_default(),
                source_type,
                transform: field.transform,
                function: create_transform_function(&field.transform).map_err(unsupported)?,
            });
        }
        Ok(Self {
            table,
            fields,
            partition_type,
        })
    }

    fn split(&self, batch: &RecordBatch) -> Result<Vec<SplitRows>, LakeError> {
        let arrays = self
            .fields
            .iter()
            .map(|field| self.values(field, batch))
            .collect::<Result<Vec<_>, _>>()?;
        let mut groups = Groups::one(batch.num_rows());
        for (field, array) in self.fields.iter().zip(&arrays) {
            groups = match codes(array) {
                Some(codes) => groups.refined(&codes),
                None => {
                    return Err(self.refused(
                        field,
                        &format!("`{}` cannot be split by", array.data_type()),
                    ));
                }
            };
        }
        let values = self.literals(&arrays, &groups.first_rows())?;
        if values.len() == 1 {
            return Ok(values.into_iter().map(|values| (values, None)).collect());
        }
        Ok(values
            .into_iter()
            .zip(groups.indices().into_iter().map(Some))
            .collect())
    }

    /// The values of one partition field for each row.
    fn values(&self, field: &SplitField, batch: &RecordBatch) -> Result<ArrayRef, LakeError> {
        let n_rows = batch.num_rows();
        let Some(column) = batch.column_by_name(&field.column) else {
            let nulls = new_null_array(&field.source_type, n_rows);
            return match field.transform {
                Transform::Void => Ok(nulls),
                _ => self.transformed(field, nulls),
            };
        };
        let column = match column.data_type() {
            // Texts may come with a dictionary, which the transforms do not know.
            DataType::Dictionary(_, values) => {
                retyped(column, values).map_err(|error| self.refused(field, &error.to_string()))?
            }
            _ => column.clone(),
        };
        match field.transform {
            Transform::Void => Ok(new_null_array(&field.source_type, n_rows)),
            _ => self.transformed(field, column),
        }
    }

    fn transformed(&self, field: &SplitField, column: ArrayRef) -> Result<ArrayRef, LakeError> {
        if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>()
            && field.transform == Transform::Day
        {
            return Ok(Arc::new(days(times)));
        }
        field
            .function
            .transform(column)
            .map_err(|error| self.refused(field, &format!("`{}`: {error}", field.transform)))
    }

    /// The partition values at these rows.
    fn literals(
        &self,
        arrays: &[ArrayRef],
        rows: &UInt32Array,
    ) -> Result<Vec<Vec<Option<Literal>>>, LakeError> {
        let mut values = vec![Vec::with_capacity(arrays.len()); rows.len()];
        for ((field, array), partition_field) in self
            .fields
            .iter()
            .zip(arrays)
            .zip(self.partition_type.fields())
        {
            let literals = if array.data_type() == &arrow_schema::DataType::Null {
                vec![None; rows.len()]
            } else {
                let refused = |error: String| self.refused(field, &error);
                let firsts = take(array, rows, None).map_err(|error| refused(error.to_string()))?;
                let expected = type_to_arrow_type(&partition_field.field_type)
                    .map_err(|error| refused(error.to_string()))?;
                let firsts: ArrayRef =
                    retyped(&firsts, &expected).map_err(|error| refused(error.to_string()))?;
                arrow_primitive_to_literal(&firsts, &partition_field.field_type)
                    .map_err(|error| refused(error.to_string()))?
            };
            for (row, literal) in values.iter_mut().zip(literals) {
                row.push(literal);
            }
        }
        Ok(values)
    }

    fn key(&self, values: Vec<Option<Literal>>) -> Result<PartitionKey, LakeError> {
        let spec = self.table.spec();
        let mut json = Vec::with_capacity(values.len());
        for ((value, field), source) in values
            .iter()
            .zip(self.partition_type.fields())
            .zip(&self.fields)
        {
            json.push(match value {
                None => serde_json::Value::Null,
                Some(value) => json_of(value, &field.field_type)
                    .map_err(|error| self.refused(source, &error.to_string()))?,
            });
        }
        let levels = spec.fields().iter().zip(&values).zip(&json);
        let levels = levels.map(|((field, value), json)| {
            safe_level(&format!(
                "{}={}",
                field.name,
                for_people(field.transform, value.as_ref(), json)
            ))
        });
        let path = levels.collect::<Vec<_>>().join("/");
        Ok(PartitionKey {
            spec_id: spec.spec_id(),
            values,
            json,
            path,
        })
    }

    fn refused(&self, field: &SplitField, reason: &str) -> LakeError {
        LakeError::Column {
            table: self.table.name().clone(),
            column: field.column.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn compare(a: &[Option<Literal>], b: &[Option<Literal>]) -> std::cmp::Ordering {
    let primitive =
        |value: &Option<Literal>| value.as_ref().and_then(Literal::as_primitive_literal);
    a.iter()
        .zip(b)
        .map(|(a, b)| {
            primitive(a)
                .partial_cmp(&primitive(b))
                .unwrap_or(std::cmp::Ordering::Equal)
        })
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_of_a_second_before_1970_stays_in_its_day() {
        // 1969-12-30T23:59:59.5Z, 1969-12-31T00:00:00Z, 1969-12-31T23:59:59.999999Z, 1970-01-01T00:00:00Z
        let times = [-86_400_500_000, -86_400_000_000, -1, 0];
        let days = days(&TimestampMicrosecondArray::from_iter_values(times));
        assert_eq!(days.values().to_vec(), [-2, -1, -1, 0]);
    }
}
