//! A POST: one message, or a batch of them.

use std::collections::HashSet;

use super::envelope::{self, Envelope};
use super::fields::Fields;
use super::json::{self, Object, Value};
use super::methods::{self, Method, Sort};
use super::{
    Call, Id, Limits, Message, Operation, Payload, Refusal, Refused, Version, gateway, lookalike, meta,
    params, transport,
};
use crate::exchange::Exchange;

/// Reads the body and holds it against the headers.
pub(super) fn read(exchange: &Exchange, limits: &Limits) -> Result<Message, Refused> {
    let body = transport::body(exchange, limits)?;
    let text = json::read(body, limits.max_nesting).map_err(Refusal::from)?;
    match text {
        Value::Array(messages) => batch(exchange, messages, limits).map_err(Into::into),
        message => {
            let envelope = envelope::read(message, limits)?;
            let id = envelope.request_id().cloned();
            single(exchange, envelope, limits).map_err(|why| why.of(id.as_ref()))
        }
    }
}

fn single(exchange: &Exchange, envelope: Envelope, limits: &Limits) -> Result<Message, Refusal> {
    let fields = Fields::read(&exchange.headers, limits)?;
    let version = version(&envelope, &fields)?;
    gateway::check(&exchange.filter_metadata, Some(&envelope))?;
    let payload = Payload::Single(match envelope {
        Envelope::Response { .. } => {
            fields.name_nothing()?;
            response(version)?
        }
        Envelope::Call { id, method, params } => {
            let is_request = id.is_some();
            if is_request && version.describes_itself_in_meta() {
                meta::complete(params.as_ref())?;
            }
            let operation = operation(&method, is_request, params, version, limits)?;
            let named = is_request && version.names_itself_in_headers();
            fields.agree(&method, &operation, named)?;
            Call { id, operation }
        }
    });
    Ok(Message {
        version,
        // Without sessions, servers ignore the header.
        session: fields.session.filter(|_| version.has_sessions()),
        payload,
        param_headers: fields.params,
    })
}

/// The version of a single message. `initialize` is what versions are negotiated with, so its header says nothing;
/// one whose `_meta` names its version is a request of 2026-07-28, which knows no `initialize`.
fn version(envelope: &Envelope, fields: &Fields<'_>) -> Result<Version, Refusal> {
    let Envelope::Call { method, params, .. } = envelope else {
        return fields.version(None);
    };
    if let Some(params) = params {
        lookalike::check(params, &[lookalike::ENVELOPE, lookalike::PARAMS])?;
    }
    let claimed = meta::claimed_version(params.as_ref())?;
    if method == "initialize" && claimed.is_none() {
        return Ok(offered(params.as_ref()));
    }
    fields.version(claimed)
}

/// The version that a client offers, if it is one with sessions; else the newest of those, which a server counters with.
fn offered(params: Option<&Object>) -> Version {
    let offered = params
        .and_then(|params| params.get("protocolVersion"))
        .and_then(Value::as_str);
    let known = offered
        .and_then(Version::from_name)
        .filter(|version| version.has_sessions());
    known.unwrap_or(Version::NEWEST_WITH_SESSIONS)
}

fn response(version: Version) -> Result<Call, Refusal> {
    if !version.has_client_responses() {
        return Err(Refusal::ResponseNotAllowed);
    }
    Ok(Call {
        id: None,
        operation: Operation::Response,
    })
}

fn operation(
    method: &str,
    has_id: bool,
    params: Option<Object>,
    version: Version,
    limits: &Limits,
) -> Result<Operation, Refusal> {
    let Some(known) = methods::known(method, version) else {
        return Ok(Operation::Unknown {
            method: method.to_owned(),
        });
    };
    // A server may run a request without id all the same, and answer a notification that has one.
    match (known, has_id) {
        (
            Method {
                sort: Sort::Request, ..
            },
            false,
        ) => Err(Refusal::IdMissing),
        (
            Method {
                sort: Sort::Notification,
                ..
            },
            true,
        ) => Err(Refusal::IdNotAllowed),
        (method, _) => params::read(method, params.unwrap_or_default(), version, limits),
    }
}

/// 2025-03-26 §Transports: an array of requests and notifications, or an array of responses. All or nothing.
fn batch(exchange: &Exchange, messages: Vec<Value>, limits: &Limits) -> Result<Message, Refusal> {
    let fields = Fields::read(&exchange.headers, limits)?;
    let version = fields.version(None)?;
    if !version.has_batches() {
        return Err(Refusal::BatchNotAllowed);
    }
    if messages.is_empty() {
        return Err(Refusal::EmptyBatch);
    }
    if messages.len() > limits.max_batch {
        return Err(Refusal::BatchTooLarge {
            limit: limits.max_batch,
        });
    }
    fields.name_nothing()?;
    gateway::check(&exchange.filter_metadata, None)?;
    let mut ids = HashSet::new();
    let calls = messages
        .into_iter()
        .map(|message| member(message, &fields, &mut ids, limits))
        .collect::<Result<Vec<_>, _>>()?;
    let responses = calls
        .iter()
        .filter(|call| call.operation == Operation::Response)
        .count();
    if responses != 0 && responses != calls.len() {
        return Err(Refusal::MixedBatch);
    }
    Ok(Message {
        version,
        session: fields.session,
        payload: Payload::Batch(calls),
        param_headers: fields.params,
    })
}

fn member(
    message: Value,
    fields: &Fields<'_>,
    ids: &mut HashSet<String>,
    limits: &Limits,
) -> Result<Call, Refusal> {
    let envelope = envelope::read(message, limits).map_err(|refused| refused.why)?;
    // By their text: a server that keeps ids as strings takes 1 and "1" for the same.
    let text = envelope.id().map(|id| match id {
        Id::String(text) => text.clone(),
        Id::Number(number) => number.to_string(),
    });
    if text.is_some_and(|text| !ids.insert(text)) {
        return Err(Refusal::DuplicateId);
    }
    if matches!(&envelope, Envelope::Call { method, .. } if method == "initialize") {
        return Err(Refusal::InitializeInBatch);
    }
    let version = version(&envelope, fields)?;
    match envelope {
        Envelope::Response { .. } => response(version),
        Envelope::Call { id, method, params } => {
            let operation = operation(&method, id.is_some(), params, version, limits)?;
            Ok(Call { id, operation })
        }
    }
}
