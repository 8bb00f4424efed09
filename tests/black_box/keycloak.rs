//! A real Keycloak issues the tokens: the shipped realm, its users, its keys. `scripts/tools.sh --keycloak` fetches it.

use serde_json::{Value, json};

use crate::parts::caller::{Caller, TRUSTED, UNTRUSTED};
use crate::parts::keycloak::{self, Ground, denied};
use crate::parts::{audit, run};

mod grants;
mod login;
mod rotation;

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
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

#[test]
fn what_a_real_keycloak_gives_besides_access_tokens_is_refused_for_its_own_reason() {
    run(async {
        let Ground { realm, stack } = keycloak::shared().await;
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
