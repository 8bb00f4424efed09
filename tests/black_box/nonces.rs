//! Servers that demand a nonce of their own in each proof, through the gateway: who has none that holds is handed one.

use std::sync::Arc;
use std::time::Duration;

use mcp_authz::dev::client::{Answer, Session};
use mcp_authz::dev::dpop::BoundClient;
use serde_json::{Map, Value, json};

use crate::parts::bound::Owner;
use crate::parts::caller::Reply;
use crate::parts::ground::{challenge, place};
use crate::parts::{audit, run};

/// The nonce that an answer hands out.
fn handed_out(reply: &Reply) -> Value {
    let nonce = reply.header("dpop-nonce");
    assert_eq!(nonce.len(), 32, "{reply:?}");
    nonce.into()
}

#[test]
fn a_proof_without_a_nonce_of_the_server_is_answered_with_one_that_holds() {
    run(async {
        let (stack, server) = place("nonces").await;
        let (_, other) = place("short nonces").await;
        let owner = Owner::new(stack, server);
        let others = handed_out(&Owner::new(stack, other).prove(&Value::Null).await);
        for (nonce, reason) in [
            (Value::Null, "nonce_missing"),
            (json!(7), "nonce_missing"),
            (json!(""), "nonce_wrong"),
            (json!("AAAAAGYAAAAAAAAAAAAAAAAAAAAAAAAA"), "nonce_wrong"),
            (others, "nonce_wrong"),
        ] {
            let reply = owner.prove(&nonce).await;
            reply.assert_denied(401, reason);
            let expected = challenge(stack, server, "DPoP", "use_dpop_nonce");
            assert_eq!(reply.header("www-authenticate"), expected);
            assert_eq!(reply.header("cache-control"), "no-store");
            let record = audit::record(stack, &reply.decision_id()).await;
            assert_eq!(record["reason"], reason, "{record}");

            let taken = owner.prove(&handed_out(&reply)).await;
            taken.assert_allowed();
            assert!(taken.seen("x-mcp-policies").is_some(), "{taken:?}");
            // It is for the client alone.
            assert_eq!(taken.seen("dpop-nonce"), None);
        }
    });
}

#[test]
fn a_nonce_is_replaced_with_an_answer_before_it_expires() {
    run(async {
        let (stack, server) = place("short nonces").await;
        let owner = Owner::new(stack, server);
        let nonce = handed_out(&owner.prove(&Value::Null).await);
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut next = Value::Null;
        loop {
            ticks.tick().await;
            let reply = owner.prove(&nonce).await;
            if reply.status == 401 {
                reply.assert_denied(401, "nonce_expired");
                handed_out(&reply);
                break;
            }
            reply.assert_allowed();
            // From its second window on, each answer has the one that comes after it.
            if !next.is_null() || !reply.header("dpop-nonce").is_empty() {
                next = handed_out(&reply);
                assert_ne!(next, nonce);
            }
        }
        owner.prove(&next).await.assert_allowed();
    });
}

#[test]
fn an_official_sdk_goes_on_with_the_nonce_that_it_was_handed() {
    run(async {
        let (stack, server) = place("nonces").await;
        let owner = Owner::new(stack, server);
        let client = BoundClient::new(owner.http(), Arc::new(owner.key.clone()), &owner.bound_token());
        let session = Session::open_bound(client, &owner.url()).await.unwrap();
        let Answer::Result { is_error, seen, .. } = session.call("get_public_info", Map::new()).await else {
            panic!("no result");
        };
        assert!(!is_error);
        assert_eq!(seen["x-mcp-user"], json!(["dan"]));
        session.close().await;
    });
}
