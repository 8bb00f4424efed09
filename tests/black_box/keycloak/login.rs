//! A person logs in at a real Keycloak because an MCP client, an official SDK, was told to send them there: authorization
//! code with PKCE, from the 401 on.

use serde_json::{Value, json};

use crate::parts::keycloak::{self, Ground};
use crate::parts::run;
use crate::parts::sdk::{ALL, Sdk, call};

/// Of them all, these log in again for a scope that they lack: Node's refreshes its token instead, and gives up. One
/// generation of the protocol with sessions, and one without.
const STEP_UP: [Sdk; 2] = [Sdk::Python, Sdk::PythonModern];

/// A person at the login page, for the shipped public client.
fn person(name: &str) -> Value {
    json!({ "login": {
        "client": "mcp-client", "username": name, "password": format!("{name}-only-for-the-demo"),
    } })
}

/// The scopes that were asked for, login by login, and whether the person was shown a page for it.
fn logins(outcome: &Value) -> Vec<(Value, Value)> {
    let logins = outcome["logins"].as_array().cloned().unwrap_or_default();
    let asked = |login: &Value| {
        assert_eq!(login["method"], "S256", "{login}");
        (login["scope"].clone(), login["page"].clone())
    };
    logins.iter().map(asked).collect()
}

#[test]
fn a_client_without_a_token_finds_keycloak_by_the_challenge_logs_in_and_calls() {
    run(async {
        let Ground { realm, stack } = keycloak::shared().await;
        let _one_at_a_time = realm.login().await;
        for sdk in ALL {
            let read = json!({ "path": "/srv/work/hello.txt" });
            let outcome = call(stack, sdk, "workbench", &person("bob"), "fs_read", &read);
            assert_eq!(outcome["error"], Value::Null, "{sdk:?}: {outcome}");
            assert_eq!(outcome["result"]["isError"], false, "{sdk:?}: {outcome}");
            let seen = &outcome["result"]["_meta"][mcp_authz::dev::client::SEEN];
            assert_eq!(seen["x-mcp-user"], json!(["bob"]), "{sdk:?}: {outcome}");
            assert_eq!(logins(&outcome), [(json!("workbench"), json!(true))], "{sdk:?}");
            assert_eq!(
                outcome["logins"][0]["resource"],
                stack.url("workbench"),
                "{sdk:?}"
            );
        }
    });
}

#[test]
fn a_client_that_lacks_a_scope_logs_in_for_it_too_and_gets_it_only_by_the_persons_role() {
    run(async {
        let Ground { realm, stack } = keycloak::shared().await;
        let _one_at_a_time = realm.login().await;
        let asked = [
            (json!("public:read"), json!(true)),
            (json!("public:read confidential:read"), json!(false)),
        ];
        for sdk in STEP_UP {
            let ask = |name| {
                call(
                    stack,
                    sdk,
                    "info",
                    &person(name),
                    "get_confidential_info",
                    &json!({}),
                )
            };
            let developer = ask("bob");
            assert_eq!(developer["error"], Value::Null, "{sdk:?}: {developer}");
            assert_eq!(developer["result"]["isError"], false, "{sdk:?}: {developer}");
            assert_eq!(logins(&developer), asked, "{sdk:?}: {developer}");

            // Keycloak leaves the scope out: the client is told so once more, and stops.
            let viewer = ask("carol");
            assert!(viewer["error"].is_object(), "{sdk:?}: {viewer}");
            assert_eq!(viewer["result"], Value::Null, "{sdk:?}: {viewer}");
            assert_eq!(logins(&viewer), asked, "{sdk:?}: {viewer}");
        }
    });
}
