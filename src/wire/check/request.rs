//! `CheckRequest` to [`Exchange`]: both gateways' ways of saying the same thing, read into one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, Metadata, address};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer};
use jiff::Timestamp;
use serde_json::{Map, Value};

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
pub fn exchange(check: CheckRequest, frame: Frame) -> Result<Exchange, Failure> {
    let attributes = check.attributes.unwrap_or_default();
    let http = attributes.request.and_then(|request| request.http);
    let mut http = http.ok_or(Failure::NoHttpRequest)?;
    let headers = headers(
        std::mem::take(&mut http.headers),
        http.header_map.take().unwrap_or_default(),
    );
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
fn headers(joined: HashMap<String, String>, raw: HeaderMap) -> Headers {
    let mut headers = Headers::default();
    for field in raw.headers {
        let text_differs = !field.value.is_empty()
            && !field.raw_value.is_empty()
            && field.value.as_bytes() != field.raw_value;
        if text_differs {
            headers.push(field.key.as_str(), field.value);
            headers.push(field.key, field.raw_value);
        } else if field.raw_value.is_empty() {
            headers.push(field.key, field.value);
        } else {
            headers.push(field.key, field.raw_value);
        }
    }
    for (name, value) in joined {
        let lower = name.to_ascii_lowercase();
        if !headers.values(&lower).any(|known| known == value.as_bytes()) {
            headers.push(lower, value);
        }
    }
    headers
}

fn body(http: &mut HttpRequest, headers: &Headers) -> Body {
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
    let mut parts = encoded.split('%');
    let mut text = String::with_capacity(encoded.len());
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, plain) = part.split_at_checked(2).ok_or(Failure::Certificate)?;
        // A sign, which `from_str_radix` would take, is no digit.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Failure::Certificate);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| Failure::Certificate)?;
        text.push(char::from(byte));
        text.push_str(plain);
    }
    if text.is_ascii() {
        Ok(text)
    } else {
        Err(Failure::Certificate)
    }
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
