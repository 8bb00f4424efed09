//! Keys that an issuer makes, changes and withdraws while it is asked.

use super::*;

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
