//! Bytes that two parsers could read differently, through the real gateway.

use mcp_authz::dev::stack::Stack;
use serde_json::json;

use crate::parts::caller::{Caller, Reply, TRUSTED, call};
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

/// Each of these bodies is refused with 400, for its own reason, and recorded with it.
async fn refused(stack: &Stack, cases: impl IntoIterator<Item = (&'static str, Vec<u8>)>) {
    let caller = Caller::developer(stack);
    for (reason, body) in cases {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let reply = caller.post(body, &MODERN).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (400, reason),
            "{shown}: {reply:?}"
        );
        assert_eq!(audit::record(stack, &reply.decision_id()).await["reason"], reason);
    }
}

/// The good body with one thing replaced.
fn with(old: &str, new: &str) -> Vec<u8> {
    let good = read();
    assert!(good.contains(old), "{good}");
    good.replacen(old, new, 1).into_bytes()
}

#[test]
fn bytes_that_parsers_read_differently_are_refused() {
    with_stack(async |stack| {
        let good = read();
        Caller::developer(stack)
            .post(good.clone(), &MODERN)
            .await
            .assert_allowed();
        let good = good.as_bytes();
        let invalid = good.iter().map(|&byte| if byte == b'h' { 0xff } else { byte });
        let nested = format!(r#""x":{}{},"path""#, "[".repeat(70), "]".repeat(70));
        let cases = [
            ("trailing_bytes", [good, b"{}"].concat()),
            ("byte_order_mark", [b"\xef\xbb\xbf", good].concat()),
            ("not_utf8", invalid.collect()),
            ("nul_byte", [good, b"\0"].concat()),
            ("lone_surrogate", with("hello", r"\ud800hello")),
            (
                "json_syntax",
                with(r#""id":"call-1""#, r#""id":"call-1",// a comment"#),
            ),
            (
                "json_syntax",
                with(r#""jsonrpc":"2.0""#, r#""jsonrpc":"2.0","x":NaN"#),
            ),
            ("json_syntax", [&good[..good.len() - 1], b",}"].concat()),
            ("number_range", with(r#""path""#, r#""max_bytes":1e400,"path""#)),
            ("nesting", with(r#""path""#, &nested)),
        ];
        refused(stack, cases).await;
    });
}

#[test]
fn messages_that_servers_read_differently_are_refused() {
    with_stack(async |stack| {
        let method = r#""method":"tools/call""#;
        let cases = [
            (
                "duplicate_key",
                with(method, r#""method":"tools/list","method":"tools/call""#),
            ),
            (
                "duplicate_key",
                with(method, r#""\u006dethod":"tools/list","method":"tools/call""#),
            ),
            (
                "duplicate_key",
                with(r#""path""#, r#""path":"/srv/work/other","path""#),
            ),
            (
                "case_variant_key",
                with(method, r#""Method":"tools/list","method":"tools/call""#),
            ),
            ("jsonrpc_version", with(r#""2.0""#, r#""1.0""#)),
            ("bad_id", with(r#""id":"call-1""#, r#""id":1.5"#)),
            (
                "method_and_result",
                with(method, r#""result":{},"method":"tools/call""#),
            ),
            ("batch_not_allowed", format!("[{}]", read()).into_bytes()),
            (
                "uri_not_normal",
                read()
                    .replace("tools/call", "resources/read")
                    .replace(r#""name":"fs_read""#, r#""uri":"docs://open/../secret""#)
                    .into_bytes(),
            ),
        ];
        refused(stack, cases).await;
    });
}

#[test]
fn a_body_over_the_gateways_limit_is_denied_with_a_record() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let limit = 1_048_576;
        for size in [limit + 1, 2 * limit, 4 * limit] {
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
fn compressed_and_foreign_bodies_are_refused() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        for (name, value, reason) in [
            ("content-encoding", "gzip", "body_compressed"),
            ("content-encoding", "br", "body_compressed"),
            ("content-type", "text/plain", "content_type"),
            ("content-type", "multipart/form-data; boundary=x", "content_type"),
            ("content-type", "application/json; charset=utf-16", "charset"),
        ] {
            let mut headers = MODERN.to_vec();
            headers.push((name, value));
            caller.post(read(), &headers).await.assert_denied(415, reason);
        }
    });
}

#[test]
fn headers_must_say_what_the_body_says() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        for (name, value, reason) in [
            ("mcp-name", "fs_list", "header_mismatch"),
            ("mcp-name", "FS_READ", "header_mismatch"),
            ("mcp-method", "tools/list", "header_mismatch"),
        ] {
            let headers = MODERN.map(|(key, old)| (key, if key == name { value } else { old }));
            let reply = caller.post(read(), &headers).await;
            reply.assert_denied(400, reason);
            assert_eq!(reply.message()["error"]["code"], -32020);
        }
        let mut twice = MODERN.to_vec();
        twice.push(("mcp-name", "fs_list"));
        let reply = caller.post(read(), &twice).await;
        assert_eq!(reply.status, 400, "{reply:?}");

        let future = "2099-01-01";
        let headers = MODERN.map(|(key, old)| {
            (
                key,
                if key == "mcp-protocol-version" {
                    future
                } else {
                    old
                },
            )
        });
        let reply = caller.post(with("2026-07-28", future), &headers).await;
        reply.assert_denied(400, "version_unknown");
        assert_eq!(reply.message()["error"]["code"], -32022);
    });
}

#[test]
fn a_get_brings_no_body() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let request = caller.request("GET").header("mcp-session-id", "x").body("{}");
        let reply = Reply::of(request).await;
        reply.assert_denied(400, "body_with_get");
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
