//! Bytes on a TLS connection, for what no HTTP client would send.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mcp_authz::dev::stack::Stack;
use rustls::{ClientConnection, StreamOwned};

/// Sends bytes as an agent and reads until the gateway closes: ask for that with `connection: close`.
pub(crate) fn exchange(stack: &Stack, agent: &str, bytes: &[u8]) -> String {
    let identity = stack.authority.workload(agent).unwrap();
    let tls = stack.authority.client_config(Some(&identity)).unwrap();
    let connection = ClientConnection::new(Arc::new(tls), "localhost".try_into().unwrap()).unwrap();
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, stack.ports.listener)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = StreamOwned::new(connection, tcp);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    // A gateway that closes without saying goodbye in TLS has still answered.
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an HTTP/1.1 answer; 0 if there is none.
pub(crate) fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default()
}
