//! A proof holds once, and not at all where nobody can tell.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_with_the_same_proof_at_once_one_gets_through() {
    let world = Arc::new(world(TestStore::since(0)).await);
    let token = world.bound_token();
    let proof = world.good_proof(&token);
    let tries: Vec<_> = (0..1000)
        .map(|_| {
            let (world, token, proof) = (Arc::clone(&world), token.clone(), proof.clone());
            tokio::spawn(async move { world.with_proof(&token, &proof).await })
        })
        .collect();
    let mut through = 0;
    for outcome in tries {
        match outcome.await.unwrap() {
            Ok(()) => through += 1,
            refused => assert_eq!(refused, Err(E::Bound(B::ProofReplayed))),
        }
    }
    assert_eq!(through, 1);
}

#[tokio::test]
async fn the_ids_of_one_keys_proofs_are_not_used_up_by_anothers() {
    let mut world = world(TestStore::since(0)).await;
    for _ in 0..2 {
        world.proving = ProofKey::generate();
        let token = world.bound_token();
        let proof = world.good_proof(&token);
        assert_eq!(world.with_proof(&token, &proof).await, Ok(()));
    }
}

#[tokio::test]
async fn a_proof_is_refused_where_nobody_can_tell_whether_it_was_used() {
    for why in [StateError::Unreachable, StateError::TooLate, StateError::Full] {
        let store = TestStore {
            down: Some(why),
            ..TestStore::since(0)
        };
        let world = world(store).await;
        let token = world.bound_token();
        let refused = world
            .with_proof(&token, &world.good_proof(&token))
            .await
            .unwrap_err();
        assert_eq!(refused, E::Bound(B::ReplaysUnknown(why)));
        assert!(refused.is_outage());
        assert_eq!(
            world.identify(&bearer(&world.token(&Value::Null)), "none").await,
            Ok(())
        );
    }
    // A client's clock that is ahead by 5 s may have made it before the store was there.
    for (since, expected) in [(NOW - 5, Err(E::Bound(B::ReplaysForgotten))), (NOW - 6, Ok(()))] {
        let world = world(TestStore::since(since)).await;
        let token = world.bound_token();
        assert_eq!(
            world.with_proof(&token, &world.good_proof(&token)).await,
            expected
        );
    }
}
