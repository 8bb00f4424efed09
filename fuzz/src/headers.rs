//! The two ways in which a gateway sends headers: nothing is lost, nothing of two is chosen.
//!
//! The text is that of [`http`](super::http), but that each header line begins with the place it goes to: `h` the map
//! `headers`, `v` and `r` a field of `header_map` with its `value` or its `raw_value`, `b` one with both.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use mcp_authz::exchange::{Exchange, Headers};
use mcp_authz::mcp::header_value;
use mcp_authz::wire::check::request::{self, Frame};
use prost::Message as _;

use super::{http, message};

const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fs_read","arguments":{"path":"a"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// Sends the fields as a gateway would, looks for each, and reads the message.
///
/// # Panics
/// If a field is lost or one of two is chosen.
pub fn check(bytes: &[u8]) {
    let text = http::parse(bytes);
    let mut joined = HashMap::new();
    let mut raw = Vec::new();
    for (name, value) in &text.fields {
        let (place, name) = name.split_at_checked(1).unwrap_or(("h", name));
        let lossy = String::from_utf8_lossy(value).into_owned();
        let field = |value: &str, raw_value: &[u8]| HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            raw_value: raw_value.to_vec(),
        };
        match place {
            "v" => raw.push(field(&lossy, &[])),
            "r" => raw.push(field("", value)),
            "b" => raw.push(field(&lossy, value)),
            _ => drop(joined.insert(name.to_owned(), lossy)),
        }
    }
    let body = if text.body.is_empty() { CALL } else { text.body };
    let check = check_request(&text, joined.clone(), raw.clone(), body);
    let exchange = exchange(&check);
    let sent = sent(&joined, &raw);
    for (name, value) in &sent {
        let found = exchange.headers.values(name).any(|known| known == value);
        assert!(found, "`{name}` is lost");
    }
    for name in exchange.headers.iter().map(|(name, _)| name.to_owned()) {
        let distinct = sent.iter().filter(|(known, _)| *known == name).count();
        assert!(distinct > 0, "`{name}` was not sent");
        let in_map = raw
            .iter()
            .filter(|field| field.key.to_ascii_lowercase() == name)
            .count();
        if distinct > 1 || in_map > 1 {
            assert!(
                exchange.headers.single(&name).is_err(),
                "one `{name}` of {distinct}"
            );
        }
        spelling(&exchange.headers, &name);
    }
    message::read(&exchange);
}

/// Each value of each field, by its lower-case name.
fn sent(joined: &HashMap<String, String>, raw: &[HeaderValue]) -> BTreeSet<(String, Vec<u8>)> {
    let mut sent = BTreeSet::new();
    for field in raw {
        let name = field.key.to_ascii_lowercase();
        if !field.raw_value.is_empty() {
            sent.insert((name.clone(), field.raw_value.clone()));
        }
        let other = !field.value.is_empty() && field.value.as_bytes() != field.raw_value;
        if other || field.raw_value.is_empty() {
            sent.insert((name, field.value.clone().into_bytes()));
        }
    }
    for (name, value) in joined {
        sent.insert((name.to_ascii_lowercase(), value.clone().into_bytes()));
    }
    sent
}

/// What a wrapped value stands for has one spelling only.
fn spelling(headers: &Headers, name: &str) {
    let Some(sent) = headers.first(name) else { return };
    let Some(meant) = header_value(sent) else { return };
    if sent.starts_with("=?base64?") && sent.ends_with("?=") && sent.len() >= 11 {
        assert_eq!(sent, format!("=?base64?{}?=", STANDARD.encode(meant)));
    } else {
        assert_eq!(sent, meant);
    }
}

fn check_request(
    text: &http::Text<'_>,
    headers: HashMap<String, String>,
    raw: Vec<HeaderValue>,
    body: &[u8],
) -> CheckRequest {
    let http = HttpRequest {
        method: text.method.clone(),
        path: text.path.clone(),
        headers,
        header_map: (!raw.is_empty()).then_some(HeaderMap { headers: raw }),
        raw_body: body.to_vec(),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            ..AttributeContext::default()
        }),
    }
}

fn exchange(check: &CheckRequest) -> Exchange {
    request::exchange(&check.encode_to_vec(), frame()).expect("nothing but an HTTP request is in it")
}

/// What a check doesn't say of itself.
#[must_use]
pub fn frame() -> Frame {
    let empty = http::empty();
    Frame {
        fate: empty.fate,
        gateway: empty.gateway,
        received: empty.received,
        started: empty.started,
        deadline: empty.deadline,
    }
}
