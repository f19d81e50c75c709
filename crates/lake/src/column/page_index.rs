//! What each page of a column chunk holds, and what readers may look for in it.

use parquet::basic::{BoundaryOrder, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use super::extremes::Extremes;
use super::page::count;

/// One data page of a column chunk.
#[derive(Debug)]
pub(super) struct PageFacts {
    pub(super) n_rows: usize,
    pub(super) n_nulls: usize,
    /// Shortened. None when all values are null or NaN, and where readers are not to look for pages.
    pub(super) extremes: Option<Extremes>,
    /// Where it begins in the chunk…
    pub(super) offset: i64,
    /// …and how many bytes it has there, its header too.
    pub(super) n_bytes: i32,
}

/// The least and greatest values of each page. None where a page has values of which none can be compared: an index would
/// have to lie about them.
pub(super) fn column_index(
    physical_type: Type,
    pages: &[PageFacts],
) -> Result<Option<ColumnIndexMetaData>, ParquetError> {
    let mut index = ColumnIndexBuilder::new(physical_type);
    let mut last: Option<&Extremes> = None;
    let mut ascending = true;
    for page in pages {
        let n_nulls = count(page.n_nulls);
        match &page.extremes {
            Some(extremes) => {
                let (min, max) = extremes.kept();
                index.append(false, min, max, n_nulls);
                ascending &= last.is_none_or(|last| extremes.ascends_from(last));
                last = Some(extremes);
            }
            None if page.n_nulls == page.n_rows => {
                index.append(true, Vec::new(), Vec::new(), n_nulls);
            }
            None => return Ok(None),
        }
    }
    index.set_boundary_order(if ascending {
        BoundaryOrder::ASCENDING
    } else {
        BoundaryOrder::UNORDERED
    });
    index.build().map(Some)
}

/// Where each page stands in the chunk, and how many rows it has.
pub(super) fn offset_index(pages: &[PageFacts]) -> OffsetIndexMetaData {
    let mut index = OffsetIndexBuilder::new();
    for page in pages {
        index.append_row_count(count(page.n_rows));
        index.append_offset_and_size(page.offset, page.n_bytes);
    }
    index.build()
}
