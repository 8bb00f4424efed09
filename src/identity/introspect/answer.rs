//! An issuer's answer (RFC 7662 §2.2) to the claims that are believed.

use serde_json::{Map, Value};

use super::fault::IntrospectionFault as Fault;
use crate::identity::IdentityError;

/// What a JWT and its issuer's answer must say alike where both say it: which token it is, whose it is, and what it is
/// bound to.
const SAME: [&str; 8] = ["iss", "sub", "jti", "sid", "azp", "client_id", "exp", "cnf"];

/// The claims of an active token: those of the answer, and those of the JWT that it has none for.
pub(super) fn claims(
    answer: Map<String, Value>,
    signed: Option<&Map<String, Value>>,
    issuer: &str,
) -> Result<Map<String, Value>, IdentityError> {
    match answer.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Err(IdentityError::TokenInactive),
        // REQUIRED, and boolean: whatever else stands there is no yes.
        _ => return Err(Fault::AnswerMalformed.into()),
    }
    if answer.get("iss").is_some_and(|iss| iss != issuer) {
        return Err(Fault::AnswerDisagrees.into());
    }
    check_type(&answer)?;
    let Some(signed) = signed else {
        return Ok(answer);
    };
    let differs = |name: &&str| match (signed.get(*name), answer.get(*name)) {
        (Some(one), Some(other)) => !same(one, other),
        _ => false,
    };
    if SAME.iter().any(differs) {
        return Err(Fault::AnswerDisagrees.into());
    }
    let mut claims = signed.clone();
    claims.extend(answer);
    Ok(claims)
}

/// `token_type` is that of RFC 6749 §5.1; what it says that the token is bound to must be there to be proved (RFC 9449 §6.2).
fn check_type(answer: &Map<String, Value>) -> Result<(), IdentityError> {
    let is = |name: &str, kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(name));
    let bound = || answer.get("cnf").is_some_and(|cnf| cnf.get("jkt").is_some());
    match answer.get("token_type") {
        None | Some(Value::Null) => Ok(()),
        Some(kind) if is("Bearer", kind) || (is("DPoP", kind) && bound()) => Ok(()),
        Some(_) => Err(IdentityError::WrongType),
    }
}

/// Whether two claims say the same: a time may be written with a fraction of nothing.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example";

    fn members(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn only_a_plain_yes_about_a_token_of_this_issuer_and_this_kind_counts() {
        use IdentityError::{Introspection, TokenInactive, WrongType};
        let malformed = Err(Introspection(Fault::AnswerMalformed));
        let cases = [
            (json!({ "active": true }), Ok(())),
            (
                json!({ "active": true, "iss": ISSUER, "token_type": "bearer" }),
                Ok(()),
            ),
            (json!({ "active": true, "token_type": null }), Ok(())),
            (
                json!({ "active": true, "token_type": "DPoP", "cnf": { "jkt": "x" } }),
                Ok(()),
            ),
            (json!({ "active": false }), Err(TokenInactive)),
            (
                json!({ "active": false, "iss": ISSUER, "sub": "root" }),
                Err(TokenInactive),
            ),
            (json!({}), malformed),
            (json!({ "active": "true" }), malformed),
            (json!({ "active": 1 }), malformed),
            (json!({ "active": null }), malformed),
            (json!({ "Active": true }), malformed),
            (json!({ "error": "invalid_request" }), malformed),
            (
                json!({ "active": true, "iss": "https://other.example" }),
                Err(Introspection(Fault::AnswerDisagrees)),
            ),
            (
                json!({ "active": true, "iss": "https://id.example/" }),
                Err(Introspection(Fault::AnswerDisagrees)),
            ),
            (
                json!({ "active": true, "iss": null }),
                Err(Introspection(Fault::AnswerDisagrees)),
            ),
            (
                json!({ "active": true, "token_type": "refresh_token" }),
                Err(WrongType),
            ),
            (json!({ "active": true, "token_type": "mac" }), Err(WrongType)),
            (
                json!({ "active": true, "token_type": ["Bearer"] }),
                Err(WrongType),
            ),
            (json!({ "active": true, "token_type": "DPoP" }), Err(WrongType)),
            (
                json!({ "active": true, "token_type": "DPoP", "cnf": { "x5t#S256": "x" } }),
                Err(WrongType),
            ),
        ];
        for (answer, expected) in cases {
            assert_eq!(
                claims(members(&answer), None, ISSUER).map(drop),
                expected,
                "{answer}"
            );
        }
    }

    #[test]
    fn an_answer_about_another_token_than_the_jwt_is_refused() {
        let signed = json!({
            "iss": ISSUER, "sub": "a", "jti": "j", "sid": "s", "azp": "c", "client_id": "c", "exp": 5, "cnf": { "jkt": "x" },
        });
        for name in SAME {
            let mut answer = json!({ "active": true });
            answer[name] = json!("other");
            let refused = claims(members(&answer), Some(&members(&signed)), ISSUER);
            assert_eq!(refused, Err(Fault::AnswerDisagrees.into()), "{name}");
        }
        let answer = json!({ "active": true, "exp": 5.0, "jti": "j", "iss": ISSUER });
        assert!(claims(members(&answer), Some(&members(&signed)), ISSUER).is_ok());
    }

    #[test]
    fn what_the_issuer_says_now_comes_before_what_was_signed_then() {
        let signed = members(&json!({ "scope": "a b", "sub": "a", "groups": ["g"] }));
        let answer = members(&json!({ "active": true, "scope": "a", "aud": "https://mcp.example" }));
        let expected = json!({
            "active": true, "scope": "a", "sub": "a", "groups": ["g"], "aud": "https://mcp.example",
        });
        assert_eq!(claims(answer, Some(&signed), ISSUER), Ok(members(&expected)));
    }
}
