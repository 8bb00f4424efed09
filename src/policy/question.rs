//! What the policies are asked.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::identity::Caller;
use crate::inventory::Server;
use crate::mcp::{Call, Version};

/// One call to be decided, asked for every principal on it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The server that is asked.
    pub server: &'a Server,
    /// What it is asked for.
    pub call: &'a Call,
    /// Who asks.
    pub caller: &'a Caller,
    /// `Mcp-Session-Id`
    pub session: Option<&'a str>,
    /// The client's address, where the gateway says.
    pub address: Option<IpAddr>,
    /// The protocol version of the message.
    pub version: Version,
    /// The time of the decision.
    pub now: Timestamp,
}
