//! Who may call what, through what, and what the server gets to know.

use mcp_authz::dev::client::Answer;
use serde_json::{Value, json};

use crate::parts::caller::{Caller, SEMI_TRUSTED, TRUSTED, UNTRUSTED, developer, person};
use crate::parts::{audit, with_stack};

/// Arguments that each tool of the workbench takes.
fn arguments(tool: &str) -> Value {
    match tool {
        "fs_read" => json!({ "path": "/srv/work/hello.txt" }),
        "fs_list" => json!({ "path": "/srv/work" }),
        "fs_write" => json!({ "path": "/srv/work/notes/matrix", "content": "x", "create": true }),
        "fs_execute" => json!({ "path": "/srv/work/bin/true" }),
        "fs_admin" => json!({ "path": "/srv/work/hello.txt", "owner": "root" }),
        "db_read" => json!({ "sql": "SELECT name FROM customers" }),
        "db_list" => json!({ "schema": "main" }),
        "db_write" => json!({ "sql": "UPDATE orders SET amount = 1", "dry_run": true }),
        "db_execute" => json!({ "procedure": "report" }),
        "db_admin" => json!({ "table": "orders", "privilege": "select", "grantee": "reports" }),
        "api_read" => json!({ "url": "https://api.example/customers/1" }),
        "api_list" => json!({ "url": "https://api.example/customers" }),
        "api_write" => json!({ "url": "https://api.example/customers/9", "record": { "name": "x" } }),
        "api_execute" => json!({ "job": "report" }),
        "api_admin" => json!({ "client": "x" }),
        "shell_read" => json!({ "unit": "envoy" }),
        "shell_write" => json!({ "name": "COLOUR", "value": "blue" }),
        "shell_execute" => json!({ "command": "echo hello" }),
        "shell_admin" => json!({ "pid": 4711 }),
        "net_read" => json!({ "host": "localhost" }),
        "net_write" => json!({ "path": "/srv/work/hello.txt", "url": "https://api.example/x" }),
        "net_execute" => json!({ "host": "localhost", "port": 1 }),
        "net_admin" => json!({ "port": 80, "open": false }),
        _ => json!({}),
    }
}

const GROUPS: [&str; 5] = ["fs", "db", "api", "shell", "net"];
const OPERATIONS: [&str; 5] = ["read", "list", "write", "execute", "admin"];

/// Role, its policy, its operations: one half of the matrix.
const PEOPLE: [(&str, &str, &[&str]); 3] = [
    (
        "mcp-admin",
        "admins-on-workbench",
        &["read", "list", "write", "execute", "admin"],
    ),
    (
        "mcp-developer",
        "developers-on-workbench",
        &["read", "list", "write", "execute"],
    ),
    ("mcp-viewer", "viewers-on-workbench", &["read", "list"]),
];

/// SPIFFE ID, its tier's policy, operations, groups: the other half.
const AGENTS: [(&str, &str, &[&str], &[&str]); 3] = [
    (
        TRUSTED,
        "trusted-agents-on-workbench",
        &["read", "write", "execute", "admin"],
        &GROUPS,
    ),
    (
        SEMI_TRUSTED,
        "semi-trusted-agents-on-workbench",
        &["read", "list"],
        &["fs", "db", "api"],
    ),
    (UNTRUSTED, "untrusted-agents-on-workbench", &["read"], &["fs"]),
];

#[test]
fn every_cell_of_the_trust_matrix_holds_through_the_gateway() {
    with_stack(async |stack| {
        for (role, user_policy, user_operations) in PEOPLE {
            for (agent, agent_policy, agent_operations, groups) in AGENTS {
                let caller = Caller::new(stack, &person("mia", &[role], &[]), agent, "workbench");
                for (group, operation) in GROUPS.iter().flat_map(|g| OPERATIONS.iter().map(move |o| (g, o))) {
                    let tool = format!("{group}_{operation}");
                    let (user_may, agent_may) = (
                        user_operations.contains(operation),
                        agent_operations.contains(operation) && groups.contains(group),
                    );
                    let reply = caller.call(&tool, &arguments(&tool)).await;
                    let cell = format!("{role} through {agent}: {tool}: {reply:?}");
                    if user_may && agent_may {
                        let mut policies = [user_policy, agent_policy];
                        policies.sort_unstable();
                        let seen = reply.seen("x-mcp-policies").unwrap_or_else(|| panic!("{cell}"));
                        let mut seen: Vec<&str> = seen.split(',').collect();
                        seen.sort_unstable();
                        assert_eq!(seen, policies, "{cell}");
                    } else {
                        assert_eq!(
                            (reply.status, reply.reason().as_str()),
                            (200, "no_permit"),
                            "{cell}"
                        );
                        assert_eq!(reply.message()["error"]["code"], 403, "{cell}");
                    }
                }
            }
        }
    });
}

