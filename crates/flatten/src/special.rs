//! Where a string has to be looked at: quotes, backslashes and control characters.

#[cfg(target_arch = "x86_64")]
use sse2::{BLOCK, specials, specials_and_others};

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use short_plain_prefix as plain_prefix;

/// How many bytes of a string stand before the first quote, backslash or control character.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<BLOCK>() {
        let specials = specials(chunk);
        if specials != 0 {
            return at + specials.trailing_zeros() as usize;
        }
        at += BLOCK;
    }
    at + short_plain_prefix(&bytes[at..])
}

/// How many bytes of a string stand before the first quote, backslash, control character or byte that is not ASCII, if there is
/// one with more bytes behind it.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn plain_ascii_prefix(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<BLOCK>() {
        let ends = specials_and_others(chunk);
        if ends != 0 {
            return Some(at + ends.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    None
}

/// How many bytes of a string stand before the first quote, backslash, control character or byte that is not ASCII, if there is
/// one.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn plain_ascii_prefix(bytes: &[u8]) -> Option<usize> {
    let n_ascii = short_prefix::<true>(bytes);
    (n_ascii < bytes.len()).then_some(n_ascii)
}

/// [`plain_prefix`] for short ends and other processors.
#[inline]
pub(crate) fn short_plain_prefix(bytes: &[u8]) -> usize {
    short_prefix::<false>(bytes)
}

/// The same by words of 64 bits: a byte's high bit is set in the mask when the byte ends the run. Borrows may set the bits of
/// later bytes too, so only the lowest one is looked at. Bytes of 0x80 and above end a run of `ASCII`, and no other.
#[inline]
fn short_prefix<const ASCII: bool>(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5C);
        let specials = (quote.wrapping_sub(ONES)
            | backslash.wrapping_sub(ONES)
            | word.wrapping_sub(ONES * 0x20))
            & !word;
        let others = if ASCII { word } else { 0 };
        let ends = (specials | others) & HIGH;
        if ends != 0 {
            return at + (ends.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let is_end =
        |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\' || (ASCII && byte >= 0x80);
    let rest = bytes[at..].iter().position(is_end);
    rest.map_or(bytes.len(), |offset| at + offset)
}

/// With the instructions that every x86-64 has.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    #![expect(
        unsafe_code,
        reason = "intrinsics: strings take a third fewer instructions than by words, see ARCHITECTURE.md"
    )]

    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_set1_epi8,
    };

    /// Nearly all strings end in the first block.
    pub(super) const BLOCK: usize = 32;

    /// A bit for each byte: whether it ends a run.
    #[inline]
    pub(super) fn specials(block: &[u8; BLOCK]) -> u32 {
        // SAFETY: SSE2 belongs to x86-64. The intrinsics only compute, no pointer is read.
        unsafe { of_half::<false>(block, 0) | of_half::<false>(block, 16) << 16 }
    }

    /// A bit for each byte: whether it ends a run of ASCII.
    #[inline]
    pub(super) fn specials_and_others(block: &[u8; BLOCK]) -> u32 {
        // SAFETY: SSE2 belongs to x86-64. The intrinsics only compute, no pointer is read.
        unsafe { of_half::<true>(block, 0) | of_half::<true>(block, 16) << 16 }
    }

    /// The bits of 16 bytes.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn of_half<const ASCII: bool>(block: &[u8; BLOCK], first: usize) -> u32 {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&block[at..at + 8]);
            i64::from_le_bytes(word)
        };
        let bytes = _mm_set_epi64x(word(first + 8), word(first));
        let is = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
        let is_other = if ASCII {
            // Signed: bytes that are not ASCII are below zero.
            _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20))
        } else {
            // Unsigned: a byte is its own minimum with 0x1F when it is at most that.
            _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes)
        };
        let ends = _mm_or_si128(_mm_or_si128(is(b'"'), is(b'\\')), is_other);
        _mm_movemask_epi8(ends).cast_unsigned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_prefix_ends_at_the_first_special_byte_wherever_it_stands() {
        for special in 0..=u8::MAX {
            for n_bytes in [0, 1, 7, 8, 31, 32, 33, 70] {
                for at in 0..n_bytes {
                    let mut bytes = vec![b'a'; n_bytes];
                    bytes[at] = special;
                    // A second one behind it changes nothing.
                    if let Some(byte) = bytes.get_mut(at + 3) {
                        *byte = b'"';
                    }
                    let ends = special < 0x20 || special == b'"' || special == b'\\';
                    let plain = if at + 3 < n_bytes { at + 3 } else { n_bytes };
                    let expected = if ends { at } else { plain };
                    assert_eq!(
                        plain_prefix(&bytes),
                        expected,
                        "{special} at {at} of {n_bytes}"
                    );
                    assert_eq!(short_plain_prefix(&bytes), expected, "{special} at {at}");
                    // Nothing is found in a last block that is not whole, but never anything else.
                    let ascii = if ends || special >= 0x80 { at } else { plain };
                    assert_eq!(short_prefix::<true>(&bytes), ascii, "{special} at {at}");
                    let found = plain_ascii_prefix(&bytes);
                    assert!(
                        found == Some(ascii) || found.is_none() && n_bytes - ascii < 32,
                        "{special} at {at} of {n_bytes}"
                    );
                }
            }
        }
    }
}
