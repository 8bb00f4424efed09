//! The text of a `DPoP` header to what it claims (RFC 9449 §4.2). Nothing here is verified but its form.

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use crate::identity::bound::{BoundError, Hash};
use crate::identity::jwk::Key;
use crate::identity::jwt::Compact;
use crate::inventory::Dpop;

/// A proof as it was sent.
#[derive(Debug)]
pub(super) struct Proof<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) jwk: Map<String, Value>,
    /// `jti`
    pub(super) id: String,
    /// `htm`
    pub(super) method: String,
    /// `htu`
    pub(super) url: String,
    /// `iat`, a fraction cut off
    pub(super) issued: i64,
    /// `ath`
    pub(super) token: Option<Hash>,
    /// `nonce`, where it is a text
    pub(super) nonce: Option<String>,
    parts: Compact<'a>,
}

/// Members of a JWK that only its owner may know (RFC 7518 §6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

impl<'a> Proof<'a> {
    /// Reads a proof with an algorithm and a form of key that are taken.
    pub(super) fn read(text: &'a str, settings: &Dpop) -> Result<Self, BoundError> {
        let malformed = |_| BoundError::ProofMalformed;
        let parts = Compact::split(text).ok_or(BoundError::ProofMalformed)?;
        let mut header = parts.header().map_err(malformed)?;
        if header.get("typ").is_none_or(|typ| typ != "dpop+jwt") {
            return Err(BoundError::ProofType);
        }
        // RFC 7515 §4.1.11: an extension that must be understood, and none is.
        if header.contains_key("crit") {
            return Err(BoundError::ProofMalformed);
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(|name| name.parse::<Algorithm>().ok());
        let algorithm = algorithm.filter(|algorithm| settings.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(BoundError::ProofAlgorithm)?;
        let Some(Value::Object(jwk)) = header.remove("jwk") else {
            return Err(BoundError::ProofKeyUnusable);
        };
        if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
            return Err(BoundError::ProofKeyPrivate);
        }
        Self::with_claims(&parts.claims().map_err(malformed)?, algorithm, jwk, parts)
            .ok_or(BoundError::ProofMalformed)
    }

    fn with_claims(
        claims: &Map<String, Value>,
        algorithm: Algorithm,
        jwk: Map<String, Value>,
        parts: Compact<'a>,
    ) -> Option<Self> {
        let text = |name: &str| claims.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            algorithm,
            jwk,
            id: text("jti").filter(|id| !id.is_empty())?,
            method: text("htm")?,
            url: text("htu")?,
            issued: seconds(claims.get("iat")?)?,
            // One that is no hash is no token's.
            token: text("ath").and_then(|hash| Hash::read(&hash)),
            nonce: text("nonce"),
            parts,
        })
    }

    /// Whether the signature verifies with this key.
    pub(super) fn is_signed_by(&self, key: &Key) -> bool {
        let verified = jsonwebtoken::crypto::verify(
            self.parts.signature,
            self.parts.signed.as_bytes(),
            &key.verifying,
            self.algorithm,
        );
        verified.unwrap_or(false)
    }
}

/// A `NumericDate` (RFC 7519 §2): seconds, fractions allowed.
fn seconds(value: &Value) -> Option<i64> {
    /// The year 9999.
    const MAX: f64 = 253_402_300_799.0;
    let number = value.as_f64().filter(|number| (0.0..=MAX).contains(number))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "between 0 and 253402300799; a fraction is cut off"
    )]
    let seconds = number as i64;
    Some(seconds)
}
