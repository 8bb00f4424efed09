//! `CheckRequest` to [`Exchange`]: both gateways' ways of saying the same thing, read into one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::Metadata;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::message::{self, Asked, Http};
use super::{Failure, metadata};
use crate::exchange::{Body, Exchange, Fate, Gateway, Headers, Source};

/// Written by Envoy over whatever a client sends. agentgateway passes a client's own on, which can only make a
/// whole body count as cut.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

/// What the message doesn't say of itself.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Who asks.
    pub gateway: Gateway,
    /// When the check came in.
    pub received: Timestamp,
    /// The same on the monotonic clock.
    pub started: Instant,
    /// When it must be decided.
    pub deadline: Instant,
    /// What we and the decider will tell each other.
    pub fate: Fate,
}

/// Reads a check out of its bytes.
///
/// # Errors
/// [`Failure`] if they are no check, if there is no HTTP request in it, or evidence that can't be read: to leave that out
/// would be to decide on another request than the gateway described.
pub fn exchange(check: &[u8], frame: Frame) -> Result<Exchange, Failure> {
    message::read(check, |asked| asked_for(asked, frame)).unwrap_or(Err(Failure::Unreadable))
}

fn asked_for(asked: Asked<'_>, frame: Frame) -> Result<Exchange, Failure> {
    let mut http = asked.http.ok_or(Failure::NoHttpRequest)?;
    let headers = headers(&http.joined, std::mem::take(&mut http.headers));
    // Envoy's own `id` numbers the stream inside it; access logs and traces know the request by the header.
    let request_id = headers.first("x-request-id").unwrap_or(http.id).to_owned();
    Ok(Exchange {
        body: body(&http, &headers),
        method: http.method.to_owned(),
        path: http.path.to_owned(),
        host: http.host.to_owned(),
        scheme: http.scheme.to_owned(),
        headers,
        source: Source {
            principal: some_text(asked.principal).map(str::to_owned),
            certificate: some_text(asked.certificate).map(pem).transpose()?,
            address: asked.address.parse().ok().map(|ip: IpAddr| ip.to_canonical()),
        },
        context: asked.context,
        filter_metadata: filter_metadata(asked.metadata)?,
        gateway: frame.gateway,
        request_id,
        received: frame.received,
        started: frame.started,
        deadline: frame.deadline,
        fate: frame.fate,
    })
}

/// Envoy fills `headers`, or with `encode_raw_headers` only `header_map`. Should both say something, what they
/// agree on counts once, and what they don't stays twice: nobody may choose between them.
fn headers(joined: &BTreeMap<&str, &str>, raw: Headers) -> Headers {
    let mut headers = raw;
    for (name, value) in joined {
        let lower = name.to_ascii_lowercase();
        if !headers.values(&lower).any(|known| known == value.as_bytes()) {
            headers.push(lower, value);
        }
    }
    headers
}

fn body(http: &Http<'_>, headers: &Headers) -> Body {
    if !http.text.is_empty() && !http.raw.is_empty() {
        return Body::Ambiguous;
    }
    let partial = headers.values(PARTIAL_BODY).any(|value| value != b"false");
    // agentgateway: size = -1 marks a body that it cut.
    if partial || http.size < 0 {
        return Body::Cut;
    }
    match (http.raw, http.text.as_bytes()) {
        ([], []) => Body::Absent,
        ([], bytes) | (bytes, _) => Body::Whole(Bytes::copy_from_slice(bytes)),
    }
}

fn some_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// PEM is ASCII (RFC 7468 §3): anything else wasn't encoded the way that was agreed.
fn pem(encoded: &str) -> Result<String, Failure> {
    // Most of it stands for itself: what lies between two `%` is copied as a whole.
    let mut rest = encoded.as_bytes();
    let mut text = Vec::with_capacity(rest.len());
    while let Some((plain, escape)) = memchr::memchr(b'%', rest).and_then(|at| rest.split_at_checked(at)) {
        text.extend_from_slice(plain);
        let (digits, after) = escape.split_at_checked(3).ok_or(Failure::Certificate)?;
        let [_, high, low] = *digits else {
            return Err(Failure::Certificate);
        };
        text.push(byte(high, low).ok_or(Failure::Certificate)?);
        rest = after;
    }
    text.extend_from_slice(rest);
    if !text.is_ascii() {
        return Err(Failure::Certificate);
    }
    String::from_utf8(text).map_err(|_| Failure::Certificate)
}

/// The byte that two hexadecimal digits stand for.
fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    u8::try_from(byte).ok()
}

fn filter_metadata(context: Metadata) -> Result<Map<String, Value>, Failure> {
    let filters = context.filter_metadata.into_iter();
    filters
        .map(|(filter, found)| {
            let found = metadata::to_json(found).map_err(Failure::Metadata)?;
            Ok((filter, Value::Object(found)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
