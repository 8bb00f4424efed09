//! Routes with several targets, whose tools agentgateway renames.

use std::path::Path;

use mcp_authz::dev::mint::Mint;
use serde_json::{Value, json};

use super::ground::{Ground, Switch, with, without};
use crate::parts::agentgateway::Request;
use crate::parts::caller::developer;
use crate::parts::{copy, repository, with_stack};

/// Tools as agentgateway lists them on a route with several targets: `target_tool`.
fn multiplexed(policies: &Path) -> Value {
    let mut tools = Vec::new();
    for target in ["workbench", "info"] {
        let text = std::fs::read_to_string(policies.join(format!("tools/{target}.json"))).unwrap();
        let mut list: Value = serde_json::from_str(&text).unwrap();
        for tool in list["tools"].as_array_mut().unwrap() {
            tool["name"] = json!(format!("{target}_{}", tool["name"].as_str().unwrap()));
            tools.push(tool.take());
        }
    }
    json!({ "tools": tools })
}

#[test]
fn a_multiplexed_name_is_unknown_to_the_server_that_the_route_names() {
    with_stack(async |stack| {
        let ground = Ground::as_shipped(stack, "multiplexed").await;
        let read = json!({ "path": "/srv/work/hello.txt" });
        let names = [
            "workbench_fs_read",
            "workbench_workbench_fs_read",
            "info_get_public_info",
        ];
        for (number, name) in (1..).zip(names) {
            let reply = ground.send(ground.call(name, &read)).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            assert_eq!(ground.record(number).await["reason"], "unknown_tool", "{name}");
        }
    });
}

#[test]
fn a_route_with_several_targets_is_a_server_of_its_own() {
    const HUB: &str = "https://localhost:8443/hub/mcp";
    with_stack(async |stack| {
        let policies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agentgateway-hub");
        let _ = std::fs::remove_dir_all(&policies);
        copy(&repository().join("policies"), &policies);
        std::fs::write(
            policies.join("tools/hub.json"),
            multiplexed(&policies).to_string(),
        )
        .unwrap();
        let permit = r#"@id("hub") @reason("Files may be read")
            permit (principal, action == Action::"hub/workbench_fs_read", resource)
            when { context.arguments.path like "/srv/work/*" };"#;
        std::fs::write(policies.join("hub.cedar"), permit).unwrap();
        let mut ground = Ground::start(stack, "hub", Switch::default(), |configuration| {
            configuration["policies"]["directory"] = json!(policies);
            let servers = configuration["servers"].as_array_mut().unwrap();
            servers.push(json!({ "name": "hub", "resource": HUB }));
        })
        .await;
        let mut route = ground.gateway.routes()[0].clone();
        route["matches"] = json!([{ "path": { "exact": "/hub/mcp" } }]);
        route["policies"]["extAuthz"]["protocol"]["grpc"]["context"]["server"] = json!("hub");
        ground.gateway.routes().push(route);
        let hub = |tool: &str, arguments: &Value| {
            let mint = Mint {
                audiences: vec![HUB.to_owned()],
                ..developer()
            };
            let request = without(ground.call(tool, arguments), "authorization");
            Request {
                path: "/hub/mcp",
                ..with(request, "authorization", ground.token(&mint))
            }
        };
        let cases = [
            (
                "workbench_fs_read",
                json!({ "path": "/srv/work/hello.txt" }),
                "allowed",
            ),
            ("workbench_fs_read", json!({ "path": "/etc/passwd" }), "no_permit"),
            ("workbench_fs_read", json!({ "path": 7 }), "arguments_dont_fit"),
            ("info_get_public_info", json!({}), "no_permit"),
            (
                "fs_read",
                json!({ "path": "/srv/work/hello.txt" }),
                "unknown_tool",
            ),
        ];
        for (number, (tool, arguments, reason)) in (1..).zip(cases) {
            ground.send(hub(tool, &arguments)).await;
            let record = ground.record(number).await;
            assert_eq!(record["reason"], reason, "{tool} {arguments}: {record}");
        }
    });
}
