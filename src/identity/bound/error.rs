//! Why a token that is bound isn't its presenter's.

use crate::identity::dpop::Nonce;
use crate::state::StateError;

/// Why a token's binding, or the proof of it, doesn't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BoundError {
    /// `cnf` isn't an object that holds a SHA-256 for each of its members.
    #[error("the token's confirmation is malformed")]
    ConfirmationMalformed,
    /// `cnf` binds the token to something that can't be proved here (RFC 7800 §3.1).
    #[error("the token is bound to something that can't be proved here")]
    ConfirmationUnknown,
    /// The token isn't bound, or not to what the server or the scheme demands.
    #[error("the token is not bound to what it must be bound to")]
    TokenNotBound,
    /// The scheme is `DPoP` and no `DPoP` header came.
    #[error("no proof was sent")]
    ProofMissing,
    /// More than one `DPoP` header, or several joined into one.
    #[error("more than one proof was sent")]
    ProofRepeated,
    /// Longer than any proof needs to be.
    #[error("the proof is too large")]
    ProofTooLarge,
    /// Not a signed JWT with the claims of a proof, each of its type.
    #[error("the proof is malformed")]
    ProofMalformed,
    /// `typ` isn't `dpop+jwt`.
    #[error("the proof's type is not dpop+jwt")]
    ProofType,
    /// `alg` is `none`, symmetric, unknown, or not among the server's.
    #[error("the proof's algorithm is not allowed")]
    ProofAlgorithm,
    /// `jwk` has a private part: whoever saw the proof has the key.
    #[error("the proof gives its private key away")]
    ProofKeyPrivate,
    /// `jwk` is absent, symmetric, weak, of another curve or not for this algorithm.
    #[error("the proof's key is none that is taken")]
    ProofKeyUnusable,
    /// Another key than the token is bound to.
    #[error("the proof is of another key than the token is bound to")]
    ProofOtherKey,
    /// `htm` isn't the request's method.
    #[error("the proof is for another method")]
    ProofMethod,
    /// `htu` isn't the request's URL.
    #[error("the proof is for another URL")]
    ProofUrl,
    /// `iat` is longer ago than `max_age`.
    #[error("the proof is too old")]
    ProofTooOld,
    /// `iat` is ahead of the clock by more than `max_ahead`.
    #[error("the proof was made in the future")]
    ProofAhead,
    /// `ath` is absent, or another token's.
    #[error("the proof is for another token")]
    ProofOtherToken,
    /// The signature doesn't verify with the proof's own key.
    #[error("the proof's signature is not valid")]
    ProofSignature,
    /// A proof with this `jti` of this key came before.
    #[error("the proof was used before")]
    ProofReplayed,
    /// Whether it came before can't be told: an outage, not the caller's fault.
    #[error("it can't be told whether the proof was used before: {0}")]
    ReplaysUnknown(StateError),
    /// The proof may have been used before the store began to remember.
    #[error("the proof may be older than what is remembered of others")]
    ReplaysForgotten,
    /// The server demands a nonce of its own in proofs (RFC 9449 §9), and there is none. This one will do.
    #[error("the proof must have a nonce of this server")]
    NonceMissing(Nonce),
    /// Not a nonce of this server. This one will do.
    #[error("the proof's nonce is none of this server")]
    NonceWrong(Nonce),
    /// A nonce of this server whose time isn't now. This one will do.
    #[error("the proof's nonce is too old")]
    NonceExpired(Nonce),
    /// Whether it is a nonce of this server can't be told: an outage, not the caller's fault.
    #[error("it can't be told whether the proof's nonce is one of this server: {0}")]
    NoncesUnknown(StateError),
    /// No certificate came with the call that a token is bound to.
    #[error("no client certificate came with the call")]
    CertificateMissing,
    /// A certificate is named, by a gateway that isn't trusted to.
    #[error("the gateway is not trusted to name the client's certificate")]
    CertificateNotVouchedFor,
    /// What a gateway says of the certificate isn't one certificate.
    #[error("the client's certificate is malformed")]
    CertificateMalformed,
    /// The connection's certificate and `x-forwarded-client-cert` are different ones.
    #[error("two client certificates came with the call")]
    CertificatesDisagree,
    /// Another certificate than the token is bound to.
    #[error("the certificate is another than the token is bound to")]
    CertificateOther,
}

impl BoundError {
    /// The reason's code: stable.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ConfirmationMalformed => "confirmation_malformed",
            Self::ConfirmationUnknown => "confirmation_unknown",
            Self::TokenNotBound => "token_not_bound",
            Self::ProofMissing => "proof_missing",
            Self::ProofRepeated => "proof_repeated",
            Self::ProofTooLarge => "proof_too_large",
            Self::ProofMalformed => "proof_malformed",
            Self::ProofType => "proof_type",
            Self::ProofAlgorithm => "proof_algorithm",
            Self::ProofKeyPrivate => "proof_key_private",
            Self::ProofKeyUnusable => "proof_key_unusable",
            Self::ProofOtherKey => "proof_other_key",
            Self::ProofMethod => "proof_method",
            Self::ProofUrl => "proof_url",
            Self::ProofTooOld => "proof_too_old",
            Self::ProofAhead => "proof_ahead",
            Self::ProofOtherToken => "proof_other_token",
            Self::ProofSignature => "proof_signature",
            Self::ProofReplayed => "proof_replayed",
            Self::ReplaysUnknown(_) => "replays_unknown",
            Self::ReplaysForgotten => "replays_forgotten",
            Self::NonceMissing(_) => "nonce_missing",
            Self::NonceWrong(_) => "nonce_wrong",
            Self::NonceExpired(_) => "nonce_expired",
            Self::NoncesUnknown(_) => "nonces_unknown",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateNotVouchedFor => "certificate_not_vouched_for",
            Self::CertificateMalformed => "certificate_malformed",
            Self::CertificatesDisagree => "certificates_disagree",
            Self::CertificateOther => "certificate_other",
        }
    }

    /// Whether a part of ours can't tell (503) rather than the evidence being bad.
    #[must_use]
    pub const fn is_outage(self) -> bool {
        matches!(
            self,
            Self::ReplaysUnknown(_) | Self::ReplaysForgotten | Self::NoncesUnknown(_)
        )
    }

    /// The nonce that the client's next proof should have (RFC 9449 §9).
    #[must_use]
    pub const fn nonce(self) -> Option<Nonce> {
        match self {
            Self::NonceMissing(nonce) | Self::NonceWrong(nonce) | Self::NonceExpired(nonce) => Some(nonce),
            _ => None,
        }
    }
}
