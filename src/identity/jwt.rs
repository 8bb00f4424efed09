//! A token's text to its parts. Nothing here is verified: [`Unverified`] says so, and only an issuer's key makes it
//! believable.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::error::Malformed;
use super::{IdentityError, strict};

/// A JWT as it was sent (RFC 7515 §7.1).
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    /// `alg`, `kid`, `typ`
    pub(super) header: Header,
    /// What it claims.
    pub(super) claims: Map<String, Value>,
    /// Header and claims, as they were signed.
    pub(super) signed: &'a str,
    /// The signature, encoded.
    pub(super) signature: &'a str,
}

/// What a header says, as far as it is used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// `alg`; `None` for `none` and whatever else isn't known.
    pub(super) algorithm: Option<Algorithm>,
    /// `kid`: only ever compared.
    pub(super) kid: Option<String>,
    /// `typ`
    pub(super) typ: Option<String>,
}

/// Members with which a header brings its own key.
const OWN_KEY: [&str; 4] = ["jwk", "jku", "x5u", "x5c"];

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, IdentityError> {
        let malformed = IdentityError::MalformedToken;
        let parts = match token.split('.').count() {
            3 => token.rsplit_once('.'),
            // RFC 7516 §3.1: header, encrypted key, initialization vector, ciphertext, tag.
            5 => return Err(IdentityError::EncryptedToken),
            _ => None,
        };
        let (signed, signature) = parts.ok_or(malformed(Malformed::Parts))?;
        let (header, claims) = signed.split_once('.').ok_or(malformed(Malformed::Parts))?;
        let header = strict::object(&decode(header)?).ok_or(malformed(Malformed::Header))?;
        let header = Header::read(&header)?;
        let claims = strict::object(&decode(claims)?).ok_or(malformed(Malformed::Claims))?;
        decode(signature)?;
        Ok(Self {
            header,
            claims,
            signed,
            signature,
        })
    }
}

impl Header {
    fn read(members: &Map<String, Value>) -> Result<Self, IdentityError> {
        if members.contains_key("crit") {
            return Err(IdentityError::CriticalHeader);
        }
        if members.contains_key("enc") {
            return Err(IdentityError::EncryptedToken);
        }
        if OWN_KEY.iter().any(|name| members.contains_key(*name)) {
            return Err(IdentityError::KeyInHeader);
        }
        let algorithm = text(members, "alg")?.ok_or(IdentityError::MalformedToken(Malformed::Header))?;
        Ok(Self {
            algorithm: algorithm.parse().ok(),
            kid: text(members, "kid")?.map(str::to_owned),
            typ: text(members, "typ")?.map(str::to_owned),
        })
    }
}

/// `iss`
pub(super) fn iss(claims: &Map<String, Value>) -> Option<&str> {
    claims.get("iss")?.as_str()
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, IdentityError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(IdentityError::MalformedToken(Malformed::Header)),
    }
}

/// The base64 crate refuses padding and stray bits at the end: one signature has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, IdentityError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| IdentityError::MalformedToken(Malformed::Base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn refuses_what_is_no_plain_signed_token() {
        use IdentityError::{CriticalHeader, EncryptedToken, KeyInHeader, MalformedToken};
        let (claims, sig) = (encode("{}"), "AAAA");
        let with_header = |header: &str| format!("{}.{claims}.{sig}", encode(header));
        let cases = [
            (String::new(), MalformedToken(Malformed::Parts)),
            ("a.b".to_owned(), MalformedToken(Malformed::Parts)),
            ("a.b.c.d".to_owned(), MalformedToken(Malformed::Parts)),
            ("a.b.c.d.e".to_owned(), EncryptedToken),
            ("..".to_owned(), MalformedToken(Malformed::Header)),
            (with_header("[]"), MalformedToken(Malformed::Header)),
            (with_header("{}"), MalformedToken(Malformed::Header)),
            (with_header(r#"{"alg":5}"#), MalformedToken(Malformed::Header)),
            (
                with_header(r#"{"alg":"RS256","kid":null}"#),
                MalformedToken(Malformed::Header),
            ),
            (
                with_header(r#"{"alg":"none","alg":"RS256"}"#),
                MalformedToken(Malformed::Header),
            ),
            (with_header(r#"{"alg":"RS256","crit":[]}"#), CriticalHeader),
            (
                with_header(r#"{"alg":"RS256","b64":false,"crit":["b64"]}"#),
                CriticalHeader,
            ),
            (with_header(r#"{"alg":"dir","enc":"A256GCM"}"#), EncryptedToken),
            (with_header(r#"{"alg":"RS256","jwk":{}}"#), KeyInHeader),
            (
                with_header(r#"{"alg":"RS256","jku":"https://evil"}"#),
                KeyInHeader,
            ),
            (
                with_header(r#"{"alg":"RS256","x5u":"https://evil"}"#),
                KeyInHeader,
            ),
            (with_header(r#"{"alg":"RS256","x5c":[]}"#), KeyInHeader),
            (
                format!("{}=.{claims}.{sig}", encode(r#"{"alg":"RS256"}"#)),
                MalformedToken(Malformed::Base64),
            ),
            (
                format!("{}.{claims}.AB", encode(r#"{"alg":"RS256"}"#)),
                MalformedToken(Malformed::Base64),
            ),
            (
                format!("{}.{claims}.A+/A", encode(r#"{"alg":"RS256"}"#)),
                MalformedToken(Malformed::Base64),
            ),
            (
                format!(
                    "{}.{}.{sig}",
                    encode(r#"{"alg":"RS256"}"#),
                    encode(r#"{"sub":"a","sub":"b"}"#)
                ),
                MalformedToken(Malformed::Claims),
            ),
        ];
        for (token, reason) in cases {
            assert_eq!(Unverified::parse(&token).map(|_| ()), Err(reason), "{token}");
        }
        let none = Unverified::parse(&with_header(r#"{"alg":"none"}"#))
            .unwrap()
            .header;
        assert_eq!(
            none,
            Header {
                algorithm: None,
                kid: None,
                typ: None
            }
        );
    }
}
