//! What a client is asked for: `WWW-Authenticate` (RFC 6750 §3, RFC 9728 §5.1).

use std::fmt::Write as _;

use crate::inventory::Server;
use crate::policy::StepUp;

use super::metadata;

/// Which challenge an answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// No credential was sent: no `error` (RFC 6750 §3.1).
    Login,
    /// `error="invalid_token"`
    InvalidToken,
    /// `error="invalid_request"`: for instance two credentials.
    InvalidRequest,
    /// `error="insufficient_scope"`
    InsufficientScope,
    /// `error="insufficient_user_authentication"` (RFC 9470 §3)
    InsufficientLogin,
}

impl Challenge {
    const fn error(self) -> Option<&'static str> {
        match self {
            Self::Login => None,
            Self::InvalidToken => Some("invalid_token"),
            Self::InvalidRequest => Some("invalid_request"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::InsufficientLogin => Some("insufficient_user_authentication"),
        }
    }
}

/// The `Bearer` challenge for a server. Nothing in it varies from answer to answer: clients compare challenges to
/// stop step-up loops.
#[must_use]
pub fn bearer(challenge: Challenge, server: &Server, missing: Option<&StepUp>) -> String {
    let mut text = format!("Bearer resource_metadata=\"{}\"", metadata::url(server));
    let scopes: Vec<&str> = match missing {
        Some(step) => step
            .scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| is_scope(scope))
            .collect(),
        None => server
            .scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| is_scope(scope))
            .collect(),
    };
    if !scopes.is_empty() {
        let _infallible = write!(text, ", scope=\"{}\"", scopes.join(" "));
    }
    if let Some(error) = challenge.error() {
        let _infallible = write!(text, ", error=\"{error}\"");
    }
    if let Some(acr) = missing
        .and_then(|step| step.acr.as_deref())
        .filter(|acr| is_scope(acr))
    {
        let _infallible = write!(text, ", acr_values=\"{acr}\"");
    }
    text
}

/// RFC 6749 §3.3: visible ASCII but for `"` and `\`.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty()
        && scope
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
