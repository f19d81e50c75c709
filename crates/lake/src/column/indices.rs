//! Parquet's hybrid of run lengths and bit packing, for dictionary indices and for levels.
//!
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>

/// A run is worth its header from this many equal values on.
const GROUP: usize = 8;

/// Appends the values, each of `width` bits.
///
/// Values come in groups of eight. From the start of a group on, eight or more equal values become a run; everything else is packed.
pub(crate) fn write_hybrid(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut at, mut packed_from) = (0, 0);
    while at < values.len() {
        let n_equal = run_length(&values[at..]);
        if n_equal >= GROUP {
            write_packed_run(&values[packed_from..at], width, out);
            write_varint((n_equal as u64) << 1, out);
            let value_bytes = width.div_ceil(8) as usize;
            out.extend_from_slice(&values[at].to_le_bytes()[..value_bytes]);
            at += n_equal;
            packed_from = at;
        } else {
            at = (at + GROUP).min(values.len());
        }
    }
    write_packed_run(&values[packed_from..], width, out);
}

/// How many values are equal at the front.
#[inline]
fn run_length(values: &[u32]) -> usize {
    // Nearly always decided by the first two.
    let n_equal = values.iter().take_while(|&&value| value == values[0]);
    n_equal.count()
}

/// A packed run; only the last one of a page may end within a group, which zeros fill up.
fn write_packed_run(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let n_groups = values.len().div_ceil(GROUP);
    write_varint((n_groups as u64) << 1 | 1, out);
    pack(values.iter().map(|&value| u64::from(value)), width, out);
    // A whole group takes `width` bytes.
    let n_missing = n_groups * GROUP - values.len();
    let packed_bytes = (values.len() * width as usize).div_ceil(8);
    let group_bytes = n_groups * width as usize;
    debug_assert!(n_missing < GROUP);
    out.resize(out.len() + group_bytes - packed_bytes, 0);
}

/// Appends values of `width` bits (up to 64) one behind the other, the lowest bit first; the last byte is filled with zeros.
#[inline]
pub(crate) fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut word, mut n_bits) = (0_u64, 0_u32);
    for value in values {
        word |= value << n_bits;
        n_bits += width;
        if n_bits >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            n_bits -= 64;
            // What did not fit any more; nothing when the value ended with the word.
            word = value.checked_shr(width - n_bits).unwrap_or(0);
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..n_bits.div_ceil(8) as usize]);
}

/// Appends an unsigned LEB128 number.
#[inline]
pub(crate) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// How many bits an index into so many entries takes.
pub(crate) fn index_width(n_entries: usize) -> u32 {
    match n_entries {
        0 | 1 => 0,
        n => usize::BITS - (n - 1).leading_zeros(),
    }
}

/// Appends definition levels of one bit: 1 for each row with a value. `bits` are the rows, the lowest bit first.
pub(crate) fn write_levels(bits: &[u8], n_rows: usize, n_nulls: usize, out: &mut Vec<u8>) {
    // So many bytes of equal rows or more are worth a run; the packed form is the bitmap itself.
    const RUN_BYTES: usize = 8;
    if n_nulls == 0 || n_nulls == n_rows {
        write_varint((n_rows as u64) << 1, out);
        out.push(u8::from(n_nulls == 0));
        return;
    }
    let n_whole_bytes = n_rows / 8;
    let (mut at, mut packed_from) = (0, 0);
    while at < n_whole_bytes {
        let first = bits[at];
        if first != 0 && first != u8::MAX {
            at += 1;
            continue;
        }
        let whole = &bits[at..n_whole_bytes];
        let n_equal = whole.iter().take_while(|&&byte| byte == first).count();
        if n_equal >= RUN_BYTES {
            write_packed_levels(&bits[packed_from..at], out);
            write_varint((n_equal as u64 * 8) << 1, out);
            out.push(first & 1);
            packed_from = at + n_equal;
        }
        at += n_equal;
    }
    write_packed_levels(&bits[packed_from..n_rows.div_ceil(8)], out);
}

fn write_packed_levels(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        write_varint((bytes.len() as u64) << 1 | 1, out);
        out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a hybrid, by the words of the format.
    fn read_hybrid(mut bytes: &[u8], width: u32, n_values: usize) -> Vec<u32> {
        let mut values = Vec::new();
        while values.len() < n_values {
            let (mut header, mut shift) = (0_u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7F) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            let n = usize::try_from(header >> 1).expect("small");
            if header & 1 == 0 {
                let value_bytes = width.div_ceil(8) as usize;
                let mut value = [0; 4];
                value[..value_bytes].copy_from_slice(&bytes[..value_bytes]);
                bytes = &bytes[value_bytes..];
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), n));
            } else {
                for position in 0..n * 8 {
                    let bit = |bit: usize| bytes[bit / 8] >> (bit % 8) & 1;
                    let first = position * width as usize;
                    values.push(
                        (0..width as usize).fold(0, |v, i| v | u32::from(bit(first + i)) << i),
                    );
                }
                bytes = &bytes[n * width as usize..];
            }
        }
        assert!(bytes.is_empty(), "{} bytes are left over", bytes.len());
        values.truncate(n_values);
        values
    }

    proptest! {
        #[test]
        fn a_hybrid_reads_back_as_it_was(
            runs in prop::collection::vec((0_u32..1 << 17, 1_usize..40), 0..60),
            width_above in 0_u32..3,
        ) {
            let values: Vec<u32> = runs.iter().flat_map(|&(v, n)| std::iter::repeat_n(v, n)).collect();
            let width = index_width(values.iter().max().map_or(0, |&max| max as usize + 1)) + width_above;
            let mut bytes = Vec::new();
            write_hybrid(&values, width, &mut bytes);
            prop_assert_eq!(read_hybrid(&bytes, width, values.len()), values);
        }

        #[test]
        fn levels_read_back_as_they_were(runs in prop::collection::vec((any::<bool>(), 1_usize..200), 1..20)) {
            let rows: Vec<bool> = runs.iter().flat_map(|&(v, n)| std::iter::repeat_n(v, n)).collect();
            let mut bits = vec![0_u8; rows.len().div_ceil(8)];
            for (row, _) in rows.iter().enumerate().filter(|(_, set)| **set) {
                bits[row / 8] |= 1 << (row % 8);
            }
            let mut bytes = Vec::new();
            write_levels(&bits, rows.len(), rows.iter().filter(|set| !**set).count(), &mut bytes);
            let expected: Vec<u32> = rows.iter().map(|&set| u32::from(set)).collect();
            prop_assert_eq!(read_hybrid(&bytes, 1, rows.len()), expected);
        }

        #[test]
        fn packed_values_stand_one_behind_the_other(
            (width, values) in (1_u32..=64).prop_flat_map(|width| {
                let value = any::<u64>().prop_map(move |value| value >> (64 - width));
                (Just(width), prop::collection::vec(value, 0..70))
            }),
        ) {
            let mut bytes = Vec::new();
            pack(values.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), (values.len() * width as usize).div_ceil(8));
            for (position, &value) in values.iter().enumerate() {
                let first = position * width as usize;
                let read = (0..width as usize).fold(0_u64, |v, i| {
                    v | u64::from(bytes[(first + i) / 8] >> ((first + i) % 8) & 1) << i
                });
                prop_assert_eq!(read, value);
            }
        }
    }

    #[test]
    fn an_index_into_n_entries_takes_as_few_bits_as_possible() {
        let widths = [0, 1, 2, 3, 4, 5, 256, 257].map(index_width);
        assert_eq!(widths, [0, 0, 1, 2, 2, 3, 8, 9]);
    }
}
