//! Where records go: a file or standard output, through a bounded queue that never drops.
//!
//! A request reserves a [`Slot`] before it is decided and fills it with a record afterwards, which neither waits
//! nor fails. While the queue is full, reserving waits until the deadline; while nothing can be written, it is
//! refused at once. The lines that wait are tried again until they are written. Whoever gets no slot decides
//! nothing. Where answers wait for the disk, a [`Receipt`] tells when a record is there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, TryAcquireError, watch};

use super::record::{LINE, Record};
use super::revoked::Revoked;
use super::settings::{AuditSettings, Durability};
use crate::clock;
use queue::{Entry, Queue};
use resume::Ends;
use target::Target;
use ticket::Ticket;

pub use ticket::Receipt;

mod chunk;
mod correction;
mod housekeeping;
mod lock;
mod queue;
mod resume;
mod target;
mod ticket;
mod upkeep;
mod writer;

/// What part of a request's time is kept for the disk, where answers wait for it.
const FOR_THE_DISK: u32 = 5;

/// The audit journal. Cheap to clone; every clone writes to the same place. With the last one it is closed.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Open>);

/// Closes the journal when nobody can write to it any more.
#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

/// A reserved place in the queue: holds what one request is recorded with, whatever the outcome. Dropped unused, it is free again.
#[derive(Debug)]
#[must_use = "a slot is a promise of a record"]
pub struct Slot {
    place: OwnedSemaphorePermit,
    shared: Arc<Shared>,
}

/// Why no record can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The queue was full until the deadline.
    #[error("the audit queue stayed full until the deadline")]
    QueueFull,
    /// The last write failed; it is tried again.
    #[error("the audit journal cannot be written: {0}")]
    Unwritable(Arc<str>),
    /// The record was not on disk at the deadline.
    #[error("the record was not on disk before the deadline")]
    NotOnDisk,
    /// The journal is closing or closed.
    #[error("the audit journal is closed")]
    Closed,
    /// Records still waited at the deadline of closing.
    #[error("{waiting} places of the audit queue were not written or freed before the deadline")]
    Unfinished {
        /// How many.
        waiting: usize,
    },
    /// The queue's length makes no sense.
    #[error("an audit queue of {0} records: it must hold between 1 and 1000000")]
    QueueLength(usize),
    /// The file can't be opened at the start.
    #[error("cannot open the audit journal `{}`: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Standard output or the writer's thread can't be had.
    #[error("cannot start the audit journal: {0}")]
    Start(String),
}

/// How the journal fares: for readiness and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHealth {
    /// Why the last write failed; `None` while writing works.
    pub failing: Option<Arc<str>>,
    /// Places of the queue in use: records waiting and requests in flight.
    pub depth: usize,
    /// How many places there are.
    pub capacity: usize,
    /// Lines written since the start.
    pub written: u64,
    /// Failed attempts to write since the start.
    pub failures: u64,
}

/// What requests and the writer share.
#[derive(Debug)]
struct Shared {
    queue: Queue,
    /// Whether answers wait until their records are on disk.
    strict: bool,
    state: watch::Sender<State>,
    written: AtomicU64,
    failures: AtomicU64,
}

/// The writer's state.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Writing,
    Failing(Arc<str>),
    Closed,
}

impl Journal {
    /// Opens the journal and starts its writer, a thread of its own: a slow disk holds up no request but by the
    /// queue, and where answers wait for it.
    ///
    /// # Errors
    /// [`JournalError`] if the settings make no sense or the file can't be opened.
    pub fn start(settings: &AuditSettings) -> Result<Self, JournalError> {
        // Before anything is opened.
        Self::check_queue(settings.queue)?;
        let (target, found) = Target::open(settings.file.as_deref())?;
        Self::with_target(target, &found, settings)
    }

    /// Whether a queue can be as long as that.
    ///
    /// # Errors
    /// [`JournalError::QueueLength`] if it can't.
    pub fn check_queue(length: usize) -> Result<(), JournalError> {
        if (1..=1_000_000).contains(&length) {
            Ok(())
        } else {
            Err(JournalError::QueueLength(length))
        }
    }

