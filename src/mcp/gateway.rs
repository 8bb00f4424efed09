//! What the gateway's own MCP filter read: a second opinion, never what is decided on.

use serde_json::Value as Json;

use super::envelope::Envelope;
use super::json::Value;
use super::{Id, Refusal};

/// Where Envoy's filter leaves what it found: its first name, and the one that replaces it.
const NAMESPACES: [&str; 2] = ["mcp_proxy", "envoy.filters.http.mcp"];

/// Refuses a message if a gateway's filter read another one. `None` stands for a batch, which the filter skips.
pub(super) fn check(
    metadata: &serde_json::Map<String, Json>,
    envelope: Option<&Envelope>,
) -> Result<(), Refusal> {
    for found in NAMESPACES.iter().filter_map(|name| metadata.get(*name)) {
        compare(found, "method", method(envelope))?;
        compare(
            found,
            "id",
            envelope.and_then(Envelope::id).map(id_text).as_deref(),
        )?;
        compare(found, "params.name", param(envelope, "name"))?;
        compare(found, "params.uri", param(envelope, "uri"))?;
    }
    Ok(())
}

fn compare(found: &Json, what: &'static str, ours: Option<&str>) -> Result<(), Refusal> {
    let theirs = lookup(found, what).filter(|value| !value.is_null());
    match theirs {
        Some(theirs) if text(theirs).as_deref() != ours => Err(Refusal::GatewayDisagrees { what }),
        _ => Ok(()),
    }
}

/// Nested (`params: {name}`) or under the dotted path itself.
fn lookup<'a>(found: &'a Json, path: &str) -> Option<&'a Json> {
    let nested = path.split('.').try_fold(found, |value, key| value.get(key));
    nested.or_else(|| found.get(path))
}

/// Metadata knows only doubles: an id of 7 arrives as 7.0. Ids of a string and of a number compare by their text.
fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Some(integer.to_string()),
            // Display of a whole double has no point.
            None => number.as_f64().map(|double| double.to_string()),
        },
        _ => None,
    }
}

fn method(envelope: Option<&Envelope>) -> Option<&str> {
    match envelope {
        Some(Envelope::Call { method, .. }) => Some(method),
        _ => None,
    }
}

fn id_text(id: &Id) -> String {
    match id {
        Id::String(text) => text.clone(),
        Id::Number(number) => number.to_string(),
    }
}

fn param<'a>(envelope: Option<&'a Envelope>, key: &str) -> Option<&'a str> {
    match envelope {
        Some(Envelope::Call {
            params: Some(params), ..
        }) => params.get(key).and_then(Value::as_str),
        _ => None,
    }
}
