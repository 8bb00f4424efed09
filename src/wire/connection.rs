//! One accepted connection: TCP, TLS over TCP, or Unix, with who is at its other end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use super::check::Asking;

/// RFC 9113 §3.4: what every HTTP/2 client sends first is this long.
const PREFACE: usize = 24;

/// The bytes of a connection.
pub(super) enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// A connection that a gateway opened; holds its place among `max_connections` until it is dropped.
pub(super) struct Connection {
    transport: Transport,
    asking: Asking,
    greeting: Option<Greeting>,
    _place: OwnedSemaphorePermit,
}

/// The HTTP/2 layer waits for its client's preface without end; a peer that sends none must not keep its place.
struct Greeting {
    missing: usize,
    patience: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(
        transport: Transport,
        asking: Asking,
        place: OwnedSemaphorePermit,
        speak_by: Instant,
    ) -> Self {
        let patience = Box::pin(sleep_until(speak_by.into()));
        let greeting = Some(Greeting {
            missing: PREFACE,
            patience,
        });
        Self {
            transport,
            asking,
            greeting,
            _place: place,
        }
    }

    /// Who is at the other end.
    pub(super) fn asking(&self) -> &Asking {
        &self.asking
    }

    /// Notes what came in; an error if the greeting is overdue.
    fn greeted(&mut self, received: usize, context: &mut Context<'_>) -> io::Result<()> {
        let Some(greeting) = &mut self.greeting else {
            return Ok(());
        };
        greeting.missing = greeting.missing.saturating_sub(received);
        if greeting.missing == 0 {
            self.greeting = None;
            return Ok(());
        }
        match greeting.patience.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.transport {
            Transport::Tcp(io) => Pin::new(io).poll_read(context, buffer),
            Transport::Tls(io) => Pin::new(io).poll_read(context, buffer),
            Transport::Unix(io) => Pin::new(io).poll_read(context, buffer),
        };
        let received = buffer.filled().len().saturating_sub(before);
        match self.greeted(received, context) {
            Ok(()) => polled,
            Err(overdue) => Poll::Ready(Err(overdue)),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(io) => Pin::new(io).poll_write(context, bytes),
            Transport::Tls(io) => Pin::new(io).poll_write(context, bytes),
            Transport::Unix(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(io) => Pin::new(io).poll_write_vectored(context, slices),
            Transport::Tls(io) => Pin::new(io).poll_write_vectored(context, slices),
            Transport::Unix(io) => Pin::new(io).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Tcp(io) => io.is_write_vectored(),
            Transport::Tls(io) => io.is_write_vectored(),
            Transport::Unix(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(io) => Pin::new(io).poll_flush(context),
            Transport::Tls(io) => Pin::new(io).poll_flush(context),
            Transport::Unix(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(io) => Pin::new(io).poll_shutdown(context),
            Transport::Tls(io) => Pin::new(io).poll_shutdown(context),
            Transport::Unix(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}
