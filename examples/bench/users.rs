//! Many users, each with a token of their own, who ask in turn: h2load sends the same bytes again and again.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use h2::client::SendRequest;
use http::Request;
use mcp_authz::dev::DevIssuer;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{Failure, frame};

const CONNECTIONS: usize = 4;
const STREAMS: usize = 16;

/// The bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Writes the tokens of so many users, one a line. Each is as long as the others.
pub(crate) fn prepare(directory: &Path, count: usize) -> Result<(), Failure> {
    let issuer = DevIssuer::open(directory)?;
    let mut tokens = String::new();
    for user in 0..count {
        // Writing to a String doesn't fail.
        let _ = writeln!(
            tokens,
            "{}",
            frame::token_of(&issuer, &format!("user-{user:07}"))?
        );
    }
    std::fs::write(directory.join("tokens"), tokens)?;
    Ok(())
}

/// What is sent: for each user the same but for the token.
struct Checks {
    before: Bytes,
    tokens: Vec<String>,
    after: Bytes,
    asked: AtomicUsize,
    wanted: usize,
}

impl Checks {
    fn read(directory: &Path, users: usize, wanted: usize) -> Result<Self, Failure> {
        let tokens = std::fs::read_to_string(directory.join("tokens"))?;
        let tokens: Vec<String> = tokens.lines().take(users).map(str::to_owned).collect();
        let first = tokens.first().filter(|_| tokens.len() == users);
        let first = first.ok_or("fewer users than that were prepared")?;
        if tokens.iter().any(|token| token.len() != first.len()) {
            return Err("tokens of several lengths".into());
        }
        let framed = Bytes::from(frame::framed(&frame::check(first)?)?);
        let at = memchr::memmem::find(&framed, first.as_bytes()).ok_or("a check without its token")?;
        Ok(Self {
            before: framed.slice(..at),
            after: framed.slice(at.saturating_add(first.len())..),
            tokens,
            asked: AtomicUsize::new(0),
            wanted,
        })
    }

    fn next(&self) -> Option<Bytes> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let token = self.tokens.get(turn.checked_rem(self.tokens.len())?);
        let token = token.filter(|_| turn < self.wanted)?;
        Some([&self.before, token.as_bytes(), &self.after].concat().into())
    }
}

/// Asks, with as many checks open at once as h2load does.
pub(crate) fn ask(directory: &Path, port: u16, users: usize, wanted: usize) -> Result<(), Failure> {
    let checks = Arc::new(Checks::read(directory, users, wanted)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let socket = TcpStream::connect(("127.0.0.1", port)).await?;
            socket.set_nodelay(true)?;
            let (send, connection) = h2::client::handshake(socket).await?;
            tokio::spawn(async { drop(connection.await) });
            for _ in 0..STREAMS {
                asking.spawn(in_turn(send.clone(), Arc::clone(&checks)));
            }
        }
        while let Some(asked) = asking.join_next().await {
            asked??;
        }
        Ok(())
    })
}

async fn in_turn(mut send: SendRequest<Bytes>, checks: Arc<Checks>) -> Result<(), Failure> {
    while let Some(check) = checks.next() {
        send = send.ready().await?;
        let request = Request::post("http://authz/envoy.service.auth.v3.Authorization/Check")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "1S")
            .body(())?;
        let (answer, mut stream) = send.send_request(request, false)?;
        stream.send_data(check, true)?;
        let mut body = answer.await?.into_body();
        let mut message = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            message.extend_from_slice(&data);
        }
        let answer = CheckResponse::decode(message.get(PREFIX..).ok_or("no answer")?)?;
        if !matches!(answer.http_response, Some(HttpResponse::OkResponse(_))) {
            return Err(format!("not an allow: {answer:?}").into());
        }
    }
    Ok(())
}
