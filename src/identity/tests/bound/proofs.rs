//! What a proof must say, in which form, for which request.

use super::*;

/// What is wrong, what is laid over a good proof's header or claims, and what that is refused for.
type Wrong = (&'static str, Value, BoundError);

fn wrong_headers() -> Vec<Wrong> {
    vec![
        ("typ of a token", json!({ "typ": "JWT" }), B::ProofType),
        ("no typ", json!({ "typ": null }), B::ProofType),
        ("typ in another case", json!({ "typ": "DPoP+JWT" }), B::ProofType),
        ("crit", json!({ "crit": ["b64"] }), B::ProofMalformed),
        ("alg none", json!({ "alg": "none" }), B::ProofAlgorithm),
        ("alg HS256", json!({ "alg": "HS256" }), B::ProofAlgorithm),
        ("alg not configured", json!({ "alg": "RS256" }), B::ProofAlgorithm),
        ("no alg", json!({ "alg": null }), B::ProofAlgorithm),
        ("no key", json!({ "jwk": null }), B::ProofKeyUnusable),
        ("a key by its kid", json!({ "jwk": "k1" }), B::ProofKeyUnusable),
        (
            "a private key",
            json!({ "jwk": { "d": "AAAA" } }),
            B::ProofKeyPrivate,
        ),
        (
            "an RSA prime",
            json!({ "jwk": { "p": "AAAA" } }),
            B::ProofKeyPrivate,
        ),
        (
            "a symmetric key",
            json!({ "jwk": { "kty": "oct", "k": "AAAA" } }),
            B::ProofKeyUnusable,
        ),
        (
            "a curve not allowed",
            json!({ "jwk": { "crv": "secp256k1" } }),
            B::ProofKeyUnusable,
        ),
        (
            "a curve of another alg",
            json!({ "jwk": { "crv": "P-384" } }),
            B::ProofKeyUnusable,
        ),
        (
            "an alg of another curve",
            json!({ "alg": "ES384" }),
            B::ProofKeyUnusable,
        ),
        (
            "another key",
            json!({ "jwk": ProofKey::generate().jwk }),
            B::ProofOtherKey,
        ),
    ]
}

fn wrong_claims() -> Vec<Wrong> {
    let others = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
    vec![
        ("htm of another request", json!({ "htm": "GET" }), B::ProofMethod),
        ("htm in another case", json!({ "htm": "post" }), B::ProofMethod),
        (
            "htu of another path",
            json!({ "htu": "https://mcp.example/other" }),
            B::ProofUrl,
        ),
        (
            "htu of another host",
            json!({ "htu": "https://mcp.evil/mcp" }),
            B::ProofUrl,
        ),
        (
            "htu without TLS",
            json!({ "htu": "http://mcp.example/mcp" }),
            B::ProofUrl,
        ),
        (
            "htu with another path's case",
            json!({ "htu": "https://mcp.example/MCP" }),
            B::ProofUrl,
        ),
        ("htu a path", json!({ "htu": "/mcp" }), B::ProofUrl),
        ("iat too old", json!({ "iat": NOW - 61 }), B::ProofTooOld),
        ("iat ahead", json!({ "iat": NOW + 6 }), B::ProofAhead),
        ("iat a text", json!({ "iat": "now" }), B::ProofMalformed),
        ("iat negative", json!({ "iat": -1 }), B::ProofMalformed),
        ("ath missing", json!({ "ath": null }), B::ProofOtherToken),
        ("ath no hash", json!({ "ath": "x" }), B::ProofOtherToken),
        (
            "ath of another token",
            json!({ "ath": others }),
            B::ProofOtherToken,
        ),
        ("jti empty", json!({ "jti": "" }), B::ProofMalformed),
        ("jti a number", json!({ "jti": 1 }), B::ProofMalformed),
        ("no jti", json!({ "jti": null }), B::ProofMalformed),
        ("no htm", json!({ "htm": null }), B::ProofMalformed),
        ("no htu", json!({ "htu": null }), B::ProofMalformed),
        ("no iat", json!({ "iat": null }), B::ProofMalformed),
    ]
}

/// A good proof but for what is laid over its header and its claims.
fn changed(world: &World, token: &str, header_patch: &Value, claims_patch: &Value) -> String {
    let (mut header, mut claims) = world.proof(token);
    lay(&mut header, header_patch);
    lay(&mut claims, claims_patch);
    world.proving.sign(&header, &claims)
}

#[tokio::test]
async fn each_wrong_proof_is_refused_for_its_reason_and_uses_nothing_up() {
    let world = world(TestStore::since(0)).await;
    let (token, nothing) = (world.bound_token(), json!({}));
    let headers = wrong_headers().into_iter();
    let headers =
        headers.map(|(what, patch, reason)| (what, changed(&world, &token, &patch, &nothing), reason));
    let claims = wrong_claims().into_iter();
    let claims =
        claims.map(|(what, patch, reason)| (what, changed(&world, &token, &nothing, &patch), reason));
    for (what, proof, reason) in headers.chain(claims) {
        let refused = world.with_proof(&token, &proof).await;
        assert_eq!(refused, Err(E::Bound(reason)), "{what}");
    }
    assert_eq!(world.with_proof(&token, &world.good_proof(&token)).await, Ok(()));
}

#[tokio::test]
async fn a_proof_of_the_same_url_in_another_spelling_or_at_the_ends_of_its_time_holds() {
    let world = world(TestStore::since(0)).await;
    let token = world.bound_token();
    let spellings = [
        json!({ "htu": "https://mcp.example/mcp?query=1" }),
        json!({ "htu": "https://mcp.example:443/mcp" }),
        json!({ "htu": "HTTPS://MCP.example/m%63p#x" }),
        json!({ "iat": NOW - 60 }),
        json!({ "iat": NOW + 5 }),
        json!({ "iat": 1_799_999_990.5 }),
    ];
    for (number, mut patch) in spellings.into_iter().enumerate() {
        patch["jti"] = json!(format!("spelling {number}"));
        let proof = changed(&world, &token, &json!({}), &patch);
        assert_eq!(world.with_proof(&token, &proof).await, Ok(()), "{patch}");
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
    let nonces = dpop::Nonces::default();
    let checked = dpop::check(&key, TOKEN, (&exchange, &server), (&store, &nonces), now).await;
    assert_eq!(checked, Ok(None));
}
