//! Bodies whose size or framing matters, through the real gateway. The others are in cases/bytes.yaml.

use mcp_authz::dev::stack::Stack;
use serde_json::json;

use crate::parts::caller::{Caller, TRUSTED, call};
use crate::parts::{audit, raw, with_stack};

const MODERN: [(&str, &str); 3] = [
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
    ("mcp-name", "fs_read"),
];

fn read() -> String {
    call("fs_read", &json!({ "path": "/srv/work/hello.txt" })).to_string()
}

/// The developer's call of `fs_read` in HTTP/1.1, up to what says how long the body is.
fn raw_call(stack: &Stack) -> String {
    format!(
        "POST /workbench/mcp HTTP/1.1\r\nhost: localhost:{}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: fs_read\r\nconnection: close\r\n",
        stack.ports.listener,
        Caller::developer(stack).token.unwrap(),
    )
}

#[test]
fn a_body_over_the_gateways_limit_is_denied_with_a_record() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let limit = 1_048_576;
        for size in [limit + 1, 2 * limit, 20 * limit] {
            let body = call(
                "fs_write",
                &json!({ "path": "/srv/work/x", "content": "x".repeat(size) }),
            )
            .to_string();
            let mut headers = MODERN;
            headers[2].1 = "fs_write";
            let reply = caller.post(body, &headers).await;
            reply.assert_denied(413, "body_cut");
            assert_eq!(
                audit::record(stack, &reply.decision_id()).await["reason"],
                "body_cut"
            );
        }
    });
}

#[test]
fn a_body_that_ends_exactly_at_the_limit_is_never_taken_for_a_longer_one() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let limit = 1_048_576;
        let good = read();
        let spaces = " ".repeat(limit - good.len());
        // JSON may end in white space: whole at the limit, and cut with one byte more.
        caller
            .post(format!("{good}{spaces}"), &MODERN)
            .await
            .assert_allowed();
        let reply = caller.post(format!("{good}{spaces}x"), &MODERN).await;
        assert!(
            ["body_cut", "trailing_bytes"].contains(&reply.reason().as_str()),
            "{reply:?}"
        );
    });
}

#[test]
fn what_follows_a_body_of_exactly_the_limit_does_not_reach_the_server_unread() {
    with_stack(async |stack| {
        let (good, limit) = (read(), 1_048_576);
        let spaces = " ".repeat(limit - good.len());
        // One chunk of exactly what the gateway holds, and no end yet: whoever decides now decides on a part.
        let request = format!(
            "{}transfer-encoding: chunked\r\n\r\n{limit:x}\r\n{good}{spaces}\r\n",
            raw_call(stack)
        );
        let answer = raw::exchange(stack, TRUSTED, request.as_bytes());
        assert_eq!(raw::status(&answer), 413, "{answer}");
        assert!(answer.contains("body_cut"), "{answer}");
    });
}

#[test]
fn a_chunked_body_is_read_like_any_other() {
    with_stack(async |stack| {
        let body = read();
        let (first, second) = body.split_at(body.len() / 2);
        let request = format!(
            "{}transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            raw_call(stack),
            first.len(),
            second.len(),
        );
        let answer = raw::exchange(stack, TRUSTED, request.as_bytes());
        assert_eq!(raw::status(&answer), 200, "{answer}");
        assert!(answer.contains("Hello from the workbench"), "{answer}");
    });
}

#[test]
fn a_batch_that_hides_a_denied_call_is_denied_as_a_whole() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let call = |id: u64, tool: &str, arguments: serde_json::Value| {
            let params = json!({ "name": tool, "arguments": arguments });
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
        };
        let batch = json!([
            call(1, "fs_read", json!({ "path": "/srv/work/hello.txt" })),
            call(
                2,
                "db_admin",
                json!({ "table": "orders", "privilege": "select", "grantee": "x" })
            ),
            call(3, "fs_read", json!({ "path": "/srv/work/hello.txt" })),
        ]);
        let reply = caller
            .post(batch.to_string(), &[("mcp-protocol-version", "2025-03-26")])
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let answers = reply.message();
        let told: Vec<(u64, &str)> = answers
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| {
                (
                    answer["id"].as_u64().unwrap(),
                    answer["error"]["data"]["reason"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (1, "denied_with_batch"),
                (2, "no_permit"),
                (3, "denied_with_batch")
            ]
        );
    });
}
