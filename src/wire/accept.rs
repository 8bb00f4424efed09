//! Accepting connections from one listener, up to a bound, until told to stop.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use super::check::Asking;
use super::connection::{Connection, Transport};
use super::settings::Settings;
use super::tls::Terminator;
use super::unix::SocketFile;
use crate::clock;
use crate::exchange::{Gateway, Peer};

/// After a failed accept (no more file descriptors, most likely): long enough not to spin.
const BREATH: Duration = Duration::from_millis(50);

/// How long connections that were just accepted have to send their first request before all are told that no
/// more are taken.
const SETTLE: Duration = Duration::from_millis(100);

/// How long a closing listener looks for connections in its backlog.
const BACKLOG: Duration = Duration::from_millis(20);

/// Where accepted connections go.
pub(super) type Accepted = mpsc::Sender<Connection>;

/// A bound listener.
pub(super) enum Listener {
    Tcp {
        socket: TcpListener,
        tls: Option<Arc<Terminator>>,
    },
    Unix {
        socket: UnixListener,
        file: SocketFile,
    },
}

enum Raw {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<(Raw, Peer)> {
        match self {
            Self::Tcp { socket, .. } => {
                let (stream, peer) = socket.accept().await?;
                // An answer is one small write: waiting for more to send with it would only delay it.
                let _best_effort = stream.set_nodelay(true);
                Ok((Raw::Tcp(stream), Peer::Tcp(peer.ip().to_canonical())))
            }
            Self::Unix { socket, .. } => {
                let (stream, _) = socket.accept().await?;
                Ok((Raw::Unix(stream), Peer::Unix))
            }
        }
    }

    fn terminator(&self) -> Option<Arc<Terminator>> {
        match self {
            Self::Tcp { tls, .. } => tls.clone(),
            Self::Unix { .. } => None,
        }
    }
}

/// Accepts until `stop` says so, then hands over what already waits and closes the listener.
pub(super) struct Acceptor {
    listener: Listener,
    accepted: Accepted,
    places: Arc<Semaphore>,
    patience: Duration,
    handshakes: JoinSet<()>,
}

impl Acceptor {
    pub(super) fn new(listener: Listener, settings: &Settings, accepted: Accepted) -> Self {
        Self {
            listener,
            accepted,
            places: Arc::new(Semaphore::new(settings.max_connections)),
            patience: settings.handshake_timeout,
            handshakes: JoinSet::new(),
        }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = self.handshakes.join_next() => {}
                next = next(&self.listener, &self.places) => match next {
                    Ok((raw, peer, place)) => self.take(raw, peer, place),
                    // The peer hung up while it waited.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        let _elapsed = timeout(BREATH, pending::<()>()).await;
                    }
                },
            }
        }
        self.close().await;
    }

    /// What waits in the backlog was promised a listener: it is accepted before the socket closes.
    async fn close(mut self) {
        let backlog_by = soon(BACKLOG);
        while let Ok(Ok((raw, peer, place))) =
            timeout_at(backlog_by.into(), next(&self.listener, &self.places)).await
        {
            self.take(raw, peer, place);
        }
        drop(self.listener);
        let settled = async {
            while self.handshakes.join_next().await.is_some() {}
            pending::<()>().await;
        };
        let _elapsed = timeout_at(soon(SETTLE).into(), settled).await;
    }

    fn take(&mut self, raw: Raw, peer: Peer, place: OwnedSemaphorePermit) {
        let terminator = self.listener.terminator();
        let accepted = self.accepted.clone();
        let speak_by = soon(self.patience);
        self.handshakes.spawn(async move {
            if let Some(connection) = greet(raw, terminator, peer, place, speak_by).await {
                // An error means that the server is gone, and the connection goes with it.
                let _gone = accepted.send(connection).await;
            }
        });
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Nobody left to say stop is a stop too.
    let _last_word = stop.wait_for(|stopped| *stopped).await;
}

fn soon(span: Duration) -> Instant {
    let now = clock::instant();
    now.checked_add(span).unwrap_or(now)
}

/// The next connection, once there is a place for it: until then it waits in the backlog.
async fn next(listener: &Listener, places: &Arc<Semaphore>) -> io::Result<(Raw, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (raw, peer) = listener.accept().await?;
    Ok((raw, peer, place))
}

async fn greet(
    raw: Raw,
    terminator: Option<Arc<Terminator>>,
    peer: Peer,
    place: OwnedSemaphorePermit,
    speak_by: Instant,
) -> Option<Connection> {
    let mut certificate_names = Vec::new();
    let transport = match (raw, terminator) {
        (Raw::Unix(stream), _) => Transport::Unix(stream),
        (Raw::Tcp(stream), None) => Transport::Tcp(stream),
        (Raw::Tcp(stream), Some(terminator)) => {
            let shaken = timeout_at(speak_by.into(), terminator.accept(stream)).await;
            match shaken.map_err(io::Error::from).flatten() {
                Ok(stream) => {
                    certificate_names = terminator.names(&stream);
                    Transport::Tls(Box::new(stream))
                }
                Err(error) => {
                    tracing::debug!(?peer, %error, "a TLS handshake failed");
                    return None;
                }
            }
        }
    };
    let asking = Asking(Arc::new(Gateway {
        peer,
        certificate_names,
    }));
    Some(Connection::new(transport, asking, place, speak_by))
}
