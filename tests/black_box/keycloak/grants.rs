//! Tokens by other grants than a login: of a service's own account, exchanged for an agent, refreshed.

use mcp_authz::dev::keycloak::{Client, Grant, Realm};
use serde_json::{Value, json};

use super::{policies_with, read};
use crate::parts::caller::TRUSTED;
use crate::parts::keycloak::{self, Ground, bearing, decoded, denied};
use crate::parts::{audit, run};

const BACKEND: Client<'_> = Client::Secret("mcp-backend", "only-for-the-demo");

#[test]
fn a_service_is_its_own_account_without_a_session_and_may_what_its_role_says() {
    run(async {
        let Ground { realm, stack } = keycloak::shared().await;
        let own = Grant::ClientCredentials;
        let es256 = Client::Secret("mcp-backend-es256", "only-for-the-demo");
        for (client, name) in [
            (BACKEND, "service-account-mcp-backend"),
            (es256, "service-account-mcp-backend-es256"),
        ] {
            let tokens = realm.tokens(client, own, "workbench", None).await.unwrap();
            assert_eq!((tokens.refresh_token, tokens.id_token), (None, None), "{name}");
            let service = bearing(&tokens.access_token, stack, TRUSTED, "workbench");
            let note = json!({ "path": format!("/srv/work/notes/{name}"), "content": "x", "create": true });
            let reply = service.call("fs_write", &note).await;
            assert_eq!(
                reply.seen("x-mcp-policies").as_deref(),
                Some("developers-on-workbench,trusted-agents-on-workbench"),
                "{reply:?}"
            );
            assert_eq!(reply.seen("x-mcp-user").as_deref(), Some(name));
            assert_eq!(reply.seen("x-mcp-tenant").as_deref(), Some("acme"));
            let record = audit::record(stack, &reply.decision_id()).await;
            assert_eq!(record["user"]["username"], name, "{record}");
            let [_, claims] = decoded(&tokens.access_token);
            assert_eq!(
                (&claims["sid"], &claims["azp"].is_string()),
                (&Value::Null, &true),
                "{claims}"
            );

            let owner = json!({ "path": "/srv/work/hello.txt", "owner": "root" });
            denied(stack, service.call("fs_admin", &owner).await, 200, "no_permit").await;
        }
    });
}

/// Alice's token that the backend may exchange, and no MCP server takes.
async fn for_exchange(realm: &Realm) -> String {
    realm.user("alice", "agents").await.unwrap().access_token
}

#[test]
fn whom_a_token_was_exchanged_for_is_asked_too_and_gets_no_scope_beyond_its_own() {
    run(async {
        let Ground { realm, stack } = keycloak::own("exchange", |configuration| {
            let issuer = &mut configuration["identity"]["issuers"][0];
            let agent = format!("{}#client:mcp-backend", issuer["issuer"].as_str().unwrap());
            let policy = format!(
                "@id(\"backend-reads-for-people\")\n@reason(\"The backend may read for whom it acts\")\n\
                 permit (principal == Agent::\"{agent}\", action in Action::\"read\", resource);\n"
            );
            issuer["clients"] = json!({ "mcp-backend": {
                "actor": true, "max_scopes": ["workbench"],
            } });
            configuration["policies"] = policies_with("exchange", &policy);
            configuration["servers"][0]["require"] = json!(["user", "workload", "actor"]);
        })
        .await;
        let subject = for_exchange(&realm).await;
        let at_workbench = |token: &str| bearing(token, &stack, TRUSTED, "workbench");

        let reply = at_workbench(&subject).call("fs_read", &read()).await;
        denied(&stack, reply, 401, "wrong_audience").await;
        let own = realm.user("alice", "workbench").await.unwrap().access_token;
        let reply = at_workbench(&own).call("fs_read", &read()).await;
        denied(&stack, reply, 403, "actor_missing").await;

        let exchanged = realm
            .tokens(BACKEND, Grant::Exchange(&subject), "workbench", None)
            .await
            .unwrap();
        let backend = at_workbench(&exchanged.access_token);
        let agent = format!("{}#client:mcp-backend", realm.issuer());
        let reply = backend.call("fs_read", &read()).await;
        assert_eq!(
            reply.seen("x-mcp-policies").as_deref(),
            Some("admins-on-workbench,backend-reads-for-people,trusted-agents-on-workbench"),
            "{reply:?}"
        );
        assert_eq!(reply.seen("x-mcp-agent"), Some(agent.clone()));
        let record = audit::record(&stack, &reply.decision_id()).await;
        assert_eq!(record["user"]["username"], "alice", "{record}");

        // Alice may, and the workload may; the backend may not.
        let owner = json!({ "path": "/srv/work/hello.txt", "owner": "root" });
        let record = denied(&stack, backend.call("fs_admin", &owner).await, 200, "no_permit").await;
        assert_eq!(record["actor"], agent, "{record}");

        // Keycloak gives what is asked for, though the token that came had less.
        let widened = realm
            .tokens(
                BACKEND,
                Grant::Exchange(&subject),
                "public:read confidential:read",
                None,
            )
            .await
            .unwrap();
        assert!(widened.scope.contains("confidential:read"), "{}", widened.scope);
        let reply = bearing(&widened.access_token, &stack, TRUSTED, "info")
            .call("get_public_info", &json!({}))
            .await;
        denied(&stack, reply, 401, "scope_exceeds_client").await;
        stack.stop().await;
    });
}

#[test]
fn refreshed_tokens_work_beside_the_old_ones_and_what_refreshes_them_does_not() {
    run(async {
        let Ground { realm, stack } = keycloak::shared().await;
        let first = realm.user("bob", "workbench").await.unwrap();
        let refresh = first.refresh_token.unwrap();
        let client = Client::Public(mcp_authz::dev::keycloak::realm::PASSWORDS);
        let second = realm
            .tokens(client, Grant::Refresh(&refresh), "workbench", None)
            .await
            .unwrap();
        assert_ne!(first.access_token, second.access_token);
        for token in [&first.access_token, &second.access_token] {
            let reply = bearing(token, stack, TRUSTED, "workbench")
                .call("fs_read", &read())
                .await;
            reply.assert_allowed();
        }
        for token in [refresh, second.refresh_token.unwrap()] {
            let reply = bearing(&token, stack, TRUSTED, "workbench")
                .call("fs_read", &read())
                .await;
            denied(stack, reply, 401, "alg_not_allowed").await;
        }
    });
}
