//! One decision as one line of JSON.
//!
//! Whatever a client can influence is escaped, so that a name can't forge, split or reorder a line, and bounded,
//! so that it can't bury one: a text over [`MAX_TEXT`] ends in `…(+N bytes)`.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::redact::Redacted;
use crate::exchange::printable;

mod line;

/// The most bytes of one text in a record.
pub const MAX_TEXT: usize = 1024;

/// How long a usual line is, and then some.
pub(super) const LINE: usize = 2048;

/// The most policies named in one record; the last entry then is `{"omitted": N}`.
pub const MAX_POLICIES: usize = 32;

/// A text of a record: of whoever made it, or its own.
pub type Text<'a> = Cow<'a, str>;

/// What is recorded of one decision. Fields are written in this order; an absent one is left out.
#[derive(Debug, Default, Clone)]
pub struct Record<'a> {
    /// When the question reached us: RFC 3339, UTC, microseconds.
    pub time: Timestamp,
    /// The decision's id, as headers and answers show it.
    pub decision_id: Text<'a>,
    /// `allowed`, `denied` or `gateway_gone`.
    pub outcome: &'static str,
    /// The reason's code, `allowed` too (docs/reasons.md).
    pub reason: Option<&'static str>,
    /// The configured name of the server that was asked.
    pub server: Option<Text<'a>>,
    /// The MCP method, or our name for what has none.
    pub method: Option<Text<'a>>,
    /// The version of MCP that the message was read under.
    pub protocol_version: Option<&'static str>,
    /// What the method is asked of: the tool's or prompt's name, the resource's URI, the task's id, or the name of a
    /// method that is not known.
    pub target: Option<Text<'a>>,
    /// What the target of a completion is: `prompt` or `resource`.
    pub target_kind: Option<&'static str>,
    /// The person.
    pub user: Option<User<'a>>,
    /// The workload's SPIFFE ID.
    pub workload: Option<Text<'a>>,
    /// Who acts for the person: a SPIFFE ID, or an agent's name.
    pub actor: Option<Text<'a>>,
    /// The actor's client id, where its name doesn't say it.
    pub actor_client: Option<Text<'a>>,
    /// Those who acted before, the latest first.
    pub actors: Vec<Text<'a>>,
    /// The tenant.
    pub tenant: Option<Text<'a>>,
    /// The session, as [`super::Redactor::session`] gives it.
    pub session: Option<Text<'a>>,
    /// The policies that took part.
    pub policies: Vec<PolicyEffect<'a>>,
    /// What policies would have said that don't rule.
    pub shadow: Vec<ShadowOpinion<'a>>,
    /// The hash of the policy set that ruled.
    pub policy_version: Option<Text<'a>>,
    /// How long it took.
    pub durations_us: Durations,
    /// The trace that the call belongs to (W3C Trace Context).
    pub trace_id: Option<Text<'a>>,
    /// Which gateway asked.
    pub gateway: Text<'a>,
    /// The gateway's id for the request.
    pub request_id: Option<Text<'a>>,
    /// The client's address, as the gateway says.
    pub client: Option<std::net::IpAddr>,
    /// Which message of a batch this is.
    pub batch: Option<Batch>,
    /// The call's arguments, as far as the settings let them in.
    pub arguments: Option<Redacted>,
}

/// The person in a record.
#[derive(Debug, Default, Clone)]
pub struct User<'a> {
    /// `iss`
    pub issuer: Text<'a>,
    /// `sub`
    pub subject: Text<'a>,
    /// The name for people.
    pub username: Text<'a>,
    /// What else policies read of them, as [`super::Redactor::claims`] gives it.
    pub claims: Option<Arc<RawValue>>,
}

/// One policy's part in a decision.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PolicyEffect<'a> {
    /// Its `@id`.
    pub id: Text<'a>,
    /// Whom it was asked about: `user`, `workload` or `actor`.
    pub principal: &'static str,
    /// What it did: for instance `permit`, `forbid`, `error`, `shadow`.
    pub effect: &'static str,
}

/// What policies would have said that don't rule.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ShadowOpinion<'a> {
    /// `annotation` for the `@shadow` policies of the ruling directory, `directory` for the shadow directory.
    pub from: &'static str,
    /// `allow`, `deny`, `failed` or `skipped`.
    pub would: &'static str,
    /// `would_allow` or `would_deny`, where that is not what the ruling policies say.
    pub code: Option<&'static str>,
    /// The reason's code, where it would be denied.
    pub because: Option<&'static str>,
    /// The policies that took part; those of `@shadow` are among the record's own.
    pub policies: Vec<PolicyEffect<'a>>,
    /// The hash of the shadow directory.
    pub policy_version: Option<Text<'a>>,
}

/// Durations in microseconds; a stage that was not reached is left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Durations {
    /// From the question's arrival to the record.
    pub total: u64,
    /// Reading the message.
    pub read: Option<u64>,
    /// Proving who calls.
    pub identity: Option<u64>,
    /// Asking the policies.
    pub policy: Option<u64>,
}

/// A message's place in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Counted from 0.
    pub index: usize,
    /// How many messages the batch has.
    pub size: usize,
}

impl Record<'_> {
    /// The record as one line, with its newline. Only JSON, only printable characters.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(LINE);
        self.write_line(&mut line);
        line
    }

    /// Adds [`Record::to_line`] to a text.
    pub(super) fn write_line(&self, text: &mut Vec<u8>) {
        line::write(self, text);
        text.push(b'\n');
    }
}

/// Compact JSON in which no character can disturb a line.
struct Plain;

impl serde_json::ser::Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        writer.write_all(printable::escape(fragment).as_bytes())
    }
}

/// A value as compact JSON in which no character can disturb a line. Empty if it can't be: a Vec takes every byte, and
/// no field of ours can fail.
pub(super) fn to_plain_json(value: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Plain);
    match value.serialize(&mut serializer) {
        Ok(()) => text,
        Err(_) => Vec::new(),
    }
}

/// A text cut to [`MAX_TEXT`] bytes, with a mark that says by how much.
pub(super) fn clipped(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT {
        return text.into();
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    let (kept, cut) = text.split_at(end);
    format!("{kept}…(+{} bytes)", cut.len()).into()
}

#[cfg(test)]
mod tests;
