//! Why an identity doesn't hold: each reason a variant of its own, none merged with another.

use std::path::PathBuf;

pub use super::bound::BoundError;
pub use super::introspect::IntrospectionFault;
pub use super::svid::SvidError;
use crate::spiffe::SpiffeIdError;
use crate::state::StateError;

/// Why a call's identities are refused. No variant carries a token, a claim's value or a client's text.
///
/// The enum is exhaustive on purpose: a new reason doesn't compile until it has its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdentityError {
    /// The server requires a user and the call brought no access token.
    #[error("no access token was sent")]
    NoCredential,
    /// More than one `Authorization` header, or several joined into one.
    #[error("more than one credential was sent")]
    TwoCredentials,
    /// Another scheme than Bearer and `DPoP`, for instance Basic.
    #[error("the authorization scheme must be Bearer or DPoP")]
    WrongScheme,
    /// An access token in the URL (RFC 9700 §4.3.2: it leaks into logs and referrers).
    #[error("access tokens are not taken from the query string")]
    TokenInQuery,
    /// Not a JWT in compact form, or its JSON can be read in more than one way.
    #[error("the access token is malformed: {0}")]
    MalformedToken(Malformed),
    /// Longer than the issuer's `max_token_bytes`.
    #[error("the access token is too large")]
    TokenTooLarge,
    /// A JWE: only signed tokens are taken.
    #[error("encrypted tokens are not supported")]
    EncryptedToken,
    /// `crit` in the header: an extension that must be understood, and none is (RFC 7515 §4.1.11).
    #[error("the token's header demands extensions that are not supported")]
    CriticalHeader,
    /// `jwk`, `jku`, `x5u` or `x5c` in the header: a token doesn't choose the key that it is verified with.
    #[error("the token's header carries or names its own key")]
    KeyInHeader,
    /// No configured issuer has exactly this `iss`.
    #[error("the token's issuer is not known")]
    IssuerUnknown,
    /// A configured issuer, but this server doesn't take its tokens.
    #[error("the token's issuer is not accepted by this server")]
    IssuerNotAccepted,
    /// `alg` is `none`, unknown, or not among the issuer's algorithms.
    #[error("the token's algorithm is not allowed for its issuer")]
    AlgorithmNotAllowed,
    /// `typ` says that this is no access token: an ID, refresh or logout token, a `DPoP` proof.
    #[error("the token is not an access token")]
    WrongType,
    /// No `kid`, and the issuer has more than one key that could have signed.
    #[error("the token doesn't say which key signed it")]
    KidMissing,
    /// The issuer publishes no such key.
    #[error("the token's key is not known")]
    KidUnknown,
    /// The issuer's keys could not be had in time: an outage, not the caller's fault.
    #[error("the issuer's keys are not available")]
    KeysUnavailable,
    /// Too many tokens that were never seen before: this one's turn to be verified didn't come in time.
    #[error("too many tokens are being verified")]
    VerificationOverloaded,
    /// The signature doesn't verify.
    #[error("the token's signature is not valid")]
    SignatureInvalid,
    /// The issuer was asked and says that the token is not active (RFC 7662 §2.2).
    #[error("the issuer says that the token is not active")]
    TokenInactive,
    /// The issuer's word about the token could not be had, or doesn't count.
    #[error(transparent)]
    Introspection(#[from] IntrospectionFault),
    /// No `sub`, or an empty one.
    #[error("the token names no subject")]
    NoSubject,
    /// No `exp`: a token that lives for ever.
    #[error("the token has no expiry")]
    NoExpiry,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is ahead of the clock.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// From `iat` (or now) to `exp` is more than the issuer's `max_lifetime`.
    #[error("the token lives too long")]
    LivesTooLong,
    /// `aud` is absent, another server's, or names others besides this one.
    #[error("the token was not issued for this server")]
    WrongAudience,
    /// `cnf`: the token is bound to a key, and came as if it weren't (RFC 9449 §7.2).
    #[error("the token is bound to a key and no proof was sent")]
    BoundTokenWithoutProof,
    /// What the token is bound to isn't proved, or it isn't bound as it must be.
    #[error(transparent)]
    Bound(#[from] BoundError),
    /// A claim that becomes part of the user has another type than it must have.
    #[error("a claim of the token has another type than it must have: {0}")]
    ClaimMalformed(Claim),
    /// The claims that the gateway verified are another token's.
    #[error("the token and the gateway's claims disagree")]
    ClaimsDisagree,
    /// The gateway's claims came without their token, and their issuer is to be asked about each.
    #[error("the token itself did not come, and its issuer must be asked about it")]
    ClaimsUnasked,
    /// This one token was revoked, by its `jti`.
    #[error("the token was revoked")]
    TokenRevoked,
    /// The login session that the token belongs to (`sid`) has ended.
    #[error("the login session of the token has ended")]
    SessionRevoked,
    /// The user's tokens issued until a moment were revoked, and this is one of them.
    #[error("the user's tokens of that time were revoked")]
    SubjectRevoked,
    /// The client's tokens issued until a moment were revoked, and this is one of them.
    #[error("the client's tokens of that time were revoked")]
    ClientRevoked,
    /// The issuer's tokens issued until a moment were revoked (a not-before was pushed), and this is one of them.
    #[error("the token was issued before the issuer's not-before")]
    IssuerNotBefore,
    /// What is revoked could not be found out: an outage, not the caller's fault.
    #[error("what was revoked can't be told: {0}")]
    RevocationsUnknown(StateError),
    /// `auth_time` is ahead of the clock: a login that would stay fresh for longer than it is.
    #[error("the token's login is in the future")]
    AuthenticatedInFuture,
    /// `unlisted_clients: refuse`, and `clients` doesn't have the token's.
    #[error("the client that the token was issued to is not listed")]
    ClientNotListed,
    /// A scope that `clients.<id>.max_scopes` doesn't have.
    #[error("the token has a scope that its client may not have")]
    ScopeExceedsClient,
    /// The server requires an actor, and the token names none.
    #[error("the token names nobody who acts for its user")]
    ActorMissing,
    /// `act`, or an `act` within it, isn't an object with `sub` or `client_id` (RFC 8693 §4.1).
    #[error("the token's `act` names nobody")]
    ActorMalformed,
    /// More than eight actors, each within the other.
    #[error("the token names too many actors")]
    TooManyActors,
    /// The current actor has an `iss` that is neither the token's nor one of `actor_issuers`.
    #[error("the token's issuer may not name actors of that issuer")]
    ActorIssuerNotAccepted,
    /// The current actor is a workload of a trust domain that isn't configured.
    #[error("the actor's trust domain is not accepted")]
    ActorForeignTrustDomain,
    /// `act` names one actor, and the token was issued to a client that is another.
    #[error("the token's `act` and its client are different actors")]
    ActorAmbiguous,
    /// The current actor is a workload, and another workload calls.
    #[error("the actor and the workload that calls are different")]
    ActorDisagrees,
    /// The server requires a workload and nothing names one.
    #[error("no workload identity came with the call")]
    WorkloadMissing,
    /// The server requires a workload; one is named, by a gateway that isn't trusted to.
    #[error("the gateway is not trusted to name the workload")]
    GatewayNotTrusted,
    /// What names the workload is no SPIFFE ID in canonical form.
    #[error("the workload's SPIFFE ID is malformed: {0}")]
    WorkloadMalformed(SpiffeIdError),
    /// `x-forwarded-client-cert` doesn't follow its grammar.
    #[error("x-forwarded-client-cert is malformed")]
    ForwardedCertMalformed,
    /// Two elements or two URIs in `x-forwarded-client-cert`: nothing says which one is the workload.
    #[error("more than one workload is named")]
    WorkloadAmbiguous,
    /// A trust domain that isn't configured.
    #[error("the workload's trust domain is not accepted")]
    WorkloadForeignTrustDomain,
    /// The connection's certificate, `x-forwarded-client-cert` and JWT-SVIDs name different workloads.
    #[error("what names the workload names different ones")]
    WorkloadDisagrees,
    /// A JWT-SVID that doesn't hold.
    #[error(transparent)]
    Svid(#[from] SvidError),
}

/// In what way a token is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// The header's value isn't the scheme, one space, and a token.
    #[error("the authorization header is not a scheme, a space and a token")]
    Credentials,
    /// Not three parts separated by dots.
    #[error("a signed token has three parts")]
    Parts,
    /// A part isn't base64url in its canonical form, without padding.
    #[error("a part is not canonical base64url")]
    Base64,
    /// The header isn't one JSON object, or has a member twice.
    #[error("the header is not a JSON object without duplicates")]
    Header,
    /// The claims aren't one JSON object, or a member occurs twice.
    #[error("the claims are not a JSON object without duplicates")]
    Claims,
}

/// A claim that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is the claim of its name")]
pub enum Claim {
    #[error("roles")]
    Roles,
    #[error("groups")]
    Groups,
    #[error("tenants")]
    Tenants,
    #[error("scope")]
    Scopes,
    #[error("username")]
    Username,
    #[error("email")]
    Email,
    #[error("acr")]
    Acr,
    #[error("client id")]
    ClientId,
    #[error("jti")]
    TokenId,
    #[error("sid")]
    LoginSession,
    #[error("exp")]
    Exp,
    #[error("nbf")]
    Nbf,
    #[error("iat")]
    Iat,
    #[error("auth_time")]
    AuthTime,
}

impl IdentityError {
    /// The reason's code: in answers, the audit and metrics. Stable.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::TwoCredentials => "two_credentials",
            Self::WrongScheme => "wrong_scheme",
            Self::TokenInQuery => "token_in_query",
            Self::MalformedToken(_) => "malformed_token",
            Self::TokenTooLarge => "token_too_large",
            Self::EncryptedToken => "encrypted_token",
            Self::CriticalHeader => "critical_header",
            Self::KeyInHeader => "key_in_header",
            Self::IssuerUnknown => "issuer_unknown",
            Self::IssuerNotAccepted => "issuer_not_accepted",
            Self::AlgorithmNotAllowed => "alg_not_allowed",
            Self::WrongType => "wrong_type",
            Self::KidMissing => "kid_missing",
            Self::KidUnknown => "kid_unknown",
            Self::KeysUnavailable => "keys_unavailable",
            Self::VerificationOverloaded => "verification_overloaded",
            Self::SignatureInvalid => "signature_invalid",
            Self::TokenInactive => "token_inactive",
            Self::Introspection(fault) => fault.code(),
            Self::NoSubject => "no_subject",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::LivesTooLong => "lives_too_long",
            Self::WrongAudience => "wrong_audience",
            Self::BoundTokenWithoutProof => "bound_token_without_proof",
            Self::Bound(error) => error.code(),
            Self::ClaimMalformed(_) => "claim_malformed",
            Self::ClaimsDisagree => "claims_disagree",
            Self::ClaimsUnasked => "claims_unasked",
            Self::TokenRevoked => "token_revoked",
            Self::SessionRevoked => "session_revoked",
            Self::SubjectRevoked => "subject_revoked",
            Self::ClientRevoked => "client_revoked",
            Self::IssuerNotBefore => "issuer_not_before",
            Self::RevocationsUnknown(_) => "revocations_unknown",
            Self::AuthenticatedInFuture => "authenticated_in_future",
            Self::ClientNotListed => "client_not_listed",
            Self::ScopeExceedsClient => "scope_exceeds_client",
            Self::ActorMissing => "actor_missing",
            Self::ActorMalformed => "actor_malformed",
            Self::TooManyActors => "too_many_actors",
            Self::ActorIssuerNotAccepted => "actor_issuer_not_accepted",
            Self::ActorForeignTrustDomain => "actor_foreign_trust_domain",
            Self::ActorAmbiguous => "actor_ambiguous",
            Self::ActorDisagrees => "actor_disagrees",
            Self::WorkloadMissing => "workload_missing",
            Self::GatewayNotTrusted => "gateway_not_trusted",
            Self::WorkloadMalformed(_) => "workload_malformed",
            Self::ForwardedCertMalformed => "forwarded_cert_malformed",
            Self::WorkloadAmbiguous => "workload_ambiguous",
            Self::WorkloadForeignTrustDomain => "workload_foreign_trust_domain",
            Self::WorkloadDisagrees => "workload_disagrees",
            Self::Svid(error) => error.code(),
        }
    }

    /// Whether a part of ours is down (503) rather than the evidence bad (401, 403).
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::KeysUnavailable | Self::VerificationOverloaded | Self::RevocationsUnknown(_) => true,
            Self::Introspection(fault) => fault.is_outage(),
            Self::Bound(error) => error.is_outage(),
            Self::Svid(error) => *error == SvidError::BundleUnavailable,
            _ => false,
        }
    }
}

