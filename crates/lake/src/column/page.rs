//! The pages of one column chunk, and what its metadata says about them.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType, Type, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::extremes::Extremes;

/// A page is complete at so many rows…
pub(crate) const PAGE_ROWS: usize = 20_000;

/// …or at so many bytes before compression.
pub(crate) const PAGE_BYTES: usize = 1 << 20;

/// A column chunk in memory.
pub(crate) struct ColumnChunk {
    pub(crate) bytes: Bytes,
    pub(crate) close: ColumnCloseResult,
}

/// One data page before compression.
pub(crate) struct DataPage<'a> {
    /// Levels and values.
    pub(crate) body: &'a [u8],
    pub(crate) encoding: Encoding,
    pub(crate) n_rows: usize,
    pub(crate) n_nulls: usize,
    /// None when all values are null or NaN.
    pub(crate) extremes: Option<Extremes>,
}

/// The data pages of one column chunk, compressed. The dictionary, which must come first in the file, is known last.
pub(crate) struct Pages {
    descr: ColumnDescPtr,
    level: ZstdLevel,
    compressed: Vec<CompressedPage>,
    compressed_bytes: usize,
    /// None when readers are not to look for pages by this column.
    index: Option<ColumnIndexBuilder>,
    offsets: OffsetIndexBuilder,
    n_rows: usize,
    n_nulls: usize,
    /// Those of most chunks are those of their only page.
    extremes: Option<Arc<Extremes>>,
    last: Option<Arc<Extremes>>,
    ascending: bool,
}

impl Pages {
    /// No pages yet. With `indexed`, each page's least and greatest values are kept.
    pub(crate) fn new(descr: ColumnDescPtr, level: ZstdLevel, indexed: bool) -> Self {
        Self {
            index: indexed.then(|| ColumnIndexBuilder::new(descr.physical_type())),
            descr,
            level,
            compressed: Vec::new(),
            compressed_bytes: 0,
            offsets: OffsetIndexBuilder::new(),
            n_rows: 0,
            n_nulls: 0,
            extremes: None,
            last: None,
            ascending: true,
        }
    }

    /// Whether rows may be null.
    pub(crate) fn nullable(&self) -> bool {
        self.descr.max_def_level() > 0
    }

    /// How many bytes the pages have, compressed.
    pub(crate) fn compressed_bytes(&self) -> usize {
        self.compressed_bytes
    }

