//! Each decision is recorded once, with who, what and why, and without what is nobody's business.

use serde_json::{Value, json};

use crate::parts::caller::{Caller, SEMI_TRUSTED, TRUSTED, developer};
use crate::parts::{audit, with_stack};

#[test]
fn an_allowed_call_is_one_line_with_all_that_was_known() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let secret = "hunter2-in-an-argument";
        let arguments = json!({ "path": "/srv/work/notes/secret", "content": secret, "create": true });
        let reply = caller.call("fs_write", &arguments).await;
        reply.assert_allowed();
        let record = audit::record(stack, &reply.decision_id()).await;
        assert_eq!(record["outcome"], "allowed");
        assert_eq!(record["server"], "workbench");
        assert_eq!(record["method"], "tools/call");
        assert_eq!(record["target"], "fs_write");
        assert_eq!(record["user"]["username"], "dan");
        assert_eq!(record["user"]["issuer"], stack.issuer.issuer());
        assert_eq!(record["workload"], TRUSTED);
        assert_eq!(record["gateway"], "spiffe://mcp-identity.local/gateway/envoy");
        assert_eq!(record["client"], "127.0.0.1");
        assert_eq!(
            audit::policies(&record),
            [
                "user: developers-on-workbench",
                "workload: trusted-agents-on-workbench"
            ]
        );
        assert!(record["policy_version"].is_string(), "{record}");
        assert!(record["durations_us"]["total"].is_u64(), "{record}");
        let text = record.to_string();
        assert!(
            !text.contains(secret) && !text.contains(caller.token.as_deref().unwrap()),
            "{text}"
        );
    });
}

#[test]
fn a_denied_call_says_who_of_the_two_lacked_a_permit() {
    with_stack(async |stack| {
        let caller = Caller::new(stack, &developer(), SEMI_TRUSTED, "workbench");
        let reply = caller
            .call("shell_execute", &json!({ "command": "echo hello" }))
            .await;
        reply.assert_denied(200, "no_permit");
        let record = audit::record(stack, &reply.decision_id()).await;
        assert_eq!(
            (&record["outcome"], &record["reason"]),
            (&json!("denied"), &json!("no_permit"))
        );
        assert_eq!(audit::policies(&record), ["user: developers-on-workbench"]);
    });
}

#[test]
fn the_gateways_access_log_names_the_same_decision() {
    with_stack(async |stack| {
        let caller = Caller::new(stack, &developer(), SEMI_TRUSTED, "workbench");
        let reply = caller
            .call("shell_execute", &json!({ "command": "echo hello" }))
            .await;
        let id = reply.decision_id();
        let record = audit::record(stack, &id).await;
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        let line = loop {
            ticks.tick().await;
            let log = std::fs::read_to_string(stack.directory.join("envoy.log")).unwrap();
            if let Some(line) = log
                .lines()
                .find(|line| line.starts_with('{') && line.contains(&id))
            {
                break serde_json::from_str::<Value>(line).unwrap();
            }
        };
        assert_eq!(line["decision"]["outcome"], "denied");
        assert_eq!(line["decision"]["reason"], "no_permit");
        assert_eq!(line["decision"]["user"], "dan");
        assert_eq!(line["request_id"], record["request_id"]);
        assert_eq!(line["peer"], SEMI_TRUSTED);
    });
}
