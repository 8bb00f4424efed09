//! Which issuer may be asked about an opaque token: a token is a secret, and is never sent to somebody who can't have
//! made it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::Introspection;

/// The one issuer that may be asked about this token, of those that a server takes: the one with its prefix, else the
/// only one without any. `None` for what is a JWT, and where nobody may be asked.
pub(in super::super) fn opaque_of<'a, T>(
    token: &str,
    issuers: impl Iterator<Item = (T, &'a Introspection)>,
) -> Option<T> {
    let mut without_prefix = None;
    let mut several = false;
    for (issuer, asked) in issuers {
        match &asked.prefix {
            Some(prefix) if token.starts_with(prefix.as_str()) => {
                return Some(issuer).filter(|_| !is_jwt(token));
            }
            Some(_) => {}
            None => {
                several = without_prefix.is_some();
                without_prefix = Some(issuer);
            }
        }
    }
    without_prefix.filter(|_| !several && !is_jwt(token))
}

/// Whether nothing tells the opaque tokens of two issuers of a server apart.
pub(in super::super) fn ambiguous(one: &Introspection, other: &Introspection) -> bool {
    match (&one.prefix, &other.prefix) {
        (None, None) => true,
        (Some(one), Some(other)) => one.starts_with(other.as_str()) || other.starts_with(one.as_str()),
        _ => false,
    }
}

/// Whether its first part is the header of a JWS or JWE (RFC 7515 §4.1.1, RFC 7516 §4.1.1), well made or not: such a
/// token is read here, and refused here.
fn is_jwt(token: &str) -> bool {
    let Some((header, _)) = token.split_once('.') else {
        return false;
    };
    let header = URL_SAFE_NO_PAD.decode(header.trim_end_matches('=')).ok();
    let members = header.and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    members.is_some_and(|members| members.get("alg").is_some())
}

#[cfg(test)]
mod tests {
    use super::super::settings::ClientAuth;
    use super::*;

    fn asked(prefix: Option<&str>) -> Introspection {
        Introspection {
            prefix: prefix.map(str::to_owned),
            ..Introspection::new("mcp-authz", ClientAuth::SecretFile("secret".into()))
        }
    }

    /// A token, the issuers' prefixes, the issuer that is asked.
    type Case<'a> = (&'a str, &'a [Option<&'a str>], Option<usize>);

    #[test]
    fn a_token_is_only_sent_to_whom_it_can_be_of() {
        let jwt = format!(
            "{}.e30.AAAA",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"RS256"}"#)
        );
        let encrypted = format!(
            "{}....",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#)
        );
        let padded = format!("{}=.e30.AAAA", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#));
        let no_header = format!("{}.x", URL_SAFE_NO_PAD.encode(r#"{"kid":"1"}"#));
        let cases: &[Case<'_>] = &[
            ("abc", &[], None),
            ("abc", &[None], Some(0)),
            ("abc", &[None, None], None),
            ("abc", &[None, None, None], None),
            ("abc", &[Some("x_"), None], Some(1)),
            ("x_abc", &[Some("x_"), None], Some(0)),
            ("x_abc", &[None, Some("x_")], Some(1)),
            ("x_abc", &[None, Some("x_"), None], Some(1)),
            ("y_abc", &[Some("x_"), Some("y_")], Some(1)),
            ("abc", &[Some("x_"), Some("y_")], None),
            ("a.b.c", &[None], Some(0)),
            ("a.b.c.d.e", &[None], Some(0)),
            (&no_header, &[None], Some(0)),
            (&jwt, &[None], None),
            (&jwt, &[Some("eyJ")], None),
            (&encrypted, &[None], None),
            (&padded, &[None], None),
        ];
        for (token, prefixes, expected) in cases {
            let issuers: Vec<_> = prefixes.iter().map(|prefix| asked(*prefix)).collect();
            assert_eq!(
                opaque_of(token, issuers.iter().enumerate()),
                *expected,
                "{token} {prefixes:?}"
            );
        }
    }

    #[test]
    fn two_issuers_whose_tokens_could_be_each_others_are_ambiguous() {
        for (one, other, expected) in [
            (None, None, true),
            (Some("a"), None, false),
            (Some("a"), Some("b"), false),
            (Some("a"), Some("ab"), true),
            (Some("ab"), Some("a"), true),
            (Some("a"), Some("a"), true),
        ] {
            assert_eq!(
                ambiguous(&asked(one), &asked(other)),
                expected,
                "{one:?} {other:?}"
            );
        }
    }
}
