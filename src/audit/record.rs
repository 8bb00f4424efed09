//! One decision as one line of JSON.
//!
//! Whatever a client can influence is escaped, so that a name can't forge, split or reorder a line, and bounded,
//! so that it can't bury one: a text over [`MAX_TEXT`] ends in `…(+N bytes)`.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::redact::Redacted;
use crate::exchange::printable;

/// The most bytes of one text in a record.
pub const MAX_TEXT: usize = 1024;

/// The most policies named in one record; the last entry then is `{"omitted": N}`.
pub const MAX_POLICIES: usize = 32;

/// What is recorded of one decision. Fields are written in this order; an absent one is left out.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Record {
    /// When the question reached us: RFC 3339, UTC, microseconds.
    #[serde(serialize_with = "microseconds")]
    pub time: Timestamp,
    /// The decision's id, as headers and answers show it.
    #[serde(serialize_with = "bounded")]
    pub decision_id: String,
    /// `allowed`, `denied` or `gateway_gone`.
    pub outcome: &'static str,
    /// The reason's code, `allowed` too (docs/reasons.md).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The configured name of the server that was asked.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub server: Option<String>,
    /// The MCP method, or our name for what has none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub method: Option<String>,
    /// The version of MCP that the message was read under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<&'static str>,
    /// What the method is asked of: the tool's or prompt's name, the resource's URI, the task's id, or the name of a
    /// method that is not known.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub target: Option<String>,
    /// What the target of a completion is: `prompt` or `resource`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_kind: Option<&'static str>,
    /// The person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The workload's SPIFFE ID.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub workload: Option<String>,
    /// Who acts for the person: a SPIFFE ID, or an agent's name.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub actor: Option<String>,
    /// The actor's client id, where its name doesn't say it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub actor_client: Option<String>,
    /// Those who acted before, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bounded_list")]
    pub actors: Vec<String>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub tenant: Option<String>,
    /// The session, as [`super::Redactor::session`] gives it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub session: Option<String>,
    /// The policies that took part.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "first_policies")]
    pub policies: Vec<PolicyEffect>,
    /// What policies would have said that don't rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<ShadowOpinion>,
    /// The hash of the policy set that ruled.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub policy_version: Option<String>,
    /// How long it took.
    pub durations_us: Durations,
    /// The trace that the call belongs to (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub trace_id: Option<String>,
    /// Which gateway asked.
    #[serde(serialize_with = "bounded")]
    pub gateway: String,
    /// The gateway's id for the request.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub request_id: Option<String>,
    /// The client's address, as the gateway says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<std::net::IpAddr>,
    /// Which message of a batch this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// The call's arguments, as far as the settings let them in.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Redacted>,
}

/// The person in a record.
#[derive(Debug, Default, Clone, Serialize)]
pub struct User {
    /// `iss`
    #[serde(serialize_with = "bounded")]
    pub issuer: String,
    /// `sub`
    #[serde(serialize_with = "bounded")]
    pub subject: String,
    /// The name for people.
    #[serde(serialize_with = "bounded")]
    pub username: String,
    /// What else policies read of them, as [`super::Redactor::claims`] gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Arc<RawValue>>,
}

/// One policy's part in a decision.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyEffect {
    /// Its `@id`.
    #[serde(serialize_with = "bounded")]
    pub id: String,
    /// Whom it was asked about: `user`, `workload` or `actor`.
    pub principal: &'static str,
    /// What it did: for instance `permit`, `forbid`, `error`, `shadow`.
    pub effect: &'static str,
}

/// What policies would have said that don't rule.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct ShadowOpinion {
    /// `annotation` for the `@shadow` policies of the ruling directory, `directory` for the shadow directory.
    pub from: &'static str,
    /// `allow`, `deny`, `failed` or `skipped`.
    pub would: &'static str,
    /// `would_allow` or `would_deny`, where that is not what the ruling policies say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The reason's code, where it would be denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
    /// The policies that took part; those of `@shadow` are among the record's own.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "first_policies")]
    pub policies: Vec<PolicyEffect>,
    /// The hash of the shadow directory.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub policy_version: Option<String>,
}

/// Durations in microseconds; a stage that was not reached is left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Durations {
    /// From the question's arrival to the record.
    pub total: u64,
    /// Reading the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
    /// Proving who calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<u64>,
    /// Asking the policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<u64>,
}

/// A message's place in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// Counted from 0.
    pub index: usize,
    /// How many messages the batch has.
    pub size: usize,
}

impl Record {
    /// The record as one line, with its newline. Only JSON, only printable characters.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(1024);
        self.write_line(&mut line);
        line
    }

    /// Adds [`Record::to_line`] to a text.
    pub(super) fn write_line(&self, text: &mut Vec<u8>) {
        let before = text.len();
        let mut serializer = serde_json::Serializer::with_formatter(&mut *text, Plain);
        if let Err(error) = self.serialize(&mut serializer) {
            // A Vec takes every byte and no field of ours can fail. If that ever changes, the line still says
            // which decision it stands for, and still is JSON.
            text.truncate(before);
            let line = serde_json::json!({
                "decision_id": clipped(&self.decision_id),
                "outcome": self.outcome,
                "reason": self.reason,
                "record_error": error.to_string(),
            });
            text.extend_from_slice(line.to_string().as_bytes());
        }
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
pub(super) fn clipped(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= MAX_TEXT {
        return text.into();
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    let (kept, cut) = text.split_at(end);
    format!("{kept}…(+{} bytes)", cut.len()).into()
}

fn bounded<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&clipped(text))
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn bounded_option<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => bounded(text, serializer),
        None => serializer.serialize_none(),
    }
}

/// As long as the reader of tokens lets a chain of actors be.
fn bounded_list<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(texts.iter().map(|text| clipped(text)))
}

fn microseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}

fn first_policies<S: Serializer>(policies: &[PolicyEffect], serializer: S) -> Result<S::Ok, S::Error> {
    let shown = policies.len().min(MAX_POLICIES);
    let mut list = serializer.serialize_seq(None)?;
    for policy in policies.iter().take(shown) {
        list.serialize_element(policy)?;
    }
    let omitted = policies.len().saturating_sub(shown);
    if omitted > 0 {
        list.serialize_element(&Omitted { omitted })?;
    }
    list.end()
}

/// Stands at the end of a list that was cut.
#[derive(Serialize)]
struct Omitted {
    omitted: usize,
}

#[cfg(test)]
mod tests;
