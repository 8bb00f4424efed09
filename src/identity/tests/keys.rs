//! An issuer's keys: rotated, withdrawn, slow, broken, gone.

use super::issuer::Mood;
use super::*;

fn header(kid: &str) -> Value {
    json!({ "alg": "ES256", "typ": "JWT", "kid": kid })
}

/// Settings under which everything happens within a test's time.
fn quick(issuer: &TestIssuer) -> settings::Issuer {
    let mut settings = issuer.settings();
    settings.unknown_kid_interval = Duration::from_secs(1);
    settings
}

/// Asks again until the answer is this one.
async fn until(verifier: &Verifier, token: &str, outcome: Result<(), IdentityError>) {
    let patience = clock::instant() + Duration::from_secs(10);
    loop {
        let found = user(verifier, token).await.map(|_| ());
        if found == outcome {
            return;
        }
        assert!(clock::instant() < patience, "{found:?} instead of {outcome:?}");
        pause(20).await;
    }
}

async fn pause(milliseconds: u64) {
    let until = tokio::time::Instant::from_std(clock::instant()) + Duration::from_millis(milliseconds);
    tokio::time::sleep_until(until).await;
}

#[tokio::test]
async fn discovers_where_the_keys_are() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut settings = issuer.settings();
    settings.keys = Keys::Discovery;
    let verifier = start(vec![settings]).await;
    assert!(
        user(&verifier, &key.token(&header("k1"), &claims(issuer.url())))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    issuer.set_mood(Mood::OtherIssuer);
    let mut settings = issuer.settings();
    settings.keys = Keys::Discovery;
    let verifier = start(vec![settings]).await;
    let token = key.token(&header("k1"), &claims(issuer.url()));
    assert_eq!(
        user(&verifier, &token).await.err(),
        Some(IdentityError::KeysUnavailable)
    );
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn a_rotated_key_is_taken_and_a_withdrawn_one_refused_though_its_token_is_remembered() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let issuer = TestIssuer::start(vec![old.jwk("old")]).await;
    let verifier = start(vec![quick(&issuer)]).await;
    let before = old.token(&header("old"), &claims(issuer.url()));
    assert!(user(&verifier, &before).await.is_ok());
    issuer.set_keys(vec![new.jwk("new"), old.jwk("old")]);
    let after = new.token(&header("new"), &claims(issuer.url()));
    until(&verifier, &after, Ok(())).await;
    assert!(user(&verifier, &before).await.is_ok());
    // Withdrawn: the next fetch, whatever asks for it, takes it away.
    issuer.set_keys(vec![new.jwk("new")]);
    pause(1000).await;
    let unknown = new.token(&header("unknown"), &claims(issuer.url()));
    assert_eq!(
        user(&verifier, &unknown).await.err(),
        Some(IdentityError::KidUnknown)
    );
    assert_eq!(
        user(&verifier, &before).await.err(),
        Some(IdentityError::KidUnknown)
    );
    assert!(user(&verifier, &after).await.is_ok());
}

#[tokio::test]
async fn keys_that_are_rotated_twice_in_a_row_are_taken_at_once() {
    let (old, new, newest) = (Signer::ec(), Signer::ec(), Signer::ec());
    let issuer = TestIssuer::start(vec![old.jwk("old")]).await;
    let verifier = start(vec![issuer.settings()]).await;
    issuer.set_keys(vec![new.jwk("new"), old.jwk("old")]);
    let token = new.token(&header("new"), &claims(issuer.url()));
    assert!(user(&verifier, &token).await.is_ok());
    issuer.set_keys(vec![newest.jwk("newest"), new.jwk("new"), old.jwk("old")]);
    let token = newest.token(&header("newest"), &claims(issuer.url()));
    assert!(user(&verifier, &token).await.is_ok());
}

