//! One exhaustive match from [`Reason`] to the kind of answer: a new reason doesn't compile until it has one.

use crate::decide::Reason;

use super::challenge::Challenge;

/// The kind of answer that a reason is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The HTTP status.
    pub status: u16,
    /// The JSON-RPC error code in the body.
    pub code: i64,
    /// Whether it says how to come back with a better credential.
    pub challenge: Option<Challenge>,
    /// After how many seconds trying again makes sense.
    pub retry_after: Option<u32>,
    /// `Allow` (RFC 9110 §10.2.1), for 405.
    pub allow: Option<&'static str>,
    /// Denied by policy: told as the server's `denials` says.
    pub by_policy: bool,
}

const PARSE_ERROR: i64 = -32_700;
const INVALID_REQUEST: i64 = -32_600;
const METHOD_NOT_FOUND: i64 = -32_601;
const INVALID_PARAMS: i64 = -32_602;
/// MCP 2026-07-28: a header that is missing or says another thing than the body.
const HEADER_MISMATCH: i64 = -32_020;
/// MCP 2026-07-28: a protocol version that isn't known.
const UNSUPPORTED_VERSION: i64 = -32_022;

const fn http(status: u16, code: i64) -> Shape {
    Shape {
        status,
        code,
        challenge: None,
        retry_after: None,
        allow: None,
        by_policy: false,
    }
}

const fn refused(status: u16) -> Shape {
    http(status, status as i64)
}

const fn challenge(status: u16, challenge: Challenge) -> Shape {
    Shape {
        challenge: Some(challenge),
        ..refused(status)
    }
}

const fn policy() -> Shape {
    Shape {
        by_policy: true,
        ..refused(403)
    }
}

const fn down() -> Shape {
    Shape {
        retry_after: Some(1),
        ..refused(503)
    }
}

