//! From what each stage says to the one list of [`Reason`]s. Exhaustive: a stage's new error doesn't compile until it
//! has its reason here.

use crate::identity::{BoundError, IdentityError, IntrospectionFault, SvidError};
use crate::inventory::RouteError;
use crate::mcp::Refusal;
use crate::policy::{AskError, Outcome};

use super::{Denial, Reason};

impl Denial {
    /// The reason of the denial, as audit and metrics have it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Route(RouteError::UnknownServer) => Reason::UnknownServer,
            Self::Route(RouteError::NoServer) => Reason::NoServer,
            Self::ForeignOrigin => Reason::ForeignOrigin,
            Self::Message(refused) => of_refusal(&refused.why),
            Self::Identity(error) => of_identity(*error),
            Self::Ask { error, .. } => of_ask(error),
            Self::Policy {
                missing: Some(missing),
                ..
            } if missing.step.is_login() => Reason::InsufficientLogin,
            Self::Policy { missing: Some(_), .. } => Reason::InsufficientScope,
            Self::Policy { verdicts, .. } => of_outcomes(verdicts.iter().map(|verdict| verdict.outcome)),
            Self::UnknownMethod { .. } => Reason::UnknownMethod,
            Self::ArgumentHeader { .. } => Reason::ArgumentHeaderDisagrees,
            Self::Metadata(reason) | Self::Unavailable(reason) => *reason,
        }
    }
}

/// A forbid says more than a missing permit, and one that failed more than one that applied.
fn of_outcomes(outcomes: impl Iterator<Item = Outcome>) -> Reason {
    outcomes.fold(Reason::NoPermit, |so_far, outcome| match (so_far, outcome) {
        (_, Outcome::ForbidErrored) | (Reason::PolicyError, _) => Reason::PolicyError,
        (_, Outcome::Forbidden) => Reason::Forbidden,
        (reason, Outcome::NoPermit | Outcome::Allowed) => reason,
    })
}

const fn of_ask(error: &AskError) -> Reason {
    match error {
        AskError::NoPrincipal => Reason::NoPrincipal,
        AskError::MissingIdentity(_) => Reason::MissingIdentity,
        AskError::UnknownTool => Reason::UnknownTool,
        AskError::Arguments(argument) if argument.undeclared => Reason::UndeclaredArgument,
        AskError::Arguments(_) => Reason::ArgumentsDontFit,
        AskError::UnrepresentableArgument { .. } => Reason::ArgumentUnrepresentable,
        AskError::TooManyResources => Reason::TooManyResources,
        AskError::Build(_) => Reason::Internal,
    }
}

const fn of_refusal(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::HttpMethod => Reason::HttpMethod,
        Refusal::MethodNotAllowed => Reason::MethodNotAllowed,
        Refusal::MethodOverride => Reason::MethodOverride,
        Refusal::NotAcceptable => Reason::NotAcceptable,
        Refusal::ContentType => Reason::ContentType,
        Refusal::Charset => Reason::Charset,
        Refusal::BodyCompressed => Reason::BodyCompressed,
        Refusal::BodyAbsent => Reason::BodyAbsent,
        Refusal::BodyCut => Reason::BodyCut,
        Refusal::BodyIncomplete => Reason::BodyIncomplete,
        Refusal::ContentLength => Reason::ContentLength,
        Refusal::BodyAmbiguous => Reason::BodyAmbiguous,
        Refusal::BodyWithGet => Reason::BodyWithGet,
        Refusal::TooLarge { .. } => Reason::TooLarge,
        Refusal::ByteOrderMark => Reason::ByteOrderMark,
        Refusal::NotUtf8 { .. } => Reason::NotUtf8,
        Refusal::NulByte { .. } => Reason::NulByte,
        Refusal::JsonSyntax { .. } => Reason::JsonSyntax,
        Refusal::TrailingBytes { .. } => Reason::TrailingBytes,
        Refusal::DuplicateKey { .. } => Reason::DuplicateKey,
        Refusal::LoneSurrogate { .. } => Reason::LoneSurrogate,
        Refusal::Nesting { .. } => Reason::Nesting,
        Refusal::NumberRange { .. } => Reason::NumberRange,
        Refusal::NotAMessage => Reason::NotAMessage,
        Refusal::UnknownMember => Reason::UnknownMember,
        Refusal::CaseVariantKey { .. } => Reason::CaseVariantKey,
        Refusal::JsonrpcVersion => Reason::JsonrpcVersion,
        Refusal::BadId => Reason::BadId,
        Refusal::IdMissing => Reason::IdMissing,
        Refusal::IdNotAllowed => Reason::IdNotAllowed,
        Refusal::BadMethod => Reason::BadMethod,
        Refusal::MethodAndResult => Reason::MethodAndResult,
        Refusal::BadResponse => Reason::BadResponse,
        Refusal::ResponseNotAllowed => Reason::ResponseNotAllowed,
        Refusal::BadParams { .. } => Reason::BadParams,
        Refusal::NameTooLong { .. } => Reason::NameTooLong,
        Refusal::UriNotNormal { .. } => Reason::UriNotNormal,
        Refusal::TooManySubscriptions { .. } => Reason::TooManySubscriptions,
        Refusal::BatchNotAllowed => Reason::BatchNotAllowed,
        Refusal::EmptyBatch => Reason::EmptyBatch,
        Refusal::BatchTooLarge { .. } => Reason::BatchTooLarge,
        Refusal::DuplicateId => Reason::DuplicateId,
        Refusal::MixedBatch => Reason::MixedBatch,
        Refusal::InitializeInBatch => Reason::InitializeInBatch,
        Refusal::HeaderMissing { .. } => Reason::HeaderMissing,
        Refusal::HeaderMismatch { .. } => Reason::HeaderMismatch,
        Refusal::HeaderInvalid { .. } => Reason::HeaderInvalid,
        Refusal::HeaderLookalike => Reason::HeaderLookalike,
        Refusal::SessionInvalid => Reason::SessionInvalid,
        Refusal::LastEventInvalid => Reason::LastEventInvalid,
        Refusal::VersionUnknown { .. } => Reason::VersionUnknown,
        Refusal::VersionMismatch => Reason::VersionMismatch,
        Refusal::MetaIncomplete { .. } => Reason::MetaIncomplete,
        Refusal::GatewayDisagrees { .. } => Reason::GatewayDisagrees,
    }
}

