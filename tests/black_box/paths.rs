//! Ways around the path over HTTP/2, whose authority is a field of its own. Those of HTTP/1.1 are in cases/paths.yaml.

use bytes::Bytes;
use http::Request;
use mcp_authz::dev::stack::Stack;
use std::net::Ipv4Addr;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::parts::caller::TRUSTED;
use crate::parts::{raw, with_stack};

const BODY: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// The status of a request without a token: 401 is the decision's, 404 that of no server.
async fn status(stack: &Stack, authority: &str, path: &str, host: Option<&str>) -> Result<u16, h2::Error> {
    let mut tls = (*raw::agent_of(stack, TRUSTED)).clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, stack.ports.listener))
        .await
        .unwrap();
    let name = "localhost".try_into().unwrap();
    let tls = TlsConnector::from(std::sync::Arc::new(tls))
        .connect(name, tcp)
        .await
        .unwrap();
    let (send, connection) = h2::client::handshake(tls).await?;
    tokio::spawn(connection);
    let mut request = Request::post(format!("https://{authority}{path}"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    if let Some(host) = host {
        request = request.header("host", host);
    }
    let mut send = send.ready().await?;
    let (answer, mut body) = send.send_request(request.body(()).unwrap(), false)?;
    body.send_data(Bytes::from_static(BODY), true)?;
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
