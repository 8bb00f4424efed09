//! What the configuration says of one MCP server.

use serde::{Deserialize, Serialize};

use super::{Dpop, SenderConstraint, ServerName};
use crate::exchange::Headers;

/// One MCP server behind the gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name: the first half of every tool's action, and what a route names in `context_extensions.server`.
    pub name: ServerName,
    /// Its resource identifier (RFC 8707): the URL that clients connect to, and the audience of their tokens.
    pub resource: String,
    /// Which identities a call must bring. User and workload by default.
    #[serde(default = "both")]
    pub require: Vec<Requirement>,
    /// The issuers whose tokens are taken here; empty: every configured one.
    #[serde(default)]
    pub issuers: Vec<String>,
    /// What its tokens must be bound to: `none`, `dpop`, `mtls` or `any` of both. Default: `none`.
    #[serde(default)]
    pub sender_constraint: SenderConstraint,
    /// Which proofs of a key are taken.
    #[serde(default)]
    pub dpop: Dpop,
    /// Whether an actor that is a workload may come over the connection of another workload, or of none. Default: false.
    #[serde(default)]
    pub proxied_actors: bool,
    /// How a denial by policy of a request with an id is told.
    #[serde(default)]
    pub denials: Denials,
    /// How much of the why a caller is told.
    #[serde(default)]
    pub disclosure: Disclosure,
    /// Scopes that a challenge (401) names when nothing better is known.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Origins that a browser may call from, exactly as sent (`https://app.example`); a request without `Origin` passes.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Whether arguments that a tool's schema doesn't declare are let through where its schema is silent.
    #[serde(default)]
    pub undeclared_arguments: bool,
    /// `Host` and path, matched exactly, for gateways that can't name the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<HostAndPath>,
}

/// An exact host and path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostAndPath {
    /// The authority, for instance `mcp.example:8443`.
    pub host: String,
    /// The path, for instance `/mcp`.
    pub path: String,
}

/// An identity that a server can require of every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// A person, by an access token.
    User,
    /// A SPIFFE workload.
    Workload,
    /// Who acts for the person, as their token says.
    Actor,
}

impl Requirement {
    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Workload => "workload",
            Self::Actor => "actor",
        }
    }
}

/// How a denial by policy is told to a request that has an id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denials {
    /// A JSON-RPC error over HTTP 200: arrives whole at the SDKs of today.
    #[default]
    Jsonrpc,
    /// A tool result with `isError: true`: what models read best.
    ToolResult,
    /// The JSON-RPC error over HTTP 403.
    Http,
}

/// How much of the why a caller is told, each level more than the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disclosure {
    /// The reason's code and the decision id.
    Minimal,
    /// Also the `@reason` of the policies that forbade it. Never a policy's text.
    #[default]
    Reasons,
    /// Also what the caller could change in the call or in how they logged in, with the values met and needed, where that would do: values that
    /// the policies in whose scope the call is compare with.
    Conditions,
}

fn both() -> Vec<Requirement> {
    vec![Requirement::User, Requirement::Workload]
}

impl Server {
    /// Whether a browser page may call: a request without `Origin` passes, one with it must name a listed origin to the
    /// byte (MCP transports: servers must check it, against DNS rebinding).
    #[must_use]
    pub fn admits_origin(&self, headers: &Headers) -> bool {
        match headers.single("origin") {
            Ok(None) => true,
            Ok(Some(origin)) => self.origins.iter().any(|listed| listed == origin),
            Err(_) => false,
        }
    }
}
