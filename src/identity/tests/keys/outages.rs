//! Keys of an issuer that is down, slow, or answers nonsense.

use super::*;

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
