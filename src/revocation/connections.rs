//! Connections of a listener that strangers may reach: so many, and none that stays silent.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::clock;

/// How many there may be; more wait to be accepted.
const MOST: usize = 256;
/// How long one may say nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// A listener with places.
#[derive(Debug)]
pub(super) struct Connections {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

impl Connections {
    pub(super) fn of(listener: TcpListener) -> Self {
        Self::with(listener, MOST, SILENCE)
    }

    fn with(listener: TcpListener, most: usize, silence: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(most)),
            silence,
        }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Nobody closes it; if ever somebody does, there are no more places.
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            return std::future::pending().await;
        };
        // Tries again after a failure, as axum does.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let connection = Connection {
            stream,
            silent_until: Box::pin(tokio::time::sleep_until(clock::instant().into())),
            silence: self.silence,
            _place: place,
        };
        (connection.heard(), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that has a place.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    silent_until: Pin<Box<Sleep>>,
    silence: Duration,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn heard(mut self) -> Self {
        self.hear();
        self
    }

    fn hear(&mut self) {
        let now = clock::instant();
        let until = now.checked_add(self.silence).unwrap_or(now);
        self.silent_until.as_mut().reset(until.into());
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.hear();
            return Poll::Ready(read);
        }
        ready!(self.silent_until.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn connections(most: usize, silence: Duration) -> (Connections, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Connections::with(listener, most, silence), address)
    }

    #[tokio::test]
    async fn who_says_nothing_loses_the_connection() {
        let (mut connections, address) = connections(1, Duration::from_millis(20)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"x").await.unwrap();
        let (mut connection, _) = connections.accept().await;
        assert_eq!(connection.read_u8().await.unwrap(), b'x');
        let lost = connection.read_u8().await.unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn beyond_its_places_nobody_is_accepted_until_one_is_free() {
        let (mut connections, address) = connections(1, SILENCE).await;
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        let (accepted, _) = connections.accept().await;
        assert_eq!(connections.places.available_permits(), 0);
        drop(accepted);
        connections.accept().await;
    }
}
