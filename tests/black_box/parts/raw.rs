//! Bytes on a TLS connection, for what no HTTP client would send.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mcp_authz::dev::stack::Stack;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Sends bytes as an agent and reads until the gateway closes: ask for that with `connection: close`.
pub(crate) fn exchange(stack: &Stack, agent: &str, bytes: &[u8]) -> String {
    exchange_with(stack, agent_of(stack, agent), bytes)
}

/// What an agent speaks TLS with.
pub(crate) fn agent_of(stack: &Stack, agent: &str) -> Arc<ClientConfig> {
    let identity = stack.authority.workload(agent).unwrap();
    Arc::new(stack.authority.client_config(Some(&identity)).unwrap())
}

/// The same for one who sends much: a key and a certificate take their time.
pub(crate) fn exchange_with(stack: &Stack, tls: Arc<ClientConfig>, bytes: &[u8]) -> String {
    let connection = ClientConnection::new(tls, "localhost".try_into().unwrap()).unwrap();
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, stack.ports.listener)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = StreamOwned::new(connection, tcp);
    // A gateway that has heard enough answers, and may close, before it has all of it.
    let _cut_short = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    // A gateway that closes without saying goodbye in TLS has still answered.
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..read]);
        if is_whole(&answer) {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether it has as many bytes as it says. One that doesn't say is whole when the gateway closes.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| length.parse() == Ok(body.len()))
}

/// The status of an HTTP/1.1 answer; 0 if there is none.
pub(crate) fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default()
}
