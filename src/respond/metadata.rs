//! Protected-resource metadata (RFC 9728): where a client learns which issuers a server trusts.

use serde_json::{Value, json};

use crate::decide::Reason;
use crate::exchange::{Body, Exchange};
use crate::inventory::{SenderConstraint, Server};

/// The well-known path (RFC 9728 §3).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The document for a server, with the issuers whose tokens it takes.
#[must_use]
pub fn document(server: &Server, issuers: &[String]) -> String {
    let mut document = json!({
        "resource": server.resource,
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
    });
    let mut put = |name: &str, value: Value| document.as_object_mut()?.insert(name.to_owned(), value);
    if !server.scopes.is_empty() {
        put("scopes_supported", json!(server.scopes));
    }
    let constraint = server.sender_constraint;
    if constraint.takes_proofs() {
        put(
            "dpop_signing_alg_values_supported",
            json!(server.dpop.algorithm_names()),
        );
    }
    if constraint == SenderConstraint::Dpop {
        put("dpop_bound_access_tokens_required", json!(true));
    }
    if constraint.takes_certificates() {
        put("tls_client_certificate_bound_access_tokens", json!(true));
    }
    document.to_string()
}

/// Where the document of a server is: the well-known path put between the resource's host and path (§3.1).
#[must_use]
pub fn url(server: &Server) -> String {
    let (origin, path) = split(&server.resource);
    format!("{origin}{WELL_KNOWN}{path}")
}

/// Whether a request asks for the document of this server as RFC 9728 §3 has it: GET, without a body, at the bare
/// well-known path or with the resource's own path appended. A query makes it another path.
///
/// # Errors
/// [`Reason::MetadataElsewhere`] for any other path, [`Reason::MetadataMethod`] for another method or a body.
pub fn request(exchange: &Exchange, server: &Server) -> Result<(), Reason> {
    let (_, resource_path) = split(&server.resource);
    let rest = exchange
        .path
        .strip_prefix(WELL_KNOWN)
        .ok_or(Reason::MetadataElsewhere)?;
    if !rest.is_empty() && rest != resource_path {
        return Err(Reason::MetadataElsewhere);
    }
    if exchange.method != "GET" || exchange.body != Body::Absent {
        return Err(Reason::MetadataMethod);
    }
    Ok(())
}

/// Whether a path lies in the well-known place at all, be it this server's or another's.
#[must_use]
pub fn is_well_known(path: &str) -> bool {
    path.starts_with("/.well-known/")
}

/// A resource's origin and its path; a lone `/` is no path (RFC 9728 §3.1).
fn split(resource: &str) -> (&str, &str) {
    let authority = resource.find("://").map_or(0, |at| at.saturating_add(3));
    let path = resource
        .get(authority..)
        .and_then(|rest| rest.find('/'))
        .map(|at| at.saturating_add(authority));
    let Some((origin, path)) = path.and_then(|at| resource.split_at_checked(at)) else {
        return (resource, "");
    };
    (origin, if path == "/" { "" } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_tokens_must_be_bound_to() {
        let read = |constraint: &str| {
            let settings = json!({
                "name": "x", "resource": "https://mcp.example/x", "sender_constraint": constraint,
            });
            let server: Server = serde_json::from_value(settings).unwrap();
            let document: Value = serde_json::from_str(&document(&server, &[])).unwrap();
            let member = |name: &str| document.get(name).cloned().unwrap_or_default();
            (
                member("dpop_signing_alg_values_supported"),
                member("dpop_bound_access_tokens_required"),
                member("tls_client_certificate_bound_access_tokens"),
            )
        };
        let (none, algorithms) = (Value::Null, json!(["ES256", "ES384", "EdDSA"]));
        assert_eq!(read("none"), (none.clone(), none.clone(), none.clone()));
        assert_eq!(read("dpop"), (algorithms.clone(), json!(true), none.clone()));
        assert_eq!(read("mtls"), (none.clone(), none.clone(), json!(true)));
        assert_eq!(read("any"), (algorithms, none, json!(true)));
    }

    #[test]
    fn splits_a_resource_where_its_path_begins() {
        assert_eq!(
            split("https://mcp.example/info/mcp"),
            ("https://mcp.example", "/info/mcp")
        );
        assert_eq!(
            split("https://mcp.example:8443"),
            ("https://mcp.example:8443", "")
        );
        assert_eq!(split("https://mcp.example/"), ("https://mcp.example", ""));
    }
}
