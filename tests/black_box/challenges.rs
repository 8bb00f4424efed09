//! Credentials: what is missing or wrong, and how a client learns to do better.

use mcp_authz::clock;
use mcp_authz::dev::mint::{Mint, TokenKind};
use mcp_authz::dev::stack::Stack;
use serde_json::{Value, json};

use crate::parts::caller::{Caller, Reply, TRUSTED, developer, person};
use crate::parts::{audit, with_stack};

fn metadata_url(stack: &Stack, server: &str) -> String {
    let port = stack.ports.listener;
    format!("https://localhost:{port}/.well-known/oauth-protected-resource/{server}/mcp")
}

#[test]
fn without_a_token_the_challenge_says_where_to_learn_more() {
    with_stack(async |stack| {
        let reply = Caller::without_token(stack, TRUSTED, "info")
            .call("get_public_info", &json!({}))
            .await;
        reply.assert_denied(401, "no_credential");
        let expected = format!(
            "Bearer resource_metadata=\"{}\", scope=\"public:read\"",
            metadata_url(stack, "info")
        );
        assert_eq!(reply.header("www-authenticate"), expected);
        assert_eq!(
            audit::record(stack, &reply.decision_id()).await["outcome"],
            "denied"
        );
    });
}

#[test]
fn the_metadata_names_the_resource_and_its_issuer() {
    with_stack(async |stack| {
        for server in ["workbench", "info"] {
            let anyone = Caller::without_token(stack, TRUSTED, server);
            let document = Reply::of(anyone.http.get(metadata_url(stack, server))).await;
            assert_eq!(document.status, 200, "{document:?}");
            assert_eq!(document.header("content-type"), "application/json");
            let document = document.message();
            assert_eq!(document["resource"], stack.url(server));
            assert_eq!(document["authorization_servers"], json!([stack.issuer.issuer()]));
        }
    });
}

#[test]
fn the_metadata_is_served_at_its_own_path_to_a_plain_get_alone() {
    with_stack(async |stack| {
        let anyone = Caller::without_token(stack, TRUSTED, "workbench");
        let url = metadata_url(stack, "workbench");
        let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
        assert_eq!(status(anyone.http.get(format!("{url}/x"))).await, 404);
        assert_eq!(
            status(anyone.http.get(url.replace("workbench", "nothing"))).await,
            404
        );
        assert_eq!(status(anyone.http.get(&url).body("{}")).await, 405);
        assert_eq!(status(anyone.http.post(&url)).await, 405);
    });
}

#[test]
fn a_missing_scope_is_named() {
    with_stack(async |stack| {
        let caller = Caller::new(stack, &person("pia", &[], &["public:read"]), TRUSTED, "info");
        let reply = caller.call("get_confidential_info", &json!({})).await;
        reply.assert_denied(403, "insufficient_scope");
        let expected = format!(
            "Bearer resource_metadata=\"{}\", scope=\"public:read confidential:read\", error=\"insufficient_scope\"",
            metadata_url(stack, "info")
        );
        assert_eq!(reply.header("www-authenticate"), expected);
    });
}

/// Each of these tokens is refused, for its own reason, with the challenge to bring another.
async fn refused(stack: &Stack, cases: impl IntoIterator<Item = (&'static str, Mint)>) {
    let caller = Caller::without_token(stack, TRUSTED, "workbench");
    let read = json!({ "path": "/srv/work/hello.txt" });
    for (reason, mint) in cases {
        let token = stack.issuer.mint(&mint, clock::now()).unwrap();
        let caller = Caller {
            token: Some(token),
            ..caller.clone()
        };
        let reply = caller.call("fs_read", &read).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (401, reason),
            "{mint:?}: {reply:?}"
        );
        assert!(
            reply
                .header("www-authenticate")
                .contains("error=\"invalid_token\""),
            "{reply:?}"
        );
    }
}

/// The developer's good token, which each case spoils in one way.
fn good(stack: &Stack) -> Mint {
    Mint {
        audiences: vec![stack.url("workbench")],
        ..developer()
    }
}

