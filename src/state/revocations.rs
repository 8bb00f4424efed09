//! Every revocation that this process knows, so that asking for one is a look-up in memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use dashmap::mapref::multiple::RefMulti;
use jiff::Timestamp;

use super::moment::{Moment, Seconds};
use super::room::Room;
use super::{Id, Revocation, StateError};

/// How long a revocation is kept beyond the time when nothing can live any more that it is about: clocks are set back,
/// here and at other replicas.
const BEYOND: Duration = Duration::from_hours(1);

/// Below this many nothing is swept but for want of room.
const FEW: usize = 1024;

/// Revocations by their ids.
#[derive(Debug)]
pub(super) struct Revocations {
    by_id: DashMap<Id, Kept>,
    room: Room,
    version: AtomicU64,
    start: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    issued_until: Timestamp,
    keep_until: Timestamp,
    forget: Seconds,
}

impl Revocations {
    /// Room for this many.
    pub(super) fn new(limit: usize, start: Moment) -> Self {
        Self {
            by_id: DashMap::new(),
            room: Room::new(limit, FEW),
            version: AtomicU64::new(0),
            start,
        }
    }

    /// Adds one; of two with one id, the later moments count.
    ///
    /// # Errors
    /// [`StateError::Full`] if there is no room for another.
    pub(super) fn add(&self, revocation: Revocation, now: Moment) -> Result<(), StateError> {
        if self.room.is_due() || self.room.is_full() {
            self.forget(now);
        }
        let remaining = revocation.keep_until.duration_since(now.time);
        let remaining = Duration::try_from(remaining).unwrap_or_default();
        let added = Kept {
            issued_until: revocation.issued_until,
            keep_until: revocation.keep_until,
            forget: now.since(self.start).after(remaining.saturating_add(BEYOND)),
        };
        match self.by_id.entry(revocation.id) {
            Entry::Occupied(mut known) => known.get_mut().merge(added),
            Entry::Vacant(place) => {
                self.room.take()?;
                place.insert(added);
            }
        }
        // After the change: who reads a version and then asks has seen all that came before it.
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Up to when what this id stands for is revoked.
    pub(super) fn issued_until(&self, id: &Id) -> Option<Timestamp> {
        if self.room.taken() == 0 {
            return None;
        }
        self.by_id.get(id).map(|kept| kept.issued_until)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Revocation> {
        let of = |kept: RefMulti<'_, Id, Kept>| Revocation {
            id: *kept.key(),
            issued_until: kept.issued_until,
            keep_until: kept.keep_until,
        };
        self.by_id.iter().map(of).collect()
    }

    /// Grows with each change.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.room.taken()
    }

    /// The memory that they take: that of the tables, with the places in them that are free.
    pub(super) fn bytes(&self) -> usize {
        super::table_bytes::<(Id, Kept)>(self.by_id.capacity())
    }

    /// Forgets what may be forgotten.
    pub(super) fn forget(&self, now: Moment) {
        let now = now.since(self.start);
        let mut gone = 0_usize;
        self.by_id.retain(|_, kept| {
            let stays = !kept.forget.has_come(now);
            gone = gone.saturating_add(usize::from(!stays));
            stays
        });
        self.room.swept(gone);
        if gone > 0 {
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

impl Kept {
    fn merge(&mut self, other: Self) {
        self.issued_until = self.issued_until.max(other.issued_until);
        self.keep_until = self.keep_until.max(other.keep_until);
        self.forget = self.forget.later(other.forget);
    }
}