#[tokio::test]
async fn a_key_made_while_the_keys_were_being_fetched_is_asked_for_again() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let issuer = TestIssuer::start(vec![old.jwk("old")]).await;
    let verifier = start(vec![issuer.settings()]).await;
    issuer.set_mood(Mood::Late(Duration::from_millis(300)));
    let asks = tokio::spawn({
        let verifier = Arc::clone(&verifier);
        let unknown = old.token(&header("unknown"), &claims(issuer.url()));
        async move { user(&verifier, &unknown).await.err() }
    });
    while issuer.fetches() < 2 {
        pause(5).await;
    }
    issuer.set_keys(vec![new.jwk("new"), old.jwk("old")]);
    let token = new.token(&header("new"), &claims(issuer.url()));
    assert_eq!(user(&verifier, &token).await.err(), None);
    assert_eq!(asks.await.unwrap(), Some(IdentityError::KidUnknown));
}

#[tokio::test(start_paused = true)]
async fn by_default_a_withdrawn_key_is_refused_within_a_minute() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    let write = |keys: Value| std::fs::write(&file, json!({ "keys": keys }).to_string()).unwrap();
    write(json!([old.jwk("old"), new.jwk("new")]));
    let mut settings = settings::Issuer::new("file", "https://file.example");
    settings.keys = Keys::File(file.clone());
    let verifier = start(vec![settings]).await;
    let token = old.token(&header("old"), &claims("https://file.example"));
    assert_eq!(user(&verifier, &token).await.err(), None);
    write(json!([new.jwk("new")]));
    assert_eq!(user(&verifier, &token).await.err(), None);
    // Nothing is asked for in between: the timer alone fetches.
    tokio::time::advance(Duration::from_mins(1)).await;
    let patience = clock::instant() + Duration::from_secs(10);
    while verifier.key_status(clock::instant())[0].keys > 1 && clock::instant() < patience {
        tokio::task::yield_now().await;
    }
    // The minute went by at once, so this request is past its deadline too: it can't ask for the key.
    assert_eq!(
        user(&verifier, &token).await.err(),
        Some(IdentityError::KeysUnavailable)
    );
    assert_eq!(verifier.key_status(clock::instant())[0].keys, 1);
}

