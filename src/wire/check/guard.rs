//! At the door of the services: notes when a check came in, takes no more than can be decided in time, and lets no
//! gRPC error out.
//!
//! The HTTP/2 layer calls the guard as soon as it has read a request's headers, on the connection's own task. So here,
//! and nowhere later, is seen how many checks wait, and for how long.
//!
//! A message that can't be read (too large, not a `CheckRequest`, compressed) is a gRPC error ([`unary`]),
//! and a gateway set to `failure_mode_allow` lets the call through on one. A client can bring this about with a body or
//! header just too long. So an error of `Check` is replaced by a denial.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use tokio::time::{Sleep, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::admission::{Admission, Place};
use super::deadline::{Budget, timeout_of};
use super::{Asking, Failure, PATH, response, unary};
use crate::clock;
use crate::exchange::Gateway;

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
pub(in crate::wire) type Tell = Arc<dyn Fn(Failure, &Gateway) + Send + Sync>;

/// What all guards of a service have in common.
pub struct Rules {
    pub(in crate::wire) tell: Tell,
    pub(in crate::wire) admission: Admission,
    pub(in crate::wire) budget: Budget,
}

/// The services as one connection sees them: its `Check` never fails, but denies.
#[derive(Clone)]
pub struct Guard<S> {
    services: S,
    asking: Asking,
    rules: Arc<Rules>,
}

impl<S> Guard<S> {
    /// The services for a connection with that peer. They are called without asking whether they are ready: tonic's
    /// routes always are.
    pub fn new(services: S, asking: Asking, rules: Arc<Rules>) -> Self {
        Self {
            services,
            asking,
            rules,
        }
    }

    /// Takes a request in, or turns it away.
    pub fn take(&self, mut request: Request<Body>) -> Guarded<S::Future>
    where
        S: Service<Request<Body>> + Clone,
    {
        request.extensions_mut().insert(self.asking.clone());
        if request.uri().path() != PATH {
            return Guarded {
                inner: Some(self.services.clone().call(request)),
                watch: None,
            };
        }
        let arrival = Arrival {
            timeout: timeout_of(request.headers()),
            ..Arrival::without_timeout()
        };
        request.extensions_mut().insert(arrival);
        let place = self.rules.admission.enter();
        Guarded {
            inner: place.is_some().then(|| self.services.clone().call(request)),
            watch: Some(Watch {
                rules: Arc::clone(&self.rules),
                asking: self.asking.clone(),
                arrival,
                over: None,
                begun: false,
                _place: place,
            }),
        }
    }
}

impl<S, B> hyper::service::Service<Request<B>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
    S::Future: Unpin,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Guarded<S::Future>;

    fn call(&self, request: Request<B>) -> Self::Future {
        self.take(request.map(Body::new))
    }
}

/// The answer of a [`Guard`].
pub struct Guarded<F> {
    /// `None` if there was no place for it.
    inner: Option<F>,
    /// For a check.
    watch: Option<Watch>,
}

/// What is known of a check at the door.
struct Watch {
    rules: Arc<Rules>,
    asking: Asking,
    arrival: Arrival,
    /// When the gateway stops listening; set once there is something to wait for.
    over: Option<Pin<Box<Sleep>>>,
    begun: bool,
    _place: Option<Place>,
}

impl<F> Future for Guarded<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, watch } = &mut *self;
        let Some(watch) = watch else {
            return inner
                .as_mut()
                .map_or(Poll::Pending, |inner| Pin::new(inner).poll(context));
        };
        let inner = match inner {
            Some(inner) if watch.begun || !watch.is_late() => inner,
            _ => return Poll::Ready(Ok(watch.turn_away())),
        };
        watch.begun = true;
        match Pin::new(inner).poll(context) {
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(watch.without_error(response))),
            Poll::Pending => watch.poll_over(context).map(Ok),
        }
    }
}

impl Watch {
    fn is_late(&self) -> bool {
        self.rules
            .admission
            .is_late(self.arrival.started, clock::instant())
    }

    fn turn_away(&self) -> Response<Body> {
        self.rules.admission.report(clock::instant());
        (self.rules.tell)(Failure::Overloaded, &self.asking.0);
        denial(Failure::Overloaded)
    }

    /// A message that never comes to its end keeps its place no longer than the gateway waits. What was decided was
    /// answered before.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<Response<Body>> {
        let over = self.over.get_or_insert_with(|| {
            let deadlines = self
                .rules
                .budget
                .deadlines(self.arrival.timeout, self.arrival.started);
            Box::pin(sleep_until(deadlines.over.into()))
        });
        over.as_mut()
            .poll(context)
            .map(|()| self.deny(Failure::Abandoned))
    }

    fn without_error(&self, response: Response<Body>) -> Response<Body> {
        // An error of a unary call stands in the headers; a message's `grpc-status: 0` follows it as a trailer.
        match Status::from_header_map(response.headers()).map(|status| status.code()) {
            None if response.status() == http::StatusCode::OK => response,
            Some(Code::OutOfRange) => self.deny(Failure::TooLarge),
            // Also what the gateway reset in the middle.
            _ => self.deny(Failure::Unreadable),
        }
    }

    fn deny(&self, failure: Failure) -> Response<Body> {
        failure.report();
        (self.rules.tell)(failure, &self.asking.0);
        denial(failure)
    }
}

fn denial(failure: Failure) -> Response<Body> {
    unary::response(response::framed(&response::of_failure(failure, None)))
}
