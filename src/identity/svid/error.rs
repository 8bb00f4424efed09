//! Why a JWT-SVID is refused.

use crate::identity::error::{Claim, Malformed};

/// Why a JWT-SVID isn't believed, or not at this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SvidError {
    /// Longer than the settings allow; neither hashed nor decoded.
    #[error("the JWT-SVID is too large")]
    TooLarge,
    /// Not a signed JWT that can be read in only one way.
    #[error("the JWT-SVID is malformed: {0}")]
    Malformed(Malformed),
    /// `crit`, `enc`, or a key of its own in the header.
    #[error("the JWT-SVID's header has a member that it must not have")]
    Header,
    /// `typ` is there and neither `JWT` nor `JOSE` (JWT-SVID §2.3).
    #[error("the token's `typ` is not that of a JWT-SVID")]
    WrongType,
    /// `alg` is not one of those configured: `none` and the symmetric ones never are (JWT-SVID §2.1).
    #[error("the JWT-SVID's algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// No `kid`: which of the authorities signed would be a guess.
    #[error("the JWT-SVID doesn't say which key signed it")]
    KidMissing,
    /// No `sub`, or an empty one.
    #[error("the JWT-SVID names no workload")]
    NoSubject,
    /// Its trust domain is accepted, but has no bundle to verify with.
    #[error("JWT-SVIDs of this trust domain are not taken")]
    NotTaken,
    /// No bundle of its trust domain came yet, or none for too long: an outage, not the caller's fault.
    #[error("the trust domain's bundle is not available")]
    BundleUnavailable,
    /// Its trust domain's bundle has no such key for JWT-SVIDs.
    #[error("the JWT-SVID's key is not in its trust domain's bundle")]
    KeyUnknown,
    /// The signature doesn't verify.
    #[error("the JWT-SVID's signature is not valid")]
    SignatureInvalid,
    /// No `exp` (JWT-SVID §3.3).
    #[error("the JWT-SVID has no expiry")]
    NoExpiry,
    /// `exp` has passed.
    #[error("the JWT-SVID has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the JWT-SVID is not valid yet")]
    NotYetValid,
    /// `iat` is ahead of the clock.
    #[error("the JWT-SVID was issued in the future")]
    IssuedInFuture,
    /// From `iat` (or now) to `exp` is more than `max_lifetime`.
    #[error("the JWT-SVID lives too long")]
    LivesTooLong,
    /// `aud` is absent, another server's, or names others besides this one.
    #[error("the JWT-SVID was not issued for this server")]
    WrongAudience,
    /// A claim has another type than it must have.
    #[error("a claim of the JWT-SVID has another type than it must have: {0}")]
    ClaimMalformed(Claim),
}

impl SvidError {
    /// The reason's code. Stable.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "svid_too_large",
            Self::Malformed(_) => "svid_malformed",
            Self::Header => "svid_header",
            Self::WrongType => "svid_wrong_type",
            Self::AlgorithmNotAllowed => "svid_alg_not_allowed",
            Self::KidMissing => "svid_kid_missing",
            Self::NoSubject => "svid_no_subject",
            Self::NotTaken => "svid_not_taken",
            Self::BundleUnavailable => "svid_bundle_unavailable",
            Self::KeyUnknown => "svid_key_unknown",
            Self::SignatureInvalid => "svid_signature_invalid",
            Self::NoExpiry => "svid_no_expiry",
            Self::Expired => "svid_expired",
            Self::NotYetValid => "svid_not_yet_valid",
            Self::IssuedInFuture => "svid_issued_in_future",
            Self::LivesTooLong => "svid_lives_too_long",
            Self::WrongAudience => "svid_wrong_audience",
            Self::ClaimMalformed(_) => "svid_claim_malformed",
        }
    }
}