#[test]
fn the_server_learns_who_calls_and_by_which_decision() {
    with_stack(async |stack| {
        let user = mcp_authz::dev::mint::Mint {
            tenants: vec!["acme".to_owned()],
            ..developer()
        };
        let caller = Caller::new(stack, &user, TRUSTED, "workbench");
        let reply = caller.call("fs_read", &arguments("fs_read")).await;
        reply.assert_allowed();
        assert_eq!(reply.seen("x-mcp-user").as_deref(), Some("dan"));
        assert_eq!(reply.seen("x-mcp-workload").as_deref(), Some(TRUSTED));
        assert_eq!(reply.seen("x-mcp-tenant").as_deref(), Some("acme"));
        assert_eq!(reply.seen("x-mcp-action").as_deref(), Some("workbench/fs_read"));
        assert_eq!(
            reply.seen("x-mcp-policies").as_deref(),
            Some("developers-on-workbench,trusted-agents-on-workbench")
        );
        let record = audit::record(stack, &reply.decision_id()).await;
        assert_eq!(record["outcome"], "allowed");
        assert_eq!(record["user"]["username"], "dan");
    });
}

#[test]
fn what_a_client_says_of_itself_never_reaches_the_server() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let forged = [
            ("x-mcp-user", "root"),
            ("X-MCP-Agent", "forged"),
            ("x-mcp-tenant", "forged"),
            ("x-mcp-decision-id", "forged"),
            ("x-mcp-anything", "forged"),
            (
                "x-forwarded-client-cert",
                "URI=spiffe://mcp-identity.local/agent/trusted/other",
            ),
        ];
        let reply = caller.call_with("fs_read", &arguments("fs_read"), &forged).await;
        reply.assert_allowed();
        assert_eq!(reply.seen("x-mcp-user").as_deref(), Some("dan"));
        assert_eq!(reply.seen("x-mcp-agent"), None);
        assert_eq!(reply.seen("x-mcp-tenant"), None);
        assert_eq!(reply.seen("x-mcp-anything"), None);
        assert!(!reply.text.contains("forged"), "{reply:?}");
        assert!(
            !reply.seen("x-forwarded-client-cert").unwrap().contains("other"),
            "{reply:?}"
        );
    });
}

#[test]
fn a_header_with_an_underscore_is_refused() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        for name in ["x_mcp_user", "x-mcp_user", "mcp_method"] {
            let request = caller
                .request("POST")
                .header(name, "root")
                .header("content-type", "application/json");
            // HTTP/1.1: 400; HTTP/2 would reset the stream.
            let answer = request.body("{}").send().await;
            assert!(
                answer.as_ref().is_ok_and(|answer| answer.status() == 400),
                "{name}: {answer:?}"
            );
        }
    });
}

#[test]
fn a_forbid_says_why() {
    with_stack(async |stack| {
        let caller = Caller::new(stack, &developer(), SEMI_TRUSTED, "workbench");
        let reply = caller
            .call("db_read", &json!({ "sql": "SELECT 1", "limit": 101 }))
            .await;
        reply.assert_denied(200, "forbidden");
        assert_eq!(reply.message()["id"], "call-1");
        let reasons = &reply.message()["error"]["data"]["reasons"];
        assert_eq!(
            *reasons,
            json!(["Only administrators may query more than 100 rows at once"])
        );
        let record = audit::record(stack, &reply.decision_id()).await;
        assert!(
            audit::policies(&record).contains(&"user: large-queries-are-for-admins".to_owned()),
            "{record}"
        );

        caller
            .call("db_read", &json!({ "sql": "SELECT 1", "limit": 100 }))
            .await
            .assert_allowed();
    });
}

