//! A client whose tokens are bound to its key (RFC 9449): for each request it makes a new proof that it has the key.

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use serde_json::{Map, Value, json};

use super::issuer::public_jwk;

pub use client::BoundClient;

mod client;

/// A P-256 key that tokens are bound to.
#[derive(Clone)]
pub struct ProofKey {
    signing: SigningKey,
    jwk: Value,
    thumbprint: String,
}

/// What a proof shall say.
#[derive(Debug, Clone, Default)]
pub struct Proof<'a> {
    /// `htm`
    pub method: &'a str,
    /// The request's URL; `htu` is this without query and fragment.
    pub url: &'a str,
    /// The access token that it is sent with, for `ath`; none at a token endpoint.
    pub token: Option<&'a str>,
    /// `nonce`, where the server asked for one.
    pub nonce: Option<&'a str>,
    /// More claims, or others; `null` takes one away.
    pub extra: Map<String, Value>,
}

/// Why there is no key, or no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofKeyError {
    /// The text holds no P-256 key.
    #[error("this is no P-256 private key in PKCS#8")]
    Key,
    /// The system has no random bytes, or the key can't sign.
    #[error("the proof can't be made")]
    Sign,
    /// A token that no header can carry.
    #[error("the access token can't be sent")]
    Token,
}

impl ProofKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self::new(&SecretKey::generate())
    }

    /// The key that [`ProofKey::to_pem`] wrote.
    ///
    /// # Errors
    /// [`ProofKeyError::Key`] if it is none.
    pub fn from_pem(pem: &str) -> Result<Self, ProofKeyError> {
        let secret = SecretKey::from_pkcs8_pem(pem).map_err(|_| ProofKeyError::Key)?;
        Ok(Self::new(&secret))
    }

    fn new(secret: &SecretKey) -> Self {
        let (jwk, thumbprint) = public_jwk(secret);
        Self {
            signing: secret.into(),
            jwk,
            thumbprint,
        }
    }

    /// The private key as PEM, PKCS #8.
    ///
    /// # Errors
    /// [`ProofKeyError::Key`] if it can't be written.
    pub fn to_pem(&self) -> Result<String, ProofKeyError> {
        let pem = self.signing.to_pkcs8_pem(LineEnding::LF);
        Ok(pem.map_err(|_| ProofKeyError::Key)?.to_string())
    }

    /// The thumbprint (RFC 7638), which a token that is bound to this key says as `cnf.jkt`.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The public key.
    #[must_use]
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// A proof (RFC 9449 §4.2) for one request.
    ///
    /// # Errors
    /// [`ProofKeyError::Sign`] if the system has no random bytes or the key can't sign.
    pub fn proof(&self, proof: &Proof<'_>, now: Timestamp) -> Result<String, ProofKeyError> {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk });
        self.sign(&header, &Value::Object(proof.claims(now)?))
    }

    /// Signs a header and claims as they are.
    ///
    /// # Errors
    /// [`ProofKeyError::Sign`] if the key can't sign.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, ProofKeyError> {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature: Result<Signature, _> = self.signing.try_sign(signed.as_bytes());
        let signature = signature.map_err(|_| ProofKeyError::Sign)?;
        Ok(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature.to_bytes())
        ))
    }
}

impl std::fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProofKey")
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

impl Proof<'_> {
    fn claims(&self, now: Timestamp) -> Result<Map<String, Value>, ProofKeyError> {
        // RFC 9449 §4.2: at least 96 random bits.
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| ProofKeyError::Sign)?;
        let url = self.url.split(['?', '#']).next();
        let hash = |token: &str| URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.as_bytes()));
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("jti", URL_SAFE_NO_PAD.encode(id).into());
        put("htm", self.method.into());
        put("htu", url.into());
        put("iat", now.as_second().into());
        put("ath", self.token.map(hash).into());
        put("nonce", self.nonce.into());
        claims.extend(self.extra.clone());
        claims.retain(|_, value| !value.is_null());
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_read_again_is_the_same_and_each_proof_is_new() {
        let key = ProofKey::generate();
        let again = ProofKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        let proof = Proof {
            method: "POST",
            url: "https://mcp.example/mcp?x=1#y",
            token: Some("a.b.c"),
            ..Proof::default()
        };
        let mut claims = proof.claims(now).unwrap();
        let first = claims.remove("jti");
        assert!(first != proof.claims(now).unwrap().remove("jti"));
        assert_eq!(
            Value::Object(claims),
            json!({
                "htm": "POST", "htu": "https://mcp.example/mcp", "iat": 1_000_000_000,
                "ath": "hF4wRIgJ4ryJWOsCW_x5UjXROwd6U9DDq70jhRcNybg",
            })
        );
        assert!(ProofKey::from_pem("x").is_err());
    }
}
