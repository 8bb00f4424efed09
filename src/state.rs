//! What replicas share: ids that may be used once, secrets that all of them know, and what was revoked.
//!
//! In come ids, already hashed ([`Id`]); out comes what the store knows of them. Nothing here knows what an id stands
//! for. Whatever a store can't tell in time is a [`StateError`], never a guess: who asked denies. A store that is full
//! refuses rather than forgets.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use self::redis::{Redis, Settings as RedisSettings};
pub use limits::Limits;
pub use memory::Memory;
pub use settings::Settings;
pub use watched::Watcher;

mod limits;
mod memory;
mod moment;
mod redis;
mod revocations;
mod room;
mod settings;
mod used;
mod watched;

#[cfg(test)]
mod tests;

/// What a store answers, in time or not at all.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + Send + 'a>>;

/// Where state is kept that every replica must see alike. Nothing is awaited beyond the deadline that comes with a
/// question.
pub trait Store: fmt::Debug + Send + Sync {
    /// Takes note that an id is used now, and says whether it had been used before. Of two that ask at once, here or at
    /// another replica, one alone hears [`Used::First`]. Forgotten after `keep`.
    fn use_once(&self, id: Id, keep: Duration, deadline: Instant) -> Answer<'_, Used>;

    /// A secret of 32 random bytes that all replicas share under this name; made by whoever asks first.
    fn secret(&self, name: &'static str, deadline: Instant) -> Answer<'_, Secret>;

    /// Adds a revocation. When this is done, it holds at this replica; at every other one within
    /// [`Store::propagation`].
    fn revoke(&self, revocation: Revocation, deadline: Instant) -> Answer<'_, ()>;

    /// Makes sure that this replica knows every revocation that was added longer than [`Store::propagation`] ago: at
    /// once where it does, which is nearly always, else as soon as the store has answered. `None`: it is known already.
    fn caught_up(&self, now: Instant, deadline: Instant) -> Option<Answer<'_, ()>>;

    /// Up to when tokens that any of these ids stands for are revoked: those issued at or before that moment.
    fn revoked(&self, id: &Id) -> Option<Timestamp>;

    /// Grows whenever [`Store::revoked`] may answer otherwise than before.
    fn revocations_version(&self) -> u64;

    /// How long a revocation may take to reach every other replica.
    fn propagation(&self) -> Duration;

    /// How the store fares, from memory.
    fn status(&self) -> Status;
}

/// How a store fares, for metrics and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which store: `memory`, `redis`.
    pub kind: &'static str,
    /// Why it can't tell just now; `None` while it can.
    pub outage: Option<StateError>,
    /// What went wrong, as whoever found it said.
    pub cause: Option<String>,
    /// How long ago every revocation was known here that had been added by then; `None` if they are kept here alone, or
    /// never were all known.
    pub revocations_age: Option<Duration>,
    /// Ids that it keeps in this process; `None` if they are kept elsewhere.
    pub used_ids: Option<usize>,
    /// Revocations that this process knows.
    pub revocations: usize,
    /// The memory that both take in this process.
    pub bytes: usize,
    /// How many of them there may be.
    pub limits: Limits,
}

/// What an id stands for is hashed by whoever asks (SHA-256 over a label of its kind and the value): no store learns a
/// token's id or a user's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub [u8; 32]);

/// Whether an id was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// Never, as far back as the store remembers: since this moment. Whoever made what carries the id before it can't
    /// be told apart from who replays it.
    First {
        /// Since when the store has forgotten nothing: its start, or when it was last emptied.
        remembers_since: Timestamp,
    },
    /// Before.
    Again,
}

/// Tokens that an id stands for, issued at or before a moment, hold no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Which tokens: for instance one by its `jti`, all of a session, of a subject, of a client, of an issuer.
    pub id: Id,
    /// Those that were issued at or before this moment.
    pub issued_until: Timestamp,
    /// When no such token can live any more, and the revocation may be forgotten.
    pub keep_until: Timestamp,
}

/// A secret that all replicas share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

/// Why a store can't tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StateError {
    /// It can't be reached, or answers with an error.
    #[error("the shared state can't be reached")]
    Unreachable,
    /// It didn't answer in time.
    #[error("the shared state did not answer in time")]
    TooLate,
    /// It is full: to remember more would be to forget something.
    #[error("the shared state is full")]
    Full,
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two, three, four, ..] = self.0;
        write!(formatter, "Id({one:02x}{two:02x}{three:02x}{four:02x}…)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What a hash table takes that has room for so many entries: an eighth of its places stays free, and each has a byte
/// besides its entry.
fn table_bytes<T>(capacity: usize) -> usize {
    let places = capacity.saturating_add(capacity.div_ceil(7));
    places.saturating_mul(size_of::<T>().saturating_add(1))
}
