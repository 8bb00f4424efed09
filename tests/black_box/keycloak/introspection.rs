//! A real Keycloak is asked about tokens: by a client with a secret, a key or a SPIFFE ID.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::DevTrustDomain;
use mcp_authz::dev::dpop::ProofKey;
use mcp_authz::dev::keycloak::realm::PASSWORDS;
use mcp_authz::dev::keycloak::{Client, Grant, Realm};
use mcp_authz::dev::served::Served;
use mcp_authz::dev::stack::{self, Stack, TRUST_DOMAIN};
use mcp_authz::exchange::{Body, Exchange, Fate, Gateway, Headers, Source};
use mcp_authz::identity::{Caller, IdentityError, IntrospectionFault, Settings, Verifier};
use mcp_authz::inventory::Server;
use mcp_authz::spiffe::{SpiffeId, TrustDomain};
use mcp_authz::state::Memory;
use serde_json::{Value, json};

use super::read;
use crate::parts::caller::TRUSTED;
use crate::parts::keycloak::{self, Ground, bearing, denied};
use crate::parts::{run, temporary};

/// Who asks. Both must be encoded before they are sent by HTTP Basic (RFC 6749 §2.3.1).
const CLIENT: &str = "mcp-authz: who asks";
const SECRET: &str = "p%ss+w/rd = &c";

/// Each call has Keycloak asked, so that what it said before hides nothing.
fn asking(auth: &Value, client: &str) -> Value {
    json!({ "client_id": client, "auth": auth, "when": "always", "cache_for": "0s", "timeout": "20s" })
}

fn file(name: &str, content: &str) -> PathBuf {
    let directory = temporary("introspection");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join(name);
    std::fs::write(&file, content).unwrap();
    file
}

/// A client that may ask.
fn client(id: &str, how: &str, attributes: &Value) -> Value {
    json!({
        "clientId": id, "protocol": "openid-connect", "publicClient": false, "standardFlowEnabled": false,
        "clientAuthenticatorType": how, "secret": SECRET, "attributes": attributes,
    })
}

async fn with_secret(name: &str) -> Ground {
    let auth = json!({ "secret_file": file(name, SECRET) });
    let ground = keycloak::own(name, |configuration| {
        configuration["identity"]["issuers"][0]["introspection"] = asking(&auth, CLIENT);
    })
    .await;
    let asks = client(CLIENT, "client-secret", &json!({}));
    ground.realm.add_client(&asks).await.unwrap();
    ground
}

async fn call(stack: &Stack, token: &str) -> crate::parts::caller::Reply {
    let caller = bearing(token, stack, TRUSTED, "workbench");
    caller.call("fs_read", &read()).await
}

#[test]
fn what_a_real_keycloak_ended_is_refused_when_it_is_asked_next() {
    run(async {
        let Ground { realm, stack } = with_secret("ended").await;
        let token = async |name: &str| realm.user(name, "openid workbench").await.unwrap().access_token;
        let (first, second) = (token("alice").await, token("bob").await);
        for token in [&first, &second] {
            call(&stack, token).await.assert_allowed();
        }
        let [_, claims] = keycloak::decoded(&first);
        realm.end_session(claims["sid"].as_str().unwrap()).await.unwrap();
        let record = denied(&stack, call(&stack, &first).await, 401, "token_inactive").await;
        assert_eq!(record.get("user"), None, "{record}");
        // Another user's session goes on.
        call(&stack, &second).await.assert_allowed();
        realm.revoke(Client::Public(PASSWORDS), &second).await.unwrap();
        denied(&stack, call(&stack, &second).await, 401, "token_inactive").await;
        // What is no JWT is asked about, too, and Keycloak has none that is opaque.
        denied(&stack, call(&stack, "made-up").await, 401, "token_inactive").await;
        // What Keycloak didn't sign is refused without a question.
        let forged = format!("{}x", &first[..first.len() - 1]);
        let refused = call(&stack, &forged).await;
        assert_ne!(refused.reason(), "token_inactive", "{refused:?}");
    });
}

#[test]
fn a_lightweight_token_of_a_real_keycloak_says_little_and_is_asked_about() {
    run(async {
        let Ground { realm, stack } = with_secret("lightweight").await;
        let mut service = client(
            "light",
            "client-secret",
            &json!({ "client.use.lightweight.access.token.enabled": "true" }),
        );
        service["serviceAccountsEnabled"] = json!(true);
        service["defaultClientScopes"] =
            json!(["basic", "acr", "profile", "email", "roles", "groups", "workbench"]);
        realm.add_client(&service).await.unwrap();
        let light = Client::Secret("light", SECRET);
        let tokens = realm
            .tokens(light, Grant::ClientCredentials, "workbench", None)
            .await;
        let token = tokens.unwrap().access_token;
        let [_, claims] = keycloak::decoded(&token);
        assert_eq!(
            (claims.get("aud"), claims.get("preferred_username")),
            (None, None),
            "{claims}"
        );
        let reply = call(&stack, &token).await;
        let record = denied(&stack, reply, 200, "no_permit").await;
        assert_eq!(record["user"]["username"], "service-account-light", "{record}");
    });
}

/// A realm whose Keycloak knows the trust domain by its bundle, and a verifier that asks it.
struct Asked {
    realm: Realm,
    resource: String,
    verifier: Arc<Verifier>,
}

