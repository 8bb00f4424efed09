//! Official client SDKs of other languages.

use serde_json::{Value, json};

use crate::parts::caller::{Caller, TRUSTED, person};
use crate::parts::sdk::{ALL, call};
use crate::parts::with_stack;

#[test]
fn list_call_and_hear_of_progress() {
    with_stack(async |stack| {
        let token = json!({ "token": Caller::developer(stack).token });
        for sdk in ALL {
            let arguments = json!({ "job": "report", "replicas": 5 });
            let outcome = call(stack, sdk, "workbench", &token, "api_execute", &arguments);
            assert_eq!(
                outcome["tools"].as_array().map(Vec::len),
                Some(25),
                "{sdk:?}: {outcome}"
            );
            let progress: Vec<f64> = serde_json::from_value(outcome["progress"].clone()).unwrap();
            assert_eq!(progress, [1.0, 2.0, 3.0, 4.0, 5.0], "{sdk:?}");
            assert_eq!(
                outcome["result"]["structuredContent"]["replicas"], 5,
                "{sdk:?}: {outcome}"
            );
            let seen = &outcome["result"]["_meta"][mcp_authz::dev::client::SEEN];
            assert_eq!(seen["x-mcp-user"], json!(["dan"]), "{sdk:?}: {outcome}");
        }
    });
}

#[test]
fn see_why_a_call_is_denied() {
    with_stack(async |stack| {
        let token = json!({ "token": Caller::developer(stack).token });
        for sdk in ALL {
            let arguments = json!({ "table": "orders", "privilege": "select", "grantee": "x" });
            let outcome = call(stack, sdk, "workbench", &token, "db_admin", &arguments);
            assert_eq!(outcome["error"]["code"], 403, "{sdk:?}: {outcome}");
            assert_eq!(
                outcome["error"]["data"]["reason"], "no_permit",
                "{sdk:?}: {outcome}"
            );
            assert!(
                outcome["error"]["data"]["decision_id"].is_string(),
                "{sdk:?}: {outcome}"
            );
        }
    });
}

#[test]
fn are_challenged_without_a_token_and_without_a_scope() {
    with_stack(async |stack| {
        let token = Caller::new(stack, &person("pia", &[], &["public:read"]), TRUSTED, "info");
        let token = json!({ "token": token.token });
        for sdk in ALL {
            let outcome = call(stack, sdk, "info", &Value::Null, "get_public_info", &json!({}));
            assert!(outcome["error"].is_object(), "{sdk:?}: {outcome}");
            assert_eq!(outcome["tools"], Value::Null, "{sdk:?}: {outcome}");
            let outcome = call(stack, sdk, "info", &token, "get_public_info", &json!({}));
            assert_eq!(outcome["error"], Value::Null, "{sdk:?}: {outcome}");
            let outcome = call(stack, sdk, "info", &token, "get_confidential_info", &json!({}));
            assert!(outcome["error"].is_object(), "{sdk:?}: {outcome}");
        }
    });
}
