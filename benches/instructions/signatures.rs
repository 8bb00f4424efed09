//! Tokens of one kilobyte, signed with each algorithm, and what verifies them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};

/// Header and claims of a usual token, encoded.
const SIGNED: [u8; 1024] = [b'x'; 1024];
/// The same key each time: the count of an elliptic curve's verification depends on it a little.
const SEED: [u8; 32] = [7; 32];

/// A token as an issuer's keys verify it.
pub(crate) struct Token {
    algorithm: Algorithm,
    key: DecodingKey,
    /// Encoded.
    signature: String,
}

impl Token {
    pub(crate) fn es256() -> Self {
        let (signing, signature) = ec();
        let point = signing.verifying_key().to_sec1_point(false);
        let (x, y) = (point.x().unwrap(), point.y().unwrap());
        Self {
            algorithm: Algorithm::ES256,
            key: DecodingKey::from_ec_components(&encode(x), &encode(y)).unwrap(),
            signature: encode(&signature.to_bytes()),
        }
    }

    pub(crate) fn rs256() -> Self {
        Self::rsa(Algorithm::RS256, &RSA_PKCS1_SHA256)
    }

    pub(crate) fn ps256() -> Self {
        Self::rsa(Algorithm::PS256, &RSA_PSS_SHA256)
    }

    fn rsa(algorithm: Algorithm, padding: &'static dyn RsaEncoding) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), &SIGNED, &mut signature)
            .unwrap();
        // `RSAPublicKey` in DER: the modulus of 2048 bits begins at byte 9.
        let modulus = pair.public_key().as_ref().get(9..265).unwrap().to_vec();
        Self {
            algorithm,
            key: DecodingKey::from_rsa_components(&encode(&modulus), "AQAB").unwrap(),
            signature: encode(&signature),
        }
    }

    pub(crate) fn eddsa() -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
        Self {
            algorithm: Algorithm::EdDSA,
            key: DecodingKey::from_ed_components(&encode(pair.public_key().as_ref())).unwrap(),
            signature: encode(pair.sign(&SIGNED).as_ref()),
        }
    }

    /// As `identity` does it.
    pub(crate) fn verifies(&self) -> bool {
        jsonwebtoken::crypto::verify(&self.signature, &SIGNED, &self.key, self.algorithm).unwrap()
    }
}

/// The same ES256 signature for the other library.
pub(crate) struct P256 {
    key: VerifyingKey,
    signature: Signature,
}

impl Default for P256 {
    fn default() -> Self {
        let (signing, signature) = ec();
        Self {
            key: *signing.verifying_key(),
            signature,
        }
    }
}

impl P256 {
    pub(crate) fn verifies(&self) -> bool {
        self.key.verify(&SIGNED, &self.signature).is_ok()
    }
}

fn ec() -> (SigningKey, Signature) {
    let signing = SigningKey::from_slice(&SEED).unwrap();
    let signature = signing.sign(&SIGNED);
    (signing, signature)
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
