//! What a client asks for, method by method.

use super::json::Object;

/// One JSON-RPC message of a client, or the opening and ending of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The request's id; `None` for notifications, responses, GET and DELETE.
    pub id: Option<Id>,
    /// What is asked for.
    pub operation: Operation,
}

/// The id of a JSON-RPC request: echoed with its own type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// A string.
    String(String),
    /// An integer within ±(2^53 − 1).
    Number(i64),
}

/// What a message asks for. One variant for each method that needs something of its body.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// `tools/call`
    ToolsCall {
        /// `params.name`
        tool: String,
        /// `params.arguments`; an absent one is an empty object.
        arguments: Object,
    },
    /// `prompts/get`
    PromptsGet {
        /// `params.name`
        prompt: String,
        /// `params.arguments`
        arguments: Object,
    },
    /// `resources/read`, `resources/subscribe` or `resources/unsubscribe`
    Resource {
        /// The method's name.
        method: &'static str,
        /// `params.uri`
        uri: String,
    },
    /// `subscriptions/listen` (2026-07-28)
    Listen {
        /// `params.notifications.resourceSubscriptions`
        uris: Vec<String>,
    },
    /// `completion/complete`
    Complete {
        /// `params.ref`
        reference: Reference,
    },
    /// `initialize`
    Initialize {
        /// `params.protocolVersion`, as offered: never refused, the server may counter it.
        offered: String,
    },
    /// `tasks/get`, `tasks/result`, `tasks/cancel`, `tasks/update`
    Task {
        /// The method's name.
        method: &'static str,
        /// `params.taskId`
        task: String,
    },
    /// Any other request or notification that the version knows: lists, `ping`, `logging/setLevel`,
    /// `server/discover`, `notifications/…`.
    Plain {
        /// The method's name.
        method: &'static str,
    },
    /// A response of the client to a request of the server (`result` or `error`, no `method`).
    Response,
    /// GET: the client opens a stream of server messages.
    OpenStream {
        /// `Last-Event-ID`, where a stream is resumed.
        last_event: Option<String>,
    },
    /// DELETE: the client ends its session.
    EndSession,
    /// A method that this version doesn't know.
    Unknown {
        /// The method's name, as sent.
        method: String,
    },
}

/// What a completion is asked for (`params.ref`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `ref/prompt` with its name
    Prompt(String),
    /// `ref/resource` with its URI or URI template
    Resource(String),
}

impl Operation {
    /// The name of [`Operation::Response`].
    pub const RESPONSE: &str = "response";
    /// The name of [`Operation::OpenStream`].
    pub const OPEN_STREAM: &str = "stream/open";
    /// The name of [`Operation::EndSession`].
    pub const END_SESSION: &str = "session/end";
    /// The name of [`Operation::Unknown`].
    pub const UNKNOWN: &str = "unknown";

    /// The method as audit and metrics name it: the JSON-RPC method, or `response`, `stream/open`,
    /// `session/end`; for a method that is not known, `unknown`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::ToolsCall { .. } => "tools/call",
            Self::PromptsGet { .. } => "prompts/get",
            Self::Resource { method, .. } | Self::Task { method, .. } | Self::Plain { method } => method,
            Self::Listen { .. } => "subscriptions/listen",
            Self::Complete { .. } => "completion/complete",
            Self::Initialize { .. } => "initialize",
            Self::Response => Self::RESPONSE,
            Self::OpenStream { .. } => Self::OPEN_STREAM,
            Self::EndSession => Self::END_SESSION,
            Self::Unknown { .. } => Self::UNKNOWN,
        }
    }
}
