//! Tokens that are JWTs, of issuers that are asked all the same.

use super::*;

fn jwt(world: &World, change: Change) -> String {
    let mut claims = claims(world.issuer.url());
    change(&mut claims);
    world
        .key
        .token(&json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }), &claims)
}

#[tokio::test]
async fn a_jwt_is_sent_to_nobody_unless_its_issuer_is_always_asked() {
    let world = world(|_, _| {}).await;
    user(&world.verifier, &jwt(&world, |_| {})).await.unwrap();
    user(&world.verifier, "eyJhbGciOiJub25lIn0.e30.")
        .await
        .unwrap_err();
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn where_the_issuer_is_always_asked_a_jwt_holds_if_its_signature_and_its_issuer_say_so() {
    let world = world(|asked, _| asked.when = When::Always).await;
    let token = jwt(&world, |_| {});
    assert_eq!(
        user(&world.verifier, &token).await.err(),
        Some(IdentityError::TokenInactive)
    );
    // One that says little, of which the issuer says more.
    let light = jwt(&world, |claims| {
        for name in ["realm_access", "groups", "aud", "preferred_username"] {
            claims.as_object_mut().unwrap().remove(name);
        }
        claims["jti"] = json!("j2");
        claims["scope"] = json!("openid admin");
    });
    let mut said = answer(world.issuer.url());
    said["jti"] = json!("j2");
    world.issuer.says(&light, said.clone());
    let found = user(&world.verifier, &light).await.unwrap();
    assert_eq!(
        (found.username.as_str(), found.scopes.join(" ").as_str()),
        ("alice", "openid public:read")
    );
    assert_eq!(found.roles, ["admin", "mcp-developer"]);
    // Known from now on, and asked about again in time.
    let asked = world.asked();
    user(&world.verifier, &light).await.unwrap();
    assert_eq!(world.asked(), asked);
    world.issuer.says(&light, json!({ "active": false }));
    assert_eq!(
        world.after(30, &light).await.err(),
        Some(IdentityError::TokenInactive)
    );
    // Another token's answer.
    let other = jwt(&world, |claims| claims["jti"] = json!("j3"));
    world.issuer.says(&other, said);
    assert_eq!(
        user(&world.verifier, &other).await.err(),
        Some(IdentityError::Introspection(Fault::AnswerDisagrees))
    );
}

/// A call of which the gateway says whose it is, besides whatever else came with it.
fn vouched_for(mut exchange: Exchange, claims: &Value) -> Exchange {
    exchange.gateway.certificate_names = vec!["spiffe://mcp-identity.local/gateway".to_owned()];
    let payload = json!({ "jwt_payload": claims });
    exchange
        .filter_metadata
        .insert("envoy.filters.http.jwt_authn".to_owned(), payload);
    exchange
}

#[tokio::test]
async fn a_gateways_claims_without_their_token_are_no_way_around_asking() {
    let taken = [
        (When::Opaque, Keys::Discovery, Ok(())),
        (When::Opaque, Keys::Absent, Err(IdentityError::ClaimsUnasked)),
        (When::Always, Keys::Discovery, Err(IdentityError::ClaimsUnasked)),
    ];
    for (when, keys, expected) in taken {
        let key = Signer::ec();
        let issuer = Authorizer::start(key.jwk("k1")).await;
        let mut settings = issuer.settings();
        settings.introspection.as_mut().unwrap().when = when;
        settings.keys = keys;
        let settings = Settings {
            issuers: vec![settings],
            gateways: vec![agentgateway()],
            ..Settings::default()
        };
        let verifier = Verifier::start(settings, Arc::new(Memory::default()))
            .await
            .unwrap();
        // Logged out: whoever is asked says that it is active no more.
        let claims = claims(issuer.url());
        let alone = vouched_for(exchange(&[]), &claims);
        let found = verifier.identify(&alone, &server(&["user"]), now()).await;
        assert_eq!(found.map(drop), expected, "{when:?}");
        assert!(issuer.asked().is_empty());
        // With the token they may come: it is asked about.
        if when == When::Always {
            let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
            let token = key.token(&header, &claims);
            let both = vouched_for(bearer(&token), &claims);
            let found = verifier.identify(&both, &server(&["user"]), now()).await;
            assert_eq!(found.err(), Some(IdentityError::TokenInactive));
            assert_eq!(issuer.asked(), [token]);
        }
    }
}

#[tokio::test]
async fn a_forged_jwt_is_refused_before_anybody_is_asked() {
    let world = world(|asked, _| asked.when = When::Always).await;
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
    let forged = Signer::ec().token(&header, &claims(world.issuer.url()));
    world.issuer.says(&forged, answer(world.issuer.url()));
    assert_eq!(
        user(&world.verifier, &forged).await.err(),
        Some(IdentityError::SignatureInvalid)
    );
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn a_token_asked_about_again_needs_no_second_verification() {
    let world = world(|asked, _| asked.when = When::Always).await;
    let token = jwt(&world, |_| {});
    world.issuer.says(&token, answer(world.issuer.url()));
    world.after(0, &token).await.unwrap();
    world.after(30, &token).await.unwrap();
    assert_eq!(world.asked(), 2);
    assert_eq!(world.verifier.verification_numbers().algorithms[0].valid, 1);
}

#[tokio::test]
async fn an_issuer_without_keys_signs_nothing() {
    let issuer = Authorizer::start(json!({})).await;
    issuer.says(TOKEN, answer(issuer.url()));
    let mut settings = issuer.settings();
    settings.keys = Keys::Absent;
    let verifier = start(vec![settings]).await;
    user(&verifier, TOKEN).await.unwrap();
    let key = Signer::ec();
    let token = key.token(
        &json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }),
        &claims(issuer.url()),
    );
    assert_eq!(
        user(&verifier, &token).await.err(),
        Some(IdentityError::AlgorithmNotAllowed)
    );
    assert_eq!(verifier.key_status(clock::instant()), []);
}
