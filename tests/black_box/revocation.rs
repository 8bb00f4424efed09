//! What a real Keycloak ends and what an operator revokes, at the next call through the real gateway.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mcp_authz::dev::keycloak::realm::{PASSWORDS, PASSWORDS_BY_SESSION};
use mcp_authz::dev::keycloak::{Client, Grant, Realm};
use mcp_authz::dev::stack::Stack;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::parts::caller::{Caller, TRUSTED};
use crate::parts::keycloak::{self, Ground, bearing, decoded, denied};
use crate::parts::{audit, run, temporary};

/// For revocations that are about one user alone, each test has its own.
static GROUND: OnceCell<Ground> = OnceCell::const_new();

async fn ground() -> &'static Ground {
    let own = async || {
        keycloak::own("revocation", |configuration| {
            configuration["revocation"]["socket"] = json!(socket());
        })
        .await
    };
    GROUND.get_or_init(own).await
}

fn socket() -> PathBuf {
    temporary("revoke.sock")
}

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
}

/// Lets a call through, and another, for which the token is known.
async fn known(caller: &Caller) {
    for _ in 0..2 {
        caller.call("fs_read", &read()).await.assert_allowed();
    }
}

async fn is_denied(stack: &Stack, caller: &Caller, reason: &str) {
    denied(stack, caller.call("fs_read", &read()).await, 401, reason).await;
}

fn claim(caller: &Caller, name: &str) -> Value {
    let [_, claims] = decoded(caller.token.as_deref().unwrap());
    claims[name].clone()
}

/// A login of the user that Keycloak gives a token of a later second.
async fn later(realm: &Realm, stack: &Stack, user: &str, than: i64) -> Caller {
    let mut ticks = tokio::time::interval(Duration::from_millis(300));
    for _ in 0..100 {
        ticks.tick().await;
        let caller = keycloak::user(realm, stack, user, TRUSTED, "workbench").await;
        if claim(&caller, "iat").as_i64().unwrap() > than {
            return caller;
        }
    }
    panic!("no token of a later second than {than}");
}

#[test]
fn a_user_logged_out_at_a_real_keycloak_is_out_at_the_next_call_in_all_sessions_and_may_log_in_again() {
    run(async {
        let Ground { realm, stack } = ground().await;
        let mut sessions = Vec::new();
        for _ in 0..2 {
            let alice = keycloak::user(realm, stack, "alice", TRUSTED, "workbench").await;
            known(&alice).await;
            sessions.push(alice);
        }
        assert_ne!(claim(&sessions[0], "sid"), claim(&sessions[1], "sid"));
        let id = claim(&sessions[0], "sub");
        realm.end_sessions(id.as_str().unwrap()).await.unwrap();
        let revoked = audit::revocations(stack, |line| line["revoked"][0]["value"] == id).await;
        assert_eq!(revoked[0]["source"], "logout_token", "{revoked:?}");
        assert_eq!(revoked[0]["revoked"][0]["kind"], "subject", "{revoked:?}");
        for alice in &sessions {
            is_denied(stack, alice, "subject_revoked").await;
        }
        let until: jiff::Timestamp = revoked[0]["issued_until"].as_str().unwrap().parse().unwrap();
        let again = later(realm, stack, "alice", until.as_second()).await;
        known(&again).await;
        is_denied(stack, &sessions[0], "subject_revoked").await;
    });
}

#[test]
fn of_a_users_sessions_the_one_that_keycloak_ended_is_over_and_the_other_goes_on() {
    run(async {
        let Ground { realm, stack } = ground().await;
        let mut sessions = Vec::new();
        for _ in 0..2 {
            let grant = Grant::Password("bob", "bob-only-for-the-demo");
            let client = Client::Public(PASSWORDS_BY_SESSION);
            let tokens = {
                let _one_at_a_time = realm.login().await;
                realm.tokens(client, grant, "workbench", None).await.unwrap()
            };
            let bob = bearing(&tokens.access_token, stack, TRUSTED, "workbench");
            known(&bob).await;
            sessions.push(bob);
        }
        let ended = claim(&sessions[0], "sid");
        realm.end_session(ended.as_str().unwrap()).await.unwrap();
        let revoked = audit::revocations(stack, |line| line["revoked"][0]["value"] == ended).await;
        assert_eq!(
            revoked[0]["revoked"],
            json!([{ "kind": "session", "value": ended }])
        );
        is_denied(stack, &sessions[0], "session_revoked").await;
        known(&sessions[1]).await;
    });
}

