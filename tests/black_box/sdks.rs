//! Official client SDKs of other languages, each with a certificate of its own.

use std::io::Write as _;
use std::process::{Command, Stdio};

use mcp_authz::dev::stack::Stack;
use serde_json::{Value, json};

use crate::parts::caller::{Caller, TRUSTED, person};
use crate::parts::{repository, with_stack};

#[derive(Clone, Copy, Debug)]
enum Sdk {
    Node,
    Python,
    /// The Python SDK without sessions, as of 2026-07-28.
    PythonModern,
}

const ALL: [Sdk; 3] = [Sdk::Node, Sdk::Python, Sdk::PythonModern];

fn call(stack: &Stack, sdk: Sdk, server: &str, token: Option<&str>, tool: &str, arguments: &Value) -> Value {
    let pki = stack.directory.join("pki");
    let agent = format!("sdk-{sdk:?}");
    stack
        .authority
        .workload(TRUSTED)
        .unwrap()
        .write(&pki, &agent)
        .unwrap();
    let mut wish = json!({
        "url": stack.url(server), "pki": pki, "agent": agent, "tool": tool, "arguments": arguments,
        "mode": if matches!(sdk, Sdk::PythonModern) { "2026-07-28" } else { "legacy" },
    });
    if let Some(token) = token {
        wish["token"] = json!(token);
    }
    let mut command = match sdk {
        Sdk::Node => Command::new("node"),
        Sdk::Python | Sdk::PythonModern => Command::new(repository().join(".tools/venv/bin/python")),
    };
    command.arg(repository().join(match sdk {
        Sdk::Node => "tests/clients/node/call.mjs",
        Sdk::Python | Sdk::PythonModern => "tests/clients/python/call.py",
    }));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(wish.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{sdk:?}: {error}: {errors}"))
}

#[test]
fn list_call_and_hear_of_progress() {
    with_stack(async |stack| {
        let token = Caller::developer(stack).token;
        for sdk in ALL {
            let arguments = json!({ "job": "report", "replicas": 5 });
            let outcome = call(
                stack,
                sdk,
                "workbench",
                token.as_deref(),
                "api_execute",
                &arguments,
            );
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
        let token = Caller::developer(stack).token;
        for sdk in ALL {
            let arguments = json!({ "table": "orders", "privilege": "select", "grantee": "x" });
            let outcome = call(stack, sdk, "workbench", token.as_deref(), "db_admin", &arguments);
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
        let token = Caller::new(stack, &person("pia", &[], &["public:read"]), TRUSTED, "info").token;
        for sdk in ALL {
            let outcome = call(stack, sdk, "info", None, "get_public_info", &json!({}));
            assert!(outcome["error"].is_object(), "{sdk:?}: {outcome}");
            assert_eq!(outcome["tools"], Value::Null, "{sdk:?}: {outcome}");
            let outcome = call(
                stack,
                sdk,
                "info",
                token.as_deref(),
                "get_public_info",
                &json!({}),
            );
            assert_eq!(outcome["error"], Value::Null, "{sdk:?}: {outcome}");
            let outcome = call(
                stack,
                sdk,
                "info",
                token.as_deref(),
                "get_confidential_info",
                &json!({}),
            );
            assert!(outcome["error"].is_object(), "{sdk:?}: {outcome}");
        }
    });
}
