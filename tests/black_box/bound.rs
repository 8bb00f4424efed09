//! Tokens that only their owner may use, through the gateway: each proof and each certificate that isn't theirs is
//! refused for its own reason, and the answer says what would be taken.

use std::collections::BTreeSet;
use std::sync::Arc;

use mcp_authz::dev::client::{Answer, Session};
use mcp_authz::dev::dpop::BoundClient;
use serde_json::{Map, Value, json};

use crate::parts::bound::{self, Case, Owner};
use crate::parts::caller::Reply;
use crate::parts::ground::{challenge, place};
use crate::parts::{audit, run, table};

pub(crate) const CASES: &str = include_str!("cases/bound.yaml");

/// What is not as the case expects.
async fn mistaken(case: &Case) -> Option<String> {
    let (stack, server) = place(&case.at).await;
    let reply = case.sent_by(&Owner::new(stack, server)).await;
    let words: Vec<&str> = case.expect.split(' ').collect();
    let record = audit::record(stack, &reply.decision_id()).await;
    let [outcome, reason] = ["outcome", "reason"].map(|name| record[name].as_str().unwrap().to_owned());
    let found = match words[1..] {
        ["allowed"] => outcome == "allowed" && reply.message()["result"]["isError"] == false,
        [expected, ref challenged @ ..] => {
            let field = match challenged {
                [schemes, error] => challenge(stack, server, schemes, error),
                _ => String::new(),
            };
            outcome == "denied"
                && reason == expected
                && reply.reason() == expected
                && reply.header("www-authenticate") == field
        }
        [] => false,
    };
    let status = words[0].parse() == Ok(reply.status);
    (!found || !status).then(|| {
        let (threat, name) = (&case.threat, &case.name);
        format!("{threat} ({name}): {case:?}\n{reply:?}\n{record}\n")
    })
}

#[test]
fn each_bound_token_of_the_table_is_taken_from_its_owner_alone() {
    run(async {
        let cases = bound::cases(CASES);
        let mut wrong = Vec::new();
        for case in &cases {
            wrong.extend(mistaken(case).await);
        }
        table::assert_none(&wrong, cases.len());
        let places: BTreeSet<&str> = cases.iter().map(|case| case.at.as_str()).collect();
        assert_eq!(
            places,
            BTreeSet::from(["any", "dpop", "mtls", "none", "stranger"])
        );
    });
}

#[test]
fn a_proof_is_taken_once_however_many_send_it_at_once() {
    run(async {
        let (stack, server) = place("dpop").await;
        let owner = Owner::new(stack, server);
        let token = owner.bound_token();
        let (header, claims) = owner.proof(&token);
        let proof = owner.key.sign(&header, &claims).unwrap();
        let authorization = format!("DPoP {token}");
        let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
        let http = owner.http();
        let replies =
            futures_util::future::join_all((0..50).map(async |_| owner.call(&http, &fields).await)).await;
        let (taken, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
        assert_eq!(taken.len(), 1, "{taken:?}");
        taken[0].assert_allowed();
        for reply in refused {
            reply.assert_denied(401, "proof_replayed");
            let expected = challenge(stack, server, "DPoP", "invalid_dpop_proof");
            assert_eq!(reply.header("www-authenticate"), expected);
        }
        let later = owner.call(&http, &fields).await;
        later.assert_denied(401, "proof_replayed");
    });
}

#[test]
fn a_session_of_an_official_sdk_proves_each_of_its_requests() {
    run(async {
        let (stack, server) = place("dpop").await;
        let owner = Owner::new(stack, server);
        let client = BoundClient::new(owner.http(), Arc::new(owner.key.clone()), &owner.bound_token());
        let session = Session::open_bound(client, &owner.url()).await.unwrap();
        let tools = session.tools().await.unwrap();
        assert!(tools.iter().any(|tool| tool == "fs_read"), "{tools:?}");
        let arguments = Map::from_iter([("path".to_owned(), json!("/srv/work/hello.txt"))]);
        let Answer::Result { is_error, seen, .. } = session.call("fs_read", arguments).await else {
            panic!("no result");
        };
        assert!(!is_error);
        assert_eq!(seen["x-mcp-user"], json!(["dan"]));
        session.close().await;
        // A session's end is proved as its beginning is.
        let ended = audit::records(stack, |record| {
            record["method"] == "session/end" && record["server"] == server
        });
        assert_eq!(ended.await[0]["outcome"], "allowed");
    });
}

#[test]
fn the_metadata_says_what_tokens_must_be_bound_to() {
    run(async {
        let algorithms = json!(["ES256", "ES384", "EdDSA"]);
        let none = Value::Null;
        for (at, taken, required, certificates) in [
            ("none", &none, none.clone(), none.clone()),
            ("dpop", &algorithms, json!(true), none.clone()),
            ("mtls", &none, none.clone(), json!(true)),
            ("any", &algorithms, none.clone(), json!(true)),
        ] {
            let (stack, server) = place(at).await;
            let port = stack.ports.listener;
            let url = format!("https://localhost:{port}/.well-known/oauth-protected-resource/{server}/mcp");
            let http = Owner::new(stack, server).http();
            let document = Reply::of(http.get(url)).await.message();
            assert_eq!(document["bearer_methods_supported"], json!(["header"]), "{at}");
            assert_eq!(&document["dpop_signing_alg_values_supported"], taken, "{at}");
            assert_eq!(document["dpop_bound_access_tokens_required"], required, "{at}");
            assert_eq!(
                document["tls_client_certificate_bound_access_tokens"], certificates,
                "{at}"
            );
        }
    });
}
