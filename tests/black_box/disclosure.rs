//! What a denied client hears of why: as much as its server discloses, and of nothing that it may not know of.

use std::process::Command;

use mcp_authz::dev::stack::{self, Stack};
use serde_json::{Value, json};

use crate::parts::caller::{Caller, Reply, TRUSTED, UNTRUSTED, person};
use crate::parts::{audit, copy, repository, run, settings, temporary};

const MORE: &str = r#"
@id("viewers-take-notes")
permit (principal in Role::"mcp-viewer", action == Action::"workbench/fs_write", resource)
when { context.arguments.path like "/srv/work/notes/*" };

@id("viewers-of-acme")
permit (principal in Role::"mcp-viewer", action == Action::"workbench/fs_write", resource)
when { principal.tenants.contains("acme") && context.arguments.path like "/srv/work/acme/*" };
"#;

async fn disclosing(level: &str) -> Stack {
    let name = format!("disclosure-{level}");
    let policies = temporary(&name).join("policies");
    let _ = std::fs::remove_dir_all(&policies);
    copy(&repository().join("policies"), &policies);
    std::fs::remove_dir_all(policies.join("tests")).unwrap();
    std::fs::write(policies.join("more.cedar"), MORE).unwrap();
    let ports = stack::Ports::free(None).await.unwrap();
    let configuration = json!({ "servers": [
        { "name": "workbench", "resource": ports.url("workbench"), "disclosure": level },
        { "name": "info", "resource": ports.url("info"), "scopes": ["public:read"] },
    ]});
    Stack::start_at(&settings(&name, policies, configuration), ports)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

fn write(folder: &str) -> Value {
    json!({ "path": format!("/srv/work/{folder}/x"), "content": "x", "create": true })
}

fn viewer(stack: &Stack, agent: &str) -> Caller {
    Caller::new(stack, &person("vera", &["mcp-viewer"], &[]), agent, "workbench")
}

/// A denial's error, without what differs between any two.
fn error(reply: &Reply) -> Value {
    let mut error = reply.message()["error"].clone();
    error["data"]
        .as_object_mut()
        .unwrap()
        .remove("decision_id")
        .unwrap();
    error
}

#[test]
fn a_client_that_is_told_what_to_change_comes_through_with_it() {
    run(async {
        let name = "disclosure-conditions";
        let stack = disclosing("conditions").await;
        let vera = viewer(&stack, TRUSTED);
        let reply = vera.call("fs_write", &write("elsewhere")).await;
        reply.assert_denied(200, "no_permit");
        let told = r#"path is "/srv/work/elsewhere/x", "/srv/work/notes/*" is needed"#;
        assert_eq!(error(&reply)["data"]["remedies"], json!([[told]]));
        let message = reply.message()["error"]["message"].to_string();
        assert!(message.contains("is needed"), "{message}");
        vera.call("fs_write", &write("notes")).await.assert_allowed();

        // Who is in no policy's scope can't tell a tool that there is from one that isn't, nor who could call it.
        let nobody = Caller::new(&stack, &person("nora", &[], &[]), TRUSTED, "workbench");
        let unknown = nobody.call("no_such_tool", &json!({})).await;
        for (caller, tool) in [
            (&nobody, "fs_write"),
            (&nobody, "shell_admin"),
            (&vera, "shell_admin"),
        ] {
            let reply = caller.call(tool, &write("notes")).await;
            reply.assert_denied(200, "no_permit");
            assert_eq!(error(&reply), error(&unknown), "{tool}");
        }
        // Nor is anything told where the agent is who may not.
        let crawler = viewer(&stack, UNTRUSTED);
        let reply = crawler.call("fs_write", &write("elsewhere")).await;
        assert_eq!(error(&reply), error(&unknown));

        // An operator finds out why, by the id in the answer.
        let id = nobody
            .call("shell_admin", &json!({ "pid": 4242 }))
            .await
            .decision_id();
        audit::record(&stack, &id).await;
        let said = explain(name, &id);
        let call = &said["calls"][0];
        assert_eq!(
            (&call["decision_id"], &call["recorded"]["reason"]),
            (&json!(id), &json!("no_permit"))
        );
        let others = &call["targets"][0]["principals"][0]["others"];
        assert_eq!(
            others[0]["needs"],
            json!({ "type": "Role", "id": "mcp-admin" }),
            "{said}"
        );
        stack.stop().await;
    });
}

/// What `policy explain` says of a decision that was denied, from the audit of the configuration.
fn explain(name: &str, decision: &str) -> Value {
    let folder = temporary(name);
    let said = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
        .args(["policy", "--config"])
        .arg(folder.join("stack/mcp-authz.yaml"))
        .arg("explain")
        .arg(folder.join("policies"))
        .args(["--decision", decision, "--output", "json"])
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    serde_json::from_slice(&said.stdout).unwrap()
}

#[test]
fn lower_levels_tell_nothing_of_conditions() {
    run(async {
        for level in ["minimal", "reasons"] {
            let stack = disclosing(level).await;
            let vera = viewer(&stack, TRUSTED);
            let reply = vera.call("fs_write", &write("elsewhere")).await;
            reply.assert_denied(200, "no_permit");
            let unknown = vera.call("no_such_tool", &json!({})).await;
            assert_eq!(error(&reply), error(&unknown), "{level}");
            stack.stop().await;
        }
    });
}
