//! Everything that gets tried with a JWT-SVID, in its header and as an access token, with its exact reason.

mod bundles;
mod refused;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use IdentityError as E;
use SvidError as S;

use super::error::{Claim, Malformed};
use super::*;
use crate::identity::bound::Hash;
use crate::spiffe::SpiffeIdError as Id;
use crate::spiffe::settings::{BundleSource, Refresh, TrustDomain};
use settings::{JwtSvids, Spiffe};

const AGENT: &str = "spiffe://mcp-identity.local/agent/trusted/1";
const HEADER: &str = "x-jwt-svid";

/// A trust domain: its keys, and the file that its bundle is in.
struct Domain {
    ec: Signer,
    rsa: Signer,
}

impl Domain {
    fn new() -> Self {
        Self {
            ec: Signer::ec(),
            rsa: Signer::rsa(),
        }
    }

    /// Its bundle, with keys of other uses among them.
    fn publish(&self, path: &Path, sequence: u64) {
        let authority = |signer: &Signer, kid: &str, usage: &str| {
            let mut jwk = signer.jwk(kid);
            jwk["use"] = json!(usage);
            jwk
        };
        let bundle = json!({ "spiffe_sequence": sequence, "keys": [
            authority(&self.ec, "ec", "jwt-svid"), authority(&self.rsa, "rsa", "jwt-svid"),
            authority(&self.ec, "sig", "sig"), authority(&self.ec, "wit", "wit-svid"),
            { "kid": "oct", "kty": "oct", "use": "jwt-svid", "k": "c2VjcmV0" },
        ]});
        // As a whole or not at all, as who publishes a file should.
        let new = path.with_extension("new");
        std::fs::write(&new, bundle.to_string()).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let rsa = header["kid"] == "rsa";
        let signer = if rsa { &self.rsa } else { &self.ec };
        signer.token(header, claims)
    }

    fn svid(&self, subject: &str) -> String {
        let (header, mut claims) = good();
        claims["sub"] = json!(subject);
        self.sign(&header, &claims)
    }
}

/// What a good one says.
fn good() -> (Value, Value) {
    let claims = json!({ "sub": AGENT, "aud": [RESOURCE], "exp": NOW + 300, "iat": NOW });
    (json!({ "alg": "ES256", "kid": "ec", "typ": "JWT" }), claims)
}

struct World {
    verifier: Arc<Verifier>,
    ours: Domain,
    partner: Domain,
    directory: tempfile::TempDir,
}

/// Two trust domains with bundles, one whose bundle never came, one that is known by certificates alone.
async fn world() -> World {
    world_with(JwtSvids::default()).await
}

async fn world_with(svid: JwtSvids) -> World {
    let directory = tempfile::tempdir().unwrap();
    let (ours, partner) = (Domain::new(), Domain::new());
    ours.publish(&directory.path().join("ours.json"), 1);
    partner.publish(&directory.path().join("partner.json"), 1);
    let domain = |name: &str, file: &str| TrustDomain {
        name: name.to_owned(),
        bundle: Some(BundleSource::File(directory.path().join(file))),
    };
    let spiffe = Spiffe {
        trust_domains: vec![
            domain("mcp-identity.local", "ours.json"),
            domain("partner.example", "partner.json"),
            domain("late.example", "none.json"),
            TrustDomain::named("certificates.example"),
        ],
        bundles: Refresh {
            file_interval: Duration::from_millis(20),
            ..Refresh::default()
        },
        jwt_svid: JwtSvids {
            header: Some(HEADER.to_owned()),
            ..svid
        },
    };
    let gateway = TrustedGateway {
        name: "envoy".to_owned(),
        certificate: None,
        address: Some("10.0.0.0/8".to_owned()),
        unix: false,
        trusted_for: vec![Trust::Principal, Trust::JwtClaims],
    };
    let settings = Settings {
        gateways: vec![gateway],
        spiffe,
        ..Settings::default()
    };
    let verifier = Verifier::start(settings, Arc::new(Memory::default())).await;
    World {
        verifier: verifier.unwrap(),
        ours,
        partner,
        directory,
    }
}

fn in_header(svid: &str) -> Exchange {
    exchange(&[(HEADER, svid)])
}

/// A certificate that a trusted gateway vouches for, besides what the exchange brings.
fn with_certificate(mut exchange: Exchange, id: &str) -> Exchange {
    exchange.gateway.peer = crate::exchange::Peer::Tcp("10.1.2.3".parse().unwrap());
    exchange.source.principal = Some(id.to_owned());
    exchange
}

impl World {
    async fn ask(&self, exchange: &Exchange) -> Result<String, E> {
        self.ask_at(exchange, NOW).await
    }

    async fn ask_at(&self, exchange: &Exchange, second: i64) -> Result<String, E> {
        let now = Timestamp::from_second(second).unwrap();
        let caller = self
            .verifier
            .identify(exchange, &server(&["workload"]), now)
            .await?;
        assert!(caller.user.is_none());
        Ok(caller.workload.unwrap().key().to_owned())
    }
}

