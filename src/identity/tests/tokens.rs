//! Everything that gets tried with a token.

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
async fn refuses_forged_signatures() {
    use IdentityError::{AlgorithmNotAllowed, MalformedToken, SignatureInvalid};
    let world = world(|_| {}).await;
    let claims = claims(world.issuer.url());
    let good = world.key.token(&header(), &claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let with = |signature: &[u8]| format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    let hs256 = json!({ "alg": "HS256", "typ": "JWT", "kid": "k1" });
    let mut forged = claims.clone();
    forged["sub"] = json!("root");
    let other_claims = world.key.token(&header(), &forged);
    let cases = [
        (
            "HS256 with the public key",
            world.key.public_as_secret().token(&hs256, &claims),
            AlgorithmNotAllowed,
        ),
        (
            "another key",
            Signer::ec().token(&header(), &claims),
            SignatureInvalid,
        ),
        ("no signature", format!("{signed}."), SignatureInvalid),
        ("all zeros (CVE-2022-21449)", with(&[0; 64]), SignatureInvalid),
        ("shortened", with(&raw[..63]), SignatureInvalid),
        (
            "lengthened",
            with(&[raw.as_slice(), &[0]].concat()),
            SignatureInvalid,
        ),
        (
            "r and s exchanged",
            with(&[&raw[32..], &raw[..32]].concat()),
            SignatureInvalid,
        ),
        ("in DER", with(&der(&raw)), SignatureInvalid),
        (
            "of other claims",
            format!("{}.{signature}", other_claims.rsplit_once('.').unwrap().0),
            SignatureInvalid,
        ),
        ("padded", format!("{good}=="), MalformedToken(Malformed::Base64)),
    ];
    for (what, token, reason) in cases {
        assert_eq!(user(&world.verifier, &token).await.err(), Some(reason), "{what}");
    }
}

/// ECDSA lets anybody turn (r, s) into (r, n − s), and issuers write either (RFC 7518 §3.4): so nothing may hang on a
/// token's signature being the only one. Nothing does: the user and `jti` come from what was signed.
#[tokio::test]
async fn a_malleated_es256_signature_is_the_same_token() {
    let world = world(|_| {}).await;
    let good = world.key.token(&header(), &claims(world.issuer.url()));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut borrow = 0;
    for (s, n) in raw[32..].iter_mut().zip(order).rev() {
        let difference = i16::from(n) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        *s = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let malleated = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&raw));
    assert_ne!(malleated, good);
    assert_eq!(
        user(&world.verifier, &malleated).await,
        user(&world.verifier, &good).await
    );
}

#[tokio::test]
async fn refuses_a_malleated_eddsa_signature() {
    let key = Signer::ed();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut settings = issuer.settings();
    settings.algorithms = vec![jsonwebtoken::Algorithm::EdDSA];
    let verifier = start(vec![settings]).await;
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k1" });
    let good = key.token(&header, &claims(issuer.url()));
    assert!(user(&verifier, &good).await.is_ok());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    // s + L, little-endian, is congruent to s (RFC 8032 §5.1.7 demands s < L).
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (s, l) in raw[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        carry = sum >> 8;
        *s = u8::try_from(sum & 0xff).unwrap();
    }
    let malleated = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&raw));
    assert_eq!(
        user(&verifier, &malleated).await.err(),
        Some(IdentityError::SignatureInvalid)
    );
}

#[tokio::test]
async fn verifies_rsa_in_both_paddings_as_configured() {
    use jsonwebtoken::Algorithm::{PS256, RS256};
    let key = Signer::rsa();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let token = |alg: &str| {
        key.token(
            &json!({ "alg": alg, "typ": "JWT", "kid": "k1" }),
            &claims(issuer.url()),
        )
    };
    for (configured, alg, outcome) in [
        (vec![RS256, PS256], "RS256", Ok(())),
        (vec![RS256, PS256], "PS256", Ok(())),
        (vec![PS256], "RS256", Err(IdentityError::AlgorithmNotAllowed)),
        (vec![RS256], "PS256", Err(IdentityError::AlgorithmNotAllowed)),
    ] {
        let mut settings = issuer.settings();
        settings.algorithms = configured;
        let verifier = start(vec![settings]).await;
        assert_eq!(user(&verifier, &token(alg)).await.map(|_| ()), outcome, "{alg}");
    }
}

#[tokio::test]
async fn takes_no_kid_where_only_one_key_fits() {
    let (key, rsa) = (Signer::ec(), Signer::rsa());
    let issuer = TestIssuer::start(vec![key.jwk("k1"), rsa.jwk("k2")]).await;
    let verifier = start(vec![issuer.settings()]).await;
    let token = key.token(&json!({ "alg": "ES256", "typ": "JWT" }), &claims(issuer.url()));
    assert!(user(&verifier, &token).await.is_ok());
}

