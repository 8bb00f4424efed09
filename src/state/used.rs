//! Ids that were used, each kept until it may be forgotten, and never more than there is room for.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::moment::{Moment, Seconds};
use super::room::Room;
use super::{Id, StateError};

/// Below this many nothing is swept but for want of room.
const FEW: usize = 4096;

/// Ids that were used, and until when that is remembered.
#[derive(Debug)]
pub(super) struct UsedIds {
    until: DashMap<Id, Seconds>,
    room: Room,
    start: Moment,
    /// In which second it was last swept for want of room: a flood doesn't have it swept for every id.
    swept: AtomicI32,
}

impl UsedIds {
    /// Room for this many.
    pub(super) fn new(limit: usize, start: Moment) -> Self {
        Self {
            until: DashMap::new(),
            room: Room::new(limit, FEW),
            start,
            swept: AtomicI32::new(-1),
        }
    }

    /// Whether this is the first use of an id, which is remembered for `keep` from `now`.
    ///
    /// # Errors
    /// [`StateError::Full`] if there is no room for another.
    pub(super) fn is_first(&self, id: Id, keep: Duration, now: Moment) -> Result<bool, StateError> {
        let now = now.since(self.start);
        if self.room.is_due() {
            self.sweep(now);
        }
        let first = self.enter(id, now.after(keep), now);
        let full = first == Err(StateError::Full);
        if full && self.swept.swap(now.steady(), Ordering::Relaxed) != now.steady() {
            self.sweep(now);
            return self.enter(id, now.after(keep), now);
        }
        first
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.room.taken()
    }

    /// The memory that they take: that of the tables, with the places in them that are free.
    pub(super) fn bytes(&self) -> usize {
        super::table_bytes::<(Id, Seconds)>(self.until.capacity())
    }

    /// Forgets what may be forgotten, as [`UsedIds::is_first`] does when it has to.
    #[cfg(test)]
    pub(super) fn forget(&self, now: Moment) {
        self.sweep(now.since(self.start));
    }

    fn enter(&self, id: Id, until: Seconds, now: Seconds) -> Result<bool, StateError> {
        match self.until.entry(id) {
            Entry::Occupied(mut known) if known.get().has_come(now) => {
                known.insert(until);
                Ok(true)
            }
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(place) => {
                self.room.take()?;
                place.insert(until);
                Ok(true)
            }
        }
    }

    fn sweep(&self, now: Seconds) {
        let mut gone = 0_usize;
        self.until.retain(|_, until| {
            let stays = !until.has_come(now);
            gone = gone.saturating_add(usize::from(!stays));
            stays
        });
        let left = self.room.swept(gone);
        if self.until.capacity() > left.saturating_mul(8).max(FEW) {
            self.until.shrink_to_fit();
        }
    }
}
