//! `CheckRequest` to [`Exchange`]: both gateways' ways of saying the same thing, read into one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{Address, Metadata, address};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::message::{Check, Fields, Http};
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

/// Reads a check.
///
/// # Errors
/// [`Failure`] if there is no HTTP request in it, or evidence that can't be read: to leave that out would be to
/// decide on another request than the gateway described.
pub fn exchange(check: Check, frame: Frame) -> Result<Exchange, Failure> {
    let attributes = check.attributes.unwrap_or_default();
    let http = attributes.request.and_then(|request| request.http);
    let mut http = http.ok_or(Failure::NoHttpRequest)?;
    let joined = std::mem::take(&mut http.headers);
    let headers = headers(joined, http.header_map.take().unwrap_or_default());
    // Envoy's own `id` numbers the stream inside it; access logs and traces know the request by the header.
    let request_id = headers
        .first("x-request-id")
        .map_or_else(|| http.id.clone(), str::to_owned);
    Ok(Exchange {
        body: body(&mut http, &headers),
        method: http.method,
        path: http.path,
        host: http.host,
        scheme: http.scheme,
        headers,
        source: source(attributes.source.unwrap_or_default())?,
        context: attributes.context_extensions,
        filter_metadata: filter_metadata(attributes.metadata_context.unwrap_or_default())?,
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
fn headers(joined: BTreeMap<String, String>, raw: Fields) -> Headers {
    let mut headers = raw.into_headers();
    for (name, value) in joined {
        let lower = name.to_ascii_lowercase();
        if !headers.values(&lower).any(|known| known == value.as_bytes()) {
            headers.push(lower, value);
        }
    }
    headers
}

fn body(http: &mut Http, headers: &Headers) -> Body {
    let text = std::mem::take(&mut http.body);
    let raw = std::mem::take(&mut http.raw_body);
    if !text.is_empty() && !raw.is_empty() {
        return Body::Ambiguous;
    }
    let partial = headers.values(PARTIAL_BODY).any(|value| value != b"false");
    // agentgateway: size = -1 marks a body that it cut.
    if partial || http.size < 0 {
        return Body::Cut;
    }
    let bytes = if raw.is_empty() { text.into_bytes() } else { raw };
    if bytes.is_empty() {
        Body::Absent
    } else {
        Body::Whole(Bytes::from(bytes))
    }
}

fn source(peer: Peer) -> Result<Source, Failure> {
    Ok(Source {
        principal: some_text(peer.principal),
        certificate: some_text(peer.certificate)
            .map(|encoded| pem(&encoded))
            .transpose()?,
        address: peer.address.as_ref().and_then(ip),
    })
}

fn some_text(text: String) -> Option<String> {
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

fn ip(address: &Address) -> Option<IpAddr> {
    match address.address.as_ref()? {
        address::Address::SocketAddress(socket) => {
            let ip: IpAddr = socket.address.parse().ok()?;
            Some(ip.to_canonical())
        }
        address::Address::Pipe(_) | address::Address::EnvoyInternalAddress(_) => None,
    }
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