/// The same with another claim; `null` takes it away.
fn claiming(stack: &Stack, name: &str, value: Value) -> Mint {
    Mint {
        extra: [(name.to_owned(), value)].into_iter().collect(),
        ..good(stack)
    }
}

#[test]
fn the_good_token_that_the_others_differ_from_is_taken() {
    with_stack(async |stack| {
        let token = stack.issuer.mint(&good(stack), clock::now()).unwrap();
        let caller = Caller {
            token: Some(token),
            ..Caller::without_token(stack, TRUSTED, "workbench")
        };
        caller
            .call("fs_read", &json!({ "path": "/srv/work/hello.txt" }))
            .await
            .assert_allowed();
    });
}

#[test]
fn tokens_out_of_time_are_refused() {
    with_stack(async |stack| {
        let living = |lifetime_seconds| Mint {
            lifetime_seconds,
            ..good(stack)
        };
        let later = json!(clock::now().as_second() + 300);
        let cases = [
            ("expired", living(-120)),
            ("lives_too_long", living(10 * 365 * 86_400)),
            ("not_yet_valid", claiming(stack, "nbf", later.clone())),
            ("issued_in_future", claiming(stack, "iat", later)),
            ("no_expiry", claiming(stack, "exp", Value::Null)),
        ];
        refused(stack, cases).await;
    });
}

#[test]
fn tokens_for_others_are_refused() {
    with_stack(async |stack| {
        let (here, elsewhere) = (stack.url("workbench"), stack.url("info"));
        let audiences = |audiences: &[&String]| Mint {
            audiences: audiences.iter().map(|&url| url.clone()).collect(),
            ..good(stack)
        };
        let cases = [
            ("wrong_audience", audiences(&[&elsewhere])),
            ("wrong_audience", audiences(&[&here, &elsewhere])),
            ("wrong_audience", audiences(&[])),
            ("wrong_audience", audiences(&[&format!("{here}/")])),
            ("no_subject", claiming(stack, "sub", Value::Null)),
            (
                "issuer_unknown",
                claiming(stack, "iss", json!(format!("{}/", stack.issuer.issuer()))),
            ),
            (
                "bound_token_without_proof",
                claiming(
                    stack,
                    "cnf",
                    json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
                ),
            ),
        ];
        refused(stack, cases).await;
    });
}

#[test]
fn other_kinds_of_tokens_are_no_access_tokens() {
    with_stack(async |stack| {
        let kinds = [TokenKind::Id, TokenKind::Refresh, TokenKind::Logout];
        refused(
            stack,
            kinds.map(|kind| ("wrong_type", Mint { kind, ..good(stack) })),
        )
        .await;
        let kid = Some("../../etc/passwd".to_owned());
        refused(stack, [("kid_unknown", Mint { kid, ..good(stack) })]).await;
    });
}

#[test]
fn a_credential_comes_once_and_in_its_place() {
    with_stack(async |stack| {
        let good = Caller::developer(stack);
        let token = good.token.clone().unwrap();
        let nobody = Caller {
            token: None,
            ..good.clone()
        };
        let read = json!({ "path": "/srv/work/hello.txt" });
        let bearer = format!("Bearer {token}");

        let twice = good
            .call_with("fs_read", &read, &[("authorization", &bearer)])
            .await;
        twice.assert_denied(400, "two_credentials");
        let basic = nobody
            .call_with("fs_read", &read, &[("authorization", "Basic ZGFuOmRhbg==")])
            .await;
        basic.assert_denied(401, "wrong_scheme");
        // RFC 9110 §11.1: the scheme is case-insensitive.
        let odd = format!("bEaReR {token}");
        nobody
            .call_with("fs_read", &read, &[("authorization", &odd)])
            .await
            .assert_allowed();

        let in_query = Caller {
            url: format!("{}?access_token={token}", nobody.url),
            ..nobody.clone()
        };
        in_query
            .call("fs_read", &read)
            .await
            .assert_denied(400, "token_in_query");
    });
}
