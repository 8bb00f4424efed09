//! What a client is asked for: `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).

use std::fmt::Write as _;

use crate::inventory::{SenderConstraint, Server};
use crate::policy::Missing;

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
    /// A token that is bound to a key came without its proof: `error="invalid_token"`, for `DPoP` (RFC 9449 §7.2).
    Unproved,
    /// `error="invalid_dpop_proof"` (RFC 9449 §7.1)
    InvalidProof,
    /// `error="use_dpop_nonce"` (RFC 9449 §9); the nonce is in a field of its own.
    UseNonce,
    /// `error="insufficient_scope"`
    InsufficientScope,
    /// `error="insufficient_user_authentication"` (RFC 9470 §3)
    InsufficientLogin,
}

impl Challenge {
    const fn error(self) -> Option<&'static str> {
        match self {
            Self::Login => None,
            Self::InvalidToken | Self::Unproved => Some("invalid_token"),
            Self::InvalidProof => Some("invalid_dpop_proof"),
            Self::UseNonce => Some("use_dpop_nonce"),
            Self::InvalidRequest => Some("invalid_request"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::InsufficientLogin => Some("insufficient_user_authentication"),
        }
    }

    const fn is_of_proofs(self) -> bool {
        matches!(self, Self::Unproved | Self::InvalidProof | Self::UseNonce)
    }
}

/// The challenge for a server, by each scheme that it takes tokens with: one field that may hold both (RFC 9110 §11.6.1).
#[must_use]
pub fn field(challenge: Challenge, server: &Server, missing: Option<&Missing>) -> String {
    let parameters = parameters(challenge, server, missing);
    let bearer = format!("Bearer {parameters}");
    let dpop = || {
        let algorithms = server.dpop.algorithm_names().join(" ");
        format!("DPoP {parameters}, algs=\"{algorithms}\"")
    };
    match server.sender_constraint {
        _ if challenge.is_of_proofs() => dpop(),
        SenderConstraint::None | SenderConstraint::Mtls => bearer,
        SenderConstraint::Dpop => dpop(),
        SenderConstraint::Any => format!("{bearer}, {}", dpop()),
    }
}

/// What a challenge says whatever its scheme. Nothing in it varies from answer to answer: clients compare challenges to
/// stop step-up loops.
fn parameters(challenge: Challenge, server: &Server, missing: Option<&Missing>) -> String {
    let mut text = format!("resource_metadata=\"{}\"", metadata::url(server));
    let scopes = scopes(server, missing);
    if !scopes.is_empty() {
        let _infallible = write!(text, ", scope=\"{}\"", scopes.join(" "));
    }
    if let Some(error) = challenge.error() {
        let _infallible = write!(text, ", error=\"{error}\"");
    }
    let step = missing.map(|missing| &missing.step);
    if let Some(acr) = step
        .and_then(|step| step.acr.as_deref())
        .filter(|acr| is_scope(acr))
    {
        let _infallible = write!(text, ", acr_values=\"{acr}\"");
    }
    if let Some(seconds) = step.and_then(|step| step.max_age) {
        let _infallible = write!(text, ", max_age=\"{seconds}\"");
    }
    text
}

/// What to ask for: what a login needs anyway, what the token has, and what it lacks. Each once: clients put the new token in
/// the old one's place, and would run from one challenge into the next with less.
fn scopes<'a>(server: &'a Server, missing: Option<&'a Missing>) -> Vec<&'a str> {
    let held = missing.iter().flat_map(|missing| &missing.held);
    let lacking = missing.iter().flat_map(|missing| &missing.step.scopes);
    let mut scopes: Vec<&str> = Vec::new();
    for scope in server.scopes.iter().chain(held).chain(lacking) {
        if is_scope(scope) && !scopes.contains(&scope.as_str()) {
            scopes.push(scope);
        }
    }
    scopes
}

/// RFC 6749 §3.3: visible ASCII but for `"` and `\`.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty()
        && scope
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::StepUp;

    #[test]
    fn a_challenge_names_the_schemes_that_the_server_takes() {
        let at = "resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/x\"";
        let dpop = format!("DPoP {at}, algs=\"ES256 EdDSA\"");
        let expected = [
            ("none", format!("Bearer {at}")),
            ("mtls", format!("Bearer {at}")),
            ("dpop", dpop.clone()),
            ("any", format!("Bearer {at}, {dpop}")),
        ];
        for (constraint, login) in expected {
            let server: Server = serde_json::from_value(json!({
                "name": "x", "resource": "https://mcp.example/x", "sender_constraint": constraint,
                "dpop": { "algorithms": ["ES256", "EdDSA"] },
            }))
            .unwrap();
            assert_eq!(field(Challenge::Login, &server, None), login);
            for (challenge, error) in [
                (Challenge::Unproved, "invalid_token"),
                (Challenge::InvalidProof, "invalid_dpop_proof"),
                (Challenge::UseNonce, "use_dpop_nonce"),
            ] {
                let field = field(challenge, &server, None);
                assert_eq!(
                    field,
                    format!("DPoP {at}, error=\"{error}\", algs=\"ES256 EdDSA\"")
                );
            }
        }
    }

    #[test]
    fn a_step_up_asks_for_all_that_is_lacking_and_for_what_there_is() {
        let server: Server = serde_json::from_value(json!({
            "name": "x", "resource": "https://mcp.example/x", "scopes": ["x", "openid"],
        }))
        .unwrap();
        let missing = Missing {
            step: StepUp {
                scopes: ["read", "write", "no\"scope"].map(str::to_owned).into(),
                acr: Some("gold".to_owned()),
                max_age: Some(60),
            },
            held: vec!["list".to_owned(), "x".to_owned()],
        };
        assert_eq!(
            field(Challenge::InsufficientLogin, &server, Some(&missing)),
            "Bearer resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/x\", \
             scope=\"x openid list read write\", error=\"insufficient_user_authentication\", acr_values=\"gold\", max_age=\"60\""
        );
    }
}
