//! Ways around the path over HTTP/2, whose authority is a field of its own. Those of HTTP/1.1 are in cases/paths.yaml.

use mcp_authz::dev::stack::Stack;

use crate::parts::http2::Connection;
use crate::parts::with_stack;

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// The status of a request without a token: 401 is the decision's, 404 that of no server.
async fn status(stack: &Stack, authority: &str, path: &str, host: Option<&str>) -> Result<u16, h2::Error> {
    let mut headers = vec![
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    headers.extend(host.map(|host| ("host", host)));
    let mut connection = Connection::open(stack, &h2::client::Builder::new()).await;
    let url = format!("https://{authority}{path}");
    let (answer, _stream) = connection.post(&url, &headers, BODY).await?;
    Ok(answer.await?.status().as_u16())
}

#[test]
fn another_authority_over_http2_finds_no_server() {
    with_stack(async |stack| {
        let ours = format!("localhost:{}", stack.ports.listener);
        let evil = format!("evil.example:{}", stack.ports.listener);
        for (authority, path, host, expected) in [
            (ours.as_str(), "/workbench/mcp", None, 401),
            (&ours, "//workbench/mcp", None, 401),
            (&ours, "/workbench/%6dcp?x=/info/mcp", None, 401),
            (&ours, "/workbench/mcp/", None, 404),
            (&ours, "/workbench%2fmcp", None, 400),
            (&evil, "/workbench/mcp", None, 404),
            ("localhost", "/workbench/mcp", None, 404),
            ("localhost:1", "/workbench/mcp", None, 404),
            // The authority rules, whatever Host says (RFC 9113 §8.3.1).
            (&ours, "/workbench/mcp", Some(evil.as_str()), 401),
            (&evil, "/workbench/mcp", Some(ours.as_str()), 404),
        ] {
            let got = status(stack, authority, path, host).await;
            assert_eq!(got.unwrap(), expected, "{authority} {path} {host:?}");
        }
    });
}
