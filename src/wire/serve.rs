//! HTTP/2 on accepted connections: within bounds, until they are old or the service stops.
//!
//! tonic's own server would do, but that it calls a service only when a stream's task has its turn: by then nobody
//! knows how many others wait ([`Guard`]).

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use super::check::{self, Guard, Rules};
use super::connection::Connection;
use super::settings::Settings;
use super::turn::{Taken, Turn};
use crate::exchange::Decider;

/// How long a peer may leave a keepalive ping unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Windows in which a body of the usual size arrives without waiting for an update.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// What is kept of an answer that the peer doesn't take, for each stream; the rest stays with the answer.
const SEND_BUFFER: usize = 64 * 1024;
/// All header fields of a gRPC call, decoded. Those of the client's request are in the message, but a gateway that traces copies
/// some of them here too (`tracestate`, `baggage`), and Envoy takes 60 KiB from a client. HTTP/2 refuses what is more by
/// itself, without a denial: so this is far above what a gateway passes on.
const HEADER_LIST: u32 = 512 * 1024;
/// Streams that the peer reset before they were looked at (CVE-2023-44487): with more, the connection ends. The usual
/// bound is 20, which is for peers who are clients; ours are gateways with many clients on one connection. One of those who
/// hangs up a lot must not end the checks of all others.
const RESET_BY_PEER: usize = 10_240;
/// Streams that were reset for what the peer did wrong on them: with more, the connection ends.
const RESET_BY_US: usize = 256;

/// All that can be called: checks without the way through a router.
pub(super) struct Services<D> {
    pub(super) check: check::Service<D>,
    pub(super) others: Routes,
}

impl<D> Clone for Services<D> {
    fn clone(&self) -> Self {
        Self {
            check: self.check.clone(),
            others: self.others.clone(),
        }
    }
}

impl<D: Decider> Service<Request<Body>> for Services<D> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = check::Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> check::Answering {
        if request.uri().path() == check::PATH {
            self.check.call(request)
        } else {
            Box::pin(self.others.call(request))
        }
    }
}

/// What every connection is served with.
pub(super) struct Server<D> {
    services: Services<D>,
    rules: Arc<Rules>,
    max_streams: u32,
    keepalive: Duration,
    age: Option<Duration>,
    grace: Duration,
}

impl<D: Decider> Server<D> {
    pub(super) fn new(settings: &Settings, services: Services<D>, rules: Rules) -> Self {
        Self {
            services,
            rules: Arc::new(rules),
            max_streams: settings.max_concurrent_streams,
            keepalive: settings.keepalive,
            age: settings.max_connection_age,
            // Each check that came before the goodbye is answered, however long it may take.
            grace: settings.shutdown_grace.max(settings.max_deadline),
        }
    }

    /// Serves what comes in until nothing more does; then says goodbye to every connection and waits for their
    /// ends. Dropped, it cuts them.
    pub(super) async fn run(self, mut incoming: mpsc::Receiver<Connection>) {
        let (closing, stopped) = watch::channel(false);
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                next = incoming.recv() => match next {
                    Some(connection) => {
                        open.spawn(self.serve(connection, stopped.clone()));
                    }
                    None => break,
                },
                Some(_) = open.join_next() => {}
            }
        }
        closing.send_replace(true);
        while open.join_next().await.is_some() {}
    }

    fn serve(
        &self,
        connection: Connection,
        stopped: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + use<D> {
        let guard = Guard::new(
            self.services.clone(),
            connection.asking().clone(),
            Arc::clone(&self.rules),
        );
        let taken = Taken::default();
        let http2 = self.http2(taken.clone());
        let serving = http2.serve_connection(TokioIo::new(connection), guard);
        let (age, grace) = (self.age, self.grace);
        async move {
            let (mut serving, mut turn) = (pin!(serving), Turn::of(taken));
            tokio::select! {
                ended = poll_fn(|context| turn.poll(serving.as_mut(), context)) => return tell(ended),
                () = goodbye(age, stopped) => serving.as_mut().graceful_shutdown(),
            }
            let ending = poll_fn(|context| turn.poll(serving.as_mut(), context));
            // Each check on it is answered in time; a peer that doesn't take the answers is not waited for.
            if let Ok(ended) = timeout(grace, ending).await {
                tell(ended);
            } else {
                tracing::debug!("a connection was cut: its peer took neither answers nor goodbye");
            }
        }
    }
}

impl<D> Server<D> {
    /// HTTP/2 within its bounds.
    fn http2(&self, taken: Taken) -> http2::Builder<Taken> {
        let mut builder = http2::Builder::new(taken);
        builder
            .timer(TokioTimer::new())
            // No client of gRPC reads it.
            .auto_date_header(false)
            .max_concurrent_streams(self.max_streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEADER_LIST)
            .max_pending_accept_reset_streams(RESET_BY_PEER)
            .max_local_error_reset_streams(RESET_BY_US)
            .keep_alive_interval(self.keepalive)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        builder
    }
}

/// When a connection has to go: it is old, or the service stops.
async fn goodbye(age: Option<Duration>, mut stopped: watch::Receiver<bool>) {
    // Nobody left to say stop is a stop too.
    let told = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    match age {
        Some(age) => drop(timeout(age, told).await),
        None => told.await,
    }
}

fn tell(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}