#[tokio::test]
async fn the_same_kid_with_another_key_is_another_key() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let issuer = TestIssuer::start(vec![old.jwk("k")]).await;
    let mut settings = quick(&issuer);
    settings.refresh_interval = Duration::from_secs(1);
    let verifier = start(vec![settings]).await;
    let before = old.token(&header("k"), &claims(issuer.url()));
    assert!(user(&verifier, &before).await.is_ok());
    issuer.set_keys(vec![new.jwk("k")]);
    until(&verifier, &before, Err(IdentityError::SignatureInvalid)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_kids_does_not_flood_the_issuer() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut settings = issuer.settings();
    settings.unknown_kid_interval = Duration::from_secs(2);
    let verifier = start(vec![settings]).await;
    assert_eq!(issuer.fetches(), 1);
    pause(2000).await;
    issuer.set_mood(Mood::Slow(Duration::from_millis(200)));
    let began = clock::instant();
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..500 {
        let token = key.token(&header(&format!("unknown-{number}")), &claims(issuer.url()));
        let verifier = Arc::clone(&verifier);
        flood.spawn(async move { user(&verifier, &token).await.err() });
    }
    while let Some(answer) = flood.join_next().await {
        assert_eq!(answer.unwrap(), Some(IdentityError::KidUnknown));
    }
    for number in 0..100 {
        let token = key.token(&header(&format!("later-{number}")), &claims(issuer.url()));
        assert_eq!(
            user(&verifier, &token).await.err(),
            Some(IdentityError::KidUnknown)
        );
    }
    // One at start, four for the flood, and one more for every interval that a slow machine took.
    let intervals = usize::try_from(began.elapsed().as_secs() / 2).unwrap();
    assert!(
        (2..=5 + intervals).contains(&issuer.fetches()),
        "{} in {intervals}",
        issuer.fetches()
    );
    assert!(
        user(&verifier, &key.token(&header("k1"), &claims(issuer.url())))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn every_bad_answer_leaves_the_last_good_keys() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let verifier = start(vec![quick(&issuer)]).await;
    let remembered = key.token(&header("k1"), &claims(issuer.url()));
    assert!(user(&verifier, &remembered).await.is_ok());
    let moods = [
        Mood::Status500,
        Mood::Html,
        Mood::Redirect,
        Mood::Endless,
        Mood::NotKeys,
    ];
    for (number, mood) in moods.into_iter().enumerate() {
        issuer.set_mood(mood);
        let before = issuer.fetches();
        pause(1000).await;
        let unknown = key.token(&header(&format!("unknown-{number}")), &claims(issuer.url()));
        let reason = user(&verifier, &unknown).await.err();
        assert_eq!(
            reason,
            Some(IdentityError::KeysUnavailable),
            "{mood:?}: it may have been a new key"
        );
        assert!(issuer.fetches() > before, "{mood:?}");
        let mut fresh = claims(issuer.url());
        fresh["jti"] = json!(format!("{mood:?}"));
        assert!(
            user(&verifier, &key.token(&header("k1"), &fresh)).await.is_ok(),
            "{mood:?}"
        );
        assert!(user(&verifier, &remembered).await.is_ok(), "{mood:?}");
    }
    let status = verifier.key_status(clock::instant());
    assert!(status[0].failures >= 5, "{status:?}");
    assert_eq!((status[0].issuer.as_str(), status[0].keys), ("demo", 1));
    assert!(status[0].age.unwrap() >= Duration::from_secs(5), "{status:?}");
}

#[tokio::test]
async fn an_issuer_that_is_down_at_start_is_an_outage_until_it_comes_up() {
    let key = Signer::ec();
    let mut issuer = TestIssuer::down(vec![key.jwk("k1")]).await;
    let verifier = start(vec![quick(&issuer)]).await;
    let token = key.token(&header("k1"), &claims(issuer.url()));
    assert_eq!(
        user(&verifier, &token).await.err(),
        Some(IdentityError::KeysUnavailable)
    );
    assert_eq!(verifier.key_status(clock::instant())[0].age, None);
    issuer.come_up().await;
    until(&verifier, &token, Ok(())).await;
}

#[tokio::test]
async fn nobody_waits_for_a_slow_issuer_beyond_the_deadline() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut settings = quick(&issuer);
    settings.fetch_timeout = Duration::from_secs(20);
    let verifier = start(vec![settings]).await;
    issuer.set_mood(Mood::Slow(Duration::from_secs(30)));
    pause(1000).await;
    let mut request = bearer(&key.token(&header("unknown"), &claims(issuer.url())));
    request.started = clock::instant();
    request.deadline = request.started + Duration::from_millis(150);
    let caller = verifier.identify(&request, &server(&["user"]), now()).await;
    let took = request.started.elapsed();
    assert_eq!(caller.err(), Some(IdentityError::KeysUnavailable));
    assert!(
        (Duration::from_millis(150)..Duration::from_secs(5)).contains(&took),
        "{took:?}"
    );
    assert!(
        user(&verifier, &key.token(&header("k1"), &claims(issuer.url())))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn keys_that_nobody_could_fetch_for_too_long_are_not_used_any_more() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut settings = quick(&issuer);
    settings.max_key_age = Duration::from_secs(2);
    settings.refresh_interval = Duration::from_secs(1);
    let verifier = start(vec![settings]).await;
    let token = key.token(&header("k1"), &claims(issuer.url()));
    assert!(user(&verifier, &token).await.is_ok());
    issuer.set_mood(Mood::Status500);
    until(&verifier, &token, Err(IdentityError::KeysUnavailable)).await;
    issuer.set_mood(Mood::Good);
    until(&verifier, &token, Ok(())).await;
}

#[tokio::test]
async fn an_issuer_that_withdraws_all_its_keys_is_believed() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut settings = quick(&issuer);
    settings.refresh_interval = Duration::from_secs(1);
    let verifier = start(vec![settings]).await;
    let token = key.token(&header("k1"), &claims(issuer.url()));
    assert!(user(&verifier, &token).await.is_ok());
    issuer.set_keys(vec![]);
    until(&verifier, &token, Err(IdentityError::KidUnknown)).await;
}

