//! The sparse shape: each event has few of two thousand possible keys.

use crate::json::{boolean, decimal, integer, padded, raw};
use crate::random::Random;

/// How many keys there are; the kind of a key's value never changes.
const N_KEYS: u64 = 2_000;

/// How many of them an event has.
const N_KEYS_OF_EVENT: u64 = 20;

/// Writes the rest of an event, from behind its time.
pub(crate) fn write_rest(random: &mut Random, out: &mut Vec<u8>) {
    raw(out, r#"","attributes":{"#);
    // One key out of each twentieth, so that no key is repeated.
    let n_choices = N_KEYS / N_KEYS_OF_EVENT;
    for n in 0..N_KEYS_OF_EVENT {
        if n > 0 {
            out.push(b',');
        }
        let key = n * n_choices + random.below(n_choices);
        raw(out, r#""k"#);
        padded(out, key, 4);
        raw(out, r#"":"#);
        match key % 4 {
            0 => integer(out, random.skewed(10_000)),
            1 => {
                raw(out, r#""value "#);
                integer(out, random.skewed(200));
                out.push(b'"');
            }
            2 => decimal(out, random.below(1_000_000), 2),
            _ => boolean(out, random.chance(500)),
        }
    }
    raw(out, "}}\n");
}
