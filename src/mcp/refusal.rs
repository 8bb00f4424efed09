//! Why a message isn't read: each with a reason of its own.

use super::Id;

/// Why a message is refused before anything is decided about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The body isn't one whole JSON text of the strict profile.
    #[error("the body is not JSON that every parser reads alike: {0}")]
    Json(String),
    /// More to come: written by the reader.
    #[error("the method must be POST, GET or DELETE, not `{method}`")]
    HttpMethod {
        /// What was sent.
        method: String,
        /// The request's id, where it could be read.
        id: Option<Id>,
    },
}
