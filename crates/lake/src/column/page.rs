//! The pages of one column chunk, and what its metadata says about them.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType, Type, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::extremes::Extremes;
use super::page_index::{PageFacts, column_index, offset_index};

/// A page is complete at so many rows…
pub(crate) const PAGE_ROWS: usize = 20_000;

/// …or at so many bytes before compression.
pub(crate) const PAGE_BYTES: usize = 1 << 20;

/// A column chunk in memory.
pub(crate) struct ColumnChunk {
    bytes: Bytes,
    metadata: ColumnChunkMetaData,
    bloom_filter: Option<Sbbf>,
    pages: Vec<PageFacts>,
    /// Whether readers may look for pages by this column.
    indexed: bool,
}

impl ColumnChunk {
    /// Whether there is more than one page to choose from.
    pub(crate) fn has_pages(&self) -> bool {
        self.pages.len() > 1
    }

    /// The bytes, and what a row group says about them; with `page_index`, of each page as well.
    pub(crate) fn close(
        self,
        page_index: bool,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let n_rows: usize = self.pages.iter().map(|page| page.n_rows).sum();
        let column_index = (page_index && self.indexed)
            .then(|| column_index(self.metadata.column_type(), &self.pages))
            .transpose()?;
        let close = ColumnCloseResult {
            bytes_written: self.bytes.len() as u64,
            rows_written: n_rows as u64,
            metadata: self.metadata,
            bloom_filter: self.bloom_filter,
            column_index: column_index.flatten(),
            offset_index: page_index.then(|| offset_index(&self.pages)),
        };
        Ok((self.bytes, close))
    }
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
    /// One for each of `compressed`; where they stand in the chunk is not known yet.
    facts: Vec<PageFacts>,
    /// Whether readers may look for pages by this column.
    indexed: bool,
    /// Those of most chunks are those of their only page.
    extremes: Option<Arc<Extremes>>,
}

impl Pages {
    /// No pages yet. With `indexed`, readers may look for pages by their least and greatest values.
    pub(crate) fn new(descr: ColumnDescPtr, level: ZstdLevel, indexed: bool) -> Self {
        Self {
            descr,
            level,
            compressed: Vec::new(),
            compressed_bytes: 0,
            facts: Vec::new(),
            indexed,
            extremes: None,
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
        let extremes = page.extremes.map(Arc::new);
        match (&mut self.extremes, &extremes) {
            (Some(all), Some(extremes)) => Arc::make_mut(all).widen(extremes),
            (all @ None, extremes) => all.clone_from(extremes),
            (_, None) => {}
        }
        self.facts.push(PageFacts {
            n_rows: page.n_rows,
            n_nulls: page.n_nulls,
            extremes,
            offset: 0,
            n_bytes: 0,
        });
        Ok(())
    }

    /// The column chunk: the dictionary, if there is one, as its plain bytes and the number of its entries, and the pages.
    pub(crate) fn finish(
        mut self,
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
        let pages = dictionary.iter().chain(&self.compressed);
        let uses = encodings_of(pages.map(|page| (page.page_type(), page.encoding())));
        let n_rows: usize = self.facts.iter().map(|page| page.n_rows).sum();
        let n_nulls: usize = self.facts.iter().map(|page| page.n_nulls).sum();
        let statistics = match &self.extremes {
            Some(extremes) => extremes.statistics(n_nulls as u64),
            None => without_extremes(self.descr.physical_type(), n_nulls as u64),
        };
        let has_dictionary = dictionary.is_some();
        let (bytes, uncompressed_bytes) = self.write(dictionary)?;
        let encodings = uses.iter().map(|used| &used.encoding);
        let metadata = ColumnChunkMetaData::builder(self.descr)
            .set_compression(Compression::ZSTD(self.level))
            .set_encodings_mask(EncodingMask::new_from_encodings(
                encodings.chain([&Encoding::RLE]),
            ))
            .set_page_encoding_stats(uses)
            .set_total_compressed_size(count(bytes.len()))
            .set_total_uncompressed_size(count(uncompressed_bytes))
            .set_num_values(count(n_rows))
            .set_data_page_offset(self.facts.first().map_or(0, |page| page.offset))
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_statistics(statistics)
            .build()?;
        Ok(ColumnChunk {
            bytes,
            metadata,
            bloom_filter,
            pages: self.facts,
            indexed: self.indexed,
        })
    }

    /// The bytes of the chunk, and how many there were before compression. Notes where each page stands.
    fn write(
        &mut self,
        dictionary: Option<CompressedPage>,
    ) -> Result<(Bytes, usize), ParquetError> {
        let dictionary_bytes = dictionary.as_ref().map_or(0, |page| page.data().len());
        let n_pages = self.compressed.len() + 1;
        let n_bytes = dictionary_bytes + self.compressed_bytes + HEADER_BYTES * n_pages;
        SINK.with_borrow_mut(|sink| {
            // An error or a panic may have left something.
            sink.flush()?;
            *sink.inner_mut() = Vec::with_capacity(n_bytes);
            let begin = sink.bytes_written() as u64;
            let mut writer = SerializedPageWriter::new(sink);
            let mut uncompressed_bytes = 0;
            if let Some(page) = dictionary {
                uncompressed_bytes += writer.write_page(page)?.uncompressed_size;
            }
            for (page, facts) in self.compressed.drain(..).zip(&mut self.facts) {
                let written = writer.write_page(page)?;
                uncompressed_bytes += written.uncompressed_size;
                facts.offset = i64::try_from(written.offset - begin)?;
                facts.n_bytes = i32::try_from(written.compressed_size)?;
            }
            writer.close()?;
            let bytes = std::mem::take(sink.inner_mut());
            Ok((bytes.into(), uncompressed_bytes))
        })
    }
}

/// About how many bytes the header of a page has, or more.
const HEADER_BYTES: usize = 64;

thread_local! {
    /// Where the pages of a chunk are put one behind the other. It has a buffer of its own for small writes, so each thread
    /// keeps one.
    static SINK: RefCell<TrackedWrite<Vec<u8>>> = RefCell::new(TrackedWrite::new(Vec::new()));
}

/// How many pages there are of each kind and encoding.
fn encodings_of(pages: impl Iterator<Item = (PageType, Encoding)>) -> Vec<PageEncodingStats> {
    let mut uses: Vec<PageEncodingStats> = Vec::with_capacity(2);
    for (page_type, encoding) in pages {
        let same = |used: &&mut PageEncodingStats| {
            used.page_type == page_type && used.encoding == encoding
        };
        match uses.iter_mut().find(same) {
            Some(known) => known.count += 1,
            None => uses.push(PageEncodingStats {
                page_type,
                encoding,
                count: 1,
            }),
        }
    }
    uses
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
pub(super) fn count(n: usize) -> i64 {
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
    const BLOCK_HEADER_BYTES: usize = 3;
    let [low, high, ..] = body.len().wrapping_sub(256).to_le_bytes();
    let size: &[u8] = match u8::try_from(body.len()) {
        Ok(size) => &[SHORT, size],
        Err(_) => &[LONG, low, high],
    };
    // Not a byte more, with which `Bytes` could not take it as it is.
    let frame_bytes = MAGIC.len() + size.len() + BLOCK_HEADER_BYTES + body.len();
    let mut frame = Vec::with_capacity(frame_bytes);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(size);
    // The last block, and a raw one.
    frame.extend_from_slice(&(body.len() << 3 | 1).to_le_bytes()[..BLOCK_HEADER_BYTES]);
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