/// Why the settings of this stage can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentitySetupError {
    /// The name or the `iss` of an issuer is empty, malformed or used twice.
    #[error("issuer `{issuer}`: {problem}")]
    Issuer {
        /// Its name.
        issuer: String,
        /// What is wrong, and what to write instead.
        problem: &'static str,
    },
    /// A URL that isn't https, or isn't one.
    #[error("issuer `{issuer}`: `{url}` must be an https URL (http only on loopback)")]
    Url {
        /// Its name.
        issuer: String,
        /// What was configured.
        url: String,
    },
    /// A claim path that can't be read.
    #[error(
        "`{0}` is not a claim path: write `realm_access.roles`, `\\.` for a dot in a name, or a list of names"
    )]
    ClaimPath(String),
    /// A file that the settings name can't be read or used.
    #[error("issuer `{issuer}`: `{}` can't be used: {problem}", path.display())]
    File {
        /// Its issuer's name.
        issuer: String,
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A gateway entry that identifies nothing, or that says something else than a gateway.
    #[error("gateway `{gateway}`: {problem}")]
    Gateway {
        /// Its name.
        gateway: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// A trust domain that isn't one.
    #[error(
        "`{0}` is not a SPIFFE trust domain: write it like `mcp-identity.local`, lower-case and without `spiffe://`"
    )]
    TrustDomain(String),
    /// A trust domain that is there already: which of two sources would speak for it?
    #[error("the trust domain `{0}` is configured twice")]
    TrustDomainTwice(String),
    /// What the settings say of JWT-SVIDs contradicts itself.
    #[error("JWT-SVIDs: {0}")]
    Svid(&'static str),
    /// The times of bundles contradict each other.
    #[error("bundles: {0}")]
    Bundles(&'static str),
    /// A trust domain's bundle can't be got as the settings say.
    #[error(transparent)]
    Bundle(#[from] crate::spiffe::SourceError),
    /// The HTTP client can't be built.
    #[error("issuer `{issuer}`: no HTTP client: {problem}")]
    Client {
        /// Its name.
        issuer: String,
        /// Why.
        problem: String,
    },
}
