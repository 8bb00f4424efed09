//! Pages in browsers: preflights are answered, challenges can be read, other origins are foreign.

use serde_json::json;

use crate::parts::caller::{Caller, Reply, TRUSTED};
use crate::parts::with_stack;

const ORIGIN: &str = "https://console.mcp-identity.local";

#[test]
fn a_preflight_needs_no_credential() {
    with_stack(async |stack| {
        let nobody = Caller::without_token(stack, TRUSTED, "workbench");
        let preflight = nobody
            .request("OPTIONS")
            .header("origin", ORIGIN)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, mcp-session-id");
        let reply = Reply::of(preflight).await;
        assert_eq!(
            (reply.status, reply.header("access-control-allow-origin")),
            (200, ORIGIN),
            "{reply:?}"
        );
        assert!(
            reply
                .header("access-control-allow-headers")
                .contains("mcp-session-id"),
            "{reply:?}"
        );
    });
}

#[test]
fn a_page_can_read_the_challenge() {
    with_stack(async |stack| {
        let nobody = Caller::without_token(stack, TRUSTED, "workbench");
        let reply = nobody
            .call_with("fs_read", &json!({}), &[("origin", ORIGIN)])
            .await;
        reply.assert_denied(401, "no_credential");
        assert_eq!(reply.header("access-control-allow-origin"), ORIGIN);
        let readable = reply.header("access-control-expose-headers");
        for field in ["www-authenticate", "dpop-nonce"] {
            assert!(readable.contains(field), "{reply:?}");
        }
    });
}

#[test]
fn a_page_of_another_origin_calls_nothing_even_with_a_good_token() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let read = json!({ "path": "/srv/work/hello.txt" });
        caller
            .call_with("fs_read", &read, &[("origin", ORIGIN)])
            .await
            .assert_allowed();
        for origin in [
            "https://evil.example",
            "http://console.mcp-identity.local",
            "https://console.mcp-identity.local:8443",
            "https://console.mcp-identity.local.evil.example",
            "null",
        ] {
            let reply = caller.call_with("fs_read", &read, &[("origin", origin)]).await;
            reply.assert_denied(403, "foreign_origin");
            assert_eq!(reply.header("access-control-allow-origin"), "", "{reply:?}");
        }
    });
}
