//! What known tokens take, by the kernel's account, against what is said of it: with the binary's allocator, in a process of
//! its own.

#![expect(clippy::unwrap_used, reason = "a test may fail on the spot")]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_authz::clock;
use mcp_authz::exchange::{Body, Exchange, Fate, Gateway, Headers, Source};
use mcp_authz::identity::{IdentityError, Settings, Verifier};
use mcp_authz::inventory::Server;
use mcp_authz::state::Memory;
use serde_json::json;

use resident::resident;

#[path = "memory/resident.rs"]
mod resident;

const RESOURCE: &str = "https://mcp.example/workbench/mcp";
const ISSUER: &str = "https://id.example/realms/mcp";
const SECRET: [u8; 32] = [b'k'; 32];
/// `identity.verified_tokens`.
const KILOBYTES: u64 = 40_000;
/// The kernel gives memory in pieces of this size, where it can.
const PIECE: u64 = 2 << 20;

struct World {
    verifier: Arc<Verifier>,
    server: Server,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::fs::write(&file, SECRET).unwrap();
        let issuer = json!({ "name": "shared", "issuer": ISSUER, "keys": { "secret_file": file } });
        let settings = json!({ "issuers": [issuer], "verified_tokens": KILOBYTES });
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let server = json!({ "name": "workbench", "resource": RESOURCE, "require": ["user"] });
        Self {
            verifier: Verifier::start(settings, Arc::new(Memory::default()))
                .await
                .unwrap(),
            server: serde_json::from_value(server).unwrap(),
            _directory: directory,
        }
    }

    /// So many tokens never seen before, signed with this.
    async fn see(&self, tokens: std::ops::Range<u32>, key: &[u8], expected: Result<(), IdentityError>) {
        for number in tokens {
            let exchange = exchange(&token(number, key));
            let found = self
                .verifier
                .identify(&exchange, &self.server, exchange.received)
                .await;
            assert_eq!(found.map(drop), expected);
        }
    }
}

/// As Keycloak writes it for a user of the shipped realm.
fn token(number: u32, key: &[u8]) -> String {
    let now = clock::now().as_second();
    let claims = json!({
        "exp": now + 300, "iat": now, "auth_time": now, "jti": format!("onrtac:4a5c1e57-0000-4000-8000-{number:012}"),
        "iss": ISSUER, "aud": RESOURCE, "sub": format!("a11ce000-0000-4000-8000-{number:012}"), "typ": "Bearer",
        "azp": "mcp-client", "sid": format!("5e551011-0000-4000-8000-{number:012}"), "acr": "1",
        "realm_access": { "roles": ["mcp-developer", "mcp-viewer", "offline_access", "uma_authorization"] },
        "scope": "openid profile email workbench public:read", "groups": ["/staff", "/tenants/acme"],
        "email_verified": true, "name": "Alice Liddell", "preferred_username": format!("alice-{number}"),
        "given_name": "Alice", "family_name": "Liddell", "email": format!("alice-{number}@example.com"),
    });
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256","typ":"JWT","kid":"a-key-of-the-realm"}"#),
        encode(claims.to_string().as_bytes())
    );
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}

fn exchange(token: &str) -> Exchange {
    let value = format!("Bearer {token}");
    let headers: Headers = [("authorization", value.as_str())].into_iter().collect();
    Exchange {
        method: "POST".to_owned(),
        path: "/workbench/mcp".to_owned(),
        host: "mcp.example".to_owned(),
        scheme: "https".to_owned(),
        headers,
        body: Body::Absent,
        source: Source::default(),
        context: [].into(),
        filter_metadata: serde_json::Map::new(),
        gateway: Gateway::default(),
        request_id: String::new(),
        received: clock::now(),
        started: clock::instant(),
        deadline: clock::instant() + Duration::from_mins(1),
        fate: Fate::default(),
    }
}

#[tokio::test]
async fn a_known_token_takes_what_it_is_said_to_weigh_and_a_flood_takes_no_more_than_it_may() {
    const TOKENS: u32 = 18_000;
    let world = World::new().await;
    // What is there once, whatever follows.
    world.see(0..1000, &SECRET, Ok(())).await;
    let (before, known) = (resident(), world.verifier.cache_numbers());
    world.see(1000..1000 + TOKENS, &SECRET, Ok(())).await;
    let (after, knows) = (resident(), world.verifier.cache_numbers());
    assert_eq!((knows.tokens - known.tokens, knows.evicted), (TOKENS as usize, 0));
    let (weigh, take) = (knows.bytes - known.bytes, after - before);
    let length = token(0, &SECRET).len() as u64;
    println!("{TOKENS} tokens of {length} bytes weigh {weigh} and take {take}");
    let most = u64::from(TOKENS) * (length + 1024);
    assert!(
        weigh < most && take < most + PIECE,
        "{weigh}, {take} instead of {most}"
    );
    assert!(take < weigh + weigh / 10 + PIECE, "{take} instead of {weigh}");
    assert!(weigh < 2 * take, "{take} instead of {weigh}");

    // Valid tokens that are each seen once, more than there is room for, and as many forged ones.
    world.see(100_000..130_000, &SECRET, Ok(())).await;
    world
        .see(
            200_000..230_000,
            b"a forger's",
            Err(IdentityError::SignatureInvalid),
        )
        .await;
    let numbers = world.verifier.cache_numbers();
    assert!(
        numbers.evicted > 0 && numbers.bytes <= KILOBYTES * 1024,
        "{numbers:?}"
    );
    let grown = resident() - before;
    println!("a flood of 60,000 takes {grown} in all, of {}", numbers.capacity);
    assert!(
        grown < numbers.capacity + numbers.capacity / 4,
        "{grown}: {numbers:?}"
    );
}
