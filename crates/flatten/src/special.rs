//! Where a string has to be looked at: quotes, backslashes and control characters.

#[cfg(target_arch = "x86_64")]
use sse2::{BLOCK, specials};

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

/// How many bytes stand in front of the closing quote of a string, if they are plain and more bytes stand behind it.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn plain_text_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<BLOCK>() {
        let specials = specials(chunk);
        if specials != 0 {
            let offset = specials.trailing_zeros() as usize;
            return (chunk[offset] == b'"').then_some(at + offset);
        }
        at += BLOCK;
    }
    None
}

/// How many bytes stand in front of the closing quote of a string, if they are plain.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn plain_text_len(bytes: &[u8]) -> Option<usize> {
    let n_plain = plain_prefix(bytes);
    (bytes.get(n_plain) == Some(&b'"')).then_some(n_plain)
}

/// The same by words of 64 bits, for short ends and other processors: a byte's high bit is set in the mask when the byte ends the run. Borrows may set the bits of
/// later bytes too, so only the lowest one is looked at. Bytes of 0x80 and above never end a run.
#[inline]
pub(crate) fn short_plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5C);
        let ends = (quote.wrapping_sub(ONES)
            | backslash.wrapping_sub(ONES)
            | word.wrapping_sub(ONES * 0x20))
            & !word
            & HIGH;
        if ends != 0 {
            return at + (ends.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes[at..]
        .iter()
        .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
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
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };

    /// Nearly all strings end in the first block.
    pub(super) const BLOCK: usize = 32;

    /// A bit for each byte: whether it ends a run.
    #[inline]
    pub(super) fn specials(block: &[u8; BLOCK]) -> u32 {
        // SAFETY: SSE2 belongs to x86-64. The intrinsics only compute, no pointer is read.
        unsafe { of_half(block, 0) | of_half(block, 16) << 16 }
    }

    /// The bits of 16 bytes.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn of_half(block: &[u8; BLOCK], first: usize) -> u32 {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&block[at..at + 8]);
            i64::from_le_bytes(word)
        };
        let bytes = _mm_set_epi64x(word(first + 8), word(first));
        let is = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
        // Unsigned: a byte is its own minimum with 0x1F when it is at most that.
        let last_control: __m128i = _mm_set1_epi8(0x1F);
        let is_control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
        let special = _mm_or_si128(_mm_or_si128(is(b'"'), is(b'\\')), is_control);
        _mm_movemask_epi8(special).cast_unsigned()
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
                }
            }
        }
    }
}