/// Changes header and claims.
type Change = fn(&mut Value, &mut Value);

fn without(object: &mut Value, name: &str) {
    object.as_object_mut().unwrap().remove(name);
}

#[tokio::test]
async fn takes_a_jwt_svid_of_each_trust_domain_that_is_listed_in_a_header_or_as_a_token() {
    let world = world().await;
    let with = |change: Change| {
        let (mut header, mut claims) = good();
        change(&mut header, &mut claims);
        world.ours.sign(&header, &claims)
    };
    let partners = "spiffe://partner.example/report";
    let cases = [
        (world.ours.svid(AGENT), AGENT),
        (world.partner.svid(partners), partners),
        (with(|h, _| without(h, "typ")), AGENT),
        (with(|h, _| h["typ"] = json!("JOSE")), AGENT),
        (
            with(|h, _| {
                h["kid"] = json!("rsa");
                h["alg"] = json!("RS256");
            }),
            AGENT,
        ),
        (
            with(|h, _| {
                h["kid"] = json!("rsa");
                h["alg"] = json!("PS256");
            }),
            AGENT,
        ),
        (with(|_, c| c["aud"] = json!(RESOURCE)), AGENT),
        (with(|_, c| without(c, "iat")), AGENT),
        (with(|_, c| c["jti"] = json!("1")), AGENT),
        (with(|_, c| c["iss"] = json!("https://spire.example")), AGENT),
        (with(|_, c| c["exp"] = json!(NOW - 29)), AGENT),
    ];
    for (svid, id) in &cases {
        for exchange in [in_header(svid), bearer(svid), in_header(svid), bearer(svid)] {
            assert_eq!(world.ask(&exchange).await.as_deref(), Ok(*id), "{svid}");
        }
    }
    // Not by the keys of another: neither way round.
    let (ours, theirs) = (world.ours.svid(partners), world.partner.svid(AGENT));
    for forged in [ours, theirs] {
        assert_eq!(
            world.ask(&in_header(&forged)).await,
            Err(E::Svid(S::SignatureInvalid))
        );
    }
}

#[tokio::test]
async fn one_that_is_known_expires_all_the_same_and_is_asked_for_its_audience_at_each_server() {
    let world = world().await;
    let svid = world.ours.svid(AGENT);
    for exchange in [in_header(&svid), bearer(&svid)] {
        assert!(world.ask(&exchange).await.is_ok());
        let other =
            json!({ "name": "other", "resource": "https://mcp.example/other", "require": ["workload"] });
        let other: Server = serde_json::from_value(other).unwrap();
        let elsewhere = world.verifier.identify(&exchange, &other, now()).await;
        assert_eq!(elsewhere.map(drop), Err(E::Svid(S::WrongAudience)));
        assert_eq!(world.ask_at(&exchange, NOW + 330).await, Err(E::Svid(S::Expired)));
        assert!(world.ask_at(&exchange, NOW + 329).await.is_ok());
    }
}

#[tokio::test]
async fn configured_audiences_are_taken_besides_the_servers_own() {
    let world = world_with(JwtSvids {
        audiences: vec!["mcp-authz".to_owned()],
        ..JwtSvids::default()
    })
    .await;
    let cases = [
        (json!("mcp-authz"), Ok(AGENT.to_owned())),
        (json!([RESOURCE, "mcp-authz"]), Ok(AGENT.to_owned())),
        (json!(RESOURCE), Ok(AGENT.to_owned())),
        (json!(["mcp-authz", "spire"]), Err(E::Svid(S::WrongAudience))),
        (json!("MCP-authz"), Err(E::Svid(S::WrongAudience))),
    ];
    for (audience, expected) in cases {
        let (header, mut claims) = good();
        claims["aud"] = audience.clone();
        let svid = world.ours.sign(&header, &claims);
        assert_eq!(world.ask(&in_header(&svid)).await, expected, "{audience}");
    }
}

#[tokio::test]
async fn certificate_header_and_token_that_name_different_workloads_are_refused() {
    let world = world().await;
    let (svid, other) = (
        world.ours.svid(AGENT),
        world.ours.svid("spiffe://mcp-identity.local/other"),
    );
    let token = format!("Bearer {other}");
    let cases = [
        (with_certificate(in_header(&svid), AGENT), Ok(AGENT.to_owned())),
        (with_certificate(bearer(&svid), AGENT), Ok(AGENT.to_owned())),
        (
            with_certificate(in_header(&other), AGENT),
            Err(E::WorkloadDisagrees),
        ),
        (with_certificate(bearer(&other), AGENT), Err(E::WorkloadDisagrees)),
        (
            exchange(&[(HEADER, &svid), ("authorization", &token)]),
            Err(E::WorkloadDisagrees),
        ),
        (
            exchange(&[(HEADER, &other), ("authorization", &token)]),
            Ok("spiffe://mcp-identity.local/other".to_owned()),
        ),
        (
            with_certificate(in_header("x"), AGENT),
            Err(E::Svid(S::Malformed(Malformed::Parts))),
        ),
        (
            with_certificate(in_header(&svid), "spiffe://evil.example/a"),
            Err(E::WorkloadForeignTrustDomain),
        ),
    ];
    for (exchange, expected) in cases {
        assert_eq!(world.ask(&exchange).await, expected, "{:?}", exchange.headers);
    }
}

