//! Keys that sign tokens, good and bad ones.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(super) enum Signer {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl Signer {
    pub(super) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(super) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub(super) fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message)
                .as_ref()
                .to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = if alg.starts_with('P') {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token with this header and these claims.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string())
    }

    pub(super) fn token_of_text(&self, header: &str, claims: &str) -> String {
        let alg = if header.contains("\"PS") { "PS256" } else { "RS256" };
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self.sign(alg, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The public key, for a JWK set.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({ "kid": kid, "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
                        "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            Self::Ed(key) => {
                json!({ "kid": kid, "kty": "OKP", "crv": "Ed25519", "use": "sig", "x": encode(key.public_key().as_ref()) })
            }
            // The modulus of 2048 bits begins at byte 9.
            Self::Rsa(key) => {
                json!({ "kid": kid, "kty": "RSA", "use": "sig", "e": "AQAB", "n": encode(&rsa_public(key)[9..265]) })
            }
            Self::Secret(secret) => json!({ "kid": kid, "kty": "oct", "alg": "HS256", "k": encode(secret) }),
        }
    }

    /// The public key as an attacker uses it for a secret.
    pub(super) fn public_as_secret(&self) -> Self {
        match self {
            Self::Ec(key) => Self::Secret(key.public_key().as_der().unwrap().as_ref().to_vec()),
            Self::Rsa(key) => Self::Secret(rsa_public(key)),
            Self::Ed(key) => Self::Secret(key.public_key().as_ref().to_vec()),
            Self::Secret(secret) => Self::Secret(secret.clone()),
        }
    }
}

/// `RSAPublicKey` in DER.
fn rsa_public(key: &RsaKeyPair) -> Vec<u8> {
    key.public_key().as_ref().to_vec()
}
