//! Where records go: a file or standard output, through a bounded queue that never drops.
//!
//! A request reserves a [`Slot`] before it is decided and fills it with a record afterwards, which neither waits
//! nor fails. While the queue is full, reserving waits until the deadline; while nothing can be written, it is
//! refused at once. The lines that wait are tried again until they are written. Whoever gets no slot decides
//! nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::record::Record;
use super::settings::AuditSettings;
use target::Target;

mod target;
mod writer;

/// The audit journal. Cheap to clone; every clone writes to the same place.
#[derive(Debug, Clone)]
pub struct Journal {
    queue: mpsc::Sender<Vec<u8>>,
    shared: Arc<Shared>,
}

/// A reserved place in the queue: holds what one request is recorded with, whatever the outcome. Dropped unused, it is free again.
#[derive(Debug)]
#[must_use = "a slot is a promise of a record"]
pub struct Slot(mpsc::OwnedPermit<Vec<u8>>);

/// Why no record can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The queue was full until the deadline.
    #[error("the audit queue stayed full until the deadline")]
    QueueFull,
    /// The last write failed; it is tried again.
    #[error("the audit journal cannot be written: {0}")]
    Unwritable(Arc<str>),
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

/// What the writer tells.
#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    closing: watch::Sender<bool>,
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
    /// queue.
    ///
    /// # Errors
    /// [`JournalError`] if the settings make no sense or the file can't be opened.
    pub fn start(settings: &AuditSettings) -> Result<Self, JournalError> {
        let target = Target::open(settings.file.as_deref())?;
        Self::with_target(
            target,
            settings.queue,
            settings.retry_interval.max(Duration::from_millis(1)),
        )
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

    fn with_target(target: Target, length: usize, retry: Duration) -> Result<Self, JournalError> {
        Self::check_queue(length)?;
        let (queue, lines) = mpsc::channel(length);
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State::Writing),
            closing: watch::Sender::new(false),
            written: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        writer::spawn(target, lines, Arc::clone(&shared), retry)
            .map_err(|error| JournalError::Start(error.to_string()))?;
        Ok(Self { queue, shared })
    }

    /// Reserves a place for one record, waiting for one until the deadline.
    ///
    /// # Errors
    /// [`JournalError::Unwritable`] while writing fails, [`JournalError::QueueFull`] at the deadline,
    /// [`JournalError::Closed`] after [`Journal::close`] began.
    pub async fn reserve(&self, deadline: Instant) -> Result<Slot, JournalError> {
        self.shared.accepts()?;
        match self.queue.clone().try_reserve_owned() {
            Ok(permit) => Ok(Slot(permit)),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(JournalError::Closed),
            Err(mpsc::error::TrySendError::Full(queue)) => self.wait(queue, deadline).await,
        }
    }

    async fn wait(&self, queue: mpsc::Sender<Vec<u8>>, deadline: Instant) -> Result<Slot, JournalError> {
        tokio::select! {
            permit = queue.reserve_owned() => permit.map(Slot).map_err(|_| JournalError::Closed),
            () = self.shared.until(|state| *state != State::Writing) => {
                Err(self.shared.accepts().err().unwrap_or(JournalError::QueueFull))
            }
            () = tokio::time::sleep_until(deadline.into()) => Err(JournalError::QueueFull),
        }
    }

    /// Reserves a place and fills it at once: for what is not a request.
    ///
    /// # Errors
    /// Those of [`Journal::reserve`].
    pub async fn append(&self, record: &Record, deadline: Instant) -> Result<(), JournalError> {
        self.reserve(deadline).await?.write(record);
        Ok(())
    }

    /// Takes no more reservations, waits for the slots that are out and writes every line.
    ///
    /// # Errors
    /// [`JournalError::Unfinished`] if that isn't done by the deadline; the writer goes on trying as long as the
    /// process lives.
    pub async fn close(&self, deadline: Instant) -> Result<(), JournalError> {
        self.shared.closing.send_replace(true);
        let closed = self.shared.until(|state| *state == State::Closed);
        tokio::time::timeout_at(deadline.into(), closed)
            .await
            .map_err(|_| JournalError::Unfinished {
                waiting: self.health().depth,
            })
    }

    /// How the journal fares.
    #[must_use]
    pub fn health(&self) -> JournalHealth {
        let failing = match &*self.shared.state.borrow() {
            State::Failing(error) => Some(Arc::clone(error)),
            State::Writing | State::Closed => None,
        };
        JournalHealth {
            failing,
            depth: self.queue.max_capacity().saturating_sub(self.queue.capacity()),
            capacity: self.queue.max_capacity(),
            written: self.shared.written.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
        }
    }
}

impl Slot {
    /// Records; neither waits nor fails, so it may be called from a `Drop`.
    pub fn write(self, record: &Record) {
        self.write_all(std::slice::from_ref(record));
    }

    /// Records everything that one request decided (a batch has a record for each call), together: no other line
    /// comes between, and no part of it is taken without the rest. Neither waits nor fails.
    pub fn write_all(self, records: &[Record]) {
        let lines: Vec<u8> = records.iter().flat_map(Record::to_line).collect();
        // Without a record the place is free again.
        if !lines.is_empty() {
            self.0.send(lines);
        }
    }
}

impl Shared {
    /// Whether records are taken at the moment.
    fn accepts(&self) -> Result<(), JournalError> {
        if *self.closing.borrow() {
            return Err(JournalError::Closed);
        }
        match &*self.state.borrow() {
            State::Writing => Ok(()),
            State::Failing(error) => Err(JournalError::Unwritable(Arc::clone(error))),
            State::Closed => Err(JournalError::Closed),
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

    fn failed(&self, error: &std::io::Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.tell(State::Failing(error.to_string().into()));
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
