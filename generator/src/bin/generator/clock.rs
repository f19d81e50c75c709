//! The one place that reads the clock and draws what is not seeded.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[expect(
    clippy::disallowed_methods,
    reason = "envelopes carry the time they were sent at; the events' own times come from the settings"
)]
pub(crate) fn now_ms() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// Text that no other run has: request ids must differ between runs of the same seed, or their
/// receiver would take the second run for a repetition of the first.
pub(crate) fn run_id() -> String {
    format!("{:011x}-{:08x}", now_ms(), std::process::id())
}
