//! Everything that gets tried with a token.

mod remembered;
mod signatures;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::{Claim, Malformed};
use super::*;

/// Changes a token's header and claims.
type Change = fn(&mut Value, &mut Value);
/// What is changed, how, and the reason for which it is refused.
type Case = (&'static str, Change, IdentityError);

#[rustfmt::skip]
const CASES: &[Case] = {
    use IdentityError as E;
    &[
        ("alg none", |h, _| h["alg"] = json!("none"), E::AlgorithmNotAllowed),
        ("alg None", |h, _| h["alg"] = json!("None"), E::AlgorithmNotAllowed),
        ("an alg not configured", |h, _| h["alg"] = json!("ES384"), E::AlgorithmNotAllowed),
        ("EdDSA not configured", |h, _| h["alg"] = json!("EdDSA"), E::AlgorithmNotAllowed),
        ("an alg that the key is not for", |h, _| h["alg"] = json!("RS256"), E::AlgorithmNotAllowed),
        ("no alg", |h, _| drop(h.as_object_mut().unwrap().remove("alg")), E::MalformedToken(Malformed::Header)),
        ("kid unknown", |h, _| h["kid"] = json!("other"), E::KidUnknown),
        ("kid with a path", |h, _| h["kid"] = json!("../../dev/null"), E::KidUnknown),
        ("kid of the encryption key", |h, _| h["kid"] = json!("enc"), E::KidUnknown),
        ("kid of the symmetric key", |h, _| h["kid"] = json!("oct"), E::KidUnknown),
        ("no kid, two keys", |h, _| drop(h.as_object_mut().unwrap().remove("kid")), E::KidMissing),
        ("jku", |h, _| h["jku"] = json!("https://evil.example/keys"), E::KeyInHeader),
        ("x5u", |h, _| h["x5u"] = json!("https://evil.example/cert"), E::KeyInHeader),
        ("jwk", |h, _| h["jwk"] = json!({ "kty": "EC" }), E::KeyInHeader),
        ("x5c", |h, _| h["x5c"] = json!(["MIIB"]), E::KeyInHeader),
        ("crit", |h, _| h["crit"] = json!(["exp"]), E::CriticalHeader),
        ("no typ", |h, _| drop(h.as_object_mut().unwrap().remove("typ")), E::WrongType),
        ("a logout token", |h, _| h["typ"] = json!("logout+jwt"), E::WrongType),
        ("a DPoP proof's typ", |h, _| h["typ"] = json!("dpop+jwt"), E::WrongType),
        ("a client assertion's typ", |h, _| h["typ"] = json!("client-authentication+jwt"), E::WrongType),
        ("an ID token", |_, c| c["typ"] = json!("ID"), E::WrongType),
        ("a refresh token", |_, c| c["typ"] = json!("Refresh"), E::WrongType),
        ("an offline token", |_, c| c["typ"] = json!("Offline"), E::WrongType),
        ("a typ that is no text", |_, c| c["typ"] = json!(["Bearer"]), E::WrongType),
        ("an ID token at Cognito", |_, c| c["token_use"] = json!("id"), E::WrongType),
        ("an ID token by its at_hash", |_, c| c["at_hash"] = json!("x"), E::WrongType),
        ("an event", |_, c| c["events"] = json!({}), E::WrongType),
        ("expired", |_, c| c["exp"] = json!(NOW - 31), E::Expired),
        ("expired just now, with the skew", |_, c| c["exp"] = json!(NOW - 30), E::Expired),
        ("no exp", |_, c| drop(c.as_object_mut().unwrap().remove("exp")), E::NoExpiry),
        ("exp as text", |_, c| c["exp"] = json!("1900000000"), E::ClaimMalformed(Claim::Exp)),
        ("exp null", |_, c| c["exp"] = json!(null), E::ClaimMalformed(Claim::Exp)),
        ("exp beyond all years", |_, c| c["exp"] = json!(1e300), E::ClaimMalformed(Claim::Exp)),
        ("exp negative", |_, c| c["exp"] = json!(-1), E::ClaimMalformed(Claim::Exp)),
        ("not yet valid", |_, c| c["nbf"] = json!(NOW + 31), E::NotYetValid),
        ("nbf as text", |_, c| c["nbf"] = json!("0"), E::ClaimMalformed(Claim::Nbf)),
        ("issued in the future", |_, c| c["iat"] = json!(NOW + 31), E::IssuedInFuture),
        ("living for ten years", |_, c| c["exp"] = json!(NOW + 315_360_000), E::LivesTooLong),
        (
            "living for ten years, iat absent",
            |_, c| {
                c["exp"] = json!(NOW + 315_360_000);
                c.as_object_mut().unwrap().remove("iat");
            },
            E::LivesTooLong,
        ),
        ("ten years old and still valid", |_, c| c["iat"] = json!(NOW - 315_360_000), E::LivesTooLong),
        ("no iss", |_, c| drop(c.as_object_mut().unwrap().remove("iss")), E::IssuerUnknown),
        ("iss with a slash more", |_, c| c["iss"] = json!(format!("{}/", c["iss"].as_str().unwrap())), E::IssuerUnknown),
        ("iss in another case", |_, c| c["iss"] = json!(c["iss"].as_str().unwrap().replace("demo", "Demo")), E::IssuerUnknown),
        (
            "iss at a look-alike host",
            |_, c| {
                c["iss"] = json!(
                    c["iss"]
                        .as_str()
                        .unwrap()
                        .replace("127.0.0.1", "127.0.0.1.evil.example")
                );
            },
            E::IssuerUnknown,
        ),
        ("iss as a list", |_, c| c["iss"] = json!([c["iss"]]), E::IssuerUnknown),
        ("aud of another server", |_, c| c["aud"] = json!("https://mcp.example/git"), E::WrongAudience),
        ("aud in another case", |_, c| c["aud"] = json!("https://MCP.example/kubernetes"), E::WrongAudience),
        ("aud with a slash more", |_, c| c["aud"] = json!("https://mcp.example/kubernetes/"), E::WrongAudience),
        ("no aud", |_, c| drop(c.as_object_mut().unwrap().remove("aud")), E::WrongAudience),
        ("aud empty", |_, c| c["aud"] = json!([]), E::WrongAudience),
        ("aud with a number", |_, c| c["aud"] = json!([RESOURCE, 5]), E::WrongAudience),
        ("aud that also holds ours", |_, c| c["aud"] = json!(["https://mcp.example/git", RESOURCE]), E::WrongAudience),
        (
            "bound to a key, at Keycloak",
            |_, c| {
                c["cnf"] = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
                c["typ"] = json!("DPoP");
            },
            E::BoundTokenWithoutProof,
        ),
        ("typ of a bound token that isn't", |_, c| c["typ"] = json!("DPoP"), E::WrongType),
        ("bound to a malformed key", |_, c| c["cnf"] = json!({ "jkt": "x" }), E::Bound(BoundError::ConfirmationMalformed)),
        ("bound to what isn't known", |_, c| c["cnf"] = json!({ "kid": "x" }), E::Bound(BoundError::ConfirmationUnknown)),
        (
            "bound to a certificate",
            |_, c| c["cnf"] = json!({ "x5t#S256": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
            E::Bound(BoundError::CertificateMissing),
        ),
        ("no sub", |_, c| drop(c.as_object_mut().unwrap().remove("sub")), E::NoSubject),
        ("sub empty", |_, c| c["sub"] = json!(""), E::NoSubject),
        ("sub a number", |_, c| c["sub"] = json!(0), E::NoSubject),
        ("roles an object", |_, c| c["realm_access"] = json!({ "roles": {} }), E::ClaimMalformed(Claim::Roles)),
        ("a role that is a number", |_, c| c["realm_access"]["roles"] = json!(["a", 1]), E::ClaimMalformed(Claim::Roles)),
        ("groups a number", |_, c| c["groups"] = json!(7), E::ClaimMalformed(Claim::Groups)),
        ("scope a number", |_, c| c["scope"] = json!(7), E::ClaimMalformed(Claim::Scopes)),
        ("acr a number", |_, c| c["acr"] = json!(3), E::ClaimMalformed(Claim::Acr)),
    ]
};

struct World {
    key: Signer,
    issuer: TestIssuer,
    verifier: Arc<Verifier>,
}

async fn world(change: impl FnOnce(&mut settings::Issuer)) -> World {
    let key = Signer::ec();
    let mut encryption = Signer::ec().jwk("enc");
    encryption["use"] = json!("enc");
    let symmetric = Signer::Secret(vec![7; 32]).jwk("oct");
    let issuer = TestIssuer::start(vec![encryption, symmetric, key.jwk("k1"), Signer::ec().jwk("k2")]).await;
    let mut settings = issuer.settings();
    change(&mut settings);
    World {
        key,
        verifier: start(vec![settings]).await,
        issuer,
    }
}

fn header() -> Value {
    json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" })
}

#[tokio::test]
async fn takes_a_good_token_to_its_user() {
    let world = world(|_| {}).await;
    let token = world.key.token(&header(), &claims(world.issuer.url()));
    let found = user(&world.verifier, &token).await.unwrap();
    let expected = User {
        issuer: world.issuer.url().to_owned(),
        subject: "alice-id".to_owned(),
        username: "alice".to_owned(),
        email: Some("alice@example.com".to_owned()),
        roles: vec!["admin".to_owned(), "mcp-developer".to_owned()],
        groups: ["/staff", "/tenants/acme", "/tenants/umbrella/ops"]
            .map(str::to_owned)
            .to_vec(),
        tenants: vec!["acme".to_owned(), "umbrella".to_owned()],
        scopes: vec!["openid".to_owned(), "public:read".to_owned()],
        acr: Some("1".to_owned()),
        client_id: Some("mcp-client".to_owned()),
        token_id: Some("j1".to_owned()),
        login_session: Some("s1".to_owned()),
        expires: Timestamp::from_second(NOW + 300).unwrap(),
        authenticated: None,
    };
    assert_eq!(*found, expected);
    assert_eq!(found.key(), format!("{}#alice-id", world.issuer.url()));
}

#[tokio::test]
async fn refuses_each_bad_token_for_its_own_reason() {
    let world = world(|_| {}).await;
    for (what, change, reason) in CASES {
        let (mut header, mut claims) = (header(), claims(world.issuer.url()));
        change(&mut header, &mut claims);
        let token = world.key.token(&header, &claims);
        assert_eq!(user(&world.verifier, &token).await.err(), Some(*reason), "{what}");
    }
    // One at start, and at most four in a row for unknown keys.
    assert!(world.issuer.fetches() <= 5, "{}", world.issuer.fetches());
}

#[tokio::test]
async fn takes_what_only_looks_unusual() {
    let world = world(|_| {}).await;
    let cases: &[(&str, Change)] = &[
        ("at+jwt", |h, c| {
            h["typ"] = json!("AT+JWT");
            c.as_object_mut().unwrap().remove("typ");
        }),
        ("within the skew after exp", |_, c| c["exp"] = json!(NOW - 29)),
        ("within the skew before iat and nbf", |_, c| {
            c["iat"] = json!(NOW + 30);
            c["nbf"] = json!(NOW + 30);
        }),
        ("times with fractions", |_, c| c["exp"] = json!(1_800_000_299.5)),
        ("aud with Keycloak's account", |_, c| {
            c["aud"] = json!(["account", RESOURCE]);
        }),
        ("a list of one aud", |_, c| c["aud"] = json!([RESOURCE])),
        ("scopes as a list", |_, c| {
            c["scope"] = json!(["openid", "public:read"]);
        }),
        ("scp", |_, c| {
            c["scp"] = json!("public:read openid");
            c.as_object_mut().unwrap().remove("scope");
        }),
        ("token_use as Cognito writes it", |_, c| {
            c["token_use"] = json!("access");
        }),
        ("token_use as Hydra writes it", |_, c| {
            c["token_use"] = json!("access_token");
        }),
        ("claims that nobody asked for", |_, c| {
            c["address"] = json!({ "country": "Utopia" });
        }),
    ];
    for (what, change) in cases {
        let (mut header, mut claims) = (header(), claims(world.issuer.url()));
        change(&mut header, &mut claims);
        let user = user(&world.verifier, &world.key.token(&header, &claims)).await;
        assert_eq!(
            user.map(|user| user.scopes.join(" ")),
            Ok("openid public:read".to_owned()),
            "{what}"
        );
    }
}

#[tokio::test]
async fn an_address_that_nobody_verified_is_left_out() {
    let world = world(|_| {}).await;
    let mut claims = claims(world.issuer.url());
    claims["email_verified"] = json!("true");
    let found = user(&world.verifier, &world.key.token(&header(), &claims)).await;
    assert!(found.unwrap().email.is_some());
    claims["email_verified"] = json!(false);
    assert_eq!(
        user(&world.verifier, &world.key.token(&header(), &claims))
            .await
            .unwrap()
            .email,
        None
    );
}

#[tokio::test]
async fn a_server_takes_only_the_issuers_that_it_names() {
    let world = world(|_| {}).await;
    let token = bearer(&world.key.token(&header(), &claims(world.issuer.url())));
    let mut server = server(&["user"]);
    for (named, outcome) in [
        ("demo", Ok(())),
        (world.issuer.url(), Ok(())),
        ("other", Err(IdentityError::IssuerNotAccepted)),
    ] {
        server.issuers = vec![named.to_owned()];
        // Twice: also a remembered token is asked for its issuer.
        for _ in 0..2 {
            let caller = world.verifier.identify(&token, &server, now()).await;
            assert_eq!(caller.map(|_| ()), outcome, "{named}");
        }
    }
}

#[tokio::test]
async fn audience_contains_takes_tokens_for_several_servers() {
    let world = world(|settings| settings.audience = settings::Audience::Contains).await;
    let mut claims = claims(world.issuer.url());
    claims["aud"] = json!(["https://mcp.example/git", RESOURCE]);
    assert!(
        user(&world.verifier, &world.key.token(&header(), &claims))
            .await
            .is_ok()
    );
    claims["aud"] = json!(["https://mcp.example/git"]);
    let token = world.key.token(&header(), &claims);
    assert_eq!(
        user(&world.verifier, &token).await.err(),
        Some(IdentityError::WrongAudience)
    );
}

#[tokio::test]
async fn refuses_tokens_that_are_too_long_before_reading_them() {
    let world = world(|_| {}).await;
    let mut claims = claims(world.issuer.url());
    claims["padding"] = json!("x".repeat(48 * 1024));
    let long = world.key.token(&header(), &claims);
    assert!(long.len() > 64 * 1024);
    assert_eq!(
        user(&world.verifier, &long).await.err(),
        Some(IdentityError::TokenTooLarge)
    );
    assert_eq!(
        user(&world.verifier, &"x".repeat(20_000)).await.err(),
        Some(IdentityError::TokenTooLarge)
    );
}

#[tokio::test]
async fn duplicate_claims_are_refused_though_signed() {
    let world = world(|_| {}).await;
    let claims = claims(world.issuer.url()).to_string();
    let twice = claims.replacen('{', r#"{"s\u0075b":"root","#, 1);
    let token = world.key.token_of_text(&header().to_string(), &twice);
    assert_eq!(
        user(&world.verifier, &token).await.err(),
        Some(IdentityError::MalformedToken(Malformed::Claims))
    );
}

#[tokio::test]
async fn an_optional_user_may_be_absent_but_never_wrong() {
    let world = world(|_| {}).await;
    let server = server(&[]);
    let identify = async |exchange: Exchange| {
        let caller = world.verifier.identify(&exchange, &server, now()).await;
        caller.map(|caller| caller.user.is_some())
    };
    assert_eq!(identify(exchange(&[])).await, Ok(false));
    let good = world.key.token(&header(), &claims(world.issuer.url()));
    assert_eq!(identify(bearer(&good)).await, Ok(true));
    assert_eq!(
        identify(exchange(&[("authorization", "Basic YTpi")])).await,
        Err(IdentityError::WrongScheme)
    );
    assert_eq!(
        identify(bearer("a.b")).await,
        Err(IdentityError::MalformedToken(Malformed::Parts))
    );
    let mut leaking = exchange(&[]);
    leaking.path = format!("/mcp?access_token={good}");
    assert_eq!(identify(leaking).await, Err(IdentityError::TokenInQuery));
}

#[tokio::test]
async fn a_missing_credential_has_its_reason() {
    let world = world(|_| {}).await;
    let caller = world
        .verifier
        .identify(&exchange(&[]), &server(&["user", "workload"]), now())
        .await;
    assert_eq!(caller.err(), Some(IdentityError::NoCredential));
}