#[tokio::test]
async fn a_file_of_keys_is_read_again() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    let write = |key: &Signer| std::fs::write(&file, json!({ "keys": [key.jwk("k")] }).to_string()).unwrap();
    write(&old);
    let mut settings = settings::Issuer::new("file", "https://file.example");
    settings.keys = Keys::File(file.clone());
    settings.refresh_interval = Duration::from_secs(1);
    let verifier = start(vec![settings]).await;
    assert!(
        user(
            &verifier,
            &old.token(&header("k"), &claims("https://file.example"))
        )
        .await
        .is_ok()
    );
    write(&new);
    until(
        &verifier,
        &new.token(&header("k"), &claims("https://file.example")),
        Ok(()),
    )
    .await;
}

#[test]
fn leaves_out_every_key_that_must_not_verify() {
    use jsonwebtoken::Algorithm::{ES256, RS256};
    let (ec, rsa, ed) = (Signer::ec(), Signer::rsa(), Signer::ed());
    let changed = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        jwk
    };
    let short = rsa.jwk("x")["n"].as_str().unwrap()[..171].to_owned();
    let cases = [
        ("good", ec.jwk("x"), 1),
        ("good", rsa.jwk("x"), 1),
        ("for encryption", changed(ec.jwk("x"), "use", json!("enc")), 0),
        ("an unknown use", changed(ec.jwk("x"), "use", json!(5)), 0),
        ("RSA-OAEP", changed(rsa.jwk("x"), "alg", json!("RSA-OAEP")), 0),
        (
            "an algorithm not configured",
            changed(rsa.jwk("x"), "alg", json!("PS256")),
            0,
        ),
        (
            "an algorithm of another type",
            changed(ec.jwk("x"), "alg", json!("RS256")),
            0,
        ),
        (
            "HS256 on a public key",
            changed(rsa.jwk("x"), "alg", json!("HS256")),
            0,
        ),
        (
            "only for wrapping",
            changed(ec.jwk("x"), "key_ops", json!(["wrapKey"])),
            0,
        ),
        (
            "for verifying",
            changed(ec.jwk("x"), "key_ops", json!(["verify"])),
            1,
        ),
        (
            "with its private part",
            changed(ec.jwk("x"), "d", json!("AAAA")),
            0,
        ),
        ("symmetric", Signer::Secret(vec![1; 32]).jwk("x"), 0),
        ("RSA of 1024 bits", changed(rsa.jwk("x"), "n", json!(short)), 0),
        (
            "a curve not allowed",
            changed(ec.jwk("x"), "crv", json!("secp256k1")),
            0,
        ),
        (
            "a coordinate cut off",
            changed(ec.jwk("x"), "x", json!("AAAA")),
            0,
        ),
        ("Ed25519, not configured", ed.jwk("x"), 0),
        ("a kid that is no text", changed(ec.jwk("x"), "kid", json!(1)), 0),
        ("no object", json!("x"), 0),
    ];
    for (what, jwk, count) in cases {
        let set = json!({ "keys": [jwk] }).to_string();
        let keys = jwk::read_set(set.as_bytes(), &[RS256, ES256]).unwrap();
        assert_eq!(keys.len(), count, "{what}");
    }
    for no_set in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[],"keys":[]}"#,
        "<html>",
    ] {
        assert_eq!(jwk::read_set(no_set.as_bytes(), &[ES256]), None, "{no_set}");
    }
}

