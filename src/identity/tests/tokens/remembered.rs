//! Tokens that were verified before: what is remembered of them, and for how long.

use super::*;

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
