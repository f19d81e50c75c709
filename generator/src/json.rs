//! Writes JSON tokens to the end of a buffer that the caller owns.

/// The two digits of every number below 100.
const DIGIT_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// The two lower-case hex digits of every byte.
const HEX_PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut n = 0;
    while n < 256 {
        pairs[n] = [digits[n / 16], digits[n % 16]];
        n += 1;
    }
    pairs
};

/// Powers of ten, as far as decimals need them.
const POWERS: [u64; 10] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// Bytes as they are: keys, punctuation, text that is JSON already.
#[inline]
pub(crate) fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// `true` or `false`.
pub(crate) fn boolean(out: &mut Vec<u8>, value: bool) {
    raw(out, if value { "true" } else { "false" });
}

/// An integer.
#[inline]
pub(crate) fn integer(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while n >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&DIGIT_PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    // An odd number of digits is left over; of an even one nothing is, but zero itself is one digit.
    if n > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + n as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// An integer in at least `width` digits, zeros in front.
pub(crate) fn padded(out: &mut Vec<u8>, n: u64, width: usize) {
    for place in (1..width).rev() {
        if n < POWERS[place] {
            out.push(b'0');
        }
    }
    integer(out, n);
}

/// `n` / 10^`scale` with all its decimals: (5150, 2) is `51.50`.
#[inline]
pub(crate) fn decimal(out: &mut Vec<u8>, n: u64, scale: usize) {
    integer(out, n / POWERS[scale]);
    out.push(b'.');
    padded(out, n % POWERS[scale], scale);
}

/// A signed decimal in the same form.
pub(crate) fn signed_decimal(out: &mut Vec<u8>, n: i64, scale: usize) {
    if n < 0 {
        out.push(b'-');
    }
    decimal(out, n.unsigned_abs(), scale);
}

/// Sixteen hex digits.
pub(crate) fn hex(out: &mut Vec<u8>, bits: u64) {
    for byte in bits.to_be_bytes() {
        out.extend_from_slice(&HEX_PAIRS[usize::from(byte)]);
    }
}

/// A version 4 UUID of 122 random bits.
#[inline]
pub(crate) fn uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (n, byte) in high
        .to_be_bytes()
        .into_iter()
        .chain(low.to_be_bytes())
        .enumerate()
    {
        if matches!(n, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at..at + 2].copy_from_slice(&HEX_PAIRS[usize::from(byte)]);
        at += 2;
    }
    out.extend_from_slice(&text);
}

/// Two digits at a fixed place.
pub(crate) fn two_digits(n: u64) -> [u8; 2] {
    DIGIT_PAIRS[(n % 100) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn integers_have_all_their_digits_and_no_more() {
        for n in [
            0,
            1,
            9,
            10,
            99,
            100,
            101,
            999,
            1_000,
            12_345,
            100_000,
            u64::MAX,
        ] {
            check(|out| integer(out, n), &n.to_string());
        }
    }

    #[test]
    fn decimals_keep_the_zeros_behind_the_point() {
        check(|out| decimal(out, 5_150, 2), "51.50");
        check(|out| decimal(out, 7, 3), "0.007");
        check(|out| decimal(out, 1_000, 3), "1.000");
        check(|out| signed_decimal(out, -336_688, 4), "-33.6688");
    }

    #[test]
    fn padded_integers_reach_their_width() {
        check(|out| padded(out, 42, 6), "000042");
        check(|out| padded(out, 1_234_567, 6), "1234567");
        check(|out| padded(out, 0, 2), "00");
    }

    #[test]
    fn uuids_say_version_4_and_their_variant() {
        check(
            |out| uuid(out, u64::MAX, u64::MAX),
            "ffffffff-ffff-4fff-bfff-ffffffffffff",
        );
        check(
            |out| uuid(out, 0, 0),
            "00000000-0000-4000-8000-000000000000",
        );
    }
}
