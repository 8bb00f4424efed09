//! Tokens of a real Keycloak at the end of their time.

use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::keycloak::{Client, Grant, Realm};
use serde_json::json;

use super::read;
use crate::parts::caller::TRUSTED;
use crate::parts::keycloak::{self, Ground, bearing, decoded, denied};
use crate::parts::run;

/// A token that lives for so many seconds, and when it expires.
async fn short_lived(realm: &Realm, seconds: u32) -> (String, i64) {
    let id = format!("lives-{seconds}-seconds");
    let client = json!({
        "clientId": id, "publicClient": false, "secret": "x", "serviceAccountsEnabled": true,
        "standardFlowEnabled": false, "optionalClientScopes": ["workbench"],
        "defaultClientScopes": ["basic", "profile", "roles"],
        "attributes": { "access.token.lifespan": seconds.to_string() },
    });
    realm.add_client(&client).await.unwrap();
    let grant = Grant::ClientCredentials;
    let tokens = realm
        .tokens(Client::Secret(&id, "x"), grant, "workbench", None)
        .await;
    let token = tokens.unwrap().access_token;
    let [_, claims] = decoded(&token);
    (token, claims["exp"].as_i64().unwrap())
}

#[test]
fn an_expired_token_of_a_real_keycloak_is_taken_as_long_as_clocks_may_differ() {
    run(async {
        // Its mcp-authz has the default, half a minute.
        let Ground { realm, stack } = keycloak::shared().await;
        let (token, expires) = short_lived(realm, 1).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while clock::now().as_second() <= expires {
            ticks.tick().await;
        }
        // It is known, and may nothing: an account without a role.
        let reply = bearing(&token, stack, TRUSTED, "workbench")
            .call("fs_read", &read())
            .await;
        denied(stack, reply, 200, "no_permit").await;
    });
}

#[test]
fn a_token_of_a_real_keycloak_ends_with_its_time_and_the_skew_that_is_set_also_when_it_is_known() {
    run(async {
        const SKEW: i64 = 1;
        let Ground { realm, stack } = keycloak::own("clocks", |configuration| {
            configuration["identity"]["issuers"][0]["clock_skew"] = "1s".into();
        })
        .await;
        let (token, expires) = short_lived(&realm, 3).await;
        let caller = bearing(&token, &stack, TRUSTED, "workbench");
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let sent = clock::now().as_second();
            let reply = caller.call("fs_read", &read()).await;
            let answered = clock::now().as_second();
            if reply.reason() == "no_permit" {
                assert!(sent < expires + SKEW, "taken {sent}, expired {expires}");
            } else {
                assert!(
                    answered >= expires + SKEW,
                    "refused {answered}, expires {expires}"
                );
                denied(&stack, reply, 401, "expired").await;
                break;
            }
        }
        stack.stop().await;
    });
}
