//! Around the generated service: notes when a check came in, and lets no gRPC error out.
//!
//! tonic answers a message that it can't read (too large, not a `CheckRequest`, compressed) with a gRPC error
//! before any code of ours runs, and a gateway set to `failure_mode_allow` lets the call through on one. A client
//! can bring this about with a body or header just too long. So an error of `Check` is replaced by a denial.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use prost::Message;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::deadline::timeout_of;
use super::{Asking, Failure, response};
use crate::clock;
use crate::exchange::Gateway;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// When a check's first bytes came in, and how long the gateway waits.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// On the wall clock.
    pub received: Timestamp,
    /// On the monotonic clock.
    pub started: Instant,
    /// `grpc-timeout`.
    pub timeout: Option<Duration>,
}

impl Arrival {
    pub(super) fn without_timeout() -> Self {
        Self {
            received: clock::now(),
            started: clock::instant(),
            timeout: None,
        }
    }
}

/// Who is told of a denial made here.
pub(super) type Tell = Arc<dyn Fn(Failure, &Gateway) + Send + Sync>;

/// A gRPC service whose `Check` never fails, but denies.
#[derive(Clone)]
pub struct Guard<S> {
    inner: S,
    tell: Tell,
}

impl<S> Guard<S> {
    pub(super) fn new(inner: S, tell: Tell) -> Self {
        Self { inner, tell }
    }
}

impl<S: NamedService> NamedService for Guard<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Guarded<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let is_check = request.uri().path() == CHECK;
        let asking = request.extensions().get::<Asking>().cloned().unwrap_or_default();
        if is_check {
            let timeout = timeout_of(request.headers());
            let arrival = Arrival {
                timeout,
                ..Arrival::without_timeout()
            };
            request.extensions_mut().insert(arrival);
        }
        Guarded {
            inner: self.inner.call(request),
            watched: is_check.then(|| (Arc::clone(&self.tell), asking)),
        }
    }
}

/// The answer of a [`Guard`].
pub struct Guarded<F> {
    inner: F,
    /// For a check: who is told of an error, and who asked.
    watched: Option<(Tell, Asking)>,
}

impl<F> Future for Guarded<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.inner).poll(context);
        polled.map_ok(|response| match &self.watched {
            Some((tell, asking)) => without_error(response, |failure| tell(failure, &asking.0)),
            None => response,
        })
    }
}

fn without_error(response: Response<Body>, tell: impl FnOnce(Failure)) -> Response<Body> {
    // An error of a unary call stands in the headers; a message's `grpc-status: 0` follows it as a trailer.
    let failure = match Status::from_header_map(response.headers()).map(|status| status.code()) {
        None if response.status() == http::StatusCode::OK => return response,
        Some(Code::OutOfRange) => Failure::TooLarge,
        _ => Failure::Unreadable,
    };
    failure.report();
    tell(failure);
    denial(failure)
}

fn denial(failure: Failure) -> Response<Body> {
    let body = Full::new(frame(&response::of_failure(failure)))
        .with_trailers(async { Some(Ok(HeaderMap::from_iter([(Status::GRPC_STATUS, OK)]))) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}

const OK: HeaderValue = HeaderValue::from_static("0");

// gRPC over HTTP/2: one byte «not compressed», four bytes length, the message.
fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(length.saturating_add(5));
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}