#[test]
fn what_a_real_keycloak_voids_for_all_is_refused_whoever_it_is_of() {
    run(async {
        let Ground { realm, stack } = keycloak::own("revocation-all", |_| {}).await;
        let mut before = Vec::new();
        for user in ["alice", "bob"] {
            let caller = keycloak::user(&realm, &stack, user, TRUSTED, "workbench").await;
            known(&caller).await;
            before.push(caller);
        }
        let latest = before.iter().map(|caller| claim(caller, "iat").as_i64().unwrap());
        let latest = latest.max().unwrap();
        // Both servers are told, and both say that they have heard.
        let told = realm.push_not_before(latest.saturating_add(1)).await.unwrap();
        assert_eq!(told["successRequests"].as_array().unwrap().len(), 2, "{told}");
        assert_eq!(told["failedRequests"], Value::Null, "{told}");
        for caller in &before {
            is_denied(&stack, caller, "issuer_not_before").await;
        }
        let revoked = audit::revocations(&stack, |line| line["source"] == "push_not_before").await;
        assert_eq!(revoked[0]["revoked"], json!([{ "kind": "issuer", "value": "" }]));
        let after = later(&realm, &stack, "alice", latest).await;
        known(&after).await;

        let told = realm.end_all_sessions().await.unwrap();
        assert_eq!(told["successRequests"].as_array().unwrap().len(), 2, "{told}");
        is_denied(&stack, &after, "issuer_not_before").await;
        let revoked = audit::revocations(&stack, |line| line["source"] == "logout").await;
        assert_eq!(revoked[0]["issuer"], "keycloak", "{revoked:?}");
        stack.stop().await;
    });
}

#[test]
fn what_keycloak_tells_nobody_an_operator_revokes_by_command_and_the_audit_shows_it() {
    run(async {
        let Ground { realm, stack } = ground().await;
        let carol = keycloak::user(realm, stack, "carol", TRUSTED, "workbench").await;
        let other = keycloak::user(realm, stack, "carol", TRUSTED, "workbench").await;
        known(&carol).await;
        known(&other).await;
        let token = carol.token.as_deref().unwrap();
        // RFC 7009: it says so at introspection alone.
        realm.revoke(Client::Public(PASSWORDS), token).await.unwrap();
        known(&carol).await;

        let done = mcp_authz(&["revoke", "--token", "-", "--output", "json"], Some(token));
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(
            (&answer["kind"], &answer["value"]),
            (&json!("token"), &claim(&carol, "jti"))
        );
        is_denied(stack, &carol, "token_revoked").await;
        known(&other).await;

        let sid = claim(&other, "sid");
        let done = mcp_authz(
            &[
                "revoke",
                "--issuer",
                "keycloak",
                "--session",
                sid.as_str().unwrap(),
            ],
            None,
        );
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        is_denied(stack, &other, "session_revoked").await;

        let refused = mcp_authz(&["revoke", "--issuer", "nobody", "--all"], None);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let elsewhere = temporary("nobody.sock");
        let unheard = command(&elsewhere, &["revoke", "--all"], None);
        assert_eq!(unheard.status.code(), Some(2), "{unheard:?}");

        let jti = claim(&carol, "jti");
        let recorded = audit::revocations(stack, |line| line["revoked"][0]["value"] == jti).await;
        assert_eq!(recorded[0]["source"], "operator", "{recorded:?}");
        assert!(recorded[0]["operator"].is_u64(), "{recorded:?}");
        let file = stack.audit();
        let shown = run_command(
            &["audit", "show", "--outcome", "revoked", "--output", "json"],
            &file,
        );
        assert!(
            String::from_utf8(shown.stdout)
                .unwrap()
                .contains(jti.as_str().unwrap())
        );
        let verified = run_command(&["audit", "verify"], &file);
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    });
}

fn mcp_authz(arguments: &[&str], input: Option<&str>) -> Output {
    command(&socket(), arguments, input)
}

fn command(socket: &Path, arguments: &[&str], input: Option<&str>) -> Output {
    let mut running = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .args(arguments)
        .arg("--socket")
        .arg(socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default().as_bytes()).unwrap();
    drop(stdin);
    running.wait_with_output().unwrap()
}

fn run_command(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .args(arguments)
        .arg(file)
        .output()
        .unwrap()
}
