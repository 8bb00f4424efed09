//! The access token of a request: exactly one, and only in the `Authorization` header.

use std::borrow::Cow;

use super::IdentityError;
use super::error::Malformed;
use crate::exchange::{Exchange, Headers, NotSingle};

/// An access token, and how it was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Credential<'a> {
    pub(super) scheme: Scheme,
    pub(super) token: &'a str,
}

/// How an access token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Whoever has the token may use it (RFC 6750 §2.1).
    Bearer,
    /// With a proof of the key that the token is bound to (RFC 9449 §7.1).
    Dpop,
}

/// The token that the request brings, `None` where it brings no credential.
pub(super) fn token(exchange: &Exchange) -> Result<Option<Credential<'_>>, IdentityError> {
    if in_query(&exchange.path) {
        return Err(IdentityError::TokenInQuery);
    }
    from_header(&exchange.headers)
}

fn from_header(headers: &Headers) -> Result<Option<Credential<'_>>, IdentityError> {
    let value = match headers.single("authorization") {
        Ok(Some(value)) => value,
        Ok(None) => return Ok(None),
        Err(NotSingle::Repeated) => return Err(IdentityError::TwoCredentials),
        Err(NotSingle::NotText) => return Err(IdentityError::MalformedToken(Malformed::Credentials)),
    };
    // Gateways join repeated fields with a comma, which no token has (RFC 6750 §2.1, RFC 9449 §7.1).
    let scheme_end = value.find(|char| !is_token_char(char)).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_end);
    let scheme = match scheme {
        bearer if bearer.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        dpop if dpop.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Err(IdentityError::WrongScheme),
    };
    if rest.contains(',') {
        return Err(IdentityError::TwoCredentials);
    }
    match rest.strip_prefix(' ') {
        Some(token) if is_token68(token) => Ok(Some(Credential { scheme, token })),
        _ => Err(IdentityError::MalformedToken(Malformed::Credentials)),
    }
}

/// RFC 9110 §5.6.2, as far as schemes use it.
const fn is_token_char(char: char) -> bool {
    let mark = matches!(
        char,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '.' | '^' | '_' | '`' | '|' | '~'
    );
    mark || char.is_ascii_alphanumeric()
}

/// RFC 6750 §2.1: `b64token`.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=').as_bytes();
    // A token is long, and every call brings one: without a way out in the middle, many bytes are looked at at once.
    !body.is_empty() && body.iter().fold(true, |all, &byte| all & is_token68_byte(byte))
}

const fn is_token68_byte(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    let mark = matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    letter || digit || mark
}

/// Whether the URL carries a token (RFC 6750 §2.3), however it is encoded.
fn in_query(path: &str) -> bool {
    let Some((_, query)) = path.split_once('?') else {
        return false;
    };
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, _): (Cow<'_, str>, Cow<'_, str>)| name.eq_ignore_ascii_case("access_token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<(Scheme, String)>, IdentityError> {
        let headers: Headers = values.iter().map(|value| ("authorization", *value)).collect();
        let credential = from_header(&headers)?;
        Ok(credential.map(|credential| (credential.scheme, credential.token.to_owned())))
    }

    #[test]
    fn takes_exactly_one_credential_bearer_or_dpop() {
        use IdentityError::{MalformedToken, TwoCredentials, WrongScheme};
        let malformed = MalformedToken(Malformed::Credentials);
        assert_eq!(read(&[]), Ok(None));
        for value in ["Bearer a.b.c", "bearer a.b.c", "bEaReR a.b.c"] {
            assert_eq!(
                read(&[value]),
                Ok(Some((Scheme::Bearer, "a.b.c".to_owned()))),
                "{value}"
            );
        }
        for value in ["DPoP a.b.c", "dpop a.b.c", "DPOP a.b.c"] {
            assert_eq!(
                read(&[value]),
                Ok(Some((Scheme::Dpop, "a.b.c".to_owned()))),
                "{value}"
            );
        }
        let refused: [(&[&str], IdentityError); 21] = [
            (&["Bearer a", "Bearer b"], TwoCredentials),
            (&["Bearer a,Bearer b"], TwoCredentials),
            (&["Bearer a, Bearer b"], TwoCredentials),
            (&["Bearer a, Basic b"], TwoCredentials),
            (&["Basic dXNlcjpwYXNz"], WrongScheme),
            (&["Basic a, Bearer b"], WrongScheme),
            (&["DPoP a", "Bearer a"], TwoCredentials),
            (&["DPoP a,Bearer a"], TwoCredentials),
            (&["Bearer a, DPoP a"], TwoCredentials),
            (&["DPoP  a"], malformed),
            (&["DPoP-Proof a.b.c"], WrongScheme),
            (&["BearerX a"], WrongScheme),
            (&["a.b.c"], WrongScheme),
            (&[""], WrongScheme),
            (&[" Bearer a"], WrongScheme),
            (&["Bearer"], malformed),
            (&["Bearer "], malformed),
            (&["Bearer  a"], malformed),
            (&["Bearer\ta"], malformed),
            (&["Bearer a b"], malformed),
            (&["Bearer a\u{e4}"], malformed),
        ];
        for (values, reason) in refused {
            assert_eq!(read(values), Err(reason), "{values:?}");
        }
    }

    #[test]
    fn a_token_is_of_letters_digits_and_six_marks_and_ends_in_equals_signs() {
        for byte in 0..=u8::MAX {
            let allowed = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_token68_byte(byte), allowed, "{byte}");
        }
        let cases = [
            ("a.b-c_d~e+f/g==", true),
            ("", false),
            ("==", false),
            ("a=b", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_token68(text), expected, "{text:?}");
        }
    }

    #[test]
    fn sees_a_token_in_the_query_in_every_spelling() {
        for path in [
            "/mcp?access_token=x",
            "/mcp?a=b&access%5Ftoken=x",
            "/mcp?ACCESS_TOKEN",
            "/mcp?x?&access_token=",
        ] {
            assert!(in_query(path), "{path}");
        }
        for path in ["/mcp", "/mcp?token=x", "/access_token=x", "/mcp?q=access_token"] {
            assert!(!in_query(path), "{path}");
        }
    }
}
