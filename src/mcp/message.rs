//! A whole HTTP request of an MCP client, read.

use super::{Call, Operation, Version};

/// What one HTTP request of a client carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The version that the message is read under: `MCP-Protocol-Version`, without it 2025-03-26; for
    /// `initialize` the one offered, or the newest that has sessions.
    pub version: Version,
    /// `Mcp-Session-Id`, visible ASCII; `None` under 2026-07-28, which has no sessions.
    pub session: Option<String>,
    /// One call, or a batch.
    pub payload: Payload,
    /// The `Mcp-Param-*` headers: the lower-case name, and the value as sent
    /// (see [`header_value`](super::header_value)). Which argument each must equal, the tool's schema says.
    pub param_headers: Vec<(String, String)>,
}

/// One call or several.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A single message.
    Single(Call),
    /// A batch (2025-03-26 only), never empty: all of it is allowed, or nothing.
    Batch(Vec<Call>),
}

impl Message {
    /// Every call in the message, in order.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        match &self.payload {
            Payload::Single(call) => std::slice::from_ref(call),
            Payload::Batch(calls) => calls,
        }
    }

    /// How many things are asked about: each call, and each resource that one wants to hear of.
    #[must_use]
    pub fn questions(&self) -> usize {
        let of_call = |call: &Call| match &call.operation {
            Operation::Listen { uris } => uris.len().max(1),
            _ => 1,
        };
        self.calls().iter().map(of_call).fold(0, usize::saturating_add)
    }
}
