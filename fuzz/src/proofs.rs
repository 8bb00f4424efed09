//! Proofs of a key: whatever is taken with a bound token was signed by its key, for this request, now.
//!
//! The first line says what comes: `raw`, and the rest is the `DPoP` field as it is; `signed`, and the next line is the
//! header of a proof and the rest its claims, both signed as they are by the token's key; `forged`, and the signature is
//! that of another text. A fuzzer can't sign, so the key's private half is here: what is looked for is a proof that
//! says the wrong thing and is taken.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use mcp_authz::dev::dpop::{Proof, ProofKey};
use mcp_authz::exchange::{Exchange, Headers};
use mcp_authz::identity::Verifier;
use mcp_authz::inventory::Server;
use mcp_authz::state::{Answer, Id, Memory, Revocation, Secret, Status, Store, Used};
use serde_json::{Value, json};
use url::Url;

use super::{http, world};

const KEY: &str = include_str!("../keys/proof.pem");
const SECRET: &str = include_str!("../keys/secret");
/// Where the calls go: the origin of the resource, and the path that `http::empty` asks for.
const URL: &str = "https://mcp.example/workbench/mcp";

/// Somebody whose token is bound to a key.
struct Owner {
    verifier: Arc<Verifier>,
    server: Server,
    signing: EncodingKey,
    verifying: DecodingKey,
    jwk: Value,
    token: String,
    /// `ath` of the token.
    hash: Value,
}

static OWNER: LazyLock<Owner> = LazyLock::new(|| {
    let key = ProofKey::from_pem(KEY).expect("a key");
    let jwk = key.jwk().clone();
    let [x, y] = ["x", "y"].map(|name| jwk[name].as_str().expect("a coordinate"));
    let token = token(key.thumbprint());
    let server = json!({
        "name": "workbench", "resource": world::RESOURCE, "require": [], "sender_constraint": "dpop",
    });
    Owner {
        verifier: world::block_on(Verifier::start(world::identity(), Arc::new(Fresh::default())))
            .expect("settings that can be used"),
        server: serde_json::from_value(server).expect("a server"),
        signing: EncodingKey::from_ec_pem(KEY.as_bytes()).expect("a key"),
        verifying: DecodingKey::from_ec_components(x, y).expect("a key"),
        hash: hash(&key, &token),
        token,
        jwk,
    }
});

/// Takes the bytes for a proof.
///
/// # Panics
/// If it is taken and isn't one.
pub fn check(bytes: &[u8]) {
    let Some((sent, forged)) = proof(bytes) else {
        return;
    };
    if taken(&sent) {
        assert!(!forged, "a forged proof");
        holds(&sent);
    }
}

/// Whether the bytes make a proof that is taken.
///
/// # Panics
/// If the settings can't be used.
#[must_use]
pub fn is_taken(bytes: &[u8]) -> bool {
    proof(bytes).is_some_and(|(sent, _)| taken(&sent))
}

/// The field's value, and whether nobody signed it.
fn proof(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let (kind, rest) = line(bytes)?;
    if kind == b"raw" {
        return Some((rest.to_vec(), false));
    }
    let (header, claims) = line(rest)?;
    let signed = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".");
    let forged = match kind {
        b"signed" => false,
        b"forged" => true,
        _ => return None,
    };
    let over = if forged {
        format!("{signed}A")
    } else {
        signed.clone()
    };
    let signature = crypto::sign(over.as_bytes(), &OWNER.signing, Algorithm::ES256).ok()?;
    Some((format!("{signed}.{signature}").into_bytes(), forged))
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn taken(sent: &[u8]) -> bool {
    let mut exchange: Exchange = http::empty();
    exchange.headers = Headers::default();
    exchange
        .headers
        .push("authorization", format!("DPoP {}", OWNER.token).as_bytes());
    exchange.headers.push("dpop", sent);
    let identified = OWNER.verifier.identify(&exchange, &OWNER.server, http::now());
    world::block_on(identified).is_ok()
}

