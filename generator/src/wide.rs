//! The wide shape: one flat object with a value for each of 200 columns.

use crate::json::{boolean, decimal, integer, padded, raw};
use crate::random::Random;

/// How many columns an event has besides its id, type and time.
const N_MEASURES: u64 = 197;

/// Writes the rest of an event, from behind its time.
pub(crate) fn write_rest(random: &mut Random, out: &mut Vec<u8>) {
    out.push(b'"');
    for n in 0..N_MEASURES {
        raw(out, r#","m"#);
        padded(out, n, 3);
        raw(out, r#"":"#);
        match n % 4 {
            0 => integer(out, random.skewed(1_000_000)),
            1 => decimal(out, random.below(100_000_000), 4),
            2 => {
                raw(out, r#""state-"#);
                integer(out, random.skewed(40));
                out.push(b'"');
            }
            _ => boolean(out, random.chance(500)),
        }
    }
    raw(out, "}\n");
}
