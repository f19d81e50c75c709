//! Pages as Zstandard frames.

use std::cell::RefCell;

use bytes::Bytes;
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use zstd::bulk::Compressor;

use super::page::PAGE_BYTES;

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
    // Not a byte more: `Bytes` would need a place to note how many there are.
    let frame_bytes = MAGIC.len() + size.len() + BLOCK_HEADER_BYTES + body.len();
    let mut frame = Vec::with_capacity(frame_bytes);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(size);
    // The last block, and a raw one.
    frame.extend_from_slice(&(body.len() << 3 | 1).to_le_bytes()[..BLOCK_HEADER_BYTES]);
    frame.extend_from_slice(body);
    frame.into()
}

/// Compresses one page as one Zstandard frame.
pub(super) fn compress(body: &[u8], level: ZstdLevel) -> Result<Bytes, ParquetError> {
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
