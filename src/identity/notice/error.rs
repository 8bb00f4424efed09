//! Why a notice is not believed: each reason a variant of its own.

use crate::identity::IdentityError;

/// Why a notice is not believed. No variant carries a token or a claim's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// No issuer has the name that it was sent under.
    #[error("there is no issuer of that name here")]
    UnknownIssuer,
    /// It is no sound JWT, or isn't signed by the issuer; or it couldn't be told in time.
    #[error("{0}")]
    Token(#[from] IdentityError),
    /// It is another kind of token.
    #[error("it is another kind of token")]
    WrongType,
    /// `iss` is another's.
    #[error("`iss` is another issuer")]
    WrongIssuer,
    /// It is for a client that isn't listed in the issuer's `clients`, and for no server's resource.
    #[error("it is for a client that is not listed here")]
    WrongAudience,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// It was issued in the future.
    #[error("it was issued in the future")]
    IssuedInFuture,
    /// It is good for longer than such a thing should be.
    #[error("it is good for too long")]
    LivesTooLong,
    /// A logout token without the event that makes it one.
    #[error("`events` does not tell of a logout")]
    NoEvent,
    /// A logout token with a nonce.
    #[error("a logout token has no `nonce`")]
    HasNonce,
    /// An action that isn't the one of the place it was sent to.
    #[error("`action` is another than this place is for")]
    WrongAction,
    /// A `notBefore` so far ahead that it can only be a mistake.
    #[error("`notBefore` is further ahead than any token lives")]
    TooFarAhead,
    /// Something that must be there isn't.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Something is of another type, or empty.
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
}

impl NoticeError {
    /// The code in metrics and logs: one of [`IdentityError`]'s where the token itself doesn't hold.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownIssuer => "unknown_issuer",
            Self::Token(error) => error.code(),
            Self::WrongType => "wrong_type",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::IssuedInFuture => "issued_in_future",
            Self::LivesTooLong => "lives_too_long",
            Self::NoEvent => "no_event",
            Self::HasNonce => "has_nonce",
            Self::WrongAction => "wrong_action",
            Self::TooFarAhead => "not_before_too_far_ahead",
            Self::Missing(_) => "missing_member",
            Self::Malformed(_) => "malformed_member",
        }
    }

    /// Whether a part of ours is down rather than the notice bad: it is worth another try.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Token(error) if error.is_outage())
    }
}