    /// Compresses one more page.
    pub(crate) fn add(&mut self, page: DataPage<'_>) -> Result<(), ParquetError> {
        let compressed = compress(page.body, self.level)?;
        self.compressed_bytes += compressed.len();
        let data_page = Page::DataPage {
            buf: compressed,
            num_values: u32::try_from(page.n_rows)?,
            encoding: page.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.compressed
            .push(CompressedPage::new(data_page, page.body.len()));
        self.describe(page.n_rows, page.n_nulls, page.extremes.map(Arc::new));
        Ok(())
    }

    /// Notes what metadata and page index say about a page.
    fn describe(&mut self, n_rows: usize, n_nulls: usize, extremes: Option<Arc<Extremes>>) {
        self.n_rows += n_rows;
        self.n_nulls += n_nulls;
        self.offsets.append_row_count(count(n_rows));
        match (&mut self.index, &extremes) {
            (Some(index), Some(extremes)) => {
                let (min, max) = extremes.kept();
                index.append(false, min, max, count(n_nulls));
                let last = self.last.replace(Arc::clone(extremes));
                self.ascending &= last.is_none_or(|last| extremes.ascends_from(&last));
            }
            (Some(index), None) if n_nulls == n_rows => {
                index.append(true, Vec::new(), Vec::new(), count(n_nulls));
            }
            // Values of which none can be compared: an index would have to lie about them.
            (Some(_), None) => self.index = None,
            (None, _) => {}
        }
        match (&mut self.extremes, extremes) {
            (Some(all), Some(extremes)) => Arc::make_mut(all).widen(&extremes),
            (all @ None, extremes) => *all = extremes,
            (_, None) => {}
        }
    }

    /// The column chunk: the dictionary, if there is one, as its plain bytes and the number of its entries, and the pages.
    pub(crate) fn finish(
        self,
        dictionary: Option<(&[u8], usize)>,
        mut bloom_filter: Option<Sbbf>,
    ) -> Result<ColumnChunk, ParquetError> {
        if let Some(filter) = &mut bloom_filter {
            // It was made for as many values as there are rows.
            filter.fold_to_target_fpp(super::BLOOM_FILTER_ERRORS);
        }
        let dictionary = dictionary
            .map(|(body, n_entries)| dictionary_page(body, n_entries, self.level))
            .transpose()?;
        let dictionary_bytes = dictionary.as_ref().map_or(0, |page| page.data().len());
        let n_pages = self.compressed.len() + 1;
        let mut sink = TrackedWrite::new(Vec::with_capacity(
            dictionary_bytes + self.compressed_bytes + 64 * n_pages,
        ));
        let mut writer = SerializedPageWriter::new(&mut sink);
        let mut uncompressed_bytes = 0;
        let mut encodings = vec![Encoding::RLE];
        let mut stats: Vec<PageEncodingStats> = Vec::new();
        let mut noted = |page_type, encoding| {
            if !encodings.contains(&encoding) {
                encodings.push(encoding);
            }
            let same =
                |s: &&mut PageEncodingStats| s.page_type == page_type && s.encoding == encoding;
            match stats.iter_mut().find(same) {
                Some(stats) => stats.count += 1,
                None => stats.push(PageEncodingStats {
                    page_type,
                    encoding,
                    count: 1,
                }),
            }
        };
        let has_dictionary = dictionary.is_some();
        if let Some(page) = dictionary {
            noted(PageType::DICTIONARY_PAGE, Encoding::PLAIN);
            uncompressed_bytes += writer.write_page(page)?.uncompressed_size;
        }
        let (mut offsets, mut data_offset) = (self.offsets, None);
        for page in self.compressed {
            noted(PageType::DATA_PAGE, page.encoding());
            let written = writer.write_page(page)?;
            uncompressed_bytes += written.uncompressed_size;
            let offset = i64::try_from(written.offset)?;
            data_offset.get_or_insert(offset);
            offsets.append_offset_and_size(offset, i32::try_from(written.compressed_size)?);
        }
        writer.close()?;
        drop(writer);
        let bytes = Bytes::from(sink.into_inner()?);
        let statistics = match &self.extremes {
            Some(extremes) => extremes.statistics(self.n_nulls as u64),
            None => without_extremes(self.descr.physical_type(), self.n_nulls as u64),
        };
        let metadata = ColumnChunkMetaData::builder(self.descr.clone())
            .set_compression(Compression::ZSTD(self.level))
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(stats)
            .set_total_compressed_size(count(bytes.len()))
            .set_total_uncompressed_size(count(uncompressed_bytes))
            .set_num_values(count(self.n_rows))
            .set_data_page_offset(data_offset.unwrap_or(0))
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_statistics(statistics)
            .build()?;
        let column_index = self.index.map(|mut index| {
            index.set_boundary_order(boundary_order(self.ascending));
            index.build()
        });
        Ok(ColumnChunk {
            close: ColumnCloseResult {
                bytes_written: bytes.len() as u64,
                rows_written: self.n_rows as u64,
                metadata,
                bloom_filter,
                column_index: column_index.transpose()?,
                offset_index: Some(offsets.build()),
            },
            bytes,
        })
    }
}

/// The plain bytes of so many entries, as the page that stands in front of those that point to them.
fn dictionary_page(
    body: &[u8],
    n_entries: usize,
    level: ZstdLevel,
) -> Result<CompressedPage, ParquetError> {
    let page = Page::DictionaryPage {
        buf: compress(body, level)?,
        num_values: u32::try_from(n_entries)?,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    Ok(CompressedPage::new(page, body.len()))
}

fn boundary_order(ascending: bool) -> parquet::basic::BoundaryOrder {
    if ascending {
        parquet::basic::BoundaryOrder::ASCENDING
    } else {
        parquet::basic::BoundaryOrder::UNORDERED
    }
}

/// The statistics of a chunk without values that can be compared: how many nulls it has.
fn without_extremes(physical_type: Type, n_nulls: u64) -> Statistics {
    let nulls = Some(n_nulls);
    match physical_type {
        Type::BOOLEAN => Statistics::boolean(None, None, None, nulls, false),
        Type::DOUBLE => Statistics::double(None, None, None, nulls, false),
        Type::BYTE_ARRAY => Statistics::byte_array(None, None, None, nulls, false),
        _ => Statistics::int64(None, None, None, nulls, false),
    }
}

/// Parquet counts in signed numbers; nothing in memory has 2^63 of anything.
fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

thread_local! {
    /// A compression context is large and slow to make, so each thread keeps the one it used last.
    static COMPRESSOR: RefCell<Option<(ZstdLevel, Compressor<'static>, Vec<u8>)>> = const { RefCell::new(None) };
}

/// Below so many bytes a page gets little shorter, if at all, and five in six of a batch of a hundred events have fewer: what
/// compressing them would save is 2 % of their file.
const STORED_BYTES: usize = 384;

/// A Zstandard frame that holds these bytes, fewer than [`STORED_BYTES`], as they are (RFC 8878, sections 3.1.1 and 3.1.1.2).
fn stored(body: &[u8]) -> Bytes {
    const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
    /// One segment, whose size follows in one byte.
    const SHORT: u8 = 1 << 5;
    /// The same with two bytes, which say how much more than 256 it is.
    const LONG: u8 = SHORT | 1 << 6;
    let mut frame = Vec::with_capacity(MAGIC.len() + 6 + body.len());
    frame.extend_from_slice(&MAGIC);
    let [low, high, ..] = body.len().wrapping_sub(256).to_le_bytes();
    match u8::try_from(body.len()) {
        Ok(size) => frame.extend_from_slice(&[SHORT, size]),
        Err(_) => frame.extend_from_slice(&[LONG, low, high]),
    }
    // The last block, and a raw one.
    frame.extend_from_slice(&(body.len() << 3 | 1).to_le_bytes()[..3]);
    frame.extend_from_slice(body);
    frame.into()
}

thread_local! {
    static BODY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `write` with room for the levels and values of a page, which each thread has once.
pub(super) fn with_body<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    BODY.with_borrow_mut(|body| {
        // A panic, which ends one batch and not the thread, may have left something.
        body.clear();
        let written = write(body);
        // One text of hundreds of megabytes must not take memory for as long as the thread lives.
        body.clear();
        body.shrink_to(4 * PAGE_BYTES);
        written
    })
}

/// Compresses one page as one Zstandard frame.
fn compress(body: &[u8], level: ZstdLevel) -> Result<Bytes, ParquetError> {
    if body.len() < STORED_BYTES {
        return Ok(stored(body));
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        let (_, compressor, buffer) = match kept {
            Some(kept) if kept.0 == level => kept,
            _ => kept.insert((
                level,
                Compressor::new(level.compression_level())?,
                Vec::new(),
            )),
        };
        buffer.clear();
        buffer.reserve(zstd::zstd_safe::compress_bound(body.len()));
        compressor.compress_to_buffer(body, buffer)?;
        let compressed = Bytes::copy_from_slice(buffer);
        buffer.clear();
        buffer.shrink_to(4 * PAGE_BYTES);
        Ok(compressed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_empty_also_after_one_that_panicked() {
        let panicked = std::panic::catch_unwind(|| {
            with_body(|body| {
                body.push(7);
                panic!("a test");
            })
        });
        assert!(panicked.is_err());
        assert!(with_body(|body| body.is_empty()));
    }

    #[test]
    fn every_page_unpacks_to_what_it_was_however_short_it_is() {
        let level = ZstdLevel::try_new(1).expect("a level");
        for n_bytes in (0..2 * STORED_BYTES).chain([255, 256, 1 << 17, PAGE_BYTES]) {
            let body: Vec<u8> = (0..n_bytes).map(|n| n.to_le_bytes()[0] % 7).collect();
            let frame = compress(&body, level).expect("a frame");
            let unpacked = zstd::bulk::decompress(&frame, n_bytes).expect("a frame that unpacks");
            assert_eq!(unpacked, body, "{n_bytes} bytes");
            let said = zstd::zstd_safe::get_frame_content_size(&frame).expect("a size");
            assert_eq!(said, Some(n_bytes as u64));
        }
    }
}
