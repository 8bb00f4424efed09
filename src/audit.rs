//! What was decided, written down: one JSON object a line for each decision, and for each revocation.
//!
//! In comes a [`Record`] of plain text, built by the pipeline; out goes a line through the [`Journal`]'s bounded
//! queue. Its lines are chained by hashes ([`chain`]), so that none can be changed or removed unnoticed. A request reserves its [`Slot`] before it is decided, so that any outcome, also that of a call which the
//! gateway gave up on, is recorded without waiting. Nothing is dropped: without a slot there is no decision.

pub mod chain;
pub mod checkpoint;
mod event;
mod hex;
pub mod journal;
pub mod place;
pub mod query;
pub mod read;
pub mod record;
pub mod redact;
pub mod revoked;
pub mod settings;
pub mod verify;

pub use journal::{Journal, JournalError, Receipt, Slot};
pub use record::{Batch, Durations, PolicyEffect, Record, ShadowOpinion, User};
pub use redact::{RedactError, Redacted, Redactor};
pub use revoked::{Revoked, What};
pub use settings::{AuditSettings, Durability, Retention, Rotation, ShowArguments, ShowClaims, ShowSession};
