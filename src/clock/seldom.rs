//! What would be said too often: at once, then no more than once a second, with how often it came up.
//!
//! A line of the log for each of what a stranger sends would be work when there is trouble enough.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is said.
const EVERY: Duration = Duration::from_secs(1);

/// One thing that is said seldom.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    unsaid: u64,
    said: Option<Instant>,
}

impl Seldom {
    /// It came up once more. If it is time to say so: how often since it was said last.
    pub fn came_up(&self, now: Instant) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.unsaid = last.unsaid.saturating_add(1);
        let due = last
            .said
            .is_none_or(|said| now.saturating_duration_since(said) >= EVERY);
        due.then(|| {
            last.said = Some(now);
            std::mem::take(&mut last.unsaid)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn the_first_is_said_at_once_and_then_once_a_second_with_how_many_came_up() {
        let (seldom, start) = (Seldom::default(), clock::instant());
        let said: Vec<_> = (0..2500_u64)
            .filter_map(|millis| seldom.came_up(start.checked_add(Duration::from_millis(millis)).unwrap()))
            .collect();
        assert_eq!(said, [1, 1000, 1000]);
    }
}
