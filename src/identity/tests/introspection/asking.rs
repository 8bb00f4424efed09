//! How the service says who it is when it asks.

use super::*;

#[tokio::test]
async fn it_asks_with_an_assertion_that_it_signs_for_this_issuer_anew_each_time() {
    for (rsa, audience) in [(false, ""), (true, "https://id.example/token")] {
        let (pem, public) = signing_key(rsa);
        let world = world(|asked, issuer| {
            let file = issuer.file("key.pem");
            std::fs::write(&file, &pem).unwrap();
            asked.auth = ClientAuth::PrivateKeyJwt(PrivateKey {
                file,
                key_id: Some("k9".to_owned()),
                audience: Some(audience.to_owned()).filter(|audience| !audience.is_empty()),
            });
        })
        .await;
        world.issuer.wants(Proof::Key(public, audience));
        user(&world.verifier, TOKEN).await.unwrap();
        // A second assertion: the issuer takes each once.
        assert_eq!(
            user(&world.verifier, "another").await.err(),
            Some(IdentityError::TokenInactive)
        );
        let (other, _) = signing_key(rsa);
        std::fs::write(world.issuer.file("key.pem"), other).unwrap();
        assert_eq!(
            user(&world.verifier, "third").await.err(),
            Some(IdentityError::Introspection(Fault::NotAllowed))
        );
    }
}

#[tokio::test]
async fn it_asks_with_its_svid_as_that_is_at_the_time() {
    let world = world(|asked, issuer| {
        asked.auth = ClientAuth::JwtSvid(JwtSvid::File(issuer.file("svid")));
    })
    .await;
    world.issuer.wants(Proof::Svid("first.svid.x"));
    // Not written yet, which keeps nobody from starting.
    let missing = Some(IdentityError::Introspection(Fault::NoCredential));
    assert_eq!(user(&world.verifier, TOKEN).await.err(), missing);
    std::fs::write(world.issuer.file("svid"), "first.svid.x\n").unwrap();
    user(&world.verifier, TOKEN).await.unwrap();
    world.issuer.wants(Proof::Svid("second.svid.x"));
    assert_eq!(
        user(&world.verifier, "a").await.err(),
        Some(IdentityError::Introspection(Fault::NotAllowed))
    );
    std::fs::write(world.issuer.file("svid"), "second.svid.x\n").unwrap();
    assert_eq!(
        user(&world.verifier, "a").await.err(),
        Some(IdentityError::TokenInactive)
    );
}

#[tokio::test]
async fn settings_that_could_never_ask_do_not_start() {
    let issuer = Authorizer::start(json!({})).await;
    let file = |name: &str, content: &[u8]| {
        std::fs::write(issuer.file(name), content).unwrap();
        issuer.file(name)
    };
    let key = |file| {
        ClientAuth::PrivateKeyJwt(PrivateKey {
            file,
            key_id: None,
            audience: None,
        })
    };
    let cases: Vec<(&str, Wrong<'_>)> = vec![
        ("no client", Box::new(|_, asked| asked.client_id.clear())),
        (
            "an empty prefix",
            Box::new(|_, asked| asked.prefix = Some(String::new())),
        ),
        ("no time", Box::new(|_, asked| asked.timeout = Duration::ZERO)),
        ("nobody asks", Box::new(|_, asked| asked.max_concurrent = 0)),
        (
            "plain HTTP",
            Box::new(|_, asked| asked.endpoint = Some("http://id.example/i".to_owned())),
        ),
        (
            "no URL",
            Box::new(|_, asked| asked.endpoint = Some("/introspect".to_owned())),
        ),
        (
            "no discovery",
            Box::new(|settings, _| "urn:issuer".clone_into(&mut settings.issuer)),
        ),
        (
            "no secret",
            Box::new(|_, asked| asked.auth = ClientAuth::SecretFile(issuer.file("none"))),
        ),
        (
            "an empty secret",
            Box::new(|_, asked| asked.auth = ClientAuth::SecretFile(file("empty", b"\n"))),
        ),
        (
            "a secret that is no text",
            Box::new(|_, asked| asked.auth = ClientAuth::SecretFile(file("bytes", &[0xff]))),
        ),
        (
            "no key",
            Box::new(|_, asked| asked.auth = key(issuer.file("none"))),
        ),
        (
            "a key that is none",
            Box::new(|_, asked| asked.auth = key(file("nokey", b"secret"))),
        ),
    ];
    for (what, change) in cases {
        let mut settings = issuer.settings();
        let mut asked = settings.introspection.take().unwrap();
        change(&mut settings, &mut asked);
        settings.introspection = Some(asked);
        let settings = Settings {
            issuers: vec![settings],
            ..Settings::default()
        };
        assert!(
            Verifier::start(settings, Arc::new(Memory::default()))
                .await
                .is_err(),
            "{what}"
        );
    }
    let mut keyless = settings::Issuer::new("keyless", "https://id.example");
    keyless.keys = Keys::Absent;
    let settings = Settings {
        issuers: vec![keyless],
        ..Settings::default()
    };
    assert!(
        Verifier::start(settings, Arc::new(Memory::default()))
            .await
            .is_err()
    );
}
