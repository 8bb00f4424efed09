//! The one list of reasons for which the pipeline decides: what audit, metrics and callers see. What a wire denies without
//! asking it has codes of its own (`wire::check::Failure`).

use crate::policy::code::{
    ALLOWED, ARGUMENT_UNREPRESENTABLE, ARGUMENTS_DONT_FIT, FORBIDDEN, INTERNAL, MISSING_IDENTITY, NO_PERMIT,
    NO_PRINCIPAL, POLICY_ERROR, TOO_MANY_RESOURCES, UNDECLARED_ARGUMENT, UNKNOWN_TOOL,
};

/// Declares [`Reason`] from one table of variant, code and meaning.
macro_rules! reasons {
    ($($variant:ident $code:tt $meaning:literal;)*) => {
        /// Why a request was allowed or denied. Each has a code of its own, and none is merged with another.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the table in docs/reasons.md.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code: stable, in audit, metrics and answers.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What it means, in a sentence for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

reasons! {
    // Allowed.
    Allowed ALLOWED "Every principal on every call is permitted";
    MetadataServed "metadata_served" "The protected-resource metadata was served; it is public";

    // Which server, from where.
    UnknownServer "unknown_server" "The gateway's route names a server that is not configured";
    NoServer "no_server" "Nothing says which server is asked";
    ForeignOrigin "foreign_origin" "The page's origin is not one that may call this server";
    MetadataElsewhere "metadata_elsewhere" "The well-known path is not this server's";
    MetadataMethod "metadata_method" "The metadata is read with GET, without a body";

    // Who is calling: the user.
    NoCredential "no_credential" "No access token was sent";
    TwoCredentials "two_credentials" "More than one credential was sent";
    WrongScheme "wrong_scheme" "The authorization scheme is not Bearer";
    TokenInQuery "token_in_query" "Access tokens are not taken from the query string";
    MalformedToken "malformed_token" "The access token is malformed";
    TokenTooLarge "token_too_large" "The access token is too large";
    EncryptedToken "encrypted_token" "The access token is encrypted; only signed ones are taken";
    CriticalHeader "critical_header" "The token demands extensions that are not supported";
    KeyInHeader "key_in_header" "The token carries or names its own key";
    IssuerUnknown "issuer_unknown" "The token's issuer is not known";
    IssuerNotAccepted "issuer_not_accepted" "The token's issuer is not accepted by this server";
    AlgorithmNotAllowed "alg_not_allowed" "The token's algorithm is not allowed for its issuer";
    WrongType "wrong_type" "The token is not an access token";
    KidMissing "kid_missing" "The token does not say which key signed it";
    KidUnknown "kid_unknown" "The issuer publishes no such key";
    KeysUnavailable "keys_unavailable" "The issuer's keys are not available";
    VerificationOverloaded "verification_overloaded" "Too many tokens never seen before are being verified";
    SignatureInvalid "signature_invalid" "The token's signature is not valid";
    TokenInactive "token_inactive" "The issuer says that the token is not active";
    IntrospectionUnavailable "introspection_unavailable" "The issuer cannot be asked about the token";
    IntrospectionTooLate "introspection_too_late" "The issuer did not say in time whether the token is active";
    IntrospectionNotAllowed "introspection_not_allowed" "The issuer does not let mcp-authz ask about tokens";
    IntrospectionNoCredential "introspection_no_credential" "mcp-authz has no credential to ask the issuer with";
    IntrospectionAnswerMalformed "introspection_answer_malformed" "The issuer's answer about the token cannot be read";
    IntrospectionAnswerDisagrees "introspection_answer_disagrees" "The issuer's answer is about another token than was sent";
    IntrospectionOverloaded "introspection_overloaded" "Too many tokens are being asked about";
    NoSubject "no_subject" "The token names no subject";
    NoExpiry "no_expiry" "The token has no expiry";
    Expired "expired" "The token has expired";
    NotYetValid "not_yet_valid" "The token is not valid yet";
    IssuedInFuture "issued_in_future" "The token was issued in the future";
    LivesTooLong "lives_too_long" "The token lives longer than its issuer's tokens may";
    WrongAudience "wrong_audience" "The token was not issued for this server";
    BoundTokenWithoutProof "bound_token_without_proof" "The token is bound to a key, and no proof came with it";
    ClaimMalformed "claim_malformed" "A claim of the token has another type than it must have";
    ClaimsDisagree "claims_disagree" "The token and the gateway's claims are not the same";
    ClaimsUnasked "claims_unasked" "The gateway's claims came without their token, about which their issuer must be asked";
    AuthenticatedInFuture "authenticated_in_future" "The token says that its user will log in later than now";
    ClientNotListed "client_not_listed" "The client that the token was issued to is not one of those that are listed";
    ScopeExceedsClient "scope_exceeds_client" "The token has a scope that its client may not have";

    // Who is calling: the actor.
    ActorMissing "actor_missing" "The server requires an actor, and the token names none";
    ActorMalformed "actor_malformed" "The `act` of the token names nobody";
    TooManyActors "too_many_actors" "The token names more actors than are read";
    ActorIssuerNotAccepted "actor_issuer_not_accepted" "The actor is of an issuer whose actors the token's issuer may not name";
    ActorForeignTrustDomain "actor_foreign_trust_domain" "The actor is a workload of a trust domain that is not accepted";
    ActorAmbiguous "actor_ambiguous" "The `act` of the token and the client that it was issued to are different actors";
    ActorDisagrees "actor_disagrees" "The actor is a workload, and another workload calls";

    // Who is calling: what was revoked.
    TokenRevoked "token_revoked" "The token was revoked";
    SessionRevoked "session_revoked" "The login session that the token belongs to has ended";
    SubjectRevoked "subject_revoked" "The user's tokens issued until some moment were revoked, this one among them";
    ClientRevoked "client_revoked" "The client's tokens issued until some moment were revoked, this one among them";
    IssuerNotBefore "issuer_not_before" "The issuer's tokens issued until some moment were revoked, this one among them";
    RevocationsUnknown "revocations_unknown" "The shared state could not tell in time what was revoked";

    // Whether the token is its presenter's.
    ConfirmationMalformed "confirmation_malformed" "The token's confirmation (`cnf`) is malformed";
    ConfirmationUnknown "confirmation_unknown" "The token is bound to something that cannot be proved here";
    TokenNotBound "token_not_bound" "The token is not bound to what it must be bound to";
    ProofMissing "proof_missing" "No proof came with a token that was sent as DPoP";
    ProofRepeated "proof_repeated" "More than one proof was sent";
    ProofTooLarge "proof_too_large" "The proof is too large";
    ProofMalformed "proof_malformed" "The proof is malformed";
    ProofType "proof_type" "The proof's type is not `dpop+jwt`";
    ProofAlgorithm "proof_algorithm" "The proof's algorithm is not allowed";
    ProofKeyPrivate "proof_key_private" "The proof gives its private key away";
    ProofKeyUnusable "proof_key_unusable" "The proof's key is none that is taken";
    ProofOtherKey "proof_other_key" "The proof is of another key than the token is bound to";
    ProofMethod "proof_method" "The proof is for another method";
    ProofUrl "proof_url" "The proof is for another URL";
    ProofTooOld "proof_too_old" "The proof is too old";
    ProofAhead "proof_ahead" "The proof was made in the future";
    ProofOtherToken "proof_other_token" "The proof is for another token, or for none";
    ProofSignature "proof_signature" "The proof's signature is not valid";
    ProofReplayed "proof_replayed" "The proof was used before";
    ReplaysUnknown "replays_unknown" "The shared state could not tell in time whether the proof was used before";
    ReplaysForgotten "replays_forgotten" "The proof may be older than what the shared state remembers";
    NonceMissing "nonce_missing" "The proof has no nonce, and the server demands one of its own";
    NonceWrong "nonce_wrong" "The proof's nonce is none of this server";
    NonceExpired "nonce_expired" "The proof's nonce is too old";
    NoncesUnknown "nonces_unknown" "The shared state could not tell in time with what secret nonces are made";
    CertificateMissing "certificate_missing" "No client certificate came with a token that is bound to one";
    CertificateNotVouchedFor "certificate_not_vouched_for" "The gateway is not trusted to name the client's certificate";
    CertificateMalformed "certificate_malformed" "What the gateway says of the client's certificate is malformed";
    CertificatesDisagree "certificates_disagree" "Two client certificates came with the call";
    CertificateOther "certificate_other" "The client's certificate is another than the token is bound to";

    // Who is calling: the workload.
    WorkloadMissing "workload_missing" "No workload identity came with the call";
    GatewayNotTrusted "gateway_not_trusted" "The gateway is not trusted to name the workload";
    WorkloadMalformed "workload_malformed" "The workload's SPIFFE ID is not in canonical form";
    ForwardedCertMalformed "forwarded_cert_malformed" "x-forwarded-client-cert does not follow its grammar";
    WorkloadAmbiguous "workload_ambiguous" "More than one workload is named";
    WorkloadForeignTrustDomain "workload_foreign_trust_domain" "The workload's trust domain is not accepted";
    WorkloadDisagrees "workload_disagrees" "The certificate, x-forwarded-client-cert and the JWT-SVID name different workloads";
    SvidTooLarge "svid_too_large" "The JWT-SVID is too large";
    SvidMalformed "svid_malformed" "The JWT-SVID is malformed";
    SvidHeader "svid_header" "The JWT-SVID's header has a member that it must not have";
    SvidWrongType "svid_wrong_type" "The token is not a JWT-SVID";
    SvidAlgorithmNotAllowed "svid_alg_not_allowed" "The JWT-SVID's algorithm is not allowed";
    SvidKidMissing "svid_kid_missing" "The JWT-SVID does not say which key signed it";
    SvidNoSubject "svid_no_subject" "The JWT-SVID names no workload";
    SvidNotTaken "svid_not_taken" "JWT-SVIDs of this trust domain are not taken";
    SvidBundleUnavailable "svid_bundle_unavailable" "The trust domain's bundle is not available";
    SvidKeyUnknown "svid_key_unknown" "The JWT-SVID's key is not in its trust domain's bundle";
    SvidSignatureInvalid "svid_signature_invalid" "The JWT-SVID's signature is not valid";
    SvidNoExpiry "svid_no_expiry" "The JWT-SVID has no expiry";
    SvidExpired "svid_expired" "The JWT-SVID has expired";
    SvidNotYetValid "svid_not_yet_valid" "The JWT-SVID is not valid yet";
    SvidIssuedInFuture "svid_issued_in_future" "The JWT-SVID was issued in the future";
    SvidLivesTooLong "svid_lives_too_long" "The JWT-SVID lives longer than one may";
    SvidWrongAudience "svid_wrong_audience" "The JWT-SVID was not issued for this server";
    SvidClaimMalformed "svid_claim_malformed" "A claim of the JWT-SVID has another type than it must have";

    // Reading the message.
    HttpMethod "http_method" "The HTTP method must be POST, GET or DELETE";
    MethodNotAllowed "method_not_allowed" "This version of MCP knows POST only";
    MethodOverride "method_override" "A header asks for another HTTP method";
    NotAcceptable "not_acceptable" "A GET must accept `text/event-stream`";
    ContentType "content_type" "The content type must be `application/json`";
    Charset "charset" "The charset must be UTF-8";
    BodyCompressed "body_compressed" "The body must not be compressed";
    BodyAbsent "body_absent" "A POST must have a body";
    BodyCut "body_cut" "The gateway cut the body: it is over its limit";
    BodyIncomplete "body_incomplete" "The body is shorter than its content length";
    ContentLength "content_length" "The content length is not that of the body";
    BodyAmbiguous "body_ambiguous" "The gateway sent the body twice, as text and as bytes";
    BodyWithGet "body_with_get" "A GET or DELETE must have no body";
    TooLarge "too_large" "The body is larger than is read";
    ByteOrderMark "byte_order_mark" "The body begins with a byte order mark";
    NotUtf8 "not_utf8" "The body is not UTF-8";
    NulByte "nul_byte" "The body has a NUL byte";
    JsonSyntax "json_syntax" "The body is not JSON";
    TrailingBytes "trailing_bytes" "Bytes follow the JSON text";
    DuplicateKey "duplicate_key" "An object has a key twice";
    LoneSurrogate "lone_surrogate" "Half of a surrogate pair is escaped";
    Nesting "nesting" "Arrays and objects are nested too deep";
    NumberRange "number_range" "A number is beyond what every parser can hold";
    NotAMessage "not_a_message" "A message must be an object with `method`, `result` or `error`";
    UnknownMember "unknown_member" "A message has a member that JSON-RPC doesn't know";
    CaseVariantKey "case_variant_key" "A key differs only in case from one that MCP reads";
    JsonrpcVersion "jsonrpc_version" "`jsonrpc` is not 2.0";
    BadId "bad_id" "An id must be a string or an integer within ±(2^53 − 1)";
    IdMissing "id_missing" "A request must have an id";
    IdNotAllowed "id_not_allowed" "A notification must not have an id";
    BadMethod "bad_method" "`method` must be a string of reasonable length";
    MethodAndResult "method_and_result" "A message must not have `method` and `result` or `error`";
    BadResponse "bad_response" "A response must have either an object as `result` or an `error` with code and message";
    ResponseNotAllowed "response_not_allowed" "This version of MCP has no responses of clients";
    BadParams "bad_params" "The params lack a member, or it has the wrong type";
    NameTooLong "name_too_long" "A name is longer than is read";
    UriNotNormal "uri_not_normal" "A resource's URI must be spelt as servers read it (RFC 3986, section 6.2.2)";
    TooManySubscriptions "too_many_subscriptions" "More resources are subscribed to at once than is allowed";
    BatchNotAllowed "batch_not_allowed" "Only version 2025-03-26 of MCP has batches";
    EmptyBatch "empty_batch" "A batch must not be empty";
    BatchTooLarge "batch_too_large" "The batch has too many messages";
    DuplicateId "duplicate_id" "A batch has the same id twice";
    MixedBatch "mixed_batch" "A batch must be all responses or have none";
    InitializeInBatch "initialize_in_batch" "`initialize` must not be in a batch";
    HeaderMissing "header_missing" "A header is missing that this version requires";
    HeaderMismatch "header_mismatch" "A header and the body disagree";
    HeaderInvalid "header_invalid" "A header must be sent once, in visible ASCII";
    HeaderLookalike "header_lookalike" "The name of a header has `_` where one of MCP's or of the gateway's has `-`";
    SessionInvalid "session_invalid" "`Mcp-Session-Id` must be sent once, in visible ASCII of reasonable length";
    LastEventInvalid "last_event_invalid" "`Last-Event-ID` must be sent once, as text of reasonable length";
    VersionUnknown "version_unknown" "The version of MCP is not one that is read";
    VersionMismatch "version_mismatch" "`MCP-Protocol-Version` and `_meta` disagree";
    MetaIncomplete "meta_incomplete" "The params lack a `_meta` member that this version requires";
    GatewayDisagrees "gateway_disagrees" "The gateway read another message than the body has";

    // What is asked for.
    UnknownTool UNKNOWN_TOOL "The server has no such tool, as approved";
    ArgumentsDontFit ARGUMENTS_DONT_FIT "The arguments do not fit the tool's schema";
    UndeclaredArgument UNDECLARED_ARGUMENT "The tool's schema declares no such argument";
    ArgumentUnrepresentable ARGUMENT_UNREPRESENTABLE "A policy reads an argument whose value it cannot hold exactly";
    ArgumentHeaderDisagrees "argument_header_disagrees" "An Mcp-Param header says another thing than the argument";
    UnknownMethod "unknown_method" "This version of MCP has no such method";

    // What the policies say.
    NoPermit NO_PERMIT "No policy permits this";
    Forbidden FORBIDDEN "A policy forbids this";
    PolicyError POLICY_ERROR "A forbidding policy could not be evaluated, so it counts";
    InsufficientScope "insufficient_scope" "The token lacks scopes with which this would be permitted";
    InsufficientLogin "insufficient_user_authentication" "A stronger login is needed for this to be permitted";
    TooManyResources TOO_MANY_RESOURCES "One message names more resources than are asked about";
    MissingIdentity MISSING_IDENTITY "The server requires an identity that the call does not bring";
    NoPrincipal NO_PRINCIPAL "Nobody is known to be calling";
    DeniedWithBatch "denied_with_batch" "Another call of the batch is denied: all of it is allowed, or nothing";

    // What is down, or late.
    AuditUnavailable "audit_unavailable" "The decision could not be recorded";
    DeadlineExceeded "deadline_exceeded" "The decision was not made in time";
    Panicked "panicked" "A defect stopped the decision";
    Internal INTERNAL "The decision could not be made";
    GatewayGone "gateway_gone" "The gateway gave up before the answer";
}

impl Reason {
    /// The reason that a caller is told: never one that gives away what exists to somebody who may not know.
    #[must_use]
    pub const fn told(self) -> Self {
        match self {
            Self::UnknownTool => Self::NoPermit,
            other => other,
        }
    }
}
