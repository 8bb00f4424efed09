//! Tokens bound to a key or a certificate: each way in which a proof can be wrong, with its exact reason.

mod certificates;
mod nonces;
mod proofs;
mod replays;
mod schemes;

use std::future;
use std::sync::Mutex;
use std::time::Instant;

use BoundError as B;
use IdentityError as E;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::identity::bound::Hash;
use crate::state::{Answer, Id, Revocation, Secret, StateError, Status, Used};

const URL: &str = "https://mcp.example/mcp";

/// A key that tokens are bound to.
struct ProofKey {
    signer: Signer,
    jwk: Value,
    thumbprint: String,
}

impl ProofKey {
    fn generate() -> Self {
        let signer = Signer::ec();
        let jwk = signer.jwk("proof");
        let (x, y) = (jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
        // RFC 7638 §3.2
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = URL_SAFE_NO_PAD.encode(Hash::of(text.as_bytes()).as_bytes());
        Self {
            signer,
            jwk,
            thumbprint,
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.signer.token(header, claims)
    }
}

/// State in memory that says since when it remembers, or that it can't tell.
#[derive(Debug)]
struct TestStore {
    memory: Memory,
    since: i64,
    down: Option<StateError>,
    secret: Mutex<Secret>,
}

impl TestStore {
    fn since(since: i64) -> Self {
        Self {
            memory: Memory::default(),
            since,
            down: None,
            secret: Mutex::new(Secret([1; 32])),
        }
    }
}

impl Store for TestStore {
    fn use_once(&self, id: Id, keep: Duration, deadline: Instant) -> Answer<'_, Used> {
        if let Some(why) = self.down {
            return Box::pin(future::ready(Err(why)));
        }
        let remembers_since = Timestamp::from_second(self.since).unwrap();
        Box::pin(async move {
            let used = self.memory.use_once(id, keep, deadline).await?;
            Ok(match used {
                Used::First { .. } => Used::First { remembers_since },
                Used::Again => Used::Again,
            })
        })
    }

    fn secret(&self, _: &'static str, _: Instant) -> Answer<'_, Secret> {
        let secret = *self.secret.lock().unwrap();
        Box::pin(future::ready(self.down.map_or(Ok(secret), Err)))
    }

    fn revoke(&self, revocation: Revocation, deadline: Instant) -> Answer<'_, ()> {
        self.memory.revoke(revocation, deadline)
    }

    fn caught_up(&self, now: Instant, deadline: Instant) -> Option<Answer<'_, ()>> {
        self.memory.caught_up(now, deadline)
    }

    fn revoked(&self, id: &Id) -> Option<Timestamp> {
        self.memory.revoked(id)
    }

    fn revocations_version(&self) -> u64 {
        self.memory.revocations_version()
    }

    fn propagation(&self) -> Duration {
        self.memory.propagation()
    }

    fn status(&self) -> Status {
        self.memory.status()
    }
}

struct World {
    key: Signer,
    issuer: TestIssuer,
    verifier: Arc<Verifier>,
    store: Arc<TestStore>,
    proving: ProofKey,
}

async fn world(store: TestStore) -> World {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let store = Arc::new(store);
    World {
        verifier: replica(&issuer, &store).await,
        key,
        issuer,
        store,
        proving: ProofKey::generate(),
    }
}

/// One of those that share a store.
async fn replica(issuer: &TestIssuer, store: &Arc<TestStore>) -> Arc<Verifier> {
    let gateway = json!({ "name": "edge", "certificate": "edge", "trusted_for": ["principal", "xfcc"] });
    let settings = Settings {
        issuers: vec![issuer.settings()],
        gateways: vec![serde_json::from_value(gateway).unwrap()],
        ..Settings::default()
    };
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    Verifier::start(settings, store).await.unwrap()
}

impl World {
    fn token(&self, confirmation: &Value) -> String {
        let mut claims = claims(self.issuer.url());
        if !confirmation.is_null() {
            claims["cnf"] = confirmation.clone();
        }
        self.key
            .token(&json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }), &claims)
    }

    fn bound_token(&self) -> String {
        self.token(&json!({ "jkt": self.proving.thumbprint }))
    }

    /// The header and the claims of a good proof.
    fn proof(&self, token: &str) -> (Value, Value) {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.proving.jwk });
        let ath = URL_SAFE_NO_PAD.encode(Hash::of(token.as_bytes()).as_bytes());
        let claims = json!({ "jti": "p1", "htm": "POST", "htu": URL, "iat": NOW, "ath": ath });
        (header, claims)
    }

    fn good_proof(&self, token: &str) -> String {
        let (header, claims) = self.proof(token);
        self.proving.sign(&header, &claims)
    }

    async fn identify(&self, exchange: &Exchange, constraint: &str) -> Result<(), IdentityError> {
        let mut server = server(&["user"]);
        server.sender_constraint = serde_json::from_value(json!(constraint)).unwrap();
        self.verifier.identify(exchange, &server, now()).await.map(drop)
    }

    async fn with_proof(&self, token: &str, proof: &str) -> Result<(), IdentityError> {
        self.identify(&proved(token, proof), "dpop").await
    }
}

fn proved(token: &str, proof: &str) -> Exchange {
    exchange(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
}

/// RFC 7396: null takes a member away.
fn lay(under: &mut Value, over: &Value) {
    let Value::Object(members) = over else {
        under.clone_from(over);
        return;
    };
    for (name, value) in members {
        match value {
            Value::Null => drop(under.as_object_mut().unwrap().remove(name)),
            value => lay(&mut under[name], value),
        }
    }
}
