//! One moment on both clocks, and when something may be forgotten.
//!
//! The clock of the day may be set back or ahead; the monotonic one can't, but says nothing about the times that
//! tokens and proofs carry. What must be remembered for a while is forgotten only when both have gone so far: a clock
//! that is set ahead doesn't make it forgotten early, and one that is set back doesn't let it be used again.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::clock;

/// Now, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) time: Timestamp,
}

/// A moment on both clocks in whole seconds since another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seconds {
    steady: i32,
    of_day: i32,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            instant: clock::instant(),
            time: clock::now(),
        }
    }

    /// How far both clocks have gone since `start`, rounded down.
    pub(super) fn since(self, start: Self) -> Seconds {
        let steady = self.instant.saturating_duration_since(start.instant);
        let of_day = self.time.duration_since(start.time).as_secs();
        Seconds {
            steady: seconds(steady),
            of_day: i32::try_from(of_day).unwrap_or(if of_day < 0 { i32::MIN } else { i32::MAX }),
        }
    }
}

impl Seconds {
    /// This much later; never earlier than that.
    pub(super) fn after(self, span: Duration) -> Self {
        // One for what both roundings may have lost.
        let span = seconds(span).saturating_add(2);
        Self {
            steady: self.steady.saturating_add(span),
            of_day: self.of_day.saturating_add(span),
        }
    }

    /// Whether both clocks have come to this moment.
    pub(super) fn has_come(self, now: Self) -> bool {
        now.steady >= self.steady && now.of_day >= self.of_day
    }

    /// The later of both, on each clock.
    pub(super) fn later(self, other: Self) -> Self {
        Self {
            steady: self.steady.max(other.steady),
            of_day: self.of_day.max(other.of_day),
        }
    }

    /// On the clock that goes on whatever happens: for what needs doing once a second.
    pub(super) fn steady(self) -> i32 {
        self.steady
    }
}

fn seconds(span: Duration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}
