//! A service to send things to: its settings, its keys, its moment. Nothing in it forgets or waits.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use mcp_authz::exchange::Exchange;
use mcp_authz::identity::settings::{Issuer, Keys, Settings, Spiffe, Trust, TrustedGateway};
use mcp_authz::identity::{Caller, IdentityError, Verifier};
use mcp_authz::inventory::Server;
use mcp_authz::spiffe::settings::TrustDomain;
use mcp_authz::state::Memory;
use tokio::runtime::Runtime;

use super::http;

/// The audience of the tokens.
pub const RESOURCE: &str = "https://mcp.example/workbench/mcp";
/// Whose workloads may call.
pub const TRUST_DOMAIN: &str = "mcp-identity.local";
/// Who issues tokens: signed with RSA, with an elliptic curve, with a shared secret.
pub const ISSUERS: [&str; 3] = [
    "https://rsa.example",
    "https://ec.example",
    "https://shared.example",
];

/// Tokens that were signed with the keys of the issuers, one a line: the only ones that there are.
const TOKENS: &str = include_str!("../keys/tokens.txt");

/// The checkout.
///
/// # Panics
/// Outside of one.
#[must_use]
pub fn checkout() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let is_checkout = |folder: &&std::path::Path| folder.join("policies/base.cedarschema").exists();
    here.ancestors().find(is_checkout).expect("a checkout").to_owned()
}

/// Runs a future to its end.
///
/// # Panics
/// Without a runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime")
    });
    RUNTIME.block_on(future)
}

/// Whom the service believes.
#[must_use]
pub fn identity() -> Settings {
    let keys = |name: &str| checkout().join("fuzz/keys").join(name);
    let issuer = |name: &str, iss: &str, keys: Keys, algorithms: &[Algorithm]| Issuer {
        keys,
        algorithms: algorithms.to_vec(),
        refresh_interval: Duration::from_hours(20),
        ..Issuer::new(name, iss)
    };
    let [rsa, ec, shared] = ISSUERS;
    Settings {
        issuers: vec![
            issuer(
                "rsa",
                rsa,
                Keys::File(keys("rsa.json")),
                &[Algorithm::RS256, Algorithm::PS256],
            ),
            issuer("ec", ec, Keys::File(keys("ec.json")), &[Algorithm::ES256]),
            issuer("shared", shared, Keys::SecretFile(keys("secret")), &[]),
        ],
        gateways: vec![TrustedGateway {
            name: "fuzz".to_owned(),
            certificate: None,
            address: None,
            unix: true,
            trusted_for: vec![Trust::Principal, Trust::Xfcc],
        }],
        spiffe: Spiffe {
            trust_domains: vec![TrustDomain::named(TRUST_DOMAIN)],
            ..Spiffe::default()
        },
        // Each token is verified each time: what was found once must not hide what is found next.
        verified_tokens: 0,
    }
}

/// Who calls, by a server that requires nobody: whatever comes must hold.
///
/// # Errors
/// Whatever the verifier says.
///
/// # Panics
/// If the settings can't be used.
pub fn identify(exchange: &Exchange) -> Result<Caller, IdentityError> {
    static VERIFIER: LazyLock<Arc<Verifier>> = LazyLock::new(|| {
        block_on(Verifier::start(identity(), Arc::new(Memory::default()))).expect("settings that can be used")
    });
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        let server = serde_json::json!({"name": "workbench", "resource": RESOURCE, "require": []});
        serde_json::from_value(server).expect("a server")
    });
    block_on(VERIFIER.identify(exchange, &SERVER, http::now()))
}

/// Whether a token, or one that says the same, was ever signed.
#[must_use]
pub fn was_signed(token: &str) -> bool {
    let signed = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
    TOKENS.lines().any(|known| signed(known) == signed(token))
}
