//! The one place where the program looks at a clock.
//!
//! Every stage is handed the time it should use, so that a test can choose it.

use std::time::Instant;

use jiff::Timestamp;

/// The wall clock, in UTC.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks for the time of day"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The monotonic clock: for durations and deadlines only.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks for a moment")]
pub fn instant() -> Instant {
    Instant::now()
}