#[tokio::test]
async fn settings_that_contradict_themselves_do_not_start() {
    use jsonwebtoken::Algorithm::{ES256, HS256, HS512, RS256};
    let directory = tempfile::tempdir().unwrap();
    let (secret, short) = (directory.path().join("secret"), directory.path().join("short"));
    std::fs::write(&secret, [b'x'; 32]).unwrap();
    std::fs::write(&short, "too short\n").unwrap();
    let base = || settings::Issuer::new("demo", "https://issuer.example");
    let with = |change: &dyn Fn(&mut settings::Issuer)| {
        let mut settings = base();
        change(&mut settings);
        vec![settings]
    };
    let cases = [
        (
            "HS256 with public keys",
            with(&|s| s.algorithms = vec![RS256, HS256]),
            "issuer `demo`: HS256 is only taken",
        ),
        (
            "HS512",
            with(&|s| s.algorithms = vec![HS512]),
            "issuer `demo`: HS256 is only taken",
        ),
        (
            "ES256 with a secret",
            with(&|s| {
                s.keys = Keys::SecretFile(secret.clone());
                s.algorithms = vec![HS256, ES256];
            }),
            "issuer `demo`: with `secret_file` the only",
        ),
        (
            "a short secret",
            with(&|s| s.keys = Keys::SecretFile(short.clone())),
            "issuer `demo`: ",
        ),
        (
            "no such file",
            with(&|s| s.keys = Keys::File("/nowhere/jwks.json".into())),
            "issuer `demo`: `/nowhere",
        ),
        (
            "a file that is no set",
            with(&|s| s.keys = Keys::File(secret.clone())),
            "issuer `demo`: ",
        ),
        (
            "plain http",
            with(&|s| s.keys = Keys::JwksUrl("http://issuer.example/keys".into())),
            "issuer `demo`: `http:",
        ),
        (
            "a file URL",
            with(&|s| s.keys = Keys::JwksUrl("file:///etc/passwd".into())),
            "issuer `demo`: `file:",
        ),
        (
            "http on a host that begins like loopback",
            with(&|s| s.keys = Keys::JwksUrl("http://127.0.0.1.evil.example/".into())),
            "issuer `demo`: `http:",
        ),
        (
            "no URL",
            with(&|s| s.issuer = "demo".to_owned()),
            "issuer `demo`: `demo/",
        ),
        (
            "a fragment",
            with(&|s| s.issuer = "https://a/#b".to_owned()),
            "issuer `demo`: `issuer` must",
        ),
        (
            "a bad name",
            with(&|s| s.name = "De mo".to_owned()),
            "issuer `De mo`: its `name`",
        ),
        (
            "no time",
            with(&|s| s.refresh_interval = Duration::from_secs(0)),
            "issuer `demo`: fetching needs",
        ),
        ("twice", vec![base(), base()], "issuer `demo`: its `name` and"),
        (
            "a CA file that is none",
            with(&|s| s.ca_file = Some(secret.clone())),
            "issuer `demo`: ",
        ),
    ];
    for (what, issuers, message) in cases {
        let started = Verifier::start(
            Settings {
                issuers,
                ..Settings::default()
            },
            Arc::new(Memory::default()),
        )
        .await;
        let error = started.map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{what}: {error}");
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_an_hour_takes_neither_keys_nor_good_tokens_away() {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let verifier = start(vec![quick(&issuer)]).await;
    let hour = jiff::SignedDuration::from_hours(1);
    let at = async |token: &str, now: Timestamp| {
        let identified = verifier.identify(&bearer(token), &server(&["user"]), now).await;
        identified.map(drop)
    };
    let fresh = key.token(&header("k1"), &claims(issuer.url()));
    let mut older = claims(issuer.url());
    older["iat"] = json!(NOW - 7200);
    let older = key.token(&header("k1"), &older);
    for token in [&fresh, &older] {
        assert_eq!(at(token, now()).await, Ok(()));
    }
    // Remembered or not, each use looks at the times; what the keys are worth is counted on the other clock.
    assert_eq!(at(&fresh, now() - hour).await, Err(IdentityError::IssuedInFuture));
    assert_eq!(at(&older, now() - hour).await, Ok(()));
    for token in [&fresh, &older] {
        assert_eq!(at(token, now()).await, Ok(()));
    }
}
