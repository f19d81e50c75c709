//! Pages as Zstandard frames.

use std::cell::RefCell;

use bytes::Bytes;
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

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

/// What a page holds, as far as it says where repetitions may be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Plain integers of 64 bits, times among them: many share a few high bytes with one before.
    Integers,
    /// Anything else.
    Other,
}

/// Compresses one page as one Zstandard frame.
pub(super) fn compress(
    body: &[u8],
    content: Content,
    level: ZstdLevel,
) -> Result<Bytes, ParquetError> {
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
        tune(compressor, content, level)?;
        buffer.clear();
        buffer.reserve(zstd::zstd_safe::compress_bound(body.len()));
        compressor.compress_to_buffer(body, buffer)?;
        let compressed = Bytes::copy_from_slice(buffer);
        buffer.clear();
        buffer.shrink_to(4 * PAGE_BYTES);
        Ok(compressed)
    })
}

/// Has the fastest level look for repetitions of 4 bytes among integers, where it would look for 5 to 7. Figures are in
/// `ARCHITECTURE.md`. Higher levels look more closely themselves.
fn tune(
    compressor: &mut Compressor<'_>,
    content: Content,
    level: ZstdLevel,
) -> Result<(), ParquetError> {
    /// What the level and the size of the page say.
    const DEFAULT: u32 = 0;
    if level.compression_level() == 1 {
        let min_match = match content {
            Content::Integers => 4,
            Content::Other => DEFAULT,
        };
        compressor.set_parameter(CParameter::MinMatch(min_match))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_unpacks_to_what_it_was_however_short_it_is() {
        let level = ZstdLevel::try_new(1).expect("a level");
        for n_bytes in (0..2 * STORED_BYTES).chain([255, 256, 1 << 17, PAGE_BYTES]) {
            let body: Vec<u8> = (0..n_bytes).map(|n| n.to_le_bytes()[0] % 7).collect();
            for content in [Content::Integers, Content::Other] {
                let frame = compress(&body, content, level).expect("a frame");
                let unpacked = zstd::bulk::decompress(&frame, n_bytes).expect("a frame of it");
                assert_eq!(unpacked, body, "{n_bytes} bytes");
                let said = zstd::zstd_safe::get_frame_content_size(&frame).expect("a size");
                assert_eq!(said, Some(n_bytes as u64));
            }
        }
    }

    /// Milliseconds of a day in no order, as microseconds since 1970.
    fn times() -> Vec<u8> {
        let mut state = 7_u64;
        let times = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            1_768_435_200_000_000 + (state >> 32) % 86_400_000 * 1000
        });
        times.take(20_000).flat_map(u64::to_le_bytes).collect()
    }

    fn frame(body: &[u8], level: i32, content: Content) -> Bytes {
        let level = ZstdLevel::try_new(level).expect("a level");
        compress(body, content, level).expect("a frame")
    }

    #[test]
    fn what_was_compressed_before_changes_no_byte() {
        let body = times();
        let cases = [
            (1, Content::Integers),
            (1, Content::Other),
            (3, Content::Other),
        ];
        let fresh = cases.map(|(level, content)| {
            // A thread of its own has a compressor of its own.
            let frame = || frame(&body, level, content);
            std::thread::scope(|threads| threads.spawn(frame).join()).expect("no panic")
        });
        for case in [0, 1, 0, 2, 1, 2, 0, 0] {
            let (level, content) = cases[case];
            assert_eq!(frame(&body, level, content), fresh[case]);
        }
    }

    #[test]
    fn times_in_no_order_get_shorter_as_integers() {
        let frame_bytes = |content| frame(&times(), 1, content).len();
        let (integers, other) = (frame_bytes(Content::Integers), frame_bytes(Content::Other));
        assert!(integers * 10 < other * 9, "{integers} of {other} bytes");
    }
}
