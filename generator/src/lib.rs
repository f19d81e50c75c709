//! Mock events: realistic, seeded, fast. The same seed always gives the same bytes.
//!
//! ```
//! use generator::{Generator, Settings, Shape};
//!
//! let mut generator = Generator::new(&Settings { seed: 7, shape: Shape::Default, ..Settings::default() });
//! let mut ndjson = Vec::new();
//! generator.write_events(1_000, &mut ndjson);
//!
//! assert_eq!(ndjson.split_inclusive(|&byte| byte == b'\n').count(), 1_000);
//! ```
//!
//! Every shape is described in the README of this package; the fields of the default one, with their types and
//! cardinalities, are in `FIELDS.md`, which a test writes down from the real output.

#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers are drawn below limits far smaller than the types they are cast to"
)]

mod corpus;
mod deep;
mod generator;
mod hostile;
mod json;
mod page;
mod pools;
mod random;
mod session;
mod site;
mod sparse;
mod time;
mod wide;

pub use corpus::Corpus;
pub use generator::{Generator, Settings, Shape};
pub use hostile::Kind;
pub use time::{DEFAULT_START_MS, parse_start_ms};
