//! What a denied client hears of why: as much as its server discloses, and of nothing that it may not know of.

use mcp_authz::dev::stack::{self, Stack};
use serde_json::{Value, json};

use crate::parts::caller::{Caller, Reply, TRUSTED, UNTRUSTED, person};
use crate::parts::{copy, repository, run, settings, temporary};

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
        let stack = disclosing("conditions").await;
        let vera = Caller::new(
            &stack,
            &person("vera", &["mcp-viewer"], &[]),
            TRUSTED,
            "workbench",
        );
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
        let crawler = Caller::new(
            &stack,
            &person("vera", &["mcp-viewer"], &[]),
            UNTRUSTED,
            "workbench",
        );
        let reply = crawler.call("fs_write", &write("elsewhere")).await;
        assert_eq!(error(&reply), error(&unknown));
        stack.stop().await;
    });
}

#[test]
fn lower_levels_tell_nothing_of_conditions() {
    run(async {
        for level in ["minimal", "reasons"] {
            let stack = disclosing(level).await;
            let vera = Caller::new(
                &stack,
                &person("vera", &["mcp-viewer"], &[]),
                TRUSTED,
                "workbench",
            );
            let reply = vera.call("fs_write", &write("elsewhere")).await;
            reply.assert_denied(200, "no_permit");
            let unknown = vera.call("no_such_tool", &json!({})).await;
            assert_eq!(error(&reply), error(&unknown), "{level}");
            stack.stop().await;
        }
    });
}
