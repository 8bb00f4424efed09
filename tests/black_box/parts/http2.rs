//! HTTP/2 by hand, for what no client library would do with its streams.

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Error, SendStream};
use http::Request;
use mcp_authz::dev::stack::Stack;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::caller::TRUSTED;
use super::raw;

/// A connection of the trusted agent's. It ends with this.
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    pub(crate) async fn open(stack: &Stack, settings: &Builder) -> Self {
        let mut tls = (*raw::agent_of(stack, TRUSTED)).clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let address = (Ipv4Addr::LOCALHOST, stack.ports.listener);
        let tcp = TcpStream::connect(address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(tls));
        let stream = connector
            .connect("localhost".try_into().unwrap(), tcp)
            .await
            .unwrap();
        let (send, connection) = settings.handshake(stream).await.unwrap();
        Self {
            send,
            task: tokio::spawn(connection),
        }
    }

    /// Opens a stream with a POST to a URL: scheme, authority and path become the fields of HTTP/2.
    pub(crate) async fn post(
        &mut self,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), Error> {
        let mut request = Request::post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send = self.send.clone().ready().await?;
        let (answer, mut stream) = self.send.send_request(request.body(()).unwrap(), false)?;
        stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true)?;
        Ok((answer, stream))
    }
}
