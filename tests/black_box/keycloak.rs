//! A real Keycloak issues the tokens: the shipped realm, its users, its keys. `scripts/tools.sh --keycloak` fetches it.

use mcp_authz::dev::keycloak::{Keycloak, Ports, Realm, realm};
use mcp_authz::dev::stack::{self, Stack};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::parts::caller::{Caller, Reply, TRUSTED, UNTRUSTED};
use crate::parts::{audit, repository, run, settings, temporary};

/// What all tests share: a Keycloak, its realm and a stack that takes that realm's tokens. It ends with this process.
struct Ground {
    _keycloak: Keycloak,
    realm: Realm,
    stack: Stack,
}

/// One realm for all: the shipped users have fixed ids, which Keycloak takes once.
static GROUND: OnceCell<Result<Ground, String>> = OnceCell::const_new();

async fn ground() -> (&'static Realm, &'static Stack) {
    let ground = GROUND.get_or_init(prepared).await;
    let ground = ground.as_ref().unwrap_or_else(|error| panic!("{error}"));
    (&ground.realm, &ground.stack)
}

async fn prepared() -> Result<Ground, String> {
    let keycloak = start("keycloak", Ports::free().unwrap()).await?;
    let ports = stack::Ports::free(None).await.unwrap();
    let realm = keycloak
        .realm(&places("mcp", &ports))
        .await
        .map_err(|error| error.to_string())?;
    let stack = stack_for("keycloak-stack", ports, &realm.issuer()).await?;
    Ok(Ground {
        _keycloak: keycloak,
        realm,
        stack,
    })
}

async fn start(name: &str, ports: Ports) -> Result<Keycloak, String> {
    let directory = temporary(name);
    let _ = std::fs::remove_dir_all(&directory);
    Keycloak::start(&repository().join(".tools"), &directory, ports)
        .await
        .map_err(|error| error.to_string())
}

/// The shipped realm, for the MCP servers behind these ports.
fn places(name: &str, ports: &stack::Ports) -> realm::Places {
    realm::Places {
        realm: name.to_owned(),
        workbench: ports.url("workbench"),
        info: ports.url("info"),
        authz: format!("http://127.0.0.1:{}", ports.http),
        bundle: "https://localhost:1/".to_owned(),
        passwords: true,
    }
}

/// A stack that takes tokens of this issuer and of no other.
async fn stack_for(name: &str, ports: stack::Ports, issuer: &str) -> Result<Stack, String> {
    let configuration = json!({
        "servers": [
            { "name": "workbench", "resource": ports.url("workbench"), "scopes": ["workbench"] },
            { "name": "info", "resource": ports.url("info"), "scopes": ["public:read"] },
        ],
        "identity": { "issuers": [{
            "name": "keycloak", "issuer": issuer, "algorithms": ["RS256"],
        }] },
    });
    let settings = settings(name, repository().join("policies"), configuration);
    Stack::start_at(&settings, ports)
        .await
        .map_err(|error| error.to_string())
}

/// A user through an agent, with what Keycloak gives for these scopes.
async fn user(realm: &Realm, stack: &Stack, name: &str, agent: &str, scope: &str) -> Caller {
    let server = if scope == "workbench" { "workbench" } else { "info" };
    let tokens = realm.user(name, scope).await.unwrap();
    Caller {
        token: Some(tokens.access_token),
        ..Caller::without_token(stack, agent, server)
    }
}

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
}

/// Refused, and recorded with the same reason.
async fn denied(stack: &Stack, reply: Reply, status: u16, reason: &str) -> Value {
    reply.assert_denied(status, reason);
    let record = audit::record(stack, &reply.decision_id()).await;
    assert_eq!(
        (&record["outcome"], &record["reason"]),
        (&json!("denied"), &json!(reason)),
        "{record}"
    );
    record
}

#[test]
fn users_of_a_real_keycloak_may_what_their_roles_say_and_no_more() {
    run(async {
        let (realm, stack) = ground().await;
        let owner = json!({ "path": "/srv/work/hello.txt", "owner": "root" });
        let note = json!({ "path": "/srv/work/notes/keycloak", "content": "x", "create": true });

        let alice = user(realm, stack, "alice", TRUSTED, "workbench").await;
        let reply = alice.call("fs_admin", &owner).await;
        assert_eq!(
            reply.seen("x-mcp-policies").as_deref(),
            Some("admins-on-workbench,trusted-agents-on-workbench"),
            "{reply:?}"
        );
        assert_eq!(reply.seen("x-mcp-tenant").as_deref(), Some("acme"));
        let record = audit::record(stack, &reply.decision_id()).await;
        assert_eq!(record["user"]["username"], "alice", "{record}");
        assert_eq!(record["user"]["issuer"], realm.issuer(), "{record}");

        let bob = user(realm, stack, "bob", TRUSTED, "workbench").await;
        bob.call("fs_write", &note).await.assert_allowed();
        let record = denied(stack, bob.call("fs_admin", &owner).await, 200, "no_permit").await;
        assert_eq!(record["user"]["username"], "bob", "{record}");

        let carol = user(realm, stack, "carol", TRUSTED, "workbench").await;
        carol.call("fs_read", &read()).await.assert_allowed();
        let record = denied(stack, carol.call("fs_write", &note).await, 200, "no_permit").await;
        assert_eq!(record["user"]["username"], "carol", "{record}");

        // What a user may, an agent need not.
        let crawler = user(realm, stack, "alice", UNTRUSTED, "workbench").await;
        denied(stack, crawler.call("fs_admin", &owner).await, 200, "no_permit").await;
    });
}

#[test]
fn scopes_and_audiences_of_a_real_keycloak_open_their_server_and_no_other() {
    run(async {
        let (realm, stack) = ground().await;
        let both = "public:read confidential:read";
        let bob = user(realm, stack, "bob", TRUSTED, both).await;
        bob.call("get_confidential_info", &json!({}))
            .await
            .assert_allowed();

        // Keycloak leaves the scope out: it is for developers and administrators.
        let carol = user(realm, stack, "carol", TRUSTED, both).await;
        carol.call("get_public_info", &json!({})).await.assert_allowed();
        let reply = carol.call("get_confidential_info", &json!({})).await;
        denied(stack, reply, 403, "insufficient_scope").await;

        let elsewhere = Caller {
            url: stack.url("workbench"),
            ..bob
        };
        let reply = elsewhere.call("fs_read", &read()).await;
        denied(stack, reply, 401, "wrong_audience").await;
    });
}

#[test]
fn what_a_real_keycloak_gives_besides_access_tokens_is_refused_for_its_own_reason() {
    run(async {
        let (realm, stack) = ground().await;
        let tokens = realm.user("alice", "openid workbench").await.unwrap();
        let others = [
            (tokens.id_token, "wrong_type"),
            // Signed with a secret that is Keycloak's alone.
            (tokens.refresh_token, "alg_not_allowed"),
        ];
        let mut caller = Caller::without_token(stack, TRUSTED, "workbench");
        for (token, reason) in others {
            caller.token = Some(token.unwrap());
            denied(stack, caller.call("fs_read", &read()).await, 401, reason).await;
        }
        caller.token = Some(tokens.access_token);
        caller.call("fs_read", &read()).await.assert_allowed();
    });
}
