//! `cnf` of a token (RFC 7800): what its presenter must prove.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::error::BoundError;

/// A SHA-256.
#[derive(Debug, Clone, Copy)]
pub(in crate::identity) struct Hash([u8; 32]);

/// What a token is bound to.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::identity) struct Bound {
    /// `jkt`: the thumbprint of a key (RFC 9449 §6.1).
    pub(in crate::identity) key: Option<Hash>,
    /// `x5t#S256`: the hash of a certificate (RFC 8705 §3.1).
    pub(in crate::identity) certificate: Option<Hash>,
}

impl Hash {
    /// The hash of these bytes.
    pub(in crate::identity) fn of(bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, bytes);
        Self::from_bytes(digest.as_ref()).unwrap_or(Self([0; 32]))
    }

    /// The hash that these bytes are.
    pub(in crate::identity) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash that a text is in base64url, which has one spelling.
    pub(in crate::identity) fn read(text: &str) -> Option<Self> {
        Self::from_bytes(&URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    /// Whether both are the same, in a time that doesn't tell how much of them is.
    pub(in crate::identity) fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// Its bytes.
    pub(in crate::identity) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a token's claims bind it to. A token with `cnf` is bound to all that it names.
pub(in crate::identity) fn read(claims: &Map<String, Value>) -> Result<Bound, BoundError> {
    let Some(confirmation) = claims.get("cnf") else {
        return Ok(Bound::default());
    };
    let members = confirmation
        .as_object()
        .filter(|members| !members.is_empty())
        .ok_or(BoundError::ConfirmationMalformed)?;
    let mut bound = Bound::default();
    for (name, value) in members {
        let place = match name.as_str() {
            "jkt" => &mut bound.key,
            "x5t#S256" => &mut bound.certificate,
            _ => return Err(BoundError::ConfirmationUnknown),
        };
        let hash = value.as_str().and_then(Hash::read);
        *place = Some(hash.ok_or(BoundError::ConfirmationMalformed)?);
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_confirmation_binds_to_all_that_it_names_or_the_token_is_refused() {
        use BoundError::{ConfirmationMalformed as Malformed, ConfirmationUnknown as Unknown};
        let hash = URL_SAFE_NO_PAD.encode([7; 32]);
        let read = |cnf: &Value| {
            let claims = json!({ "cnf": cnf });
            super::read(claims.as_object().unwrap())
                .map(|bound| (bound.key.is_some(), bound.certificate.is_some()))
        };
        let cases = [
            (json!({ "jkt": hash }), Ok((true, false))),
            (json!({ "x5t#S256": hash }), Ok((false, true))),
            (json!({ "jkt": hash, "x5t#S256": hash }), Ok((true, true))),
            (json!({ "jkt": hash, "x5t#S256": "x" }), Err(Malformed)),
            (json!({ "jkt": hash, "kid": "x" }), Err(Unknown)),
            (json!({ "jwk": {} }), Err(Unknown)),
            (json!({ "x5t#s256": hash }), Err(Unknown)),
            (json!({ "jkt": format!("{hash}=") }), Err(Malformed)),
            (json!({ "jkt": "" }), Err(Malformed)),
            (json!({ "jkt": null }), Err(Malformed)),
            (json!({}), Err(Malformed)),
            (json!(null), Err(Malformed)),
            (json!("x"), Err(Malformed)),
        ];
        for (cnf, expected) in cases {
            assert_eq!(read(&cnf), expected, "{cnf}");
        }
        assert!(super::read(&Map::new()).unwrap().key.is_none());
    }

    #[test]
    fn hashes_are_compared_whole() {
        let hash = Hash::of(b"a");
        assert!(hash.is(&Hash::of(b"a")));
        assert!(!hash.is(&Hash::of(b"b")));
        assert!(Hash::from_bytes(&[0; 31]).is_none() && Hash::from_bytes(&[0; 33]).is_none());
    }
}
