//! Integers as differences.
//!
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC>

use super::indices::{pack, write_varint};

const BLOCK_VALUES: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK_VALUES: usize = BLOCK_VALUES / MINIBLOCKS;

/// Appends the values as `DELTA_BINARY_PACKED`.
pub(crate) fn write_delta(values: &[i64], out: &mut Vec<u8>) {
    let first = values.first().copied().unwrap_or(0);
    for number in [BLOCK_VALUES, MINIBLOCKS, values.len()] {
        write_varint(number as u64, out);
    }
    write_zigzag(first, out);
    let mut previous = first;
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK_VALUES) {
        previous = write_block(block, previous, out);
    }
}

/// Writes up to 128 differences and returns the last value.
fn write_block(values: &[i64], mut previous: i64, out: &mut Vec<u8>) -> i64 {
    let mut deltas = [0_i64; BLOCK_VALUES];
    for (delta, &value) in deltas.iter_mut().zip(values) {
        // Readers add with wrapping as well.
        *delta = value.wrapping_sub(previous);
        previous = value;
    }
    let deltas = &deltas[..values.len()];
    let least = deltas.iter().copied().min().unwrap_or(0);
    write_zigzag(least, out);
    let above = |delta: &i64| delta.wrapping_sub(least).cast_unsigned();
    let widths_at = out.len();
    out.extend_from_slice(&[0; MINIBLOCKS]);
    for (number, miniblock) in deltas.chunks(MINIBLOCK_VALUES).enumerate() {
        let all_bits = miniblock.iter().fold(0, |bits, delta| bits | above(delta));
        let width = u64::BITS - all_bits.leading_zeros();
        out[widths_at + number] = width.to_le_bytes()[0];
        let fill = std::iter::repeat_n(0, MINIBLOCK_VALUES - miniblock.len());
        pack(miniblock.iter().map(above).chain(fill), width, out);
    }
    previous
}

fn write_zigzag(value: i64, out: &mut Vec<u8>) {
    write_varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}
