//! What a gateway says and hears, free of any wire format.
//!
//! A wire (`wire::check` is Envoy's ext_authz) turns its own message into an [`Exchange`] and a
//! [`Reply`] into its own answer, so the stages between know nothing of Envoy or protobuf.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;

pub use aside::stand_aside;
pub use fate::Fate;
pub use headers::{Headers, NotSingle};

mod aside;
mod fate;
mod headers;
pub mod printable;

/// One HTTP request of an MCP client, as a gateway describes it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The HTTP method, as sent (`POST`; methods are case-sensitive, RFC 9110 §9.1).
    pub method: String,
    /// The request target as the gateway will route it: path and query, raw.
    pub path: String,
    /// The authority (`Host` or `:authority`), as sent.
    pub host: String,
    /// `http` or `https`, where the gateway says.
    pub scheme: String,
    /// The request's header fields.
    pub headers: Headers,
    /// The body, and whether it is whole.
    pub body: Body,
    /// Who opened the connection to the gateway.
    pub source: Source,
    /// What the gateway's configuration says of the route (`check_settings.context_extensions`).
    pub context: HashMap<String, String>,
    /// What other filters of the gateway found, by filter name (`metadata_context.filter_metadata`).
    pub filter_metadata: serde_json::Map<String, serde_json::Value>,
    /// Who is asking us.
    pub gateway: Gateway,
    /// The gateway's own id for the request (`x-request-id`), empty where there is none.
    pub request_id: String,
    /// When the question reached us.
    pub received: Timestamp,
    /// The same moment on the monotonic clock: durations are counted from here.
    pub started: Instant,
    /// When the answer must be on its way, margin already taken off. Nothing is awaited beyond it.
    pub deadline: Instant,
    /// What the wire and the decider tell each other besides the reply.
    pub fate: Fate,
}

/// The body as far as the gateway passed it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// No body at all.
    Absent,
    /// All bytes that the gateway has. Still only complete if they are one whole JSON text: a body of exactly
    /// Envoy's maximum can look whole though more follows.
    Whole(Bytes),
    /// The gateway says that it cut the body (`x-envoy-auth-partial-body: true`, or `size = -1`).
    Cut,
    /// Both `body` and `raw_body` were set: two readings of one request.
    Ambiguous,
}

/// The gateway's downstream peer, as the gateway vouches for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// `source.principal`: the first URI SAN of the client's certificate, else DNS SAN, else subject.
    pub principal: Option<String>,
    /// The client's certificate as PEM (already URL-decoded), where the gateway includes it.
    pub certificate: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// The peer of our own listener: the gateway that asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Where it connects from.
    pub peer: Peer,
    /// URI and DNS SANs of the client certificate that our listener verified; empty without mutual TLS.
    pub certificate_names: Vec<String>,
}

/// The transport address of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer.
    Tcp(IpAddr),
    /// Our Unix socket: who may connect is decided by the socket's file permissions.
    Unix,
    /// Not known; trusted for nothing.
    #[default]
    Unknown,
}

impl Gateway {
    /// How logs and the audit name this gateway: its certificate's first name, else its address.
    #[must_use]
    pub fn label(&self) -> Cow<'_, str> {
        if let Some(name) = self.certificate_names.first() {
            return name.into();
        }
        match &self.peer {
            Peer::Tcp(address) => {
                let mut label = Vec::with_capacity(15);
                printable::push_address(&mut label, *address);
                String::from_utf8(label).unwrap_or_default().into()
            }
            Peer::Unix => "unix".into(),
            Peer::Unknown => "unknown".into(),
        }
    }
}

/// What the gateway is told to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Let the request through, with these changes.
    Forward(Forward),
    /// Answer the client in the server's place.
    Answer(Answer),
}

/// Changes to a request that goes on to the MCP server. No name stands in both lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forward {
    /// Headers to write, overwriting what the client sent. Visible ASCII only.
    pub set: Vec<(&'static str, String)>,
    /// Headers to write on the server's answer.
    pub answer: Vec<(&'static str, String)>,
    /// Headers to remove: those of ours that have no value this time, so that a client's own never get through.
    pub remove: Vec<&'static str>,
    /// A header with a credential that is for us and not for the server: removed too.
    pub withheld: Option<std::sync::Arc<str>>,
    /// For access logs and later filters: names, each once, and texts.
    pub metadata: Vec<(&'static str, String)>,
}

/// An answer to the client in the server's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status, for instance 200 (JSON-RPC errors), 401, 403, 503.
    pub status: u16,
    /// Response headers; a name may occur more than once.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// For access logs and alarms.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// Whatever answers an [`Exchange`]: the pipeline, or a test's own. A wire knows no more than this.
pub trait Decider: Send + Sync + 'static {
    /// Answers before `exchange.deadline`, whatever happens. Dropping the future means that the gateway gave up.
    /// The exchange is boxed: a future that holds it is moved as often as it is handed on.
    fn answer(&self, exchange: Box<Exchange>) -> impl Future<Output = Reply> + Send;

    /// Told when a wire denied a question that never got here, or whose reply could not be sent: to be counted and
    /// recorded. `reason` is the wire's own code, `decision_id` that of the decision whose reply wasn't sent. Not told
    /// of a question that the decider has recorded itself ([`Fate`]). Neither waits nor fails.
    fn denied_by_wire(&self, reason: &'static str, gateway: &Gateway, decision_id: Option<&str>);
}