impl Asked {
    async fn new(name: &str, bundle: &str, id: &str, client: &Value, auth: &Value) -> Self {
        let ports = stack::Ports::free(None).await.unwrap();
        let mut places = keycloak::places(name, &ports);
        bundle.clone_into(&mut places.bundle);
        let realm = keycloak::keycloak().await.unwrap().realm(&places).await.unwrap();
        realm.add_client(client).await.unwrap();
        let mut issuer = json!({ "name": "keycloak", "issuer": realm.issuer() });
        issuer["introspection"] = asking(auth, id);
        let settings: Settings = serde_json::from_value(json!({ "issuers": [issuer] })).unwrap();
        Self {
            resource: ports.url("workbench"),
            verifier: Verifier::start(settings, Arc::new(Memory::default()))
                .await
                .unwrap(),
            realm,
        }
    }

    async fn identify(&self, token: &str) -> Result<Caller, IdentityError> {
        let server = json!({ "name": "workbench", "resource": self.resource, "require": ["user"] });
        let server: Server = serde_json::from_value(server).unwrap();
        let exchange = exchange(token);
        self.verifier
            .identify(&exchange, &server, exchange.received)
            .await
    }

    async fn token(&self) -> String {
        self.realm
            .user("alice", "openid workbench")
            .await
            .unwrap()
            .access_token
    }
}

fn exchange(token: &str) -> Exchange {
    let value = format!("Bearer {token}");
    let headers: Headers = [("authorization", value.as_str())].into_iter().collect();
    let started = clock::instant();
    Exchange {
        method: "POST".to_owned(),
        path: "/workbench/mcp".to_owned(),
        host: "localhost".to_owned(),
        scheme: "https".to_owned(),
        headers,
        body: Body::Absent,
        source: Source::default(),
        context: [].into(),
        filter_metadata: serde_json::Map::new(),
        gateway: Gateway::default(),
        request_id: String::new(),
        received: clock::now(),
        started,
        deadline: started.checked_add(Duration::from_secs(30)).unwrap(),
        fate: Fate::default(),
    }
}

fn is_alice(caller: &Result<Caller, IdentityError>) {
    let user = caller.as_ref().unwrap().user.as_ref().unwrap();
    assert_eq!(user.username, "alice");
}

#[test]
fn a_real_keycloak_lets_a_client_with_a_key_ask() {
    run(async {
        let key = ProofKey::generate();
        let mut jwk = key.jwk().clone();
        jwk["kid"] = json!("k1");
        jwk["use"] = json!("sig");
        jwk["alg"] = json!("ES256");
        let attributes = json!({
            "use.jwks.string": "true", "jwks.string": json!({ "keys": [jwk] }).to_string(),
            "token.endpoint.auth.signing.alg": "ES256",
        });
        let asks = client("asks-by-key", "client-jwt", &attributes);
        let auth =
            json!({ "private_key_jwt": { "file": file("key.pem", &key.to_pem().unwrap()), "key_id": "k1" } });
        let asked = Asked::new(
            "asked-by-key",
            "http://127.0.0.1:3/bundle",
            "asks-by-key",
            &asks,
            &auth,
        )
        .await;
        let token = asked.token().await;
        is_alice(&asked.identify(&token).await);
        // Keycloak takes each assertion once.
        is_alice(&asked.identify(&token).await);
        file("key.pem", &ProofKey::generate().to_pem().unwrap());
        let refused = asked.identify(&token).await.unwrap_err();
        assert_eq!(
            refused,
            IdentityError::Introspection(IntrospectionFault::NotAllowed)
        );
    });
}

#[test]
fn a_real_keycloak_lets_a_workload_ask_by_its_svid() {
    run(async {
        let now = clock::now();
        let domain = Arc::new(DevTrustDomain::new(TrustDomain::parse(TRUST_DOMAIN).unwrap(), now).unwrap());
        let bundle = Served::start(Arc::clone(&domain).router()).await.unwrap();
        let id = SpiffeId::parse(&format!("spiffe://{TRUST_DOMAIN}/authz")).unwrap();
        let attributes = json!({ "jwt.credential.issuer": "spiffe", "jwt.credential.sub": id.as_str() });
        let asks = client("asks-by-svid", "federated-jwt", &attributes);
        let path = temporary("introspection").join("svid");
        let _ = std::fs::remove_file(&path);
        let auth = json!({ "jwt_svid": { "file": path } });
        let place = format!("{}/bundle", bundle.url());
        let asked = Asked::new("asked-by-svid", &place, "asks-by-svid", &asks, &auth).await;
        let token = asked.token().await;
        let refused = |caller: Result<Caller, IdentityError>| caller.unwrap_err();
        let fault = IdentityError::Introspection;
        assert_eq!(
            refused(asked.identify(&token).await),
            fault(IntrospectionFault::NoCredential)
        );
        let audience = asked.realm.issuer();
        let mint =
            |id: &SpiffeId| domain.mint_jwt_svid(id, &[&audience], Duration::from_mins(1), clock::now());
        file("svid", &mint(&id).unwrap());
        is_alice(&asked.identify(&token).await);
        let other = SpiffeId::parse(&format!("spiffe://{TRUST_DOMAIN}/other")).unwrap();
        file("svid", &mint(&other).unwrap());
        assert_eq!(
            refused(asked.identify(&token).await),
            fault(IntrospectionFault::NotAllowed)
        );
    });
}