const fn of_identity(error: IdentityError) -> Reason {
    match error {
        IdentityError::NoCredential => Reason::NoCredential,
        IdentityError::TwoCredentials => Reason::TwoCredentials,
        IdentityError::WrongScheme => Reason::WrongScheme,
        IdentityError::TokenInQuery => Reason::TokenInQuery,
        IdentityError::MalformedToken(_) => Reason::MalformedToken,
        IdentityError::TokenTooLarge => Reason::TokenTooLarge,
        IdentityError::EncryptedToken => Reason::EncryptedToken,
        IdentityError::CriticalHeader => Reason::CriticalHeader,
        IdentityError::KeyInHeader => Reason::KeyInHeader,
        IdentityError::IssuerUnknown => Reason::IssuerUnknown,
        IdentityError::IssuerNotAccepted => Reason::IssuerNotAccepted,
        IdentityError::AlgorithmNotAllowed => Reason::AlgorithmNotAllowed,
        IdentityError::WrongType => Reason::WrongType,
        IdentityError::KidMissing => Reason::KidMissing,
        IdentityError::KidUnknown => Reason::KidUnknown,
        IdentityError::KeysUnavailable => Reason::KeysUnavailable,
        IdentityError::VerificationOverloaded => Reason::VerificationOverloaded,
        IdentityError::SignatureInvalid => Reason::SignatureInvalid,
        IdentityError::TokenInactive => Reason::TokenInactive,
        IdentityError::Introspection(fault) => of_introspection(fault),
        IdentityError::NoSubject => Reason::NoSubject,
        IdentityError::NoExpiry => Reason::NoExpiry,
        IdentityError::Expired => Reason::Expired,
        IdentityError::NotYetValid => Reason::NotYetValid,
        IdentityError::IssuedInFuture => Reason::IssuedInFuture,
        IdentityError::LivesTooLong => Reason::LivesTooLong,
        IdentityError::WrongAudience => Reason::WrongAudience,
        IdentityError::BoundTokenWithoutProof => Reason::BoundTokenWithoutProof,
        IdentityError::Bound(error) => of_bound(error),
        IdentityError::ClaimMalformed(_) => Reason::ClaimMalformed,
        IdentityError::ClaimsDisagree => Reason::ClaimsDisagree,
        IdentityError::ClaimsUnasked => Reason::ClaimsUnasked,
        IdentityError::TokenRevoked => Reason::TokenRevoked,
        IdentityError::SessionRevoked => Reason::SessionRevoked,
        IdentityError::SubjectRevoked => Reason::SubjectRevoked,
        IdentityError::ClientRevoked => Reason::ClientRevoked,
        IdentityError::IssuerNotBefore => Reason::IssuerNotBefore,
        IdentityError::RevocationsUnknown(_) => Reason::RevocationsUnknown,
        IdentityError::AuthenticatedInFuture => Reason::AuthenticatedInFuture,
        IdentityError::ClientNotListed => Reason::ClientNotListed,
        IdentityError::ScopeExceedsClient => Reason::ScopeExceedsClient,
        IdentityError::ActorMissing => Reason::ActorMissing,
        IdentityError::ActorMalformed => Reason::ActorMalformed,
        IdentityError::TooManyActors => Reason::TooManyActors,
        IdentityError::ActorIssuerNotAccepted => Reason::ActorIssuerNotAccepted,
        IdentityError::ActorForeignTrustDomain => Reason::ActorForeignTrustDomain,
        IdentityError::ActorAmbiguous => Reason::ActorAmbiguous,
        IdentityError::ActorDisagrees => Reason::ActorDisagrees,
        IdentityError::WorkloadMissing => Reason::WorkloadMissing,
        IdentityError::GatewayNotTrusted => Reason::GatewayNotTrusted,
        IdentityError::WorkloadMalformed(_) => Reason::WorkloadMalformed,
        IdentityError::ForwardedCertMalformed => Reason::ForwardedCertMalformed,
        IdentityError::WorkloadAmbiguous => Reason::WorkloadAmbiguous,
        IdentityError::WorkloadForeignTrustDomain => Reason::WorkloadForeignTrustDomain,
        IdentityError::WorkloadDisagrees => Reason::WorkloadDisagrees,
        IdentityError::Svid(error) => of_svid(error),
    }
}

