//! What can go wrong on the wire itself, and the answer to it.

use super::metadata::NotJson;
use super::response::Unfit;

/// A check that no decision was made for, or whose decision can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// `attributes.request.http` is absent: a TCP filter asks, or nobody that we know.
    #[error("the check describes no HTTP request")]
    NoHttpRequest,
    /// `source.certificate` isn't URL-encoded text.
    #[error("the client's certificate is not URL-encoded PEM")]
    Certificate,
    /// `metadata_context` holds what JSON can't.
    #[error("the gateway's filter metadata is not JSON: {0}")]
    Metadata(NotJson),
    /// The message is larger than `max_message_bytes`.
    #[error("the check is larger than this service reads")]
    TooLarge,
    /// The message isn't a `CheckRequest`, or is compressed.
    #[error("the check could not be read")]
    Unreadable,
    /// The message didn't come to its end as long as the gateway waits.
    #[error("the gateway gave up before the check was whole")]
    Abandoned,
    /// More checks at once than can be decided in time.
    #[error("more was asked at once than can be decided in time")]
    Overloaded,
    /// No answer in time.
    #[error("no decision was made in time")]
    DeadlinePassed,
    /// A bug.
    #[error("the decision ended in a fault of this service")]
    Panicked,
    /// A bug: the reply can't be put on the wire as it is.
    #[error("the decision could not be sent: {0}")]
    UnfitReply(Unfit),
}

impl Failure {
    /// Every failure, in the order of the table in docs/reasons.md; those with details stand for all of their kind.
    pub const ALL: &'static [Self] = &[
        Self::NoHttpRequest,
        Self::Certificate,
        Self::Metadata(NotJson::NoKind),
        Self::TooLarge,
        Self::Unreadable,
        Self::Abandoned,
        Self::Overloaded,
        Self::DeadlinePassed,
        Self::Panicked,
        Self::UnfitReply(Unfit::Name),
    ];

    /// The stable name, for the answer's `data.reason`, logs and alarms.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoHttpRequest => "check_without_http",
            Self::Certificate => "check_certificate_malformed",
            Self::Metadata(_) => "check_metadata_malformed",
            Self::TooLarge => "check_too_large",
            Self::Unreadable => "check_unreadable",
            Self::Abandoned => "check_abandoned",
            Self::Overloaded => "overloaded",
            Self::DeadlinePassed => "deadline_passed",
            Self::Panicked => "internal_fault",
            Self::UnfitReply(_) => "reply_unfit",
        }
    }

    /// The HTTP status that the client gets.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::NoHttpRequest
            | Self::Certificate
            | Self::Metadata(_)
            | Self::Unreadable
            | Self::Abandoned
            | Self::Overloaded
            | Self::DeadlinePassed
            | Self::Panicked
            | Self::UnfitReply(_) => 503,
        }
    }

    /// Says it once where the operator reads: no stage has seen this check. Nothing of the request is in it.
    pub(super) fn report(self) {
        let reason = self.reason();
        match self {
            Self::Panicked | Self::UnfitReply(_) => {
                tracing::error!(reason, "denied a check without its decision: {self}");
            }
            // A client or a gateway can bring these about at will.
            Self::NoHttpRequest
            | Self::Certificate
            | Self::Metadata(_)
            | Self::TooLarge
            | Self::Unreadable
            | Self::Abandoned
            | Self::Overloaded
            | Self::DeadlinePassed => {
                tracing::warn!(reason, "denied a check without a decision: {self}");
            }
        }
    }
}
