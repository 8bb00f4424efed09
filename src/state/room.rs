//! How many entries there are, how many there may be, and when it is time to look for those that have run out.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::StateError;

/// The room for entries of a kind.
#[derive(Debug)]
pub(super) struct Room {
    taken: AtomicUsize,
    limit: usize,
    /// Below this many it isn't worth it.
    few: usize,
    /// At how many it is swept next: twice those that were left the last time, so that sweeping costs each of them little.
    sweep_at: AtomicUsize,
}

impl Room {
    pub(super) fn new(limit: usize, few: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            limit,
            few,
            sweep_at: AtomicUsize::new(few),
        }
    }

    /// Counts one more.
    ///
    /// # Errors
    /// [`StateError::Full`] if there is no room for it.
    pub(super) fn take(&self) -> Result<(), StateError> {
        let more = |taken: usize| (taken < self.limit).then(|| taken.saturating_add(1));
        match self.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(StateError::Full),
        }
    }

    /// How many there are.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    pub(super) fn is_full(&self) -> bool {
        self.taken() >= self.limit
    }

    /// Whether it is time to sweep.
    pub(super) fn is_due(&self) -> bool {
        self.taken() >= self.sweep_at.load(Ordering::Relaxed)
    }

    /// After a sweep that took so many away: how many are left.
    pub(super) fn swept(&self, gone: usize) -> usize {
        let before = self.taken.fetch_sub(gone, Ordering::Relaxed);
        let left = before.saturating_sub(gone);
        self.sweep_at
            .store(left.saturating_mul(2).max(self.few), Ordering::Relaxed);
        left
    }
}