const fn of_svid(error: SvidError) -> Reason {
    match error {
        SvidError::TooLarge => Reason::SvidTooLarge,
        SvidError::Malformed(_) => Reason::SvidMalformed,
        SvidError::Header => Reason::SvidHeader,
        SvidError::WrongType => Reason::SvidWrongType,
        SvidError::AlgorithmNotAllowed => Reason::SvidAlgorithmNotAllowed,
        SvidError::KidMissing => Reason::SvidKidMissing,
        SvidError::NoSubject => Reason::SvidNoSubject,
        SvidError::NotTaken => Reason::SvidNotTaken,
        SvidError::BundleUnavailable => Reason::SvidBundleUnavailable,
        SvidError::KeyUnknown => Reason::SvidKeyUnknown,
        SvidError::SignatureInvalid => Reason::SvidSignatureInvalid,
        SvidError::NoExpiry => Reason::SvidNoExpiry,
        SvidError::Expired => Reason::SvidExpired,
        SvidError::NotYetValid => Reason::SvidNotYetValid,
        SvidError::IssuedInFuture => Reason::SvidIssuedInFuture,
        SvidError::LivesTooLong => Reason::SvidLivesTooLong,
        SvidError::WrongAudience => Reason::SvidWrongAudience,
        SvidError::ClaimMalformed(_) => Reason::SvidClaimMalformed,
    }
}

const fn of_introspection(fault: IntrospectionFault) -> Reason {
    match fault {
        IntrospectionFault::Unavailable => Reason::IntrospectionUnavailable,
        IntrospectionFault::TooLate => Reason::IntrospectionTooLate,
        IntrospectionFault::NotAllowed => Reason::IntrospectionNotAllowed,
        IntrospectionFault::NoCredential => Reason::IntrospectionNoCredential,
        IntrospectionFault::AnswerMalformed => Reason::IntrospectionAnswerMalformed,
        IntrospectionFault::AnswerDisagrees => Reason::IntrospectionAnswerDisagrees,
        IntrospectionFault::Overloaded => Reason::IntrospectionOverloaded,
    }
}

const fn of_bound(error: BoundError) -> Reason {
    match error {
        BoundError::ConfirmationMalformed => Reason::ConfirmationMalformed,
        BoundError::ConfirmationUnknown => Reason::ConfirmationUnknown,
        BoundError::TokenNotBound => Reason::TokenNotBound,
        BoundError::ProofMissing => Reason::ProofMissing,
        BoundError::ProofRepeated => Reason::ProofRepeated,
        BoundError::ProofTooLarge => Reason::ProofTooLarge,
        BoundError::ProofMalformed => Reason::ProofMalformed,
        BoundError::ProofType => Reason::ProofType,
        BoundError::ProofAlgorithm => Reason::ProofAlgorithm,
        BoundError::ProofKeyPrivate => Reason::ProofKeyPrivate,
        BoundError::ProofKeyUnusable => Reason::ProofKeyUnusable,
        BoundError::ProofOtherKey => Reason::ProofOtherKey,
        BoundError::ProofMethod => Reason::ProofMethod,
        BoundError::ProofUrl => Reason::ProofUrl,
        BoundError::ProofTooOld => Reason::ProofTooOld,
        BoundError::ProofAhead => Reason::ProofAhead,
        BoundError::ProofOtherToken => Reason::ProofOtherToken,
        BoundError::ProofSignature => Reason::ProofSignature,
        BoundError::ProofReplayed => Reason::ProofReplayed,
        BoundError::ReplaysUnknown(_) => Reason::ReplaysUnknown,
        BoundError::ReplaysForgotten => Reason::ReplaysForgotten,
        BoundError::NonceMissing(_) => Reason::NonceMissing,
        BoundError::NonceWrong(_) => Reason::NonceWrong,
        BoundError::NonceExpired(_) => Reason::NonceExpired,
        BoundError::NoncesUnknown(_) => Reason::NoncesUnknown,
        BoundError::CertificateMissing => Reason::CertificateMissing,
        BoundError::CertificateNotVouchedFor => Reason::CertificateNotVouchedFor,
        BoundError::CertificateMalformed => Reason::CertificateMalformed,
        BoundError::CertificatesDisagree => Reason::CertificatesDisagree,
        BoundError::CertificateOther => Reason::CertificateOther,
    }
}
