//! A JWK set (RFC 7517) to the keys that may verify an issuer's access tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::bound::Hash;
use super::strict;

/// A key, pinned to the algorithms that it may verify.
#[derive(Clone)]
pub(super) struct Key {
    /// `kid`
    pub(super) kid: Option<String>,
    /// Those of the issuer's algorithms that fit its type.
    pub(super) algorithms: Vec<Algorithm>,
    /// What verifies.
    pub(super) verifying: DecodingKey,
    /// Its thumbprint (RFC 7638): what two equal keys have in common.
    pub(super) thumbprint: Hash,
}

/// More keys than any issuer has.
const MAX_KEYS: usize = 100;
/// A `kid` is a short name.
const MAX_KID: usize = 512;
/// NIST SP 800-131A: shorter RSA keys are not for signatures any more.
const MIN_RSA_BYTES: usize = 2048 / 8;
const MAX_RSA_BYTES: usize = 8192 / 8;

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid && self.algorithms == other.algorithms && self.thumbprint.is(&other.thumbprint)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// The secret shared with an issuer.
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self {
            kid: None,
            algorithms: vec![Algorithm::HS256],
            verifying: DecodingKey::from_secret(secret),
            thumbprint: Hash::of(secret),
        }
    }
}

/// The usable keys of a set: `None` if it is no JWK set at all. A key that isn't for verifying signatures with one of
/// these algorithms is left out: encryption keys, symmetric keys, private keys, weak ones (RFC 7517 §5: keys that
/// aren't understood are ignored).
pub(super) fn read_set(json: &[u8], algorithms: &[Algorithm]) -> Option<Vec<Key>> {
    let set = strict::object(json)?;
    let keys = set.get("keys")?.as_array()?;
    if keys.len() > MAX_KEYS {
        return None;
    }
    let objects = keys.iter().filter_map(Value::as_object);
    let read = |jwk| read_key(jwk, algorithms, &["sig"]);
    Some(objects.filter_map(read).collect())
}

/// The key that a proof brings with it, if this algorithm is one for it.
pub(super) fn read_proof_key(jwk: &Map<String, Value>, algorithm: Algorithm) -> Option<Key> {
    read_key(jwk, &[algorithm], &["sig"])
}

/// A trust domain's authority for JWT-SVIDs as a key, `None` if it isn't for verifying with one of these algorithms.
pub(super) fn read_authority(jwk: &Map<String, Value>, algorithms: &[Algorithm]) -> Option<Key> {
    read_key(jwk, algorithms, &["jwt-svid", "sig"])
}

fn read_key(jwk: &Map<String, Value>, configured: &[Algorithm], uses: &[&str]) -> Option<Key> {
    if !is_for_verifying(jwk, uses) {
        return None;
    }
    let kid = match jwk.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().filter(|kid| kid.len() <= MAX_KID)?.to_owned()),
    };
    let (fitting, verifying, thumbprint) = material(jwk)?;
    let named = match jwk.get("alg") {
        None => None,
        Some(alg) => Some(alg.as_str()?.parse::<Algorithm>().ok()?),
    };
    let mut algorithms: Vec<Algorithm> = fitting.to_vec();
    algorithms.retain(|alg| configured.contains(alg) && named.is_none_or(|named| named == *alg));
    (!algorithms.is_empty()).then_some(Key {
        kid,
        algorithms,
        verifying,
        thumbprint,
    })
}

fn is_for_verifying(jwk: &Map<String, Value>, uses: &[&str]) -> bool {
    let signs = jwk
        .get("use")
        .is_none_or(|usage| uses.iter().any(|known| usage == known));
    let verifies = jwk.get("key_ops").is_none_or(|operations| {
        operations
            .as_array()
            .is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    });
    // A set that publishes a private key has given it away.
    signs && verifies && !jwk.contains_key("d") && !jwk.contains_key("k")
}

type Material = (&'static [Algorithm], DecodingKey, Hash);

fn material(jwk: &Map<String, Value>) -> Option<Material> {
    match jwk.get("kty")?.as_str()? {
        "RSA" => rsa(jwk),
        "EC" => elliptic(jwk),
        "OKP" => edwards(jwk),
        _ => None,
    }
}

fn rsa(jwk: &Map<String, Value>) -> Option<Material> {
    const FITTING: [Algorithm; 6] = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ];
    let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    let modulus = trimmed(&n);
    // 2048 bits means that the first bit of 256 bytes is set.
    let long_enough = modulus.len() > MIN_RSA_BYTES
        || (modulus.len() == MIN_RSA_BYTES && modulus.first().is_some_and(|first| *first >= 0x80));
    if !long_enough || modulus.len() > MAX_RSA_BYTES {
        return None;
    }
    let [modulus_text, exponent_text] = [modulus, trimmed(&e)].map(|number| URL_SAFE_NO_PAD.encode(number));
    let thumbprint =
        Hash::of(format!(r#"{{"e":"{exponent_text}","kty":"RSA","n":"{modulus_text}"}}"#).as_bytes());
    Some((
        &FITTING,
        DecodingKey::from_rsa_raw_components(modulus, trimmed(&e)),
        thumbprint,
    ))
}

fn elliptic(jwk: &Map<String, Value>) -> Option<Material> {
    let curve = jwk.get("crv")?.as_str()?;
    let (fitting, coordinate): (&[Algorithm], usize) = match curve {
        "P-256" => (&[Algorithm::ES256], 32),
        "P-384" => (&[Algorithm::ES384], 48),
        _ => return None,
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    // RFC 7518 §6.2.1.2: always the full length.
    if x.len() != coordinate || y.len() != coordinate {
        return None;
    }
    let point = [[0x04].as_slice(), &x, &y].concat();
    let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
    let thumbprint = Hash::of(format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
    Some((fitting, DecodingKey::from_ec_der(&point), thumbprint))
}

fn edwards(jwk: &Map<String, Value>) -> Option<Material> {
    let x = bytes(jwk, "x")?;
    if jwk.get("crv")?.as_str()? != "Ed25519" || x.len() != 32 {
        return None;
    }
    Some((
        &[Algorithm::EdDSA],
        DecodingKey::from_ed_der(&x),
        Hash::of(
            format!(
                r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                URL_SAFE_NO_PAD.encode(&x)
            )
            .as_bytes(),
        ),
    ))
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()
}

fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
