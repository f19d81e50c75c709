//! What the tests of the whole system share with the fault runs of `src/bin/faults`.

mod rebuild;

pub use rebuild::{canonical, rebuild};
