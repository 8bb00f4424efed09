//! The bounded queue between the requests and the writer.
//!
//! Many requests put in, one thread takes out. To wake a thread costs a request a system call, so the writer is woken
//! rarely: once it has something to do it looks again every [`GATHER`] by itself, and only what comes after a silence
//! wakes it. Where answers wait for the disk there is no gathering: what comes in during one write is the next.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::ticket::Ticket;

/// How long a line may wait for others before it is written, where nobody waits for it.
pub(super) const GATHER: Duration = Duration::from_millis(5);

/// What one request is recorded with.
#[derive(Debug)]
pub(super) struct Entry {
    /// One or more lines, each with its end.
    pub(super) lines: Vec<u8>,
    /// Who waits until they are on disk.
    pub(super) ticket: Option<Arc<Ticket>>,
    /// Whether a place of the queue is given back when it is written.
    pub(super) holds_place: bool,
}

/// What the writer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Write what was taken.
    Lines,
    /// Nothing came for a while.
    Idle,
    /// The queue is closing, empty, and no place is in use.
    End,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    places: Arc<Semaphore>,
    capacity: usize,
    gather: Duration,
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug)]
struct Waiting {
    entries: Vec<Entry>,
    writer: Attention,
    closing: bool,
}

/// What the writer does at the moment, and so whether it must be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attention {
    /// Waits for the first entry.
    Parked,
    /// Comes back by itself soon; woken earlier only if the queue is half full.
    Gathering,
    /// Looks at the queue when it is done.
    Busy,
}

impl Queue {
    /// A queue with so many places. With `gather`, lines wait for others.
    pub(super) fn new(capacity: usize, gather: bool) -> Self {
        Self {
            places: Arc::new(Semaphore::new(capacity)),
            capacity,
            gather: if gather { GATHER } else { Duration::ZERO },
            waiting: Mutex::new(Waiting {
                entries: Vec::new(),
                writer: Attention::Busy,
                closing: false,
            }),
            wake: Condvar::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Places in use: what waits, and requests in flight.
    pub(super) fn depth(&self) -> usize {
        self.capacity.saturating_sub(self.places.available_permits())
    }

    pub(super) fn try_place(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.places).try_acquire_owned()
    }

    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.places).acquire_owned().await
    }

    /// Gives places back.
    pub(super) fn free(&self, places: usize) {
        self.places.add_permits(places);
    }

    /// Puts in; never waits.
    pub(super) fn push(&self, entry: Entry) {
        let mut waiting = self.lock();
        waiting.entries.push(entry);
        let wanted = match waiting.writer {
            Attention::Parked => true,
            Attention::Gathering => waiting.entries.len() >= self.enough(),
            Attention::Busy => false,
        };
        if wanted {
            waiting.writer = Attention::Busy;
        }
        drop(waiting);
        if wanted {
            self.wake.notify_one();
        }
    }

    /// No more places from now on.
    pub(super) fn close(&self) {
        self.places.close();
        self.lock().closing = true;
        self.wake.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.places.is_closed()
    }

    /// Moves all that waits to `taken`, waiting for something up to `idle`.
    pub(super) fn take(&self, taken: &mut Vec<Entry>, idle: Duration) -> Next {
        let mut waiting = self.gathered(self.lock());
        if waiting.entries.is_empty() {
            if waiting.closing && self.depth() == 0 {
                return Next::End;
            }
            waiting = self.parked(waiting, idle);
            if waiting.entries.is_empty() {
                waiting.writer = Attention::Busy;
                return Next::Idle;
            }
            waiting = self.gathered(waiting);
        }
        waiting.writer = Attention::Busy;
        taken.append(&mut waiting.entries);
        Next::Lines
    }

    /// Moves what waits to `taken`, without waiting.
    pub(super) fn take_now(&self, taken: &mut Vec<Entry>) {
        taken.append(&mut self.lock().entries);
    }

    /// Lets the writer rest, whatever comes in.
    pub(super) fn rest(&self, time: Duration) {
        drop(self.wake.wait_timeout_while(self.lock(), time, |_| true));
    }

    fn gathered<'a>(&'a self, mut waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        if self.gather.is_zero() {
            return waiting;
        }
        waiting.writer = Attention::Gathering;
        let enough = self.enough();
        let result = self.wake.wait_timeout_while(waiting, self.gather, |waiting| {
            !waiting.closing && waiting.entries.len() < enough
        });
        result.unwrap_or_else(PoisonError::into_inner).0
    }

    fn parked<'a>(&'a self, mut waiting: MutexGuard<'a, Waiting>, idle: Duration) -> MutexGuard<'a, Waiting> {
        waiting.writer = Attention::Parked;
        // Nobody tells that the last place was freed unused: a queue that is closing looks for itself.
        let idle = if waiting.closing { GATHER.min(idle) } else { idle };
        let closing = waiting.closing;
        let result = self.wake.wait_timeout_while(waiting, idle, |waiting| {
            waiting.entries.is_empty() && waiting.closing == closing
        });
        result.unwrap_or_else(PoisonError::into_inner).0
    }

    fn enough(&self) -> usize {
        self.capacity.div_ceil(2)
    }

    /// No code that could panic runs under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
