//! Who signed a token: forgeries, other forms of a signature, and each way to sign.

use super::*;

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

fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| [&[0x02, 33, 0], bytes].concat();
    let content = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [vec![0x30, u8::try_from(content.len()).unwrap()], content].concat()
}
