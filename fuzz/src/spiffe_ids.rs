//! SPIFFE IDs: a text names a workload in one spelling alone, and wherever it stands, a certificate or a JWT-SVID, it names the
//! same one or nobody.
//!
//! The bytes are the text. As a JWT-SVID's `sub` it is signed by a key of our trust domain, whose private half is here: what
//! is looked for is a text that should name nobody and does.

use std::sync::{Arc, LazyLock};

use mcp_authz::dev::dpop::ProofKey;
use mcp_authz::exchange::{Exchange, Headers};
use mcp_authz::identity::Verifier;
use mcp_authz::identity::settings::Settings;
use mcp_authz::inventory::Server;
use mcp_authz::spiffe::settings::{BundleSource, TrustDomain as Configured};
use mcp_authz::spiffe::{SpiffeId, TrustDomain, claims_to_be};
use mcp_authz::state::Memory;
use serde_json::json;

use super::{http, world, xfcc};

const KEY: &str = include_str!("../keys/proof.pem");
const HEADER: &str = "x-jwt-svid";

/// Who takes JWT-SVIDs of our trust domain.
struct Taker {
    verifier: Arc<Verifier>,
    server: Server,
    key: ProofKey,
}

static TAKER: LazyLock<Taker> = LazyLock::new(|| {
    let settings = settings();
    let server = json!({ "name": "workbench", "resource": world::RESOURCE, "require": [] });
    Taker {
        verifier: world::block_on(Verifier::start(settings, Arc::new(Memory::default())))
            .expect("settings that can be used"),
        server: serde_json::from_value(server).expect("a server"),
        key: ProofKey::from_pem(KEY).expect("a key"),
    }
});

fn settings() -> Settings {
    let mut settings = world::identity();
    settings.spiffe.trust_domains = vec![Configured {
        name: world::TRUST_DOMAIN.to_owned(),
        bundle: Some(BundleSource::File(
            world::checkout().join("fuzz/keys/bundle.json"),
        )),
    }];
    settings.spiffe.jwt_svid.header = Some(HEADER.to_owned());
    // Each is verified each time: what was found once must not hide what is found next.
    settings.spiffe.jwt_svid.verified = 0;
    settings
}

/// Takes the bytes for a SPIFFE ID.
///
/// # Panics
/// If it is taken and isn't one, isn't taken and is one, or names somebody else elsewhere.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let parsed = SpiffeId::parse(text);
    assert_eq!(parsed.is_ok(), by_grammar(text), "{text:?}");
    if let Ok(id) = &parsed {
        assert!(claims_to_be(text));
        assert_eq!(id.as_str(), text);
        assert_eq!(
            TrustDomain::parse(id.trust_domain()).map(|name| name.to_string()),
            Ok(id.trust_domain().to_owned())
        );
        xfcc::canonical(id);
    }
    let ours = parsed.is_ok_and(|id| id.trust_domain() == world::TRUST_DOMAIN);
    let expected = ours.then(|| text.to_owned());
    assert_eq!(of_certificate(text), expected, "{text:?}");
    assert_eq!(of_svid(text), expected, "{text:?}");
}

/// Whether the text names a workload of ours as a JWT-SVID.
///
/// # Panics
/// If the settings can't be used.
#[must_use]
pub fn is_taken(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| of_svid(text).is_some())
}

/// SPIFFE-ID §2, with a path, read character by character.
fn by_grammar(text: &str) -> bool {
    let mut parts = text.split('/');
    let scheme = (parts.next(), parts.next()) == (Some("spiffe:"), Some(""));
    let name = parts.next().unwrap_or_default();
    let name_fits = |char: char| matches!(char, 'a'..='z' | '0'..='9' | '.' | '-' | '_');
    let segment_fits = |char: char| char.is_ascii_uppercase() || name_fits(char);
    let segments: Vec<&str> = parts.collect();
    let each = |segment: &&str| !matches!(*segment, "" | "." | "..") && segment.chars().all(segment_fits);
    text.len() <= 2048
        && scheme
        && (1..=255).contains(&name.len())
        && name.chars().all(name_fits)
        && !segments.is_empty()
        && segments.iter().all(each)
}

fn of_certificate(id: &str) -> Option<String> {
    let mut exchange = http::empty();
    exchange.headers = Headers::default();
    exchange.source.principal = Some(id.to_owned());
    workload(&exchange)
}

fn of_svid(id: &str) -> Option<String> {
    let issued = http::now().as_second();
    let header = json!({ "alg": "ES256", "kid": "s1", "typ": "JWT" });
    let claims = json!({ "sub": id, "aud": [world::RESOURCE], "iat": issued, "exp": issued + 60 });
    let svid = TAKER.key.sign(&header, &claims).expect("a signature");
    let mut exchange = http::empty();
    exchange.headers = Headers::default();
    exchange.headers.push(HEADER, svid);
    workload(&exchange)
}

fn workload(exchange: &Exchange) -> Option<String> {
    let caller = TAKER.verifier.identify(exchange, &TAKER.server, http::now());
    let workload = world::block_on(caller).ok()?.workload?;
    Some(workload.key().to_owned())
}
