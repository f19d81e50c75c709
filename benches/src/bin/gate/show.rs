//! How figures are written.

/// A ratio of speeds or sizes.
pub(crate) fn times(ratio: f64) -> String {
    format!("{ratio:.2}×")
}

/// A compression.
pub(crate) fn to_one(ratio: f64) -> String {
    format!("{ratio:.1} : 1")
}

/// A size of memory.
pub(crate) fn in_mib(mib: f64) -> String {
    format!("{mib:.1} MiB")
}
