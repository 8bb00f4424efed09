//! How long the issuer's word counts, how often it is asked, and what holds while it is gone.

use super::*;

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_an_outage_until_it_can() {
    let cases = [
        (Mood::Status(500), Fault::Unavailable),
        (Mood::Status(404), Fault::Unavailable),
        (Mood::Status(204), Fault::Unavailable),
        (Mood::Status(400), Fault::NotAllowed),
        (Mood::Status(401), Fault::NotAllowed),
        (Mood::Status(403), Fault::NotAllowed),
        (Mood::Redirect, Fault::Unavailable),
        (Mood::Endless, Fault::AnswerMalformed),
        (Mood::Silent, Fault::TooLate),
        (
            Mood::Says("text/html", r#"{"active":true}"#),
            Fault::AnswerMalformed,
        ),
        (Mood::Says("application/json", "<html>"), Fault::AnswerMalformed),
        (Mood::Says("application/json", "[true]"), Fault::AnswerMalformed),
        (Mood::Says("application/json", "{}"), Fault::AnswerMalformed),
        (
            Mood::Says("application/json", r#"{"active":false,"active":true}"#),
            Fault::AnswerMalformed,
        ),
        (
            Mood::Says("application/token-introspection+jwt", "a.b.c"),
            Fault::AnswerMalformed,
        ),
        (Mood::OtherIssuer, Fault::Unavailable),
        (Mood::Place(None), Fault::Unavailable),
        (
            Mood::Place(Some("http://id.example/introspect")),
            Fault::Unavailable,
        ),
        (Mood::Place(Some("introspect")), Fault::Unavailable),
    ];
    for (mood, fault) in cases {
        let slow = mood == Mood::Silent;
        let world = world(|asked, _| {
            asked.timeout = if slow {
                Duration::from_millis(200)
            } else {
                PATIENCE
            }
        })
        .await;
        world.issuer.set_mood(mood.clone());
        let refused = world.after(0, TOKEN).await.err();
        assert_eq!(refused, Some(IdentityError::Introspection(fault)), "{mood:?}");
        assert!(refused.unwrap().is_outage());
        assert_eq!(
            world.verifier.introspection_numbers()[0]
                .faults
                .iter()
                .find(|(of, _)| *of == fault)
                .unwrap()
                .1,
            1,
            "{mood:?}"
        );
        if slow {
            continue;
        }
        // Nothing was learnt from it.
        world.issuer.set_mood(Mood::Good);
        assert_eq!(world.after(0, TOKEN).await.err(), None, "{mood:?}");
    }
}

#[tokio::test]
async fn while_the_issuer_is_gone_its_last_word_counts_for_its_time_and_not_longer() {
    let mut world = world(|_, _| {}).await;
    world.after(0, TOKEN).await.unwrap();
    world.issuer.go().await;
    assert_eq!(world.after(29, TOKEN).await.err(), None);
    let gone = Some(IdentityError::Introspection(Fault::Unavailable));
    assert_eq!(world.after(30, TOKEN).await.err(), gone);
    assert_eq!(world.after(31, "another").await.err(), gone);
}

#[tokio::test]
async fn a_token_that_is_no_longer_active_is_refused_after_the_set_time_and_that_is_remembered_briefly() {
    let world = world(|_, _| {}).await;
    world.after(0, TOKEN).await.unwrap();
    world.issuer.says(TOKEN, json!({ "active": false }));
    world.after(29, TOKEN).await.unwrap();
    assert_eq!(world.asked(), 1);
    for seconds in [30, 34] {
        let refused = world.after(seconds, TOKEN).await.err();
        assert_eq!(refused, Some(IdentityError::TokenInactive), "{seconds}");
        assert_eq!(world.asked(), 2);
    }
    assert_eq!(world.verifier.cache_numbers().withdrawn, 1);
    assert_eq!(world.verifier.cache_numbers().tokens, 0);
    let numbers = &world.verifier.introspection_numbers()[0];
    assert_eq!((numbers.refused, numbers.remembered, numbers.refusals), (1, 1, 1));
    world.issuer.says(TOKEN, answer(world.issuer.url()));
    world.after(35, TOKEN).await.unwrap();
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn the_issuers_word_counts_no_longer_than_until_exp() {
    let world = world(|_, _| {}).await;
    let mut brief = answer(world.issuer.url());
    brief["exp"] = json!(NOW + 10);
    world.issuer.says(TOKEN, brief);
    world.after(0, TOKEN).await.unwrap();
    world.after(9, TOKEN).await.unwrap();
    assert_eq!(world.asked(), 1);
    world.issuer.says(TOKEN, json!({ "active": false }));
    // The clocks may differ by 30 s, so the issuer is the one to say.
    assert_eq!(
        world.after(10, TOKEN).await.err(),
        Some(IdentityError::TokenInactive)
    );
}

#[tokio::test]
async fn however_many_bring_a_token_its_issuer_is_asked_once() {
    let world = Arc::new(world(|asked, _| asked.timeout = PATIENCE).await);
    world.issuer.says("held", answer(world.issuer.url()));
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.after(0, "held").await.map(drop) })
        })
        .collect();
    while world.asked() == 0 {
        tokio::task::yield_now().await;
    }
    world.issuer.open(1);
    for asked in asking {
        assert_eq!(asked.await.unwrap(), Ok(()));
    }
    assert_eq!((world.asked(), world.issuer.discoveries()), (1, 1));
}

#[tokio::test]
async fn strangers_who_fill_every_turn_do_not_keep_a_known_token_from_being_asked_about() {
    let world = world(|asked, _| {
        asked.timeout = PATIENCE;
        asked.max_concurrent = 1;
        asked.max_waiting = 1;
    })
    .await;
    let world = Arc::new(world);
    world.after(0, TOKEN).await.unwrap();
    let strangers: Vec<_> = ["held-1", "held-2"]
        .map(|token| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.after(0, token).await.map(drop) })
        })
        .into();
    // One is being asked about; then the other waits for its turn.
    while world.asked() < 2 {
        tokio::task::yield_now().await;
    }
    let overloaded = Some(IdentityError::Introspection(Fault::Overloaded));
    assert_eq!(world.after(0, "held-3").await.err(), overloaded);
    assert_eq!(world.after(30, TOKEN).await.err(), None);
    assert_eq!(
        world
            .issuer
            .asked()
            .iter()
            .filter(|asked| *asked == TOKEN)
            .count(),
        2
    );
    world.issuer.open(2);
    for stranger in strangers {
        assert_eq!(stranger.await.unwrap(), Err(IdentityError::TokenInactive));
    }
}
