//! The one place where the program looks at a clock.
//!
//! Every stage is handed the time it should use, so that a test can choose it.

use std::time::{Duration, Instant};

use jiff::Timestamp;

mod seldom;

pub use seldom::Seldom;

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

/// Between 80 and 100 percent of a pause, so that replicas don't all ask at once.
#[must_use]
pub fn jittered(pause: Duration) -> Duration {
    let mut byte = [0_u8; 1];
    // Without randomness there is no jitter, and nothing else is lost.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    pause.mul_f64(1.0 - 0.2 * f64::from(byte[0]) / 255.0)
}
