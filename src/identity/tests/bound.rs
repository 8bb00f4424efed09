//! Tokens bound to a key or a certificate: each way in which a proof can be wrong, with its exact reason.

use std::future;
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
}

impl TestStore {
    fn since(since: i64) -> Self {
        Self {
            memory: Memory::default(),
            since,
            down: None,
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

    fn secret(&self, name: &'static str, deadline: Instant) -> Answer<'_, Secret> {
        self.memory.secret(name, deadline)
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
    proving: ProofKey,
}

async fn world(store: TestStore) -> World {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let gateway = json!({ "name": "edge", "certificate": "edge", "trusted_for": ["principal", "xfcc"] });
    let settings = Settings {
        issuers: vec![issuer.settings()],
        gateways: vec![serde_json::from_value(gateway).unwrap()],
        ..Settings::default()
    };
    World {
        verifier: Verifier::start(settings, Arc::new(store)).await.unwrap(),
        key,
        issuer,
        proving: ProofKey::generate(),
    }
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

type Change = fn(&mut Value, &mut Value);

fn wrong_proofs() -> Vec<(&'static str, Change, BoundError)> {
    vec![
        ("typ of a token", |h, _| h["typ"] = json!("JWT"), B::ProofType),
        (
            "no typ",
            |h, _| drop(h.as_object_mut().unwrap().remove("typ")),
            B::ProofType,
        ),
        (
            "typ in another case",
            |h, _| h["typ"] = json!("DPoP+JWT"),
            B::ProofType,
        ),
        ("crit", |h, _| h["crit"] = json!(["b64"]), B::ProofMalformed),
        ("alg none", |h, _| h["alg"] = json!("none"), B::ProofAlgorithm),
        ("alg HS256", |h, _| h["alg"] = json!("HS256"), B::ProofAlgorithm),
        (
            "alg not configured",
            |h, _| h["alg"] = json!("RS256"),
            B::ProofAlgorithm,
        ),
        (
            "no alg",
            |h, _| drop(h.as_object_mut().unwrap().remove("alg")),
            B::ProofAlgorithm,
        ),
        (
            "no key",
            |h, _| drop(h.as_object_mut().unwrap().remove("jwk")),
            B::ProofKeyUnusable,
        ),
        (
            "a key by its kid",
            |h, _| h["jwk"] = json!("k1"),
            B::ProofKeyUnusable,
        ),
        (
            "a private key",
            |h, _| h["jwk"]["d"] = json!("AAAA"),
            B::ProofKeyPrivate,
        ),
        (
            "a symmetric key",
            |h, _| h["jwk"] = json!({ "kty": "oct", "k": "AAAA" }),
            B::ProofKeyUnusable,
        ),
        (
            "a curve not allowed",
            |h, _| h["jwk"]["crv"] = json!("secp256k1"),
            B::ProofKeyUnusable,
        ),
        (
            "a curve of another alg",
            |h, _| h["jwk"]["crv"] = json!("P-384"),
            B::ProofKeyUnusable,
        ),
        (
            "an alg of another curve",
            |h, _| h["alg"] = json!("ES384"),
            B::ProofKeyUnusable,
        ),
        (
            "another key",
            |h, _| h["jwk"] = ProofKey::generate().jwk,
            B::ProofOtherKey,
        ),
        (
            "htm of another request",
            |_, c| c["htm"] = json!("GET"),
            B::ProofMethod,
        ),
        (
            "htm in another case",
            |_, c| c["htm"] = json!("post"),
            B::ProofMethod,
        ),
        (
            "htu of another path",
            |_, c| c["htu"] = json!("https://mcp.example/other"),
            B::ProofUrl,
        ),
        (
            "htu of another host",
            |_, c| c["htu"] = json!("https://mcp.evil/mcp"),
            B::ProofUrl,
        ),
        (
            "htu without TLS",
            |_, c| c["htu"] = json!("http://mcp.example/mcp"),
            B::ProofUrl,
        ),
        (
            "htu with another path's case",
            |_, c| c["htu"] = json!("https://mcp.example/MCP"),
            B::ProofUrl,
        ),
        ("htu a path", |_, c| c["htu"] = json!("/mcp"), B::ProofUrl),
        ("iat too old", |_, c| c["iat"] = json!(NOW - 61), B::ProofTooOld),
        ("iat ahead", |_, c| c["iat"] = json!(NOW + 6), B::ProofAhead),
        ("iat a text", |_, c| c["iat"] = json!("now"), B::ProofMalformed),
        ("iat negative", |_, c| c["iat"] = json!(-1), B::ProofMalformed),
        (
            "ath missing",
            |_, c| drop(c.as_object_mut().unwrap().remove("ath")),
            B::ProofOtherToken,
        ),
        ("ath no hash", |_, c| c["ath"] = json!("x"), B::ProofOtherToken),
        (
            "ath of another token",
            |_, c| c["ath"] = json!("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"),
            B::ProofOtherToken,
        ),
        ("jti empty", |_, c| c["jti"] = json!(""), B::ProofMalformed),
        ("jti a number", |_, c| c["jti"] = json!(1), B::ProofMalformed),
        (
            "no jti",
            |_, c| drop(c.as_object_mut().unwrap().remove("jti")),
            B::ProofMalformed,
        ),
        (
            "no htm",
            |_, c| drop(c.as_object_mut().unwrap().remove("htm")),
            B::ProofMalformed,
        ),
        (
            "no htu",
            |_, c| drop(c.as_object_mut().unwrap().remove("htu")),
            B::ProofMalformed,
        ),
        (
            "no iat",
            |_, c| drop(c.as_object_mut().unwrap().remove("iat")),
            B::ProofMalformed,
        ),
    ]
}

#[tokio::test]
async fn each_wrong_proof_is_refused_for_its_reason_and_uses_nothing_up() {
    let world = world(TestStore::since(0)).await;
    let token = world.bound_token();
    for (what, change, reason) in wrong_proofs() {
        let (mut header, mut claims) = world.proof(&token);
        change(&mut header, &mut claims);
        let proof = world.proving.sign(&header, &claims);
        assert_eq!(
            world.with_proof(&token, &proof).await,
            Err(E::Bound(reason)),
            "{what}"
        );
    }
    assert_eq!(world.with_proof(&token, &world.good_proof(&token)).await, Ok(()));
}

#[tokio::test]
async fn a_proof_of_the_same_url_in_another_spelling_or_at_the_ends_of_its_time_holds() {
    let world = world(TestStore::since(0)).await;
    let token = world.bound_token();
    let spellings: [Change; 6] = [
        |_, c| c["htu"] = json!("https://mcp.example/mcp?query=1"),
        |_, c| c["htu"] = json!("https://mcp.example:443/mcp"),
        |_, c| c["htu"] = json!("HTTPS://MCP.example/m%63p#x"),
        |_, c| c["iat"] = json!(NOW - 60),
        |_, c| c["iat"] = json!(NOW + 5),
        |_, c| c["iat"] = json!(1_799_999_990.5),
    ];
    for (number, change) in spellings.into_iter().enumerate() {
        let (mut header, mut claims) = world.proof(&token);
        claims["jti"] = json!(format!("spelling {number}"));
        change(&mut header, &mut claims);
        let proof = world.proving.sign(&header, &claims);
        assert_eq!(world.with_proof(&token, &proof).await, Ok(()), "{claims}");
    }
}

#[tokio::test]
async fn a_proof_comes_once_whole_and_signed_by_its_key() {
    let world = world(TestStore::since(0)).await;
    let token = world.bound_token();
    let (header, claims) = world.proof(&token);
    let good = world.good_proof(&token);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let stranger = ProofKey::generate().sign(&header, &claims);
    let (_, others) = stranger.rsplit_once('.').unwrap();
    let cases = [
        (stranger.clone(), B::ProofSignature),
        (format!("{signed}."), B::ProofSignature),
        (format!("{signed}.{others}"), B::ProofSignature),
        (format!("{good}="), B::ProofMalformed),
        (format!("{good}, {good}"), B::ProofRepeated),
        (format!("{good}.x"), B::ProofMalformed),
        (signed.to_owned(), B::ProofMalformed),
        (String::new(), B::ProofMalformed),
        (token.clone(), B::ProofType),
        ("a".repeat(4097), B::ProofTooLarge),
    ];
    for (proof, reason) in cases {
        assert_eq!(
            world.with_proof(&token, &proof).await,
            Err(E::Bound(reason)),
            "{proof}"
        );
    }
    let authorization = format!("DPoP {token}");
    let twice = exchange(&[
        ("authorization", &authorization),
        ("dpop", &good),
        ("dpop", &good),
    ]);
    assert_eq!(
        world.identify(&twice, "dpop").await,
        Err(E::Bound(B::ProofRepeated))
    );
    let without = exchange(&[("authorization", &authorization)]);
    assert_eq!(
        world.identify(&without, "dpop").await,
        Err(E::Bound(B::ProofMissing))
    );
}

#[tokio::test]
async fn a_bound_token_is_never_a_bearer_token_and_an_unbound_one_needs_no_proof_where_none_is_asked_for() {
    let world = world(TestStore::since(0)).await;
    let (bound, plain) = (world.bound_token(), world.token(&Value::Null));
    for constraint in ["none", "dpop", "mtls", "any"] {
        let sent = exchange(&[
            ("authorization", &format!("Bearer {bound}")),
            ("dpop", &world.good_proof(&bound)),
        ]);
        assert_eq!(
            world.identify(&sent, constraint).await,
            Err(E::BoundTokenWithoutProof),
            "{constraint}"
        );
        let expected = match constraint {
            "none" => Ok(()),
            _ => Err(E::Bound(B::TokenNotBound)),
        };
        assert_eq!(
            world.identify(&bearer(&plain), constraint).await,
            expected,
            "{constraint}"
        );
        let as_if = proved(&plain, &world.good_proof(&plain));
        assert_eq!(
            world.identify(&as_if, constraint).await,
            Err(E::Bound(B::TokenNotBound))
        );
    }
    let sent = proved(&bound, &world.good_proof(&bound));
    assert_eq!(
        world.identify(&sent, "mtls").await,
        Err(E::Bound(B::TokenNotBound))
    );
    assert_eq!(world.identify(&sent, "none").await, Ok(()));
    assert_eq!(
        world.identify(&sent, "any").await,
        Err(E::Bound(B::ProofReplayed))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_with_the_same_proof_at_once_one_gets_through() {
    let world = Arc::new(world(TestStore::since(0)).await);
    let token = world.bound_token();
    let proof = world.good_proof(&token);
    let tries: Vec<_> = (0..1000)
        .map(|_| {
            let (world, token, proof) = (Arc::clone(&world), token.clone(), proof.clone());
            tokio::spawn(async move { world.with_proof(&token, &proof).await })
        })
        .collect();
    let mut through = 0;
    for outcome in tries {
        match outcome.await.unwrap() {
            Ok(()) => through += 1,
            refused => assert_eq!(refused, Err(E::Bound(B::ProofReplayed))),
        }
    }
    assert_eq!(through, 1);
}

#[tokio::test]
async fn the_ids_of_one_keys_proofs_are_not_used_up_by_anothers() {
    let mut world = world(TestStore::since(0)).await;
    for _ in 0..2 {
        world.proving = ProofKey::generate();
        let token = world.bound_token();
        let proof = world.good_proof(&token);
        assert_eq!(world.with_proof(&token, &proof).await, Ok(()));
    }
}

#[tokio::test]
async fn a_proof_is_refused_where_nobody_can_tell_whether_it_was_used() {
    for why in [StateError::Unreachable, StateError::TooLate, StateError::Full] {
        let store = TestStore {
            down: Some(why),
            ..TestStore::since(0)
        };
        let world = world(store).await;
        let token = world.bound_token();
        let refused = world
            .with_proof(&token, &world.good_proof(&token))
            .await
            .unwrap_err();
        assert_eq!(refused, E::Bound(B::ReplaysUnknown(why)));
        assert!(refused.is_outage());
        assert_eq!(
            world.identify(&bearer(&world.token(&Value::Null)), "none").await,
            Ok(())
        );
    }
    // A client's clock that is ahead by 5 s may have made it before the store was there.
    for (since, expected) in [(NOW - 5, Err(E::Bound(B::ReplaysForgotten))), (NOW - 6, Ok(()))] {
        let world = world(TestStore::since(since)).await;
        let token = world.bound_token();
        assert_eq!(
            world.with_proof(&token, &world.good_proof(&token)).await,
            expected
        );
    }
}

#[tokio::test]
async fn the_example_of_rfc_9449_holds() {
    const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
        VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
        nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
        QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj\
        oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z\
        WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF\
        c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E\
        OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let key = Hash::read("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap();
    let mut server = server(&["user"]);
    server.resource = "https://resource.example.org/protectedresource".to_owned();
    let mut exchange = exchange(&[("dpop", PROOF)]);
    exchange.method = "GET".to_owned();
    exchange.path = "/protectedresource".to_owned();
    let now = Timestamp::from_second(1_562_262_620).unwrap();
    let store = TestStore::since(0);
    let checked = dpop::check(&key, TOKEN, (&exchange, &server), &store, now).await;
    assert_eq!(checked, Ok(()));
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_needs_that_one_from_a_gateway_that_may_say_so() {
    let certificate = |name: &str| {
        rcgen::generate_simple_self_signed([name.to_owned()])
            .unwrap()
            .cert
    };
    let (ours, other) = (certificate("a"), certificate("b"));
    let hash = Hash::of(ours.der());
    let hex = |hash: &Hash| {
        let bytes = hash.as_bytes().iter();
        bytes.fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let (our_hash, other_hash) = (hex(&hash), hex(&Hash::of(other.der())));
    let world = world(TestStore::since(0)).await;
    let token = world.token(&json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(hash.as_bytes()) }));
    let (our_pem, other_pem) = (ours.pem(), other.pem());
    let element = |hash: &str| Some(format!("Hash={hash};URI=spiffe://td/a"));
    let refused = |reason| Err(E::Bound(reason));
    let cases = [
        ("edge", Some(our_pem.clone()), None, Ok(())),
        ("edge", None, element(&our_hash), Ok(())),
        ("edge", Some(our_pem.clone()), element(&our_hash), Ok(())),
        (
            "edge",
            Some(other_pem.clone()),
            None,
            refused(B::CertificateOther),
        ),
        ("edge", None, element(&other_hash), refused(B::CertificateOther)),
        (
            "edge",
            Some(our_pem.clone()),
            element(&other_hash),
            refused(B::CertificatesDisagree),
        ),
        (
            "edge",
            Some(other_pem),
            element(&our_hash),
            refused(B::CertificatesDisagree),
        ),
        ("edge", None, None, refused(B::CertificateMissing)),
        (
            "edge",
            Some(String::new()),
            Some("URI=spiffe://td/a".to_owned()),
            refused(B::CertificateMissing),
        ),
        (
            "edge",
            Some(our_pem.repeat(2)),
            None,
            refused(B::CertificateMalformed),
        ),
        (
            "edge",
            Some("x".to_owned()),
            element(&our_hash),
            refused(B::CertificateMalformed),
        ),
        ("edge", None, element("abc"), refused(B::CertificateMalformed)),
        (
            "edge",
            None,
            Some(format!("Hash={our_hash};Hash={our_hash}")),
            Err(E::WorkloadAmbiguous),
        ),
        (
            "stranger",
            Some(our_pem),
            None,
            refused(B::CertificateNotVouchedFor),
        ),
        (
            "stranger",
            None,
            element(&our_hash),
            refused(B::CertificateNotVouchedFor),
        ),
    ];
    for (gateway, pem, header, expected) in cases {
        let mut sent = bearer(&token);
        if let Some(header) = &header {
            sent = exchange(&[
                ("authorization", &format!("Bearer {token}")),
                ("x-forwarded-client-cert", header),
            ]);
        }
        sent.gateway.certificate_names = vec![gateway.to_owned()];
        sent.source.certificate.clone_from(&pem);
        let what = format!("{gateway} {pem:?} {header:?}");
        // Whatever else the call says of its workload, no trust domain is configured.
        let identified = world
            .verifier
            .token(&sent, &server(&["user"]), now())
            .await
            .map(drop);
        assert_eq!(identified, expected, "{what}");
    }
}

#[tokio::test]
async fn a_token_bound_to_both_needs_both() {
    let world = world(TestStore::since(0)).await;
    let hash = URL_SAFE_NO_PAD.encode(Hash::of(b"x").as_bytes());
    let token = world.token(&json!({ "jkt": world.proving.thumbprint, "x5t#S256": hash }));
    for constraint in ["none", "dpop", "mtls", "any"] {
        let sent = proved(&token, &world.good_proof(&token));
        let identified = world.identify(&sent, constraint).await;
        assert_eq!(identified, Err(E::Bound(B::CertificateMissing)), "{constraint}");
    }
}
