//! A line of the audit to the question that it is the answer to, so that it can be asked again.
//!
//! In: a line of JSON, as the audit wrote it. Out: a [`Recorded`] call, and from [`PolicySet::ask_again`] what this set of policies says of
//! it. A line holds less than the call had: an argument's value, a session's id, an e-mail address may not be there.
//! Only what no policy in reach reads may be missing; otherwise the line is refused, with what it lacks ([`Unasked`]).

mod again;
mod line;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;

use super::{Principal, Question, default_server};
use crate::identity::Caller;
use crate::inventory::{Requirement, Server, ServerName};
use crate::mcp::{Call, Version};

pub use again::Answer;

/// A call as a line of the audit holds it, and what of it isn't there.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The decision's id.
    pub decision_id: String,
    /// When it was decided.
    pub time: Timestamp,
    /// `allowed`, `denied` or `gateway_gone`.
    pub outcome: String,
    /// The reason's code.
    pub reason: String,
    /// The version of the policies that ruled.
    pub policy_version: String,
    /// The server that was asked.
    pub server: ServerName,
    /// What it was asked for.
    pub call: Call,
    /// Who asked.
    pub caller: Caller,
    /// `Mcp-Session-Id`, or its fingerprint.
    pub session: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The protocol version; if the line doesn't say it, the newest that has sessions.
    pub version: Version,
    /// Whether the actor is known to have been asked about.
    actor_was_asked: bool,
    gaps: Gaps,
}

/// What of a call a line doesn't hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Gaps {
    /// Claims of the user, by their names in the record.
    claims: BTreeSet<&'static str>,
    arguments: Arguments,
    session: bool,
    version: bool,
}

/// What of the arguments a line doesn't hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Arguments {
    /// Nothing: all is there.
    #[default]
    Whole,
    /// The values of these; if `others`, also of some whose names aren't there.
    Without { names: BTreeSet<String>, others: bool },
}

/// Why a recorded call can't be asked again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unasked {
    /// It was decided without policies.
    #[error("no policy was asked: `{0}`")]
    NoPolicy(String),
    /// A name that decides what is asked was cut.
    #[error("`{0}` was too long for the record, and was cut")]
    Cut(&'static str),
    /// A claim of the user isn't in the line.
    #[error("the record doesn't hold the user's `{0}`, and policies read it")]
    Claim(&'static str),
    /// Values of arguments aren't in the line.
    #[error("the record doesn't hold the value of an argument that policies read")]
    Argument,
    /// Values of arguments aren't in the line, and were refused.
    #[error("the arguments were refused, and the record doesn't hold their values")]
    RefusedArguments,
    /// The session's id isn't in the line.
    #[error("the record doesn't hold the session's id, and policies read it")]
    Session,
    /// The version isn't in the line.
    #[error("the record doesn't hold the protocol version, and policies read it")]
    Version,
    /// What a completion was for isn't in the line.
    #[error("the record doesn't say whether a prompt or a resource was to be completed")]
    CompletionOf,
    /// Something in the line isn't what this version writes there.
    #[error("`{0}` of the record can't be read")]
    Malformed(&'static str),
}

impl Unasked {
    /// The code, for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoPolicy(_) => "no_policy_asked",
            Self::Cut(_) => "cut",
            Self::Claim(_) => "claim_not_recorded",
            Self::Argument => "argument_not_recorded",
            Self::RefusedArguments => "refused_arguments_not_recorded",
            Self::Session => "session_not_recorded",
            Self::Version => "version_not_recorded",
            Self::CompletionOf => "completion_ambiguous",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// A line that is no JSON object.
#[derive(Debug, thiserror::Error)]
#[error("no line of an audit: {0}")]
pub struct NoLine(#[source] serde_json::Error);

/// What a line of the audit is about.
#[derive(Debug)]
pub enum Line {
    /// A call.
    Call(Box<Recorded>),
    /// A call that can't be asked about again, whatever the policies: by its decision's id.
    Unasked(String, Unasked),
    /// The journal itself, a revocation, or a correction of an earlier line.
    Other,
}

impl Line {
    /// Reads a line, without its newline.
    ///
    /// # Errors
    /// It is none of an audit.
    pub fn read(text: &[u8]) -> Result<Self, NoLine> {
        line::read(text)
    }
}

impl Recorded {
    /// The question that the line is the answer to. What isn't in the line is as if it had not been there.
    #[must_use]
    pub const fn question<'a>(&'a self, server: &'a Server) -> Question<'a> {
        Question {
            server,
            call: &self.call,
            caller: &self.caller,
            session: match &self.session {
                Some(session) => Some(session.as_str()),
                None => None,
            },
            address: self.address,
            version: self.version,
            now: self.time,
        }
    }

    /// The server that was asked, as configured; one that isn't configured is taken to require no identity that didn't come with
    /// the call, and the actor if a policy is recorded to have been asked about it.
    #[must_use]
    pub fn server(&self, servers: &[Server]) -> Option<Server> {
        if let Some(server) = servers.iter().find(|server| server.name == self.server) {
            return Some(server.clone());
        }
        let mut server = default_server(self.server.as_str()).ok()?;
        server.require.retain(|required| match required {
            Requirement::User => self.caller.user.is_some(),
            Requirement::Workload => self.caller.workload.is_some(),
            Requirement::Actor => false,
        });
        if self.actor_was_asked && self.caller.actor.is_some() {
            server.require.push(Requirement::Actor);
        }
        Some(server)
    }

    /// Whether the line holds all that was asked, but for the user's e-mail address.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.gaps == Gaps::default()
    }

    /// Whether every argument's value is in the line.
    #[must_use]
    pub fn has_arguments(&self) -> bool {
        self.gaps.arguments == Arguments::Whole
    }
}
