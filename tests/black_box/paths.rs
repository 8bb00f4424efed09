//! Ways around the path: each ends at the gateway or at the same decision, none at the server unasked.

use mcp_authz::dev::stack::Stack;

use crate::parts::caller::TRUSTED;
use crate::parts::{raw, with_stack};

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A request with everything right but the first line and what `more` says; nobody's token.
fn request(stack: &Stack, first: &str, more: &str) -> String {
    let port = stack.ports.listener;
    let host = if more.to_ascii_lowercase().contains("host:") {
        String::new()
    } else {
        format!("host: localhost:{port}\r\n")
    };
    format!(
        "{first} HTTP/1.1\r\n{host}{more}connection: close\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
}

fn status(stack: &Stack, first: &str, more: &str) -> u16 {
    let answer = raw::exchange(stack, TRUSTED, request(stack, first, more).as_bytes());
    raw::status(&answer)
}

#[test]
fn other_spellings_of_a_path_meet_the_same_decision_or_nothing() {
    with_stack(async |stack| {
        // Without a token the decision is 401; a server that was reached would say something else.
        for (path, expected) in [
            ("/workbench/mcp", 401),
            ("//workbench/mcp", 401),
            ("/workbench//mcp", 401),
            ("/./workbench/mcp", 401),
            ("/x/../workbench/mcp", 401),
            ("/%77orkbench/mcp", 401),
            ("/workbench/%6dcp", 401),
            ("/workbench/mcp?x=/info/mcp", 401),
            ("/workbench/mcp/", 404),
            ("/workbench/mcp;x", 404),
            ("/workbench/mcp%00", 400),
            ("/workbench/mcp%20", 404),
            ("/workbench/mcp%2e", 404),
            ("/Workbench/mcp", 404),
            ("/workbench/mcp/..", 404),
            ("/workbench", 404),
            ("/mcp", 404),
            ("/", 404),
            ("/nothing/mcp", 404),
            ("/workbench%2fmcp", 400),
            ("/workbench%2Fmcp", 400),
            ("/workbench%5cmcp", 400),
            ("/x/..%2fworkbench/mcp", 400),
            ("/workbench/mcp#x", 400),
        ] {
            let got = status(stack, &format!("POST {path}"), "");
            assert_eq!(got, expected, "{path}");
        }
    });
}

#[test]
fn another_authority_finds_no_server() {
    with_stack(async |stack| {
        let port = stack.ports.listener;
        for (host, expected) in [
            (format!("localhost:{port}"), 401),
            (format!("127.0.0.1:{port}"), 401),
            ("localhost".to_owned(), 404),
            ("localhost:1".to_owned(), 404),
            (format!("localhost.:{port}"), 404),
            (format!("evil.example:{port}"), 404),
            (format!("localhost:{port}@evil.example"), 404),
            (String::new(), 404),
        ] {
            let got = status(stack, "POST /workbench/mcp", &format!("Host: {host}\r\n"));
            // An authority that isn't one is refused before anybody looks for a server.
            assert!(
                got == expected || (expected == 404 && got == 400),
                "{host}: {got}"
            );
        }
        let two = format!("Host: localhost:{port}\r\nHost: localhost:{port}\r\n");
        // Joined they are no authority that anybody has.
        assert_eq!(status(stack, "POST /workbench/mcp", &two), 404);
    });
}

#[test]
fn the_absolute_form_is_for_proxies() {
    with_stack(async |stack| {
        let port = stack.ports.listener;
        for first in [
            format!("POST https://localhost:{port}/workbench/mcp"),
            "POST http://evil.example/workbench/mcp".to_owned(),
            format!("POST https://localhost:{port}/info/mcp"),
        ] {
            let got = status(stack, &first, "");
            assert!(got == 404 || got == 400, "{first}: {got}");
        }
    });
}

#[test]
fn other_methods_are_refused() {
    with_stack(async |stack| {
        for method in ["HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "post", "PROPFIND"] {
            let got = status(stack, &format!("{method} /workbench/mcp"), "");
            // Who nobody knows isn't even told which methods there are.
            assert!([400, 401, 405].contains(&got), "{method}: {got}");
        }
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            let got = status(stack, "POST /workbench/mcp", &format!("{name}: DELETE\r\n"));
            assert!([400, 401].contains(&got), "{name}: {got}");
        }
        let connect = raw::exchange(
            stack,
            TRUSTED,
            b"CONNECT localhost:22 HTTP/1.1\r\nhost: localhost:22\r\n\r\n",
        );
        assert!([400, 403, 404].contains(&raw::status(&connect)), "{connect}");
    });
}

#[test]
fn a_websocket_is_not_opened() {
    with_stack(async |stack| {
        let port = stack.ports.listener;
        let upgrade = format!(
            "GET /workbench/mcp HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let answer = raw::exchange(stack, TRUSTED, upgrade.as_bytes());
        assert!([400, 401, 403].contains(&raw::status(&answer)), "{answer}");
    });
}

#[test]
fn two_lengths_of_one_body_are_refused() {
    with_stack(async |stack| {
        for more in ["transfer-encoding: chunked\r\n", "content-length: 3\r\n"] {
            assert_eq!(status(stack, "POST /workbench/mcp", more), 400, "{more}");
        }
    });
}
