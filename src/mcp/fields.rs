//! MCP's own header fields: read once, then held against the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Limits, Operation, Refusal, Version};
use crate::exchange::Headers;

const VERSION: &str = "MCP-Protocol-Version";
const METHOD: &str = "Mcp-Method";
const NAME: &str = "Mcp-Name";
const PARAM: &str = "Mcp-Param-*";

/// The fields as sent.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) version: Option<&'a str>,
    method: Option<&'a str>,
    name: Option<String>,
    pub(super) session: Option<String>,
    pub(super) params: Vec<(String, String)>,
}

impl<'a> Fields<'a> {
    pub(super) fn read(headers: &'a Headers, limits: &Limits) -> Result<Self, Refusal> {
        let name = single(headers, "mcp-name", NAME)?;
        Ok(Self {
            version: single(headers, "mcp-protocol-version", VERSION)?,
            method: single(headers, "mcp-method", METHOD)?,
            name: name
                .map(|name| header_value(name).ok_or(Refusal::HeaderInvalid { header: NAME }))
                .transpose()?,
            session: session(headers, limits)?,
            params: params(headers)?,
        })
    }

    /// The version that a message is read under. `claimed` is what its `_meta` says.
    ///
    /// A message whose `_meta` names a version is one of per-request metadata: without the header, a server
    /// of both eras would read it otherwise than as 2025-03-26.
    pub(super) fn version(&self, claimed: Option<&str>) -> Result<Version, Refusal> {
        match (self.version, claimed) {
            (None, None) => Ok(Version::WITHOUT_HEADER),
            (None, Some(_)) => Err(Refusal::HeaderMissing { header: VERSION }),
            (Some(sent), Some(claimed)) if sent != claimed => Err(Refusal::VersionMismatch),
            (Some(sent), _) => Version::from_name(sent).ok_or_else(|| Refusal::VersionUnknown {
                requested: sent
                    .chars()
                    .filter(|char| char.is_ascii_graphic() && !matches!(char, '"' | '\\'))
                    .take(64)
                    .collect(),
            }),
        }
    }

    /// `Mcp-Method` and `Mcp-Name` against one call. A request of 2026-07-28 must have them; elsewhere they
    /// must agree where they are sent.
    pub(super) fn agree(&self, method: &str, operation: &Operation, required: bool) -> Result<(), Refusal> {
        match self.method {
            Some(sent) if sent != method => return Err(Refusal::HeaderMismatch { header: METHOD }),
            None if required => return Err(Refusal::HeaderMissing { header: METHOD }),
            _ => {}
        }
        let name = named(operation);
        match (&self.name, name) {
            // What an unknown method is about isn't known either; nothing is decided on it.
            (Some(_), None) if matches!(operation, Operation::Unknown { .. }) => Ok(()),
            (Some(sent), name) if name != Some(sent) => Err(Refusal::HeaderMismatch { header: NAME }),
            (None, Some(_)) if required => Err(Refusal::HeaderMissing { header: NAME }),
            _ => Ok(()),
        }
    }

    /// Refuses `Mcp-Method` and `Mcp-Name` on what has no method: responses, batches, GET, DELETE.
    pub(super) fn name_nothing(&self) -> Result<(), Refusal> {
        if self.method.is_some() {
            return Err(Refusal::HeaderMismatch { header: METHOD });
        }
        if self.name.is_some() {
            return Err(Refusal::HeaderMismatch { header: NAME });
        }
        Ok(())
    }
}

/// What `Mcp-Name` names.
fn named(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::ToolsCall { tool: name, .. }
        | Operation::PromptsGet { prompt: name, .. }
        | Operation::Resource { uri: name, .. }
        | Operation::Task { task: name, .. } => Some(name),
        _ => None,
    }
}

/// The value of `Mcp-Name` or an `Mcp-Param-*`: itself, or what `=?base64?…?=` wraps. `None` if what is wrapped isn't
/// base64 of UTF-8, or if a plain value has characters that no field value may have.
#[must_use]
pub fn header_value(sent: &str) -> Option<String> {
    let wrapped = sent
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match wrapped {
        Some(wrapped) => String::from_utf8(STANDARD.decode(wrapped).ok()?).ok(),
        None => is_visible(sent).then(|| sent.to_owned()),
    }
}

/// RFC 9110 §5.5 without its obsolete part: visible ASCII, space and tab.
fn is_visible(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

fn single<'a>(
    headers: &'a Headers,
    name: &'static str,
    header: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    let value = headers
        .single(name)
        .map_err(|_| Refusal::HeaderInvalid { header })?;
    if value.is_none_or(is_visible) {
        Ok(value)
    } else {
        Err(Refusal::HeaderInvalid { header })
    }
}

/// A comma is what gateways join repeated fields with; no session id of a known server holds one.
fn session(headers: &Headers, limits: &Limits) -> Result<Option<String>, Refusal> {
    let Some(id) = headers
        .single("mcp-session-id")
        .map_err(|_| Refusal::SessionInvalid)?
    else {
        return Ok(None);
    };
    let fine = (1..=limits.max_session_bytes).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if fine {
        Ok(Some(id.to_owned()))
    } else {
        Err(Refusal::SessionInvalid)
    }
}

/// `Last-Event-ID`: whatever text the server made.
pub(super) fn last_event(headers: &Headers, limits: &Limits) -> Result<Option<String>, Refusal> {
    let id = headers
        .single("last-event-id")
        .map_err(|_| Refusal::LastEventInvalid)?;
    let fine = |id: &&str| id.len() <= limits.max_session_bytes && !id.chars().any(char::is_control);
    match id {
        Some(id) if !fine(&id) => Err(Refusal::LastEventInvalid),
        id => Ok(id.map(str::to_owned)),
    }
}

/// Every `Mcp-Param-*`, by its lower-case name.
fn params(headers: &Headers) -> Result<Vec<(String, String)>, Refusal> {
    let invalid = Refusal::HeaderInvalid { header: PARAM };
    let mut params: Vec<(String, String)> = Vec::new();
    for (name, value) in headers.iter() {
        if !name.starts_with("mcp-param-") {
            continue;
        }
        let value = std::str::from_utf8(value).ok().filter(|value| is_visible(value));
        let Some(value) = value.filter(|_| params.iter().all(|(other, _)| other != name)) else {
            return Err(invalid);
        };
        params.push((name.to_owned(), value.to_owned()));
    }
    Ok(params)
}
