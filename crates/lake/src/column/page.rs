//! The pages of one column chunk, and what its metadata says about them.

use std::cell::RefCell;
use std::io::Write as _;

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

use super::compress::{Content, compress};
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
    /// Those of the chunk so far. As long as there is one page they are its own, and only here.
    extremes: Option<Extremes>,
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
        let content = self.content(page.encoding);
        let compressed = compress(page.body, content, self.level)?;
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
        // Long texts must not stay in memory, page by page, until the row group ends.
        if self.indexed
            && let [first] = self.facts.as_mut_slice()
        {
            first.extremes = self.extremes.clone().map(Extremes::shortened);
        }
        let is_first = self.facts.is_empty();
        let of_page = page.extremes.as_ref().filter(|_| self.indexed && !is_first);
        self.facts.push(PageFacts {
            n_rows: page.n_rows,
            n_nulls: page.n_nulls,
            extremes: of_page.cloned().map(Extremes::shortened),
            offset: 0,
            n_bytes: 0,
        });
        match (&mut self.extremes, page.extremes) {
            (Some(all), Some(extremes)) => all.widen(&extremes),
            (all @ None, extremes) => *all = extremes,
            (_, None) => {}
        }
        Ok(())
    }

    /// What is in a page of values that are written like this.
    fn content(&self, encoding: Encoding) -> Content {
        match (encoding, self.descr.physical_type()) {
            (Encoding::PLAIN, Type::INT64) => Content::Integers,
            _ => Content::Other,
        }
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
            .map(|(body, n_entries)| {
                let content = self.content(Encoding::PLAIN);
                dictionary_page(compress(body, content, self.level)?, body.len(), n_entries)
            })
            .transpose()?;
        let pages = dictionary.iter().chain(&self.compressed);
        let uses = encodings_of(pages.map(|page| (page.page_type(), page.encoding())));
        let n_rows: usize = self.facts.iter().map(|page| page.n_rows).sum();
        let n_nulls: usize = self.facts.iter().map(|page| page.n_nulls).sum();
        let statistics = match &self.extremes {
            Some(extremes) => extremes.statistics(n_nulls as u64),
            None => without_extremes(self.descr.physical_type(), n_nulls as u64),
        };
        if self.indexed
            && let [only] = self.facts.as_mut_slice()
        {
            only.extremes = self.extremes.take().map(Extremes::shortened);
        }
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

/// So many plain entries, compressed, as the page that stands in front of those that point to them.
fn dictionary_page(
    compressed: Bytes,
    n_bytes: usize,
    n_entries: usize,
) -> Result<CompressedPage, ParquetError> {
    let page = Page::DictionaryPage {
        buf: compressed,
        num_values: u32::try_from(n_entries)?,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    Ok(CompressedPage::new(page, n_bytes))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::Type as PhysicalType;
    use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type};

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
    fn of_long_texts_a_page_keeps_what_an_index_needs() {
        let text = Type::primitive_type_builder("text", PhysicalType::BYTE_ARRAY);
        let text = Arc::new(text.build().expect("a type"));
        let path = ColumnPath::from("text");
        let descr = Arc::new(ColumnDescriptor::new(text, 0, 0, path));
        let level = ZstdLevel::try_new(1).expect("a level");
        for indexed in [true, false] {
            let mut pages = Pages::new(descr.clone(), level, indexed);
            for byte in *b"abc" {
                let long = vec![byte; PAGE_BYTES];
                let page = DataPage {
                    body: &long,
                    encoding: Encoding::PLAIN,
                    n_rows: 1,
                    n_nulls: 0,
                    extremes: Some(Extremes::Text(long.clone(), long.clone())),
                };
                pages.add(page).expect("a page");
            }
            let kept = pages.facts.iter().map(|page| match &page.extremes {
                Some(Extremes::Text(min, max)) => min.len() + max.len(),
                _ => 0,
            });
            let expected = if indexed { 2 * 64 } else { 0 };
            assert_eq!(kept.collect::<Vec<_>>(), [expected; 3]);
            let chunk = pages.finish(None, None).expect("a chunk");
            let (_, close) = chunk.close(true).expect("a chunk");
            assert_eq!(close.column_index.is_some(), indexed);
            assert_eq!(
                close.offset_index.expect("an index").page_locations.len(),
                3
            );
        }
    }
}
