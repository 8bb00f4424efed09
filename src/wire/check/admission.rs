//! How many checks are under way at once, and how long one may wait for its turn.
//!
//! Above what the machine can decide, taking more makes every answer late: the queue grows, and what is decided in the
//! end is decided for gateways that gave up. So a check beyond the bound is denied at once, before its body is read,
//! and so is one whose turn comes too late. Those that are taken wait behind at most so many others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::settings::Settings;

/// How often the log says that checks are turned away.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The bounds, and what is under way, for all connections together.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    max_wait: Duration,
    turned_away: Mutex<TurnedAway>,
}

/// One check's place among those under way; free again when dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// What the log hasn't told yet.
#[derive(Debug, Default)]
struct TurnedAway {
    since_told: u64,
    told: Option<Instant>,
}

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
            turned_away: Mutex::default(),
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

    /// Says in the log that checks are turned away: at once, then no more than once a second, with their number. To
    /// write a line for each would be work in the one moment when there is too much of it.
    pub(super) fn report(&self, now: Instant) {
        if let Some(count) = self.untold(now) {
            tracing::warn!(
                reason = "overloaded",
                count,
                "denied checks without a decision: too many at once"
            );
        }
    }

    fn untold(&self, now: Instant) -> Option<u64> {
        let mut away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        away.since_told = away.since_told.saturating_add(1);
        let due = away
            .told
            .is_none_or(|told| now.saturating_duration_since(told) >= REPORT_EVERY);
        due.then(|| {
            away.told = Some(now);
            std::mem::take(&mut away.since_told)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn the_log_is_told_of_the_first_and_then_once_a_second() {
        let admission = Admission::new(1, Duration::ZERO);
        let start = clock::instant();
        let told: Vec<_> = (0..2500_u64)
            .filter_map(|millis| admission.untold(start.checked_add(Duration::from_millis(millis)).unwrap()))
            .collect();
        assert_eq!(told, [1, 1000, 1000]);
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let admission = Admission::new(2, Duration::ZERO);
        let (first, second) = (admission.enter(), admission.enter());
        assert!(first.is_some() && second.is_some() && admission.enter().is_none());
        drop(first);
        assert!(admission.enter().is_some());
    }
}
