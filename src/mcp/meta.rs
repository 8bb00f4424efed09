//! `params._meta`: what a message says of itself (2026-07-28: on every request).

use super::json::{Object, Value};
use super::{Refusal, lookalike, params};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// The version that `_meta` claims, in whatever version of the protocol.
pub(super) fn claimed_version(params: Option<&Object>) -> Result<Option<&str>, Refusal> {
    let Some(params) = params else {
        return Ok(None);
    };
    params::object_if_any(params.get("_meta"), "`params._meta`")?;
    let Some(meta) = params.get("_meta").and_then(Value::as_object) else {
        return Ok(None);
    };
    lookalike::check(meta, &[&[VERSION, CAPABILITIES]])?;
    match meta.get(VERSION) {
        None => Ok(None),
        Some(Value::String(version)) => Ok(Some(version)),
        Some(_) => Err(Refusal::MetaIncomplete { key: VERSION }),
    }
}

/// What a request of 2026-07-28 must say of itself.
pub(super) fn complete(params: Option<&Object>) -> Result<(), Refusal> {
    let meta = params
        .and_then(|params| params.get("_meta"))
        .and_then(Value::as_object);
    let member = |key| meta.and_then(|meta| meta.get(key));
    if !matches!(member(VERSION), Some(Value::String(_))) {
        return Err(Refusal::MetaIncomplete { key: VERSION });
    }
    if !matches!(member(CAPABILITIES), Some(Value::Object(_))) {
        return Err(Refusal::MetaIncomplete { key: CAPABILITIES });
    }
    Ok(())
}
