//! A real Keycloak issues the tokens: the shipped realm, its users, its keys. `scripts/tools.sh --keycloak` fetches it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use mcp_authz::clock;
use mcp_authz::dev::DevTrustDomain;
use mcp_authz::dev::keycloak::{Client, Grant, Realm};
use mcp_authz::spiffe::{SpiffeId, TrustDomain};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::parts::caller::{Caller, TRUSTED, UNTRUSTED};
use crate::parts::keycloak::{self, Ground, denied};
use crate::parts::{audit, copy, repository, run, temporary};

mod clocks;
mod grants;
mod introspection;
mod login;
mod outages;
mod rotation;

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
}

/// The shipped policies and one more, as the configuration's `policies`.
fn policies_with(name: &str, policy: &str) -> Value {
    let directory = temporary(&format!("keycloak-{name}-policies"));
    let _ = std::fs::remove_dir_all(&directory);
    copy(&repository().join("policies"), &directory);
    // Its cases are of what is shipped.
    std::fs::remove_dir_all(directory.join("tests")).unwrap();
    std::fs::write(directory.join("one-more.cedar"), policy).unwrap();
    json!({ "directory": directory })
}

#[test]
fn users_of_a_real_keycloak_may_what_their_roles_say_and_no_more() {
    run(async {
        let Ground { realm, stack } = keycloak::shared().await;
        let owner = json!({ "path": "/srv/work/hello.txt", "owner": "root" });
        let note = json!({ "path": "/srv/work/notes/keycloak", "content": "x", "create": true });

        let alice = keycloak::user(realm, stack, "alice", TRUSTED, "workbench").await;
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

        let bob = keycloak::user(realm, stack, "bob", TRUSTED, "workbench").await;
        bob.call("fs_write", &note).await.assert_allowed();
        let record = denied(stack, bob.call("fs_admin", &owner).await, 200, "no_permit").await;
        assert_eq!(record["user"]["username"], "bob", "{record}");

        let carol = keycloak::user(realm, stack, "carol", TRUSTED, "workbench").await;
        carol.call("fs_read", &read()).await.assert_allowed();
        let record = denied(stack, carol.call("fs_write", &note).await, 200, "no_permit").await;
        assert_eq!(record["user"]["username"], "carol", "{record}");

        // What a user may, an agent need not.
        let crawler = keycloak::user(realm, stack, "alice", UNTRUSTED, "workbench").await;
        denied(stack, crawler.call("fs_admin", &owner).await, 200, "no_permit").await;
    });
}

#[test]
fn scopes_and_audiences_of_a_real_keycloak_open_their_server_and_no_other() {
    run(async {
        let Ground { realm, stack } = keycloak::shared().await;
        let both = "public:read confidential:read";
        let bob = keycloak::user(realm, stack, "bob", TRUSTED, both).await;
        bob.call("get_confidential_info", &json!({}))
            .await
            .assert_allowed();

        // Keycloak leaves the scope out: it is for developers and administrators.
        let carol = keycloak::user(realm, stack, "carol", TRUSTED, both).await;
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

/// What Keycloak tells a client when the session of one of its users is ended.
async fn logout_token(realm: &Realm) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let told = Arc::new(watch::Sender::new(String::new()));
    let teller = Arc::clone(&told);
    let router = Router::new().fallback(async move |body: String| drop(teller.send_replace(body)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = json!({
        "clientId": "told-of-logouts", "publicClient": true, "directAccessGrantsEnabled": true,
        "defaultClientScopes": ["basic"],
        "attributes": { "backchannel.logout.url": url, "backchannel.logout.session.required": "true" },
    });
    realm.add_client(&client).await.unwrap();
    let tokens = {
        let _one_at_a_time = realm.login().await;
        let grant = Grant::Password("carol", "carol-only-for-the-demo");
        realm
            .tokens(Client::Public("told-of-logouts"), grant, "openid", None)
            .await
    };
    let [_, claims] = keycloak::decoded(&tokens.unwrap().access_token);
    realm.end_session(claims["sid"].as_str().unwrap()).await.unwrap();
    let mut told = told.subscribe();
    let form = told.wait_for(|form| !form.is_empty()).await.unwrap().clone();
    form.strip_prefix("logout_token=").unwrap().to_owned()
}

#[test]
fn what_a_real_keycloak_gives_besides_access_tokens_is_refused_for_its_own_reason() {
    run(async {
        let Ground { realm, stack } = keycloak::shared().await;
        let tokens = realm.user("alice", "openid workbench").await.unwrap();
        // What an agent of the shipped realm logs in with.
        let agents =
            DevTrustDomain::new(TrustDomain::parse("mcp-identity.local").unwrap(), clock::now()).unwrap();
        let assertion = agents.mint_jwt_svid(
            &SpiffeId::parse(TRUSTED).unwrap(),
            &[&realm.issuer()],
            Duration::from_mins(5),
            clock::now(),
        );
        let others = [
            (Some(logout_token(realm).await), "wrong_type"),
            (Some(assertion.unwrap()), "issuer_unknown"),
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

#[test]
fn the_groups_of_a_real_keycloak_are_tenants_that_policies_can_read() {
    run(async {
        let Ground { realm, stack } = keycloak::own("tenants", |configuration| {
            let policy = "@id(\"workbench-is-acmes\")\n@reason(\"The workbench belongs to the tenant acme\")\n\
                forbid (principal is User, action in Action::\"tools/call\", resource in Server::\"workbench\")\n\
                unless { principal.tenants.contains(\"acme\") };\n";
            configuration["policies"] = policies_with("tenants", policy);
        })
        .await;
        let bob = keycloak::user(&realm, &stack, "bob", TRUSTED, "workbench").await;
        let reply = bob.call("fs_read", &read()).await;
        reply.assert_allowed();
        assert_eq!(reply.seen("x-mcp-tenant").as_deref(), Some("acme"));

        let carol = keycloak::user(&realm, &stack, "carol", TRUSTED, "workbench").await;
        let record = denied(&stack, carol.call("fs_read", &read()).await, 200, "forbidden").await;
        assert_eq!(record["tenant"], "globex", "{record}");
        let policies = audit::policies(&record);
        assert!(
            policies.contains(&"user: workbench-is-acmes".to_owned()),
            "{record}"
        );
        stack.stop().await;
    });
}