#[tokio::test]
async fn a_token_is_a_jwt_svid_only_where_workloads_alone_are_required() {
    let world = world().await;
    let svid = bearer(&world.ours.svid(AGENT));
    for require in [&["user"][..], &["user", "workload"], &["workload", "actor"], &[]] {
        let caller = world.verifier.identify(&svid, &server(require), now()).await;
        assert_eq!(caller.map(drop), Err(E::IssuerUnknown), "{require:?}");
    }
    // In its header it may be wrong nowhere.
    for require in [&["workload"][..], &[]] {
        let caller = world
            .verifier
            .identify(&in_header("x"), &server(require), now())
            .await;
        assert_eq!(
            caller.map(drop),
            Err(E::Svid(S::Malformed(Malformed::Parts))),
            "{require:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_takes_bound_tokens_only_takes_no_unbound_jwt_svid_that_stands_alone() {
    let world = world().await;
    let bound = json!({ "name": "kubernetes", "resource": RESOURCE, "require": ["workload"], "sender_constraint": "any" });
    let bound: Server = serde_json::from_value(bound).unwrap();
    let svid = world.ours.svid(AGENT);
    for alone in [
        in_header(&svid),
        bearer(&svid),
        with_certificate(bearer(&svid), AGENT),
    ] {
        let caller = world.verifier.identify(&alone, &bound, now()).await;
        assert_eq!(caller.map(drop), Err(E::Bound(BoundError::TokenNotBound)));
    }
    let certified = with_certificate(in_header(&svid), AGENT);
    let caller = world.verifier.identify(&certified, &bound, now()).await.unwrap();
    assert_eq!(caller.workload.unwrap().key(), AGENT);
}

#[tokio::test]
async fn one_that_is_bound_to_a_key_is_taken_as_a_token_with_its_proof_and_never_in_the_header() {
    let world = world().await;
    let key = Signer::ec();
    let jwk = key.jwk("proof");
    let (x, y) = (jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
    // RFC 7638 §3.2
    let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let hash = |text: &str| URL_SAFE_NO_PAD.encode(Hash::of(text.as_bytes()).as_bytes());
    let (header, mut claims) = good();
    claims["cnf"] = json!({ "jkt": hash(&thumbprint) });
    let svid = world.ours.sign(&header, &claims);
    let proof = |id: &str, of: &str| {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let url = "https://mcp.example/mcp";
        let claims = json!({ "jti": id, "htm": "POST", "htu": url, "iat": NOW, "ath": hash(of) });
        key.token(&header, &claims)
    };
    let token = format!("DPoP {svid}");
    let first = proof("p1", &svid);
    let cases = [
        (
            vec![("authorization", &*token), ("dpop", &*first)],
            Ok(AGENT.to_owned()),
        ),
        // Known by now, and still to be proved each time.
        (
            vec![("authorization", &*token), ("dpop", &*first)],
            Err(E::Bound(BoundError::ProofReplayed)),
        ),
        (
            vec![("authorization", &*token)],
            Err(E::Bound(BoundError::ProofMissing)),
        ),
        (
            vec![(HEADER, &*svid), ("dpop", &*first)],
            Err(E::BoundTokenWithoutProof),
        ),
    ];
    let dpop = json!({ "name": "kubernetes", "resource": RESOURCE, "require": ["workload"], "sender_constraint": "dpop" });
    let dpop: Server = serde_json::from_value(dpop).unwrap();
    for (headers, expected) in cases {
        let caller = world.verifier.identify(&exchange(&headers), &dpop, now()).await;
        let found = caller.map(|caller| caller.workload.unwrap().key().to_owned());
        assert_eq!(found, expected, "{headers:?}");
    }
    let other = proof("p2", "another token");
    let headers = [("authorization", &*token), ("dpop", &*other)];
    assert_eq!(
        world.ask(&exchange(&headers)).await,
        Err(E::Bound(BoundError::ProofOtherToken))
    );
}

#[tokio::test]
async fn claims_that_a_gateway_vouches_for_are_another_token_than_a_jwt_svid() {
    let world = world().await;
    let mut exchange = with_certificate(bearer(&world.ours.svid(AGENT)), AGENT);
    let claims = json!({ "jwt_payload": { "sub": AGENT } });
    exchange
        .filter_metadata
        .insert("envoy.filters.http.jwt_authn".to_owned(), claims);
    assert_eq!(world.ask(&exchange).await, Err(E::ClaimsDisagree));
}
