//! Access tokens: none is believed that wasn't signed, and what is read is what `jsonwebtoken` reads.

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::decode_header;
use mcp_authz::exchange::Headers;
use mcp_authz::identity::inspect::inspect;
use mcp_authz::identity::{IdentityError, settings};
use serde_json::{Map, Value as Json};

use super::json::alike;
use super::{http, world};

/// Sends the bytes as an access token.
///
/// # Panics
/// If it is believed though nobody signed it, or is read otherwise than elsewhere.
pub fn check(bytes: &[u8]) {
    let mut exchange = http::empty();
    exchange.headers = Headers::default();
    exchange
        .headers
        .push("authorization", [b"Bearer ", bytes].concat());
    let caller = world::identify(&exchange);
    let Ok(token) = std::str::from_utf8(bytes) else {
        assert!(caller.is_err(), "a token that is no text");
        return;
    };
    if let Ok(caller) = caller {
        let user = caller.user.expect("a token names a user");
        assert!(world::was_signed(token), "a forged token of {}", user.subject);
        let claims = claims(token).expect("claims");
        assert_eq!(
            claims.get("sub").and_then(Json::as_str),
            Some(user.subject.as_str())
        );
        assert_eq!(
            claims.get("iss").and_then(Json::as_str),
            Some(user.issuer.as_str())
        );
    }
    for issuer in world::identity().issuers {
        inspected(token, &issuer);
    }
}

fn inspected(token: &str, issuer: &settings::Issuer) {
    let inspection = inspect(token, issuer, Some(world::RESOURCE), http::now());
    let malformed = |reason: &IdentityError| {
        use IdentityError::{CriticalHeader, EncryptedToken, KeyInHeader, MalformedToken};
        matches!(
            reason,
            MalformedToken(_) | EncryptedToken | CriticalHeader | KeyInHeader
        )
    };
    if inspection.refusals.iter().any(malformed) {
        return;
    }
    let ours = inspection.claims.expect("claims of a token that is well formed");
    let theirs = claims(token).expect("jsonwebtoken reads what we read");
    assert!(alike(&Json::Object(ours), &Json::Object(theirs)));
    let header = inspection
        .header
        .expect("a header of a token that is well formed");
    let unfit = inspection.refusals.contains(&IdentityError::AlgorithmNotAllowed);
    // It doesn't read algorithms that it doesn't know.
    match decode_header(token) {
        Ok(theirs) => {
            let text = |name: &str| header.get(name).and_then(Json::as_str);
            assert_eq!(text("kid"), theirs.kid.as_deref());
            assert_eq!(text("typ"), theirs.typ.as_deref());
            assert_eq!(text("alg").and_then(|alg| alg.parse().ok()), Some(theirs.alg));
        }
        Err(_) => assert!(unfit || header.len() > 1, "jsonwebtoken reads no header"),
    }
}

/// What `jsonwebtoken` reads, whoever signed.
fn claims(token: &str) -> Option<Map<String, Json>> {
    insecure_decode_claims(token).ok()
}
