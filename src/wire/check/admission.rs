//! How many checks are under way at once, and how long one may wait for its turn.
//!
//! Above what the machine can decide, taking more makes every answer late: the queue grows, and what is decided in the
//! end is decided for gateways that gave up. So a check beyond the bound is denied at once, before its body is read,
//! and so is one whose turn comes too late. Those that are taken wait behind at most so many others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Seldom;
use crate::wire::settings::Settings;

/// The bounds, and what is under way, for all connections together.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    max_wait: Duration,
    turned_away: Seldom,
}

/// One check's place among those under way; free again when dropped.
pub(super) type Place = OwnedSemaphorePermit;

impl From<&Settings> for Admission {
    fn from(settings: &Settings) -> Self {
        Self::new(settings.max_checks, settings.max_wait)
    }
}

impl Admission {
    /// At most `max_checks` under way, none of which began later than `max_wait` after it came in.
    #[must_use]
    pub fn new(max_checks: usize, max_wait: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(max_checks.min(Semaphore::MAX_PERMITS))),
            max_wait,
            turned_away: Seldom::default(),
        }
    }

    /// A place, if one is free. Never waits: the queue is the places.
    pub(super) fn enter(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Whether a check that came in at `started` has its turn too late.
    pub(super) fn is_late(&self, started: Instant, now: Instant) -> bool {
        now.saturating_duration_since(started) > self.max_wait
    }

    /// Says in the log that checks are turned away, with their number.
    pub(super) fn report(&self, now: Instant) {
        if let Some(count) = self.turned_away.came_up(now) {
            tracing::warn!(
                reason = "overloaded",
                count,
                "denied checks without a decision: too many at once"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let admission = Admission::new(2, Duration::ZERO);
        let (first, second) = (admission.enter(), admission.enter());
        assert!(first.is_some() && second.is_some() && admission.enter().is_none());
        drop(first);
        assert!(admission.enter().is_some());
    }
}
