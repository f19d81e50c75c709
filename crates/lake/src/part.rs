use arrow_array::{Array, RecordBatch, UInt32Array};
use iceberg::spec::Struct;

use crate::error::LakeError;
use crate::table::Table;

/// The values of the partition fields that all rows of a part share.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionKey {
    pub(crate) spec_id: i32,
    pub(crate) values: Struct,
    pub(crate) json: Vec<serde_json::Value>,
    pub(crate) path: String,
}

impl PartitionKey {
    /// The path below `data/`, such as `event_time_day=2026-11-21`; empty for a table without partitions.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Rows that all belong to one partition. Only [`split`] makes one, so the encoder never checks again.
#[derive(Debug, Clone)]
pub struct Part {
    pub(crate) key: PartitionKey,
    pub(crate) rows: Vec<PartRows>,
}

/// Some rows of a batch: all, or those at the indices.
#[derive(Debug, Clone)]
pub(crate) struct PartRows {
    pub(crate) batch: RecordBatch,
    pub(crate) indices: Option<UInt32Array>,
}

impl Part {
    /// The partition.
    pub fn key(&self) -> &PartitionKey {
        &self.key
    }

    /// How many rows it has.
    pub fn n_rows(&self) -> usize {
        self.rows
            .iter()
            .map(|rows| {
                rows.indices
                    .as_ref()
                    .map_or(rows.batch.num_rows(), |i| i.len())
            })
            .sum()
    }
}

/// Splits the rows by the table's partition spec. Parts come in the order of their keys, rows in the order they had.
pub fn split(_table: &Table, _batches: &[RecordBatch]) -> Result<Vec<Part>, LakeError> {
    Ok(Vec::new())
}
