//! A request of an MCP client to a typed [`Message`], so strictly that no server can read it otherwise.
//!
//! In: an [`Exchange`](crate::exchange::Exchange). Out: a [`Message`], or a [`Refusal`] with a reason of its own.
//! `docs/json-profile.md` says what is read and what is refused.

pub mod call;
pub mod json;
pub mod message;
pub mod refusal;
pub mod version;

pub use call::{Call, Id, Operation, Reference};
pub use message::{Message, Payload};
pub use refusal::Refusal;
pub use version::Version;
