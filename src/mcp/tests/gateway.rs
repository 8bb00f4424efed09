//! What the gateway's own filter read.

use serde_json::json;

use super::*;

const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"}}"#;
const READ: &str = r#"{"jsonrpc":"2.0","id":"x","method":"resources/read","params":{"uri":"file:///a"}}"#;

fn seen(namespace: &str, found: serde_json::Value, body: &str) -> Exchange {
    let mut exchange = post(None, body);
    exchange.filter_metadata.insert(namespace.to_owned(), found);
    exchange
}

#[test]
fn a_gateway_that_read_another_message_is_heeded() {
    let cases = [
        (CALL, json!({"method": "tools/list"}), "method"),
        (CALL, json!({"method": 1}), "method"),
        (CALL, json!({"method": "tools/call", "id": 8.0}), "id"),
        (
            CALL,
            json!({"method": "tools/call", "id": 7.0, "params": {"name": "b"}}),
            "params.name",
        ),
        (CALL, json!({"params.name": "b"}), "params.name"),
        (CALL, json!({"params": {"uri": "file:///a"}}), "params.uri"),
        (
            READ,
            json!({"method": "resources/read", "id": "x", "params": {"uri": "file:///b"}}),
            "params.uri",
        ),
        (
            r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#,
            json!({"method": "ping"}),
            "method",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":{}}"#,
            json!({"method": "ping"}),
            "method",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            json!({"id": 7}),
            "id",
        ),
    ];
    for (body, found, what) in cases {
        for namespace in ["mcp_proxy", "envoy.filters.http.mcp"] {
            let exchange = seen(namespace, found.clone(), body);
            assert_eq!(refusal(&exchange), Refusal::GatewayDisagrees { what }, "{found}");
        }
        message(&seen("another.filter", found, body));
    }
}

#[test]
fn a_gateway_that_agrees_or_says_nothing_changes_nothing() {
    let cases = [
        (
            CALL,
            json!({"jsonrpc": "2.0", "method": "tools/call", "id": 7.0, "params": {"name": "a"}}),
        ),
        (
            CALL,
            json!({"method": "tools/call", "id": "7", "params.name": "a", "params": {"_meta": {}}}),
        ),
        (CALL, json!({"id": null, "method": null})),
        (CALL, json!({})),
        (CALL, json!("nothing")),
        (
            READ,
            json!({"method": "resources/read", "id": "x", "params": {"uri": "file:///a"}}),
        ),
        (r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#, json!({})),
    ];
    for (body, found) in cases {
        message(&seen("mcp_proxy", found, body));
    }
}
