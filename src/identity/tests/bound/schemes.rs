//! What a token is bound to, how it is presented, and what the server demands.

use super::*;

#[tokio::test]
async fn a_bound_token_is_never_a_bearer_token_and_an_unbound_one_needs_no_proof_where_none_is_asked_for() {
    let world = world(TestStore::since(0)).await;
    let (bound, plain) = (world.bound_token(), world.token(&Value::Null));
    for constraint in ["none", "dpop", "mtls", "any"] {
        let sent = exchange(&[
            ("authorization", &format!("Bearer {bound}")),
            ("dpop", &world.good_proof(&bound)),
        ]);
        assert_eq!(
            world.identify(&sent, constraint).await,
            Err(E::BoundTokenWithoutProof),
            "{constraint}"
        );
        let expected = match constraint {
            "none" => Ok(()),
            _ => Err(E::Bound(B::TokenNotBound)),
        };
        assert_eq!(
            world.identify(&bearer(&plain), constraint).await,
            expected,
            "{constraint}"
        );
        let as_if = proved(&plain, &world.good_proof(&plain));
        assert_eq!(
            world.identify(&as_if, constraint).await,
            Err(E::Bound(B::TokenNotBound))
        );
    }
    let sent = proved(&bound, &world.good_proof(&bound));
    assert_eq!(
        world.identify(&sent, "mtls").await,
        Err(E::Bound(B::TokenNotBound))
    );
    assert_eq!(world.identify(&sent, "none").await, Ok(()));
    assert_eq!(
        world.identify(&sent, "any").await,
        Err(E::Bound(B::ProofReplayed))
    );
}

#[tokio::test]
async fn a_token_bound_to_both_needs_both() {
    let world = world(TestStore::since(0)).await;
    let hash = URL_SAFE_NO_PAD.encode(Hash::of(b"x").as_bytes());
    let token = world.token(&json!({ "jkt": world.proving.thumbprint, "x5t#S256": hash }));
    for constraint in ["none", "dpop", "mtls", "any"] {
        let sent = proved(&token, &world.good_proof(&token));
        let identified = world.identify(&sent, constraint).await;
        assert_eq!(identified, Err(E::Bound(B::CertificateMissing)), "{constraint}");
    }
}
