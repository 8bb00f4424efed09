//! An authorization server with opaque tokens that is asked about them over real HTTP (RFC 7662), and that lets nobody ask
//! but its one client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::settings::{self, ClientAuth, Introspection, Keys};

pub(super) const CLIENT: &str = "mcp authz:é";
pub(super) const SECRET: &str = "p%ss+w/rd = ü";

/// How it answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mood {
    Good,
    Status(u16),
    /// This text, of this type, whatever is asked.
    Says(&'static str, &'static str),
    Redirect,
    Endless,
    Silent,
    /// The discovery document is another issuer's.
    OtherIssuer,
    /// It names no place to ask, or this one.
    Place(Option<&'static str>),
}

/// How its client must prove who it is.
pub(super) enum Proof {
    Secret,
    Key(Vec<u8>, &'static str),
    Svid(&'static str),
}

struct Inside {
    url: String,
    jwk: Value,
    tokens: Mutex<HashMap<String, Value>>,
    /// The tokens that it was asked about by who may ask.
    asked: Mutex<Vec<String>>,
    mood: Mutex<Mood>,
    proof: Mutex<Proof>,
    assertions: Mutex<Vec<String>>,
    discoveries: Mutex<usize>,
    /// A question about a token that begins with `held` takes one of these.
    gate: Semaphore,
}

pub(super) struct Authorizer {
    inside: Arc<Inside>,
    task: JoinHandle<()>,
    directory: tempfile::TempDir,
}

impl Authorizer {
    pub(super) async fn start(jwk: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inside = Arc::new(Inside {
            url: format!("http://{}/realms/demo", listener.local_addr().unwrap()),
            jwk,
            tokens: Mutex::default(),
            asked: Mutex::default(),
            mood: Mutex::new(Mood::Good),
            proof: Mutex::new(Proof::Secret),
            assertions: Mutex::default(),
            discoveries: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let router = Router::new()
            .route("/realms/demo/.well-known/openid-configuration", get(discovery))
            .route("/realms/demo/certs", get(certs))
            .route("/realms/demo/introspect", post(introspect))
            .route("/realms/demo/moved", post(moved).get(moved))
            .with_state(Arc::clone(&inside));
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), format!("{SECRET}\r\n")).unwrap();
        Self {
            inside,
            task: tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }),
            directory,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.inside.url
    }

    /// A file of the one who asks.
    pub(super) fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// From now on it says this of a token.
    pub(super) fn says(&self, token: &str, answer: Value) {
        self.inside
            .tokens
            .lock()
            .unwrap()
            .insert(token.to_owned(), answer);
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        *self.inside.mood.lock().unwrap() = mood;
    }

    pub(super) fn wants(&self, proof: Proof) {
        *self.inside.proof.lock().unwrap() = proof;
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.inside.asked.lock().unwrap().clone()
    }

    pub(super) fn discoveries(&self) -> usize {
        *self.inside.discoveries.lock().unwrap()
    }

    /// Lets so many questions through that were held.
    pub(super) fn open(&self, questions: usize) {
        self.inside.gate.add_permits(questions);
    }

    /// Nobody is there any more.
    pub(super) async fn go(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Settings under which it is asked about opaque tokens.
    pub(super) fn settings(&self) -> settings::Issuer {
        let mut settings = settings::Issuer::new("demo", self.url());
        settings.keys = Keys::JwksUrl(format!("{}/certs", self.url()));
        let auth = ClientAuth::SecretFile(self.file("secret"));
        settings.introspection = Some(Introspection::new(CLIENT, auth));
        settings
    }
}

async fn discovery(State(inside): State<Arc<Inside>>) -> Response {
    *inside.discoveries.lock().unwrap() += 1;
    let mood = inside.mood.lock().unwrap().clone();
    let issuer = match mood {
        Mood::OtherIssuer => "https://other.example",
        _ => &inside.url,
    };
    let place = match mood {
        Mood::Place(place) => place.map(str::to_owned),
        _ => Some(format!("{}/introspect", inside.url)),
    };
    axum::Json(json!({ "issuer": issuer, "jwks_uri": format!("{}/certs", inside.url), "introspection_endpoint": place }))
        .into_response()
}

async fn certs(State(inside): State<Arc<Inside>>) -> Response {
    axum::Json(json!({ "keys": [inside.jwk] })).into_response()
}

async fn introspect(State(inside): State<Arc<Inside>>, headers: HeaderMap, body: String) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let form_type = headers.get(header::CONTENT_TYPE).unwrap() == "application/x-www-form-urlencoded";
    assert!(form_type && headers.get(header::ACCEPT).unwrap() == "application/json");
    if !inside.is_client(&headers, &form) {
        let error = axum::Json(json!({ "error": "invalid_client" }));
        return (StatusCode::UNAUTHORIZED, error).into_response();
    }
    let token = &form["token"];
    assert_eq!(form["token_type_hint"], "access_token");
    inside.asked.lock().unwrap().push(token.clone());
    if token.starts_with("held") {
        inside.gate.acquire().await.unwrap().forget();
    }
    let mood = inside.mood.lock().unwrap().clone();
    match mood {
        Mood::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Says(kind, text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Mood::Redirect => {
            let place = format!("{}/moved", inside.url);
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response()
        }
        Mood::Endless => {
            axum::Json(json!({ "active": true, "padding": " ".repeat(1 << 20) })).into_response()
        }
        Mood::Silent => std::future::pending().await,
        Mood::Good | Mood::OtherIssuer | Mood::Place(_) => {
            let known = inside.tokens.lock().unwrap().get(token).cloned();
            axum::Json(known.unwrap_or_else(|| json!({ "active": false }))).into_response()
        }
    }
}

/// For whoever follows a redirect: every token is good.
async fn moved(State(inside): State<Arc<Inside>>) -> Response {
    axum::Json(super::answer(&inside.url)).into_response()
}

impl Inside {
    fn is_client(&self, headers: &HeaderMap, form: &HashMap<String, String>) -> bool {
        let assertion = |kind: &str| {
            let proper = form
                .get("client_assertion_type")
                .is_some_and(|found| found == kind)
                && !form.contains_key("client_id")
                && !headers.contains_key(header::AUTHORIZATION);
            form.get("client_assertion").filter(|_| proper)
        };
        match &*self.proof.lock().unwrap() {
            Proof::Secret => headers.get(header::AUTHORIZATION).is_some_and(|value| {
                let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
                let text = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
                let (user, password) = text.split_once(':').unwrap();
                let decode = |text: &str| {
                    let pair = format!("{text}=");
                    url::form_urlencoded::parse(pair.as_bytes())
                        .next()
                        .unwrap()
                        .0
                        .into_owned()
                };
                (decode(user).as_str(), decode(password).as_str()) == (CLIENT, SECRET)
            }),
            Proof::Svid(svid) => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
                assertion(kind).is_some_and(|found| found == svid)
            }
            Proof::Key(key, audience) => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                assertion(kind).is_some_and(|found| self.is_signed(found, key, audience))
            }
        }
    }

