//! The bytes of a body as they were before base64, gzip and zstd, under a cap.

use std::io::Read;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// The envelope says base64, the bytes say otherwise.
    #[error("the body is not base64: {0}")]
    Base64(String),
    /// It begins like gzip or zstd and does not go on like it, or ends early.
    #[error("the body is not whole {format}: {reason}")]
    Compressed {
        /// `gzip` or `zstd`.
        format: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// An object cannot be read any further. Its bytes stay where they are.
    #[error("the object cannot be read on from here: {reason}")]
    Rest {
        /// The reader's words.
        reason: String,
    },
    /// It is larger than the cap, or would be.
    #[error("the body has more than {cap_bytes} bytes once inflated")]
    TooLarge {
        /// The cap.
        cap_bytes: usize,
    },
}

impl InflateError {
    /// The kind of failure in one word, for metrics: its variety is bounded.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Base64(_) => "not_base64",
            Self::Compressed { .. } => "not_compressed",
            Self::Rest { .. } => "unreadable_rest",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

/// Undoes base64 where the envelope says so, then gzip or zstd by their magic bytes, and drops a leading BOM.
///
/// Every member of a gzip file and every frame of a zstd file is read. A body that is none of these is not copied.
///
/// # Errors
///
/// When the result would have more than `cap_bytes`; when the body is not whole.
pub fn inflate(body: &Bytes, is_base64: bool, cap_bytes: usize) -> Result<Bytes, InflateError> {
    let decoded = if is_base64 {
        from_base64(body, cap_bytes)?
    } else {
        body.clone()
    };
    let inflated = if decoded.starts_with(&GZIP) {
        let gzip = flate2::bufread::MultiGzDecoder::new(&*decoded);
        read_capped(gzip, "gzip", cap_bytes)?
    } else if decoded.starts_with(&ZSTD) {
        let zstd = zstd::stream::read::Decoder::with_buffer(&*decoded);
        let zstd = zstd.map_err(|error| broken("zstd", &error))?;
        read_capped(zstd, "zstd", cap_bytes)?
    } else {
        decoded
    };
    if inflated.len() > cap_bytes {
        return Err(InflateError::TooLarge { cap_bytes });
    }
    let start = if inflated.starts_with(&BOM) {
        BOM.len()
    } else {
        0
    };
    Ok(inflated.slice(start..))
}

fn from_base64(body: &Bytes, cap_bytes: usize) -> Result<Bytes, InflateError> {
    // What is compressed grows again; what is not must not be copied beyond the cap.
    if body.len() / 4 * 3 > cap_bytes.saturating_add(3) {
        return Err(InflateError::TooLarge { cap_bytes });
    }
    let decoded = STANDARD.decode(body.trim_ascii());
    decoded
        .map(Bytes::from)
        .map_err(|error| InflateError::Base64(error.to_string()))
}

/// Reads to the end, but no further than one byte beyond the cap.
fn read_capped(
    reader: impl Read,
    format: &'static str,
    cap_bytes: usize,
) -> Result<Bytes, InflateError> {
    let limit = u64::try_from(cap_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut inflated = Vec::new();
    let read = reader.take(limit).read_to_end(&mut inflated);
    read.map_err(|error| broken(format, &error))?;
    if inflated.len() > cap_bytes {
        return Err(InflateError::TooLarge { cap_bytes });
    }
    Ok(Bytes::from(inflated))
}

fn broken(format: &'static str, error: &std::io::Error) -> InflateError {
    InflateError::Compressed {
        format,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const CAP_BYTES: usize = 1_000;
    const EVENT: &[u8] = br#"{"id":1}"#;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(plain, 3).unwrap()
    }

    fn base64(plain: &[u8]) -> Vec<u8> {
        STANDARD.encode(plain).into_bytes()
    }

    #[track_caller]
    fn check(body: Vec<u8>, is_base64: bool, expected: Result<&[u8], &str>) {
        let inflated = inflate(&Bytes::from(body), is_base64, CAP_BYTES);
        let found = inflated
            .as_ref()
            .map(|bytes| &bytes[..])
            .map_err(InflateError::kind);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_plain_body_is_passed_on_without_a_copy() {
        let body = Bytes::from_static(EVENT);
        let inflated = inflate(&body, false, CAP_BYTES).unwrap();
        assert_eq!(inflated.as_ptr(), body.as_ptr());
    }

    #[test]
    fn gzip_and_zstd_are_known_by_their_first_bytes_also_under_base64() {
        check(gzip(EVENT), false, Ok(EVENT));
        check(zstd(EVENT), false, Ok(EVENT));
        check(base64(&gzip(EVENT)), true, Ok(EVENT));
        check(base64(EVENT), true, Ok(EVENT));
    }

    #[test]
    fn every_gzip_member_and_every_zstd_frame_is_read() {
        check(
            [gzip(b"{\"a\":1}\n"), gzip(EVENT)].concat(),
            false,
            Ok(b"{\"a\":1}\n{\"id\":1}"),
        );
        check(
            [zstd(b"{\"a\":1}\n"), zstd(EVENT)].concat(),
            false,
            Ok(b"{\"a\":1}\n{\"id\":1}"),
        );
    }

    #[test]
    fn a_leading_byte_order_mark_is_dropped() {
        check([&BOM, EVENT].concat(), false, Ok(EVENT));
        check(gzip(&[&BOM, EVENT].concat()), false, Ok(EVENT));
    }

    #[test]
    fn a_body_that_ends_early_is_refused() {
        for whole in [gzip(EVENT), zstd(EVENT)] {
            let mut cut = whole;
            cut.truncate(cut.len() - 3);
            check(cut, false, Err("not_compressed"));
        }
        check(b"e30".to_vec(), true, Err("not_base64"));
    }

    #[test]
    fn nothing_inflates_beyond_the_cap() {
        let bomb = vec![b' '; 50 << 20];
        check(gzip(&bomb), false, Err("too_large"));
        check(zstd(&bomb), false, Err("too_large"));
        check(vec![b' '; CAP_BYTES + 1], false, Err("too_large"));
        check(base64(&vec![b' '; CAP_BYTES + 1]), true, Err("too_large"));
        check(vec![b' '; CAP_BYTES], false, Ok(&[b' '; CAP_BYTES]));
    }
}