#[tokio::test]
async fn shared_secrets_verify_hs256_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let secret = b"0123456789abcdef0123456789abcdef".to_vec();
    std::fs::write(&file, [secret.as_slice(), b"\n"].concat()).unwrap();
    let mut settings = settings::Issuer::new("shared", "https://shared.example");
    settings.keys = Keys::SecretFile(file);
    let verifier = start(vec![settings]).await;
    let claims = claims("https://shared.example");
    let header = |alg: &str| json!({ "alg": alg, "typ": "JWT", "kid": "whatever" });
    assert!(
        user(
            &verifier,
            &Signer::Secret(secret).token(&header("HS256"), &claims)
        )
        .await
        .is_ok()
    );
    let forged = Signer::Secret(vec![b'0'; 32]).token(&header("HS256"), &claims);
    assert_eq!(
        user(&verifier, &forged).await.err(),
        Some(IdentityError::SignatureInvalid)
    );
    let asymmetric = Signer::ec().token(&header("ES256"), &claims);
    assert_eq!(
        user(&verifier, &asymmetric).await.err(),
        Some(IdentityError::AlgorithmNotAllowed)
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

#[tokio::test]
async fn a_remembered_token_is_forgotten_when_it_expires_and_is_still_asked_for_its_audience() {
    let world = world(|_| {}).await;
    let token = bearer(&world.key.token(&header(), &claims(world.issuer.url())));
    let here = server(&["user"]);
    let at = |seconds: i64| Timestamp::from_second(NOW + seconds).unwrap();
    let identify = async |server: &Server, time: Timestamp| {
        world.verifier.identify(&token, server, time).await.map(|_| ())
    };
    assert_eq!(identify(&here, at(0)).await, Ok(()));
    assert_eq!(world.verifier.cache_numbers().tokens, 1);
    let mut elsewhere = here.clone();
    elsewhere.resource = "https://mcp.example/git".to_owned();
    assert_eq!(
        identify(&elsewhere, at(0)).await,
        Err(IdentityError::WrongAudience)
    );
    // The clock stepping back an hour.
    assert_eq!(
        identify(&here, at(-3600)).await,
        Err(IdentityError::IssuedInFuture)
    );
    assert_eq!(identify(&here, at(329)).await, Ok(()));
    assert_eq!(identify(&here, at(330)).await, Err(IdentityError::Expired));
    assert_eq!(world.verifier.cache_numbers().tokens, 0);
    assert_eq!(identify(&here, at(330)).await, Err(IdentityError::Expired));
}

#[tokio::test]
async fn nothing_is_remembered_where_that_is_configured() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let settings = Settings {
        issuers: vec![issuer.settings()],
        verified_tokens: 0,
        ..Settings::default()
    };
    let verifier = Verifier::start(settings, Arc::new(Memory::default()))
        .await
        .unwrap();
    let mut claims = claims(issuer.url());
    for exp in [NOW + 300, NOW + 300, NOW - 300] {
        claims["exp"] = json!(exp);
        let user = user(&verifier, &key.token(&header(), &claims)).await;
        assert_eq!(user.is_ok(), exp > NOW);
    }
    assert_eq!(verifier.cache_numbers().tokens, 0);
}

#[tokio::test]
async fn tokens_never_seen_before_take_no_more_memory_than_configured() {
    let key = Signer::Secret(vec![b'k'; 32]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, [b'k'; 32]).unwrap();
    let mut issuer = settings::Issuer::new("shared", "https://shared.example");
    issuer.keys = Keys::SecretFile(file);
    let settings = Settings {
        issuers: vec![issuer],
        verified_tokens: 100,
        ..Settings::default()
    };
    let verifier = Verifier::start(settings, Arc::new(Memory::default()))
        .await
        .unwrap();
    let mut claims = claims("https://shared.example");
    for number in 0..1000 {
        claims["jti"] = json!(number.to_string());
        let token = key.token(&json!({ "alg": "HS256", "typ": "JWT" }), &claims);
        assert!(user(&verifier, &token).await.is_ok());
    }
    let numbers = verifier.cache_numbers();
    assert!(numbers.bytes <= 100 * 1024, "{numbers:?}");
    assert_eq!(numbers.tokens as u64 + numbers.evicted, 1000, "{numbers:?}");
}

fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| [&[0x02, 33, 0], bytes].concat();
    let content = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [vec![0x30, u8::try_from(content.len()).unwrap()], content].concat()
}
