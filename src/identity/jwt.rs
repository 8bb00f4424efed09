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

/// The three parts of a JWS in compact form (RFC 7515 §7.1), encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compact<'a> {
    header: &'a str,
    claims: &'a str,
    /// Header and claims, as they were signed.
    pub(super) signed: &'a str,
    /// The signature.
    pub(super) signature: &'a str,
}

impl<'a> Compact<'a> {
    /// Takes a text apart; `None` if it has another number of parts.
    pub(super) fn split(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        (!claims.contains('.')).then_some(Self {
            header,
            claims,
            signed,
            signature,
        })
    }

    /// The header's members.
    pub(super) fn header(&self) -> Result<Map<String, Value>, Malformed> {
        strict::object(&decode(self.header)?).ok_or(Malformed::Header)
    }

    /// The claims, once the signature has been seen to be well spelt too.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Malformed> {
        let claims = strict::object(&decode(self.claims)?).ok_or(Malformed::Claims)?;
        decode(self.signature).map(|_| claims)
    }
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, IdentityError> {
        let malformed = IdentityError::MalformedToken;
        // RFC 7516 §3.1: header, encrypted key, initialization vector, ciphertext, tag.
        if token.split('.').count() == 5 {
            return Err(IdentityError::EncryptedToken);
        }
        let parts = Compact::split(token).ok_or(malformed(Malformed::Parts))?;
        let header = Header::read(&parts.header().map_err(malformed)?)?;
        Ok(Self {
            header,
            claims: parts.claims().map_err(malformed)?,
            signed: parts.signed,
            signature: parts.signature,
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
fn decode(part: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::Base64)
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