#[test]
fn arguments_that_do_not_fit_are_told_where() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        for (given, argument) in [
            (json!({ "path": 42 }), "path"),
            (json!({ "path": "" }), "path"),
            (json!({ "path": "/srv/work/x", "max_bytes": 0 }), "max_bytes"),
            (
                json!({ "path": { "__entity": { "type": "Role", "id": "mcp-admin" } } }),
                "path",
            ),
        ] {
            let reply = caller.call("fs_read", &given).await;
            reply.assert_denied(200, "arguments_dont_fit");
            let message = reply.message();
            assert_eq!(message["error"]["code"], -32602);
            assert!(
                message["error"]["data"]["argument"]
                    .to_string()
                    .contains(argument),
                "{message}"
            );
        }
        caller
            .call("fs_read", &json!({}))
            .await
            .assert_denied(200, "arguments_dont_fit");
    });
}

#[test]
fn a_tool_that_nobody_approved_looks_like_one_that_is_not_permitted() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let names = [
            "fs_reed",
            "FS_READ",
            "get_public_info",
            "workbench/fs_read",
            "tools/call",
        ];
        for name in names.iter().copied().chain(["a\"b\\c"]) {
            let reply = caller.call(name, &json!({})).await;
            reply.assert_denied(200, "no_permit");
            let record = audit::record(stack, &reply.decision_id()).await;
            assert_eq!(record["reason"], "unknown_tool", "{record}");
        }
        // Outside visible ASCII, or with spaces around it, the header must wrap the name; it is as unknown.
        for name in ["fs_re\u{430}d", "fs_read\u{200b}", " fs_read", "ｆs_read"] {
            use base64::Engine as _;
            let wrapped = format!(
                "=?base64?{}?=",
                base64::engine::general_purpose::STANDARD.encode(name)
            );
            let headers = [
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", wrapped.as_str()),
            ];
            let body = crate::parts::caller::call(name, &json!({})).to_string();
            caller.post(body, &headers).await.assert_denied(200, "no_permit");
        }
    });
}

#[test]
fn scopes_open_information() {
    with_stack(async |stack| {
        let tools = ["get_public_info", "get_confidential_info"];
        for (scopes, allowed) in [
            (&[][..], [false, false]),
            (&["public:read"][..], [true, false]),
            (&["confidential:read"][..], [false, true]),
            (&["public:read", "confidential:read"][..], [true, true]),
        ] {
            for agent in [TRUSTED, SEMI_TRUSTED, UNTRUSTED] {
                let caller = Caller::new(stack, &person("pia", &[], scopes), agent, "info");
                for (tool, allowed) in tools.into_iter().zip(allowed) {
                    let reply = caller.call(tool, &json!({})).await;
                    if allowed {
                        reply.assert_allowed();
                    } else {
                        reply.assert_denied(403, "insufficient_scope");
                    }
                }
            }
        }
    });
}

#[test]
fn a_session_of_the_sdk_sees_tool_results_and_denials_whole() {
    with_stack(async |stack| {
        let session = Caller::developer(stack).open().await;
        assert_eq!(session.tools().await.unwrap().len(), 25);
        let arguments = |value: Value| value.as_object().unwrap().clone();
        let answer = session
            .call("fs_list", arguments(json!({ "path": "/srv/work" })))
            .await;
        // `list` is the one thing that the trusted tier lacks.
        assert!(
            matches!(&answer, Answer::Error { code: 403, data, .. } if data["reason"] == "no_permit"),
            "{answer:?}"
        );
        let answer = session
            .call("fs_read", arguments(json!({ "path": "/srv/work/hello.txt" })))
            .await;
        assert!(
            matches!(&answer, Answer::Result { text, .. } if text.contains("Hello")),
            "{answer:?}"
        );
        session.close().await;
    });
}

#[test]
fn a_server_lists_exactly_its_approved_tools() {
    with_stack(async |stack| {
        for server in ["workbench", "info"] {
            let path = crate::parts::repository().join(format!("policies/tools/{server}.json"));
            let approved: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            let caller = Caller::new(stack, &developer(), TRUSTED, server);
            let list = json!({
                "jsonrpc": "2.0", "id": 1, "method": "tools/list",
                "params": { "_meta": mcp_authz::dev::client::single_meta() },
            });
            let headers = [
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/list"),
            ];
            let reply = caller.post(list.to_string(), &headers).await;
            assert_eq!(reply.message()["result"]["tools"], approved["tools"], "{server}");
        }
    });
}