/// RFC 9449 §4.3, as others read the text.
fn holds(sent: &[u8]) {
    let text = std::str::from_utf8(sent).expect("text");
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("{text}: not three parts");
    };
    let signed = format!("{header}.{claims}");
    let verified = crypto::verify(signature, signed.as_bytes(), &OWNER.verifying, Algorithm::ES256);
    assert!(verified.expect("a signature"), "{text}: not signed by the key");

    let (header, claims) = (read(header), read(claims));
    assert_eq!(header["typ"], "dpop+jwt");
    assert_eq!(header["alg"], "ES256");
    for name in ["kty", "crv", "x", "y"] {
        assert_eq!(header["jwk"][name], OWNER.jwk[name]);
    }
    assert!(header["jwk"].get("d").is_none() && header.get("crit").is_none());
    assert!(claims["jti"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(claims["htm"], "POST");
    assert_eq!(claims["ath"], OWNER.hash);
    let (issued, now) = (claims["iat"].as_f64().expect("a moment"), 1_790_000_000.0);
    assert!((now - 60.0..now + 6.0).contains(&issued), "{issued}");
    is_for_the_url(claims["htu"].as_str().expect("a URL"));
}

fn is_for_the_url(proved: &str) {
    let mut found = Url::parse(proved).expect("a URL");
    assert!(
        found.username().is_empty() && found.password().is_none(),
        "{found}"
    );
    found.set_query(None);
    found.set_fragment(None);
    // It leaves escapes of plain letters as they are; another name for them is all that may differ.
    let plain = ('!'..='~').filter(|char| char.is_ascii_alphanumeric() || "-._~".contains(*char));
    let mut path = found.as_str().to_owned();
    for char in plain {
        let code = u32::from(char);
        for escape in [format!("%{code:02x}"), format!("%{code:02X}")] {
            path = path.replace(&escape, &char.to_string());
        }
    }
    assert_eq!(path, URL, "{proved}");
}

fn read(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// A token of the issuer whose secret everybody knows.
fn token(thumbprint: &str) -> String {
    let now = http::now().as_second();
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let claims = format!(
        r#"{{"iss":"{}","aud":"{}","sub":"owner","typ":"Bearer","azp":"client","iat":{now},"exp":{},"cnf":{{"jkt":"{thumbprint}"}}}}"#,
        world::ISSUERS[2],
        world::RESOURCE,
        now + 300,
    );
    let signed = [header, claims.as_str()]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".");
    let secret = EncodingKey::from_secret(SECRET.trim_end().as_bytes());
    let signature = crypto::sign(signed.as_bytes(), &secret, Algorithm::HS256).expect("a signature");
    format!("{signed}.{signature}")
}

/// What a client of ours says as `ath`.
fn hash(key: &ProofKey, token: &str) -> Value {
    let proof = Proof {
        token: Some(token),
        ..Proof::default()
    };
    let text = key.proof(&proof, http::now()).expect("a proof");
    read(text.split('.').nth(1).expect("claims"))["ath"].clone()
}

/// A store in which nothing was ever used, so that what is taken once is taken again.
#[derive(Debug, Default)]
struct Fresh(Memory);

impl Store for Fresh {
    fn use_once(&self, _: Id, _: Duration, _: Instant) -> Answer<'_, Used> {
        let remembers_since = Timestamp::UNIX_EPOCH;
        Box::pin(std::future::ready(Ok(Used::First { remembers_since })))
    }

    fn secret(&self, name: &'static str, deadline: Instant) -> Answer<'_, Secret> {
        self.0.secret(name, deadline)
    }

    fn revoke(&self, revocation: Revocation, deadline: Instant) -> Answer<'_, ()> {
        self.0.revoke(revocation, deadline)
    }

    fn caught_up(&self, now: Instant, deadline: Instant) -> Option<Answer<'_, ()>> {
        self.0.caught_up(now, deadline)
    }

    fn revoked(&self, id: &Id) -> Option<Timestamp> {
        self.0.revoked(id)
    }

    fn revocations_version(&self) -> u64 {
        self.0.revocations_version()
    }

    fn propagation(&self) -> Duration {
        self.0.propagation()
    }

    fn status(&self) -> Status {
        self.0.status()
    }
}
