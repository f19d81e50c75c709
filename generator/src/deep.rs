//! The deep shape: objects in objects, deeper than columns go.

use crate::json::{decimal, integer, raw};
use crate::random::Random;

/// The least and the greatest number of objects in each other, the event itself counted.
const DEPTHS: (u64, u64) = (9, 40);

/// Writes the rest of an event, from behind its time.
pub(crate) fn write_rest(random: &mut Random, out: &mut Vec<u8>) {
    out.push(b'"');
    let depth = random.between(DEPTHS.0, DEPTHS.1);
    for level in 2..=depth {
        raw(out, r#","child":{"level":"#);
        integer(out, level);
        raw(out, r#","label":"node "#);
        integer(out, random.skewed(500));
        raw(out, r#"","weight":"#);
        decimal(out, random.below(1_000_000), 3);
        raw(out, r#","tags":["a",{"b":"#);
        integer(out, random.below(10));
        raw(out, "}]");
    }
    for _ in 1..=depth {
        out.push(b'}');
    }
    out.push(b'\n');
}
