//! Why a message isn't read: each with a reason of its own.
//!
//! Every variant names the HTTP status and the JSON-RPC code of its answer (design: «Answers»). No variant holds
//! a value of the client's but a version, which the answer must name.

use super::Id;
use super::json::{Fault, FaultKind};

/// A refusal, and the id of the request where it could be read safely, for the answer to echo.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// The request's id; `None` where there is none, or where it can't be trusted (text that isn't read, a batch).
    pub id: Option<Id>,
    /// Why.
    pub why: Refusal,
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        Self { id: None, why }
    }
}

impl Refusal {
    /// This refusal of the request with that id.
    pub(super) fn of(self, id: Option<&Id>) -> Refused {
        Refused {
            id: id.cloned(),
            why: self,
        }
    }
}

/// Declares [`Refusal`] with the code and the words of each variant beside each other: one table to read.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $code:literal $words:literal
       $variant:ident $({ $($(#[doc = $about:literal])+ $field:ident: $type:ty),+ })?;)+) => {
        /// Why a message is refused before anything is decided about it.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Refusal {
            $($(#[doc = $doc])+ #[error($words)]
              $variant $({ $($(#[doc = $about])+ $field: $type),+ })?,)+
        }

        impl Refusal {
            /// Every code, as `docs/json-profile.md` lists them.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// The reason, for audit and metrics.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)+
                }
            }
        }
    };
}

refusals! {
    // The HTTP request

    /// HTTP 405, −32600.
    "http_method" "the HTTP method must be POST, GET or DELETE"
    HttpMethod;
    /// GET or DELETE under 2026-07-28. HTTP 405, −32600.
    "method_not_allowed" "this version of the protocol knows POST only"
    MethodNotAllowed;
    /// HTTP 400, −32600.
    "method_override" "a header asks for another HTTP method"
    MethodOverride;
    /// A GET that doesn't accept `text/event-stream`. HTTP 406, −32600.
    "not_acceptable" "a GET must accept `text/event-stream`"
    NotAcceptable;
    /// HTTP 415, −32600.
    "content_type" "the content type must be `application/json`"
    ContentType;
    /// HTTP 415, −32600.
    "charset" "the charset must be UTF-8"
    Charset;
    /// HTTP 415, −32600.
    "body_compressed" "the body must not be compressed"
    BodyCompressed;
    /// HTTP 400, −32700.
    "body_absent" "a POST must have a body"
    BodyAbsent;
    /// The gateway cut the body. HTTP 413, −32600.
    "body_cut" "the gateway cut the body: it is over the gateway's limit"
    BodyCut;
    /// Fewer bytes than `Content-Length` says. HTTP 413, −32600.
    "body_incomplete" "the body is shorter than its content length"
    BodyIncomplete;
    /// `Content-Length` isn't one number, or less than the body. HTTP 400, −32600.
    "content_length" "the content length isn't that of the body"
    ContentLength;
    /// Two readings of one body. HTTP 400, −32600.
    "body_ambiguous" "the gateway sent the body twice, as text and as bytes"
    BodyAmbiguous;
    /// A GET or DELETE with a body. HTTP 400, −32600.
    "body_with_get" "a GET or DELETE must have no body"
    BodyWithGet;
    /// HTTP 413, −32600.
    "too_large" "the body is over {limit} bytes"
    TooLarge {
        /// The most that is read.
        limit: usize
    };

    // The text

    /// HTTP 400, −32700.
    "byte_order_mark" "the body begins with a byte order mark"
    ByteOrderMark;
    /// HTTP 400, −32700.
    "not_utf8" "the body isn't UTF-8 at byte {at}"
    NotUtf8 {
        /// Byte offset.
        at: usize
    };
    /// HTTP 400, −32700.
    "nul_byte" "the body has a NUL byte at byte {at}"
    NulByte {
        /// Byte offset.
        at: usize
    };
    /// HTTP 400, −32700.
    "json_syntax" "the body isn't JSON at byte {at}: expected {expected}"
    JsonSyntax {
        /// Byte offset.
        at: usize,
        /// What should stand there.
        expected: &'static str
    };
    /// HTTP 400, −32700.
    "trailing_bytes" "the JSON text ends at byte {at}, but the body goes on"
    TrailingBytes {
        /// Byte offset of what follows.
        at: usize
    };
    /// HTTP 400, −32700.
    "duplicate_key" "the object at byte {at} has a key twice"
    DuplicateKey {
        /// Byte offset of the object.
        at: usize
    };
    /// HTTP 400, −32700.
    "lone_surrogate" "half of a surrogate pair is escaped at byte {at}"
    LoneSurrogate {
        /// Byte offset of the escape.
        at: usize
    };
    /// HTTP 400, −32700.
    "nesting" "arrays and objects are nested too deep at byte {at}"
    Nesting {
        /// Byte offset.
        at: usize
    };
    /// HTTP 400, −32700.
    "number_range" "the number at byte {at} is beyond what every parser can hold"
    NumberRange {
        /// Byte offset.
        at: usize
    };

    // JSON-RPC

    /// HTTP 400, −32600.
    "not_a_message" "a message must be an object with `method`, `result` or `error`"
    NotAMessage;
    /// A member that JSON-RPC doesn't have. HTTP 400, −32600.
    "unknown_member" "a message has a member that JSON-RPC doesn't know"
    UnknownMember;
    /// HTTP 400, −32600.
    "case_variant_key" "a key differs from `{key}` only in case"
    CaseVariantKey {
        /// The key that is meant, or isn't.
        key: &'static str
    };
    /// HTTP 400, −32600.
    "jsonrpc_version" "`jsonrpc` must be \"2.0\""
    JsonrpcVersion;
    /// HTTP 400, −32600.
    "bad_id" "an id must be a string or an integer within ±(2^53 − 1)"
    BadId;
    /// A known request without id. HTTP 400, −32600.
    "id_missing" "a request must have an id"
    IdMissing;
    /// A known notification with an id. HTTP 400, −32600.
    "id_not_allowed" "a notification must not have an id"
    IdNotAllowed;
    /// HTTP 400, −32600.
    "bad_method" "`method` must be a string of reasonable length"
    BadMethod;
    /// HTTP 400, −32600.
    "method_and_result" "a message must not have `method` and `result` or `error`"
    MethodAndResult;
    /// A response that has both or whose members have the wrong type. HTTP 400, −32600.
    "bad_response" "a response must have either an object as `result` or an `error` with code and message"
    BadResponse;
    /// A response under 2026-07-28. HTTP 400, −32600.
    "response_not_allowed" "this version of the protocol has no responses of clients"
    ResponseNotAllowed;
    /// HTTP 400, −32602.
    "bad_params" "{place} must be {expected}"
    BadParams {
        /// The member, for instance `params.name`.
        place: &'static str,
        /// What it must be.
        expected: &'static str
    };
    /// HTTP 400, −32602.
    "name_too_long" "{place} is over {limit} bytes"
    NameTooLong {
        /// The member.
        place: &'static str,
        /// The most that is read.
        limit: usize
    };
    /// HTTP 400, −32602.
    "uri_not_normal" "{place} is spelt otherwise than servers read it: without dot segments, needless escapes and capitals in the scheme"
    UriNotNormal {
        /// The member.
        place: &'static str
    };
    /// HTTP 400, −32602.
    "too_many_subscriptions" "more than {limit} resources are subscribed to at once"
    TooManySubscriptions {
        /// The most that is read.
        limit: usize
    };

    // Batches

    /// HTTP 400, −32600.
    "batch_not_allowed" "only version 2025-03-26 has batches"
    BatchNotAllowed;
    /// HTTP 400, −32600.
    "empty_batch" "a batch must not be empty"
    EmptyBatch;
    /// HTTP 400, −32600.
    "batch_too_large" "a batch has more than {limit} messages"
    BatchTooLarge {
        /// The most that is read.
        limit: usize
    };
    /// HTTP 400, −32600.
    "duplicate_id" "a batch has the same id twice"
    DuplicateId;
    /// Responses beside requests or notifications. HTTP 400, −32600.
    "mixed_batch" "a batch must be all responses or have none"
    MixedBatch;
    /// HTTP 400, −32600.
    "initialize_in_batch" "`initialize` must not be in a batch"
    InitializeInBatch;

    // Headers and metadata

    /// HTTP 400, −32020.
    "header_missing" "the header `{header}` is required"
    HeaderMissing {
        /// Which.
        header: &'static str
    };
    /// HTTP 400, −32020.
    "header_mismatch" "the header `{header}` and the body disagree"
    HeaderMismatch {
        /// Which.
        header: &'static str
    };
    /// Sent twice, not text, or wrongly wrapped. HTTP 400, −32020.
    "header_invalid" "the header `{header}` must be sent once, in visible ASCII"
    HeaderInvalid {
        /// Which.
        header: &'static str
    };
    /// HTTP 400, −32600.
    "header_lookalike" "the name of a header has `_` where one of MCP's or of the gateway's has `-`"
    HeaderLookalike;
    /// HTTP 400, −32600.
    "session_invalid" "`Mcp-Session-Id` must be sent once, in visible ASCII of reasonable length"
    SessionInvalid;
    /// HTTP 400, −32600.
    "last_event_invalid" "`Last-Event-ID` must be sent once, as text of reasonable length"
    LastEventInvalid;
    /// HTTP 400, −32022 with `data.supported` (every [`Version`](super::Version)) and `data.requested`.
    "version_unknown" "the version of the protocol isn't one that is read"
    VersionUnknown {
        /// What was asked for: at most 64 visible ASCII characters, without quotes and backslashes.
        requested: String
    };
    /// `_meta` says another version than the header. HTTP 400, −32020.
    "version_mismatch" "`MCP-Protocol-Version` and `_meta` disagree"
    VersionMismatch;
    /// HTTP 400, −32602.
    "meta_incomplete" "`params._meta` must hold `{key}`"
    MetaIncomplete {
        /// The member that is missing or of the wrong type.
        key: &'static str
    };
    /// HTTP 400, −32600.
    "gateway_disagrees" "the gateway read another {what} than the body has"
    GatewayDisagrees {
        /// `method`, `id`, `params.name` or `params.uri`.
        what: &'static str
    };
}

impl From<Fault> for Refusal {
    fn from(Fault { at, kind }: Fault) -> Self {
        match kind {
            FaultKind::ByteOrderMark => Self::ByteOrderMark,
            FaultKind::NotUtf8 => Self::NotUtf8 { at },
            FaultKind::NulByte => Self::NulByte { at },
            FaultKind::Syntax(expected) => Self::JsonSyntax { at, expected },
            FaultKind::TrailingBytes => Self::TrailingBytes { at },
            FaultKind::DuplicateKey => Self::DuplicateKey { at },
            FaultKind::LoneSurrogate => Self::LoneSurrogate { at },
            FaultKind::Nesting => Self::Nesting { at },
            FaultKind::NumberRange => Self::NumberRange { at },
        }
    }
}
