//! A [`Decision`](crate::decide::Decision) to status, headers and body.
//!
//! Pure: the same decision gives the same answer. Nothing here can allow: [`allow`] takes the [`Permit`] that
//! only `decide` can make.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::decide::{Denial, Permit, Reason};
use crate::exchange::{Answer, Forward};
use crate::identity::{Caller, Nonce};
use crate::inventory::Server;
use crate::mcp::{Id, Message};

pub mod challenge;
pub mod headers;
pub mod metadata;
mod rpc;
pub mod shape;

/// What an answer is made from, besides the decision.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The decision's id.
    pub decision_id: &'a str,
    /// The server, where one was found.
    pub server: Option<&'a Server>,
    /// Who was found to be calling; empty if nobody was.
    pub caller: &'a Caller,
    /// The message, where it could be read.
    pub message: Option<&'a Message>,
    /// The action, for instance `workbench/fs_read` or `tools/list`.
    pub action: &'a str,
    /// The header that brings a credential for us alone.
    pub withheld: Option<&'a Arc<str>>,
}

/// Lets a request go on, with headers that name who it was allowed to.
#[must_use]
pub fn allow(permit: &Permit, about: &About<'_>) -> Forward {
    let (set, remove) = headers::audit(permit, about);
    Forward {
        set,
        remove,
        answer: nonce(about.caller.nonce).into_iter().collect(),
        withheld: about.withheld.cloned(),
        metadata: metadata_of("allowed", Reason::Allowed, about),
    }
}

/// Tells a client why not.
#[must_use]
pub fn deny(denial: &Denial, about: &About<'_>) -> Answer {
    let shape = shape::of(denial.told());
    let mut headers = Vec::new();
    if let (Some(challenge), Some(server)) = (shape.challenge, about.server) {
        headers.push((
            "www-authenticate",
            challenge::field(challenge, server, denial.missing()),
        ));
    }
    headers.extend(nonce(denial.nonce().or(about.caller.nonce)));
    if let Some(seconds) = shape.retry_after {
        headers.push(("retry-after", seconds.to_string()));
    }
    if let Some(methods) = shape.allow {
        headers.push(("allow", methods.to_owned()));
    }
    headers.push(("content-type", "application/json".to_owned()));
    headers.push(("cache-control", "no-store".to_owned()));
    let (status, body) = rpc::body(denial, shape, about);
    Answer {
        status,
        headers,
        body,
        metadata: as_json(metadata_of("denied", denial.reason(), about)),
    }
}

/// RFC 9449 §8.1, §8.2: with the 401 that demands it, or before the one in use expires.
fn nonce(nonce: Option<Nonce>) -> Option<(&'static str, String)> {
    nonce.map(|nonce| ("dpop-nonce", nonce.to_string()))
}

/// Serves the protected-resource metadata (RFC 9728) in the server's place.
#[must_use]
pub fn describe(document: String, about: &About<'_>) -> Answer {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        // Browser clients read it across origins; it holds nothing that isn't public (RFC 9728 §3).
        ("access-control-allow-origin", "*".to_owned()),
        ("cache-control", "max-age=300".to_owned()),
    ];
    Answer {
        status: 200,
        headers,
        body: document,
        metadata: as_json(metadata_of("allowed", Reason::MetadataServed, about)),
    }
}

fn as_json(texts: Vec<(&'static str, String)>) -> Map<String, Value> {
    let text = |(name, text): (&'static str, String)| (name.to_owned(), Value::String(text));
    texts.into_iter().map(text).collect()
}

/// What access logs and alarms read: the same on both outcomes.
fn metadata_of(outcome: &str, reason: Reason, about: &About<'_>) -> Vec<(&'static str, String)> {
    let mut metadata = Vec::with_capacity(10);
    let mut put = |key: &'static str, value: String| metadata.push((key, value));
    put("decision_id", about.decision_id.to_owned());
    put("outcome", outcome.to_owned());
    put("reason", reason.code().to_owned());
    put("action", headers::visible(about.action));
    if let Some(server) = about.server {
        put("server", server.name.to_string());
    }
    if let Some(user) = &about.caller.user {
        put("user", headers::visible(&user.username));
        put("issuer", headers::visible(&user.issuer));
        put("subject", headers::visible(&user.subject));
    }
    if let Some(workload) = &about.caller.workload {
        put("workload", headers::visible(workload.spiffe_id.as_str()));
    }
    if let Some(actor) = &about.caller.actor {
        put("actor", headers::visible(actor.key()));
    }
    metadata
}

/// The id to echo: that of the call to blame, else the only one there is.
fn echoed<'a>(denial: &'a Denial, about: &About<'a>) -> Option<&'a Id> {
    if let Denial::Message(refused) = denial {
        return refused.id.as_ref();
    }
    let calls = about.message?.calls();
    let index = denial.call().or((calls.len() == 1).then_some(0))?;
    calls.get(index)?.id.as_ref()
}
