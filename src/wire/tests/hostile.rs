//! Peers that use HTTP/2 against us: what they hold while they are there, and that nothing of it lasts.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::Request;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::harness::{PATIENCE, Running, ask, check, is_allowed, settings, start};
use crate::wire::Settings;

const CHECK: &str = "http://authz/envoy.service.auth.v3.Authorization/Check";

/// HTTP/2 by hand.
struct Peer {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Peer {
    async fn connect(server: &Running, builder: &Builder) -> Self {
        let socket = TcpStream::connect(address(server)).await.unwrap();
        let (send, connection) = builder.handshake(socket).await.unwrap();
        Self {
            send,
            connection: tokio::spawn(connection),
        }
    }

    /// Opens a stream with a check of that path; `whole` says whether its message comes to an end.
    async fn open(
        &mut self,
        path: &str,
        whole: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let request = Request::post(CHECK)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "1S");
        self.send = self.send.clone().ready().await?;
        let (answer, mut stream) = self.send.send_request(request.body(()).unwrap(), false)?;
        let message = check(path).encode_to_vec();
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).unwrap());
        frame.put_slice(&message);
        let sent = if whole { frame.len() } else { 3 };
        stream.send_data(frame.freeze().slice(..sent), whole)?;
        Ok((answer, stream))
    }
}

fn address(server: &Running) -> String {
    server.url.clone().unwrap().replace("http://", "")
}

async fn until(mut reached: impl FnMut() -> bool) {
    let looking = async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap();
}

/// Every one of these places is free: that many checks can be under way at once.
async fn all_free(server: &Running, places: usize) {
    let mut client = server.client().await;
    // What was reset is let go by its own task: soon, not at once.
    let settled = async {
        loop {
            let mut asking = JoinSet::new();
            for _ in 0..places {
                let mut client = client.clone();
                asking.spawn(async move { client.check(check("/wait")).await });
            }
            let before = server.decider.seen.lock().unwrap().len();
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            for _ in 0..20 {
                ticks.tick().await;
                let under_way = server.decider.under_way();
                if under_way == places {
                    return;
                }
                assert!(under_way <= places && before <= server.decider.seen.lock().unwrap().len());
            }
        }
    };
    timeout(PATIENCE, settled)
        .await
        .expect("every place is free again");
    until(|| {
        server.decider.release.notify_waiters();
        server.decider.under_way() == 0
    })
    .await;
    assert!(is_allowed(&ask(&mut client, "/allow").await));
}

#[tokio::test]
async fn ten_thousand_streams_that_are_reset_cost_nothing_lasting() {
    let places = 8;
    let server = start(&Settings {
        max_checks: places,
        max_connections: 2,
        max_wait: PATIENCE,
        ..settings()
    })
    .await;
    let mut peer = Peer::connect(&server, &Builder::new()).await;
    for number in 0..10_000 {
        let path = ["/never", "/allow"][number % 2];
        // The same connection throughout: a gateway's other checks are on it too.
        let (_, mut stream) = peer.open(path, number % 3 == 0).await.unwrap();
        stream.send_reset(Reason::CANCEL);
        if number % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    all_free(&server, places).await;
    drop(peer);
}

#[tokio::test]
async fn answers_that_nobody_takes_hold_no_place_and_end_with_their_connection() {
    let places = 2;
    let server = start(&Settings {
        max_checks: places,
        max_connection_age: Some(Duration::from_millis(500)),
        shutdown_grace: Duration::from_millis(100),
        max_wait: PATIENCE,
        ..settings()
    })
    .await;
    // No window: headers may be sent, a body may not.
    let mut greedy = Peer::connect(&server, Builder::new().initial_window_size(0)).await;
    let mut kept = Vec::new();
    for number in 1..=20 {
        match greedy.open("/allow", true).await {
            Ok(open) => kept.push(open),
            // Already too old.
            Err(_) => break,
        }
        until(|| server.decider.seen.lock().unwrap().len() >= number).await;
    }
    assert!(server.decider.unasked.lock().unwrap().is_empty());
    all_free(&server, places).await;
    // When it is old it is asked to go, and when it doesn't take its answers, it is cut.
    assert!(!kept.is_empty());
    let _ended = timeout(PATIENCE, greedy.connection)
        .await
        .expect("the connection is cut")
        .unwrap();
}

#[tokio::test]
async fn a_message_that_never_ends_keeps_its_place_no_longer_than_its_gateway_waits() {
    let server = start(&Settings {
        max_checks: 1,
        ..settings()
    })
    .await;
    let mut slow = Peer::connect(&server, &Builder::new()).await;
    let (answer, _stream) = slow.open("/allow", false).await.unwrap();
    let answer = timeout(PATIENCE, answer).await.expect("it is answered").unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(*server.decider.unasked.lock().unwrap(), ["check_abandoned"]);
    all_free(&server, 1).await;
}

#[tokio::test]
async fn streams_beyond_the_bound_are_refused_by_http() {
    let server = start(&Settings {
        max_concurrent_streams: 16,
        ..settings()
    })
    .await;
    let mut peer = Peer::connect(&server, &Builder::new()).await;
    let mut open = vec![peer.open("/never", true).await.unwrap()];
    until(|| peer.send.current_max_send_streams() == 16).await;
    // The HTTP/2 layer of this client keeps the last one back; the service would refuse it.
    for _ in 1..17 {
        open.push(peer.open("/never", true).await.unwrap());
    }
    until(|| server.decider.under_way() == 16).await;
    assert!(is_allowed(&ask(&mut server.client().await, "/allow").await));
    assert_eq!(server.decider.under_way(), 16);
    assert_eq!(peer.send.current_max_send_streams(), 16);
}

/// How many files this process may have open.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap_or(usize::MAX)
}

#[tokio::test]
async fn ten_thousand_idle_connections_take_nothing_from_those_who_ask() {
    // Two ends of each are here; other tests want some too.
    let many = 10_000.min(descriptors() / 4);
    let server = start(&Settings {
        max_connections: many + 1,
        ..settings()
    })
    .await;
    // The preface and an empty SETTINGS frame (RFC 9113 §3.4).
    let greeting = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
    ]
    .concat();
    let mut idle = Vec::new();
    for _ in 0..many {
        let mut socket = TcpStream::connect(address(&server)).await.unwrap();
        socket.write_all(&greeting).await.unwrap();
        idle.push(socket);
    }
    let mut client = server.client().await;
    assert!(is_allowed(&ask(&mut client, "/allow").await));
    // All places are taken now; they come back with the connections.
    let mut waiting = tokio::spawn({
        let endpoint = server.endpoint();
        async move {
            let channel = endpoint.connect().await.unwrap();
            let mut client =
                envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient::new(
                    channel,
                );
            ask(&mut client, "/allow").await
        }
    });
    assert!(timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    drop(idle);
    assert!(is_allowed(&timeout(PATIENCE, waiting).await.unwrap().unwrap()));
}

/// A gateway that traces copies headers of its client into the call.
#[tokio::test]
async fn what_a_client_makes_its_gateway_say_about_a_trace_ends_no_check() {
    let server = start(&settings()).await;
    for size in [15_000, 17_000, 60_000, 120_000] {
        let mut client = server.client().await;
        let mut request = tonic::Request::new(check("/allow"));
        let state = "a".repeat(size).parse().unwrap();
        request.metadata_mut().insert("tracestate", state);
        let answer = client.check(request).await.unwrap();
        assert!(is_allowed(answer.get_ref()), "{size}");
    }
}