/// The kind of answer that a reason is given.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub const fn of(reason: Reason) -> Shape {
    use Reason as R;
    match reason {
        R::Allowed | R::MetadataServed => http(200, 200),
        R::UnknownServer | R::NoServer | R::MetadataElsewhere => refused(404),
        R::MetadataMethod => Shape {
            allow: Some("GET"),
            ..refused(405)
        },
        R::ForeignOrigin => refused(403),
        R::NoCredential => challenge(401, Challenge::Login),
        // RFC 6750 §3.1: the request itself is malformed.
        R::TwoCredentials | R::TokenInQuery => challenge(400, Challenge::InvalidRequest),
        R::WrongScheme
        | R::MalformedToken
        | R::TokenTooLarge
        | R::EncryptedToken
        | R::CriticalHeader
        | R::KeyInHeader
        | R::IssuerUnknown
        | R::IssuerNotAccepted
        | R::AlgorithmNotAllowed
        | R::WrongType
        | R::KidMissing
        | R::KidUnknown
        | R::SignatureInvalid
        | R::TokenInactive
        | R::IntrospectionAnswerDisagrees
        | R::NoSubject
        | R::NoExpiry
        | R::Expired
        | R::NotYetValid
        | R::IssuedInFuture
        | R::LivesTooLong
        | R::WrongAudience
        | R::ConfirmationMalformed
        | R::ConfirmationUnknown
        | R::TokenNotBound
        | R::CertificateMissing
        | R::CertificateMalformed
        | R::CertificatesDisagree
        | R::CertificateOther
        | R::ClaimMalformed
        | R::ClaimsDisagree
        | R::ClaimsUnasked
        | R::TokenRevoked
        | R::SessionRevoked
        | R::SubjectRevoked
        | R::ClientRevoked
        | R::IssuerNotBefore
        | R::AuthenticatedInFuture
        | R::ClientNotListed
        | R::ScopeExceedsClient
        | R::ActorMalformed
        | R::TooManyActors
        | R::ActorIssuerNotAccepted
        | R::ActorForeignTrustDomain
        | R::ActorAmbiguous => challenge(401, Challenge::InvalidToken),
        R::BoundTokenWithoutProof => challenge(401, Challenge::Unproved),
        R::ProofMissing
        | R::ProofRepeated
        | R::ProofTooLarge
        | R::ProofMalformed
        | R::ProofType
        | R::ProofAlgorithm
        | R::ProofKeyPrivate
        | R::ProofKeyUnusable
        | R::ProofOtherKey
        | R::ProofMethod
        | R::ProofUrl
        | R::ProofTooOld
        | R::ProofAhead
        | R::ProofOtherToken
        | R::ProofSignature
        | R::ProofReplayed => challenge(401, Challenge::InvalidProof),
        R::NonceMissing | R::NonceWrong | R::NonceExpired => challenge(401, Challenge::UseNonce),
        // No login could mend these, so there is no challenge.
        R::ActorMissing
        | R::ActorDisagrees
        | R::WorkloadMissing
        | R::GatewayNotTrusted
        | R::WorkloadMalformed
        | R::ForwardedCertMalformed
        | R::WorkloadAmbiguous
        | R::WorkloadForeignTrustDomain
        | R::WorkloadDisagrees
        | R::SvidTooLarge
        | R::SvidMalformed
        | R::SvidHeader
        | R::SvidWrongType
        | R::SvidAlgorithmNotAllowed
        | R::SvidKidMissing
        | R::SvidNoSubject
        | R::SvidNotTaken
        | R::SvidKeyUnknown
        | R::SvidSignatureInvalid
        | R::SvidNoExpiry
        | R::SvidExpired
        | R::SvidNotYetValid
        | R::SvidIssuedInFuture
        | R::SvidLivesTooLong
        | R::SvidWrongAudience
        | R::SvidClaimMalformed
        | R::CertificateNotVouchedFor => refused(403),
        R::KeysUnavailable
        | R::SvidBundleUnavailable
        | R::VerificationOverloaded
        | R::IntrospectionUnavailable
        | R::IntrospectionTooLate
        | R::IntrospectionNotAllowed
        | R::IntrospectionNoCredential
        | R::IntrospectionAnswerMalformed
        | R::IntrospectionOverloaded
        | R::RevocationsUnknown
        | R::ReplaysUnknown
        | R::ReplaysForgotten
        | R::NoncesUnknown => down(),
        R::HeaderMissing | R::HeaderMismatch | R::HeaderInvalid | R::VersionMismatch => {
            http(400, HEADER_MISMATCH)
        }
        R::VersionUnknown => http(400, UNSUPPORTED_VERSION),
        R::MethodOverride
        | R::HeaderLookalike
        | R::ContentLength
        | R::BodyAmbiguous
        | R::BodyWithGet
        | R::NotAMessage
        | R::UnknownMember
        | R::CaseVariantKey
        | R::JsonrpcVersion
        | R::BadId
        | R::IdMissing
        | R::IdNotAllowed
        | R::BadMethod
        | R::MethodAndResult
        | R::BadResponse
        | R::ResponseNotAllowed
        | R::BatchNotAllowed
        | R::EmptyBatch
        | R::BatchTooLarge
        | R::DuplicateId
        | R::MixedBatch
        | R::InitializeInBatch
        | R::SessionInvalid
        | R::LastEventInvalid
        | R::GatewayDisagrees => http(400, INVALID_REQUEST),
        R::BadParams | R::NameTooLong | R::UriNotNormal | R::TooManySubscriptions | R::MetaIncomplete => {
            http(400, INVALID_PARAMS)
        }
        R::BodyAbsent
        | R::ByteOrderMark
        | R::NotUtf8
        | R::NulByte
        | R::JsonSyntax
        | R::TrailingBytes
        | R::DuplicateKey
        | R::LoneSurrogate
        | R::Nesting
        | R::NumberRange => http(400, PARSE_ERROR),
        R::HttpMethod | R::MethodNotAllowed => Shape {
            allow: Some("POST, GET, DELETE"),
            ..http(405, INVALID_REQUEST)
        },
        R::NotAcceptable => http(406, INVALID_REQUEST),
        R::BodyCut | R::BodyIncomplete | R::TooLarge => http(413, INVALID_REQUEST),
        R::ContentType | R::Charset | R::BodyCompressed => http(415, INVALID_REQUEST),
        R::UnknownTool
        | R::NoPermit
        | R::Forbidden
        | R::PolicyError
        | R::ArgumentUnrepresentable
        | R::DeniedWithBatch => policy(),
        R::ArgumentsDontFit | R::UndeclaredArgument => http(200, INVALID_PARAMS),
        R::ArgumentHeaderDisagrees => http(400, HEADER_MISMATCH),
        R::TooManyResources => http(400, INVALID_PARAMS),
        R::UnknownMethod => http(404, METHOD_NOT_FOUND),
        R::InsufficientScope => challenge(403, Challenge::InsufficientScope),
        R::InsufficientLogin => challenge(401, Challenge::InsufficientLogin),
        R::NoPrincipal | R::MissingIdentity => refused(403),
        R::AuditUnavailable | R::DeadlineExceeded | R::Panicked | R::Internal | R::GatewayGone => down(),
    }
}
