//! Exact decimals: what a number token denotes, without floats.

use std::fmt;

/// `± digits × 10^exponent`; the digits have no zero at either end, and those of zero are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number token (leading zeros allowed). Exponents beyond 64 bits count as the nearest one within.
    pub(crate) fn read(token: &str) -> Self {
        let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let beyond = if exponent.starts_with('-') {
            i64::MIN
        } else {
            i64::MAX
        };
        let exponent = exponent.parse().unwrap_or(beyond);
        let n_fraction = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        Self::new(
            negative,
            &format!("{whole}{fraction}"),
            exponent.saturating_sub(n_fraction),
        )
    }

    /// `unscaled / 10^scale`.
    pub(crate) fn of_unscaled(unscaled: i128, scale: i8) -> Self {
        Self::new(
            unscaled < 0,
            &unscaled.unsigned_abs().to_string(),
            -i64::from(scale),
        )
    }

    /// The shortest decimal that `is_same` takes for a float with these exact digits (`d.ddd…e±d`): of several the
    /// nearest, of two equally near the one whose last digit is even.
    pub(crate) fn shortest(exact: &str, is_same: impl Fn(&str) -> bool) -> Option<Self> {
        let (mantissa, exponent) = exact.split_once('e')?;
        let sign = if mantissa.starts_with('-') { "-" } else { "" };
        let digits = mantissa.trim_start_matches('-').replace('.', "");
        let first_exponent: i64 = exponent.parse().ok()?;
        (1..=17).find_map(|n_digits: usize| {
            let (kept, rest) = digits.split_at(n_digits);
            let exponent = first_exponent - i64::try_from(n_digits).ok()? + 1;
            let below: u64 = kept.parse().ok()?;
            let [below, above] =
                [below, below + 1].map(|digits| (digits, format!("{sign}{digits}e{exponent}")));
            let half = format!("5{}", "0".repeat(rest.len() - 1));
            let above_is_better = *rest > *half || (*rest == *half && below.0 % 2 == 1);
            let better_first = if above_is_better {
                [above, below]
            } else {
                [below, above]
            };
            let (_, text) = better_first.into_iter().find(|(_, text)| is_same(text))?;
            Some(Self::read(&text))
        })
    }

    fn new(negative: bool, digits: &str, exponent: i64) -> Self {
        let digits = digits.trim_start_matches('0');
        let trimmed = digits.trim_end_matches('0');
        let n_zeros = i64::try_from(digits.len() - trimmed.len()).unwrap_or(i64::MAX);
        let is_zero = trimmed.is_empty();
        Self {
            negative: negative && !is_zero,
            digits: trimmed.to_owned(),
            exponent: if is_zero {
                0
            } else {
                exponent.saturating_add(n_zeros)
            },
        }
    }

    /// The number times `10^power`.
    pub(crate) fn shifted(&self, power: i64) -> Self {
        Self::new(
            self.negative,
            &self.digits,
            self.exponent.saturating_add(power),
        )
    }

    /// Whether its absolute value is below `10^power`, `power` ≥ 0.
    pub(crate) fn is_below_ten_to(&self, power: i64) -> bool {
        let n_digits = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        self.digits.is_empty() || n_digits.saturating_add(self.exponent) <= power
    }

    /// Its value if that is an integer of at most 38 digits.
    pub(crate) fn integer(&self) -> Option<i128> {
        (self.exponent >= 0 && self.is_below_ten_to(38)).then(|| self.floor())
    }

    /// The greatest integer that is not above it, for numbers below `10^38`.
    pub(crate) fn floor(&self) -> i128 {
        let absolute: i128 = if self.exponent >= 0 {
            let zeros = "0".repeat(usize::try_from(self.exponent).unwrap_or(usize::MAX));
            format!("0{}{zeros}", self.digits)
                .parse()
                .unwrap_or(i128::MAX)
        } else {
            let n_fraction = usize::try_from(self.exponent.unsigned_abs()).unwrap_or(usize::MAX);
            let n_whole = self.digits.len().saturating_sub(n_fraction);
            format!("0{}", &self.digits[..n_whole])
                .parse()
                .unwrap_or(i128::MAX)
        };
        let has_fraction = self.exponent < 0; // The last digit is never 0.
        match (self.negative, has_fraction) {
            (false, _) => absolute,
            (true, false) => -absolute,
            (true, true) => -absolute - 1,
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(
            f,
            "{sign}{}e{}",
            if self.digits.is_empty() {
                "0"
            } else {
                &self.digits
            },
            self.exponent
        )
    }
}

#[test]
fn decimals_are_equal_whatever_their_spelling() {
    for (one, other) in [
        ("1.0", "1"),
        ("1e3", "1000"),
        ("-0.0", "0"),
        ("0.10e1", "1"),
        ("1E-2", "0.01"),
        ("007", "7"),
    ] {
        assert_eq!(Decimal::read(one), Decimal::read(other), "{one} {other}");
    }
    assert_ne!(Decimal::read("1e-400"), Decimal::read("0"));
}

#[test]
fn the_shortest_form_is_the_nearest_and_then_the_even_one() {
    for (number, shortest) in [
        (0.1, "0.1"),
        (86_122_208_121_233.63, "86122208121233.62"),
        (10_000_000_000_000.063, "10000000000000.062"),
        (9_007_199_254_740_993.0, "9007199254740992"),
        (5e-324, "5e-324"),
        (1e23, "1e23"),
        (9.5e-7, "9.5e-7"),
        (-0.0, "0"),
    ] {
        assert_eq!(
            super::fits::shortest_double(number),
            Some(Decimal::read(shortest)),
            "{number}"
        );
    }
}

#[test]
fn floors_go_down_also_below_zero() {
    for (token, floor) in [
        ("1.9", 1),
        ("-1.1", -2),
        ("-2.0", -2),
        ("0.000001", 0),
        ("-1e-400", -1),
        ("12e2", 1200),
    ] {
        assert_eq!(Decimal::read(token).floor(), floor, "{token}");
    }
}
