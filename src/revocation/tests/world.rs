//! A desk with everything that it needs, and an issuer's key.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::super::Desk;
use crate::audit::{AuditSettings, Durability, Journal};
use crate::clock;
use crate::exchange::{Body, Exchange, Fate, Gateway, Headers, Source};
use crate::identity::revocation::{Kind, id};
use crate::identity::settings::{Client, Issuer, Keys};
use crate::identity::{self, IdentityError, Verifier};
use crate::inventory::Server;
use crate::state::{Answer, Id, Memory, Revocation, Secret, StateError, Status, Store, Used};
use crate::telemetry::{self, Metrics};

pub(super) const ISS: &str = "https://id.example/realms/mcp";
pub(super) const RESOURCE: &str = "https://mcp.example/workbench/mcp";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

pub(super) struct World {
    pub(super) desk: Arc<Desk>,
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
    pub(super) store: Arc<Failing>,
    key: EcdsaKeyPair,
    folder: TempDir,
}

/// A store that can be told to fail.
#[derive(Debug, Default)]
pub(super) struct Failing {
    memory: Memory,
    pub(super) full: AtomicBool,
    pub(super) forgetful: AtomicBool,
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = key.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        let jwk =
            json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k1", "x": x, "y": y });
        let keys = folder.path().join("keys.json");
        std::fs::write(&keys, json!({ "keys": [jwk] }).to_string()).unwrap();
        let client = ("mcp-client".to_owned(), Client::default());
        let issuer = Issuer {
            keys: Keys::File(keys),
            clients: [client].into_iter().collect(),
            ..Issuer::new("keycloak", ISS)
        };
        let store = Arc::new(Failing::default());
        let settings = identity::Settings {
            issuers: vec![issuer],
            ..identity::Settings::default()
        };
        let verifier = Verifier::start(settings, Arc::clone(&store) as _).await.unwrap();
        let journal = Journal::start(&AuditSettings {
            file: Some(folder.path().join("audit.jsonl")),
            durability: Durability::Disk,
            ..AuditSettings::default()
        });
        let (journal, metrics) = (journal.unwrap(), Arc::new(Metrics::new(["workbench"])));
        let resources = [RESOURCE.to_owned()];
        let desk = Desk::new(verifier, journal.clone(), Arc::clone(&metrics), resources);
        Self {
            desk: Arc::new(desk),
            journal,
            metrics,
            store,
            key,
            folder,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn signed(&self, typ: &str, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": typ, "kid": "k1" });
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let text = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A logout token of alice's session, with another id each time.
    pub(super) fn logout_token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = clock::now().as_second();
        let mut claims = json!({
            "exp": now + 120, "iat": now, "jti": uuid::Uuid::now_v7().to_string(), "iss": ISS, "aud": "mcp-client",
            "sub": "alice-id", "sid": "s1", "typ": "Logout", "events": { EVENT: {} },
        });
        change(&mut claims);
        self.signed("logout+jwt", &claims)
    }

    /// What Keycloak sends to an admin URL.
    pub(super) fn action(&self, action: &str) -> String {
        let now = clock::now().as_second();
        let claims = json!({
            "id": uuid::Uuid::now_v7().to_string(), "expiration": now + 30, "resource": RESOURCE, "action": action,
            "notBefore": now + 1,
        });
        self.signed("JWT", &claims)
    }

    /// Alice's access token.
    pub(super) fn access_token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = clock::now().as_second();
        let mut claims = json!({
            "exp": now + 300, "iat": now, "jti": "j1", "iss": ISS, "aud": RESOURCE, "sub": "alice-id", "typ": "Bearer",
            "azp": "mcp-client", "sid": "s1",
        });
        change(&mut claims);
        self.signed("JWT", &claims)
    }

    /// Whether the next request with this token is let through.
    pub(super) async fn call(&self, token: &str) -> Result<(), IdentityError> {
        let settings = json!({ "name": "workbench", "resource": RESOURCE, "require": ["user"] });
        let server: Server = serde_json::from_value(settings).unwrap();
        let authorization = format!("Bearer {token}");
        let started = clock::instant();
        let exchange = Exchange {
            method: "POST".to_owned(),
            path: "/mcp".to_owned(),
            host: "mcp.example".to_owned(),
            scheme: "https".to_owned(),
            headers: [("authorization", authorization.as_str())]
                .into_iter()
                .collect::<Headers>(),
            body: Body::Absent,
            source: Source::default(),
            context: HashMap::new(),
            filter_metadata: Map::new(),
            gateway: Gateway::default(),
            request_id: String::new(),
            received: clock::now(),
            started,
            deadline: started + Duration::from_secs(3),
            fate: Fate::default(),
        };
        let identified = self.desk.verifier().identify(&exchange, &server, clock::now());
        identified.await.map(drop)
    }

    pub(super) fn revoked(&self, kind: Kind, value: &str) -> Option<i64> {
        self.store
            .revoked(&id(kind, ISS, value))
            .map(Timestamp::as_second)
    }

    /// The revocations in the audit.
    pub(super) fn recorded(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("audit.jsonl")).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == "revoked").collect()
    }

    /// Whether there is such a line among the metrics.
    #[track_caller]
    pub(super) fn assert_counted(&self, line: &str) {
        let text = self.metrics.render(&telemetry::Status::default(), clock::now());
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}

impl Store for Failing {
    fn use_once(&self, id: Id, keep: Duration, deadline: Instant) -> Answer<'_, Used> {
        if self.forgetful.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StateError::TooLate) });
        }
        self.memory.use_once(id, keep, deadline)
    }
    fn secret(&self, name: &'static str, deadline: Instant) -> Answer<'_, Secret> {
        self.memory.secret(name, deadline)
    }
    fn revoke(&self, revocation: Revocation, deadline: Instant) -> Answer<'_, ()> {
        if self.full.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StateError::Full) });
        }
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
        Duration::from_secs(4)
    }
    fn status(&self) -> Status {
        self.memory.status()
    }
}
