//! Tokens and workloads as they get tried, each with its exact reason; keys over real HTTP.
#![expect(clippy::too_many_lines, reason = "tables of cases are long")]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

mod actors;
mod authorizer;
mod bound;
mod floods;
mod gateway_claims;
mod https;
mod introspection;
mod issuer;
mod keys;
mod notices;
mod revocation;
mod signer;
mod strangers;
mod svids;
mod tokens;
mod workloads;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock;
use crate::exchange::{Body, Fate, Headers, Source};
use crate::state::Memory;
use issuer::TestIssuer;
use settings::{Keys, TrustedGateway};
use signer::Signer;

const RESOURCE: &str = "https://mcp.example/kubernetes";
const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// A server that requires these identities.
fn server(require: &[&str]) -> Server {
    let settings = json!({ "name": "kubernetes", "resource": RESOURCE, "require": require });
    serde_json::from_value(settings).unwrap()
}

fn exchange(headers: &[(&str, &str)]) -> Exchange {
    let started = clock::instant();
    Exchange {
        method: "POST".to_owned(),
        path: "/mcp".to_owned(),
        host: "mcp.example".to_owned(),
        scheme: "https".to_owned(),
        headers: headers.iter().copied().collect::<Headers>(),
        body: Body::Absent,
        source: Source::default(),
        context: HashMap::new(),
        filter_metadata: Map::new(),
        gateway: crate::exchange::Gateway::default(),
        request_id: String::new(),
        received: now(),
        started,
        deadline: started + Duration::from_secs(3),
        fate: Fate::default(),
    }
}

/// A gateway that is believed about claims, and about nothing else.
fn agentgateway() -> TrustedGateway {
    TrustedGateway {
        name: "agentgateway".to_owned(),
        certificate: Some("spiffe://mcp-identity.local/gateway".to_owned()),
        address: None,
        unix: false,
        trusted_for: vec![Trust::JwtClaims],
    }
}

fn bearer(token: &str) -> Exchange {
    exchange(&[("authorization", &format!("Bearer {token}"))])
}

/// A good token's claims, as Keycloak writes them.
fn claims(iss: &str) -> Value {
    json!({
        "exp": NOW + 300, "iat": NOW, "jti": "j1", "iss": iss, "aud": RESOURCE, "sub": "alice-id", "typ": "Bearer",
        "azp": "mcp-client", "sid": "s1", "acr": "1", "realm_access": { "roles": ["mcp-developer", "admin"] },
        "scope": "openid public:read", "groups": ["/staff", "/tenants/acme", "/tenants/umbrella/ops"],
        "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
    })
}

/// What an issuer says of a good token (RFC 7662 §2.2).
fn answer(iss: &str) -> Value {
    let mut answer = claims(iss);
    answer["active"] = json!(true);
    answer["token_type"] = json!("Bearer");
    answer["client_id"] = json!("mcp-client");
    answer
}

async fn start(issuers: Vec<settings::Issuer>) -> Arc<Verifier> {
    Verifier::start(
        Settings {
            issuers,
            ..Settings::default()
        },
        Arc::new(Memory::default()),
    )
    .await
    .unwrap()
}

/// The user of a token, where only a user is required.
async fn user(verifier: &Verifier, token: &str) -> Result<Arc<User>, IdentityError> {
    let caller = verifier
        .identify(&bearer(token), &server(&["user"]), now())
        .await?;
    Ok(caller.user.unwrap())
}