    /// RFC 7523 §3.
    fn is_signed(&self, assertion: &str, key: &[u8], audience: &str) -> bool {
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
        let verified = match header["alg"].as_str().unwrap() {
            "ES256" => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
                .verify(signed.as_bytes(), &decode(signature)),
            "RS256" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
                .verify(signed.as_bytes(), &decode(signature)),
            other => panic!("{other}"),
        };
        let audience = if audience.is_empty() { &self.url } else { audience };
        let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        let now = crate::clock::now().as_second();
        let jti = claims["jti"].as_str().unwrap().to_owned();
        let mut assertions = self.assertions.lock().unwrap();
        let fresh = !jti.is_empty() && !assertions.contains(&jti);
        assertions.push(jti);
        verified.is_ok()
            && header["kid"] == "k9"
            && (claims["iss"].as_str(), claims["sub"].as_str()) == (Some(CLIENT), Some(CLIENT))
            && claims["aud"] == audience
            && (issued - now).abs() < 30
            && expires - issued == 60
            && fresh
    }
}

/// How long a test waits for what must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A key that signs assertions, in PEM, and its public half.
pub(super) fn signing_key(rsa: bool) -> (String, Vec<u8>) {
    let pem = |der: &[u8]| {
        let lines = STANDARD.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n")
    };
    if rsa {
        let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
        (pem(der.as_ref()), key.public_key().as_ref().to_vec())
    } else {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = key.to_pkcs8v1().unwrap();
        (pem(der.as_ref()), key.public_key().as_ref().to_vec())
    }
}