    fn with_target(target: Target, found: &Ends, settings: &AuditSettings) -> Result<Self, JournalError> {
        let strict = settings.durability == Durability::Disk;
        let shared = Arc::new(Shared {
            queue: Queue::new(settings.queue, !strict),
            strict,
            state: watch::Sender::new(State::Writing),
            written: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        writer::spawn(target, found, Arc::clone(&shared), settings)
            .map_err(|error| JournalError::Start(error.to_string()))?;
        Ok(Self(Arc::new(Open { shared })))
    }

    /// Reserves a place for one record, waiting for one until the deadline.
    ///
    /// # Errors
    /// [`JournalError::Unwritable`] while writing fails, [`JournalError::QueueFull`] at the deadline,
    /// [`JournalError::Closed`] after [`Journal::close`] began.
    pub async fn reserve(&self, deadline: Instant) -> Result<Slot, JournalError> {
        let shared = &self.0.shared;
        shared.accepts()?;
        let place = match shared.queue.try_place() {
            Ok(place) => place,
            Err(TryAcquireError::Closed) => return Err(JournalError::Closed),
            // Boxed: what most calls have no need of.
            Err(TryAcquireError::NoPermits) => Box::pin(shared.wait_for_place(deadline)).await?,
        };
        Ok(Slot {
            place,
            shared: Arc::clone(shared),
        })
    }

    /// By when a request must be decided that is to be answered by `deadline`: where answers wait for the disk, a
    /// part of the time is kept for it.
    #[must_use]
    pub fn decide_by(&self, deadline: Instant) -> Instant {
        if !self.0.shared.strict {
            return deadline;
        }
        let left = deadline.saturating_duration_since(clock::instant());
        let kept = left.checked_div(FOR_THE_DISK).unwrap_or_default();
        deadline.checked_sub(kept).unwrap_or(deadline)
    }

    /// Reserves a place, fills it at once, and waits for the disk where answers do: for what is not a request.
    ///
    /// # Errors
    /// Those of [`Journal::reserve`] and [`Receipt::durable`].
    pub async fn append(&self, record: &Record<'_>, deadline: Instant) -> Result<(), JournalError> {
        let receipt = self.reserve(deadline).await?.commit(std::slice::from_ref(record));
        receipt.durable(deadline).await
    }

    /// Takes no more reservations, waits for the slots that are out and writes every line.
    ///
    /// # Errors
    /// [`JournalError::Unfinished`] if that isn't done by the deadline; the writer goes on trying as long as the
    /// process lives.
    pub async fn close(&self, deadline: Instant) -> Result<(), JournalError> {
        self.0.shared.queue.close();
        let closed = self.0.shared.until(|state| *state == State::Closed);
        tokio::time::timeout_at(deadline.into(), closed)
            .await
            .map_err(|_| JournalError::Unfinished {
                waiting: self.health().depth,
            })
    }

    /// How the journal fares.
    #[must_use]
    pub fn health(&self) -> JournalHealth {
        let shared = &self.0.shared;
        let failing = match &*shared.state.borrow() {
            State::Failing(error) => Some(Arc::clone(error)),
            State::Writing | State::Closed => None,
        };
        JournalHealth {
            failing,
            depth: shared.queue.depth(),
            capacity: shared.queue.capacity(),
            written: shared.written.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
        }
    }
}

impl Slot {
    /// Records what nobody waits for; neither waits nor fails, so it may be called from a `Drop`.
    pub fn write(self, record: &Record<'_>) {
        self.write_all(std::slice::from_ref(record));
    }

    /// Records everything that one request decided (a batch has a record for each call), together: no other line
    /// comes between, and no part of it is taken without the rest. Neither waits nor fails.
    pub fn write_all(self, records: &[Record<'_>]) {
        self.put(records, None);
    }

    /// As [`Slot::write_all`], for an answer that may only be given once [`Receipt::durable`] says so.
    pub fn commit(self, records: &[Record<'_>]) -> Receipt {
        let ticket = self.ticket().filter(|_| !records.is_empty());
        self.put(records, ticket.clone());
        Receipt(ticket)
    }

    /// Records a revocation.
    pub fn commit_revoked(self, revoked: &Revoked) -> Receipt {
        let ticket = self.ticket();
        self.put_lines(revoked.to_line(), ticket.clone());
        Receipt(ticket)
    }

    fn ticket(&self) -> Option<Arc<Ticket>> {
        self.shared.strict.then(|| Arc::new(Ticket::default()))
    }

    fn put(self, records: &[Record<'_>], ticket: Option<Arc<Ticket>>) {
        // Without a record the place is free again.
        if records.is_empty() {
            return;
        }
        let mut lines = Vec::with_capacity(records.len().saturating_mul(LINE));
        for record in records {
            record.write_line(&mut lines);
        }
        self.put_lines(lines, ticket);
    }

    fn put_lines(self, lines: Vec<u8>, ticket: Option<Arc<Ticket>>) {
        // The writer gives it back when the lines are written.
        self.place.forget();
        self.shared.queue.push(Entry {
            lines,
            ticket,
            holds_place: true,
        });
    }
}

impl Shared {
    /// Whether records are taken at the moment.
    fn accepts(&self) -> Result<(), JournalError> {
        if self.queue.is_closing() {
            return Err(JournalError::Closed);
        }
        match &*self.state.borrow() {
            State::Writing => Ok(()),
            State::Failing(error) => Err(JournalError::Unwritable(Arc::clone(error))),
            State::Closed => Err(JournalError::Closed),
        }
    }

    /// Whether nobody writes any more, and nobody will.
    fn is_abandoned(&self) -> bool {
        self.queue.is_closing() && self.queue.depth() == 0
    }

    async fn wait_for_place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, JournalError> {
        tokio::select! {
            place = self.queue.place() => place.map_err(|_| JournalError::Closed),
            () = self.until(|state| *state != State::Writing) => {
                Err(self.accepts().err().unwrap_or(JournalError::QueueFull))
            }
            () = tokio::time::sleep_until(deadline.into()) => Err(JournalError::QueueFull),
        }
    }

    /// Waits for a state. Its lock is not held on return.
    async fn until(&self, reached: impl FnMut(&State) -> bool) {
        // The sender lives in `self`, so this ends only when the state is reached.
        let _ = self.state.subscribe().wait_for(reached).await;
    }

    fn written(&self, lines: usize) {
        self.written
            .fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.tell(State::Writing);
    }

    fn failed(&self, why: &Arc<str>) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.tell(State::Failing(Arc::clone(why)));
    }

    /// Tells only what is new: the state is told after every write.
    fn tell(&self, new: State) {
        self.state.send_if_modified(|state| {
            let changed = *state != new;
            if changed {
                match &new {
                    State::Failing(error) => tracing::error!(%error, "the audit journal cannot be written"),
                    State::Writing => tracing::info!("the audit journal can be written again"),
                    State::Closed => tracing::debug!("the audit journal is closed"),
                }
                *state = new;
            }
            changed
        });
    }
}

#[cfg(test)]
mod tests;
