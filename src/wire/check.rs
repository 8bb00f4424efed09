//! Envoy's `envoy.service.auth.v3.Authorization/Check`, over any [`Decider`].
//!
//! In comes a `CheckRequest` ([`message`] says what is in it, and [`request`] makes an [`Exchange`] of that), out goes a `CheckResponse` (made of the
//! [`Reply`] by [`response`]). What a gateway does with a gRPC error, or with silence, is up to its settings
//! (`failure_mode_allow`). So every failure on this side is a *denied response*: a check without an HTTP request,
//! a reply that can't be sent, a panic, a deadline about to pass ([`Failure`]); and [`guard`] turns even what
//! [`unary`] refuses (a message too large or not a `CheckRequest`) into one.
//!
//! The pipeline has its own deadline and records what it decides; this is the net below it. More than can be decided in
//! time is not taken at all ([`admission`]).

use std::convert::Infallible;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use tokio::time::timeout_at;
use tonic::Status;
use tonic::body::Body;

use crate::clock;
use crate::exchange::{Decider, Fate, Gateway, stand_aside};
use crate::wire::settings::Settings;

pub use self::deadline::Budget;
pub use self::failure::Failure;
pub use self::guard::{Arrival, Guard, Rules};

pub mod admission;
mod deadline;
mod encode;
mod failure;
mod guard;
pub mod message;
mod metadata;
pub mod request;
pub mod response;
mod unary;

/// The service's name, for health and reflection.
pub const NAME: &str = "envoy.service.auth.v3.Authorization";

/// Where it is called.
pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Who is at the other end of a connection; every request on it carries this in its extensions.
#[derive(Debug, Clone, Default)]
pub struct Asking(pub Arc<Gateway>);

/// The `Authorization` service over one decider.
#[derive(Debug)]
pub struct Check<D> {
    decider: Arc<D>,
    budget: Budget,
    max_message_bytes: usize,
    max_wait: Duration,
}

/// A longer message takes its time to read, and is read on a task of its own: the connection that it came on has others.
const SHORT: usize = 16 * 1024;

/// [`Check`], called with requests of HTTP/2.
#[derive(Debug)]
pub struct Service<D>(Arc<Check<D>>);

impl<D> Clone for Service<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The service, with a bound on the size of a message. Served behind a [`Guard`] with [`rules`].
pub fn service<D: Decider>(decider: Arc<D>, settings: &Settings) -> Service<D> {
    Service(Arc::new(Check {
        decider,
        budget: settings.into(),
        max_message_bytes: settings.max_message_bytes,
        max_wait: settings.max_wait,
    }))
}

/// What guards of the service keep to.
pub fn rules<D: Decider>(decider: Arc<D>, settings: &Settings) -> Rules {
    let tell =
        move |failure: Failure, gateway: &Gateway| decider.denied_by_wire(failure.reason(), gateway, None);
    Rules {
        tell: Arc::new(tell),
        admission: settings.into(),
        budget: settings.into(),
    }
}

impl<D: Decider> tower::Service<Request<Body>> for Service<D> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let check = Arc::clone(&self.0);
        Box::pin(async move {
            // Reading the message, too, may end this request alone and no other of its connection.
            let served = AssertUnwindSafe(check.serve(request)).catch_unwind().await;
            let served = served.unwrap_or_else(|_panic| Err(Status::internal("panicked")));
            Ok(served.unwrap_or_else(Status::into_http))
        })
    }
}

/// What comes of a request to the service: an answer or a gRPC error, which the [`Guard`] replaces.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

// The future of a check is made, moved and kept for each of them, so it is kept small. What is large (a message, an exchange)
// is used up before the next `await` or lies in a box; and no future is handed to an `async fn`, which would have room for it twice.
//
// Unwind safety: after a panic a future is not polled again, and a decider shares state between requests only behind types that
// stay whole (no lock is held across an await). It is no task of its own: dropping the request must drop the decision with it.
impl<D: Decider> Check<D> {
    async fn serve(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (mut parts, body) = request.into_parts();
        let arrival = parts.extensions.remove::<Arrival>();
        let arrival = arrival.unwrap_or_else(Arrival::without_timeout);
        let asking = parts.extensions.remove::<Asking>().unwrap_or_default();
        let message = unary::message(&parts.headers, body, self.max_message_bytes).await?;
        drop(parts);
        if message.len() > SHORT && self.waited_too_long().await {
            return Ok(unary::response(self.deny(
                Failure::Overloaded,
                &asking.0,
                &Fate::default(),
            )));
        }
        let deadlines = self.budget.deadlines(arrival.timeout, arrival.started);
        let fate = Fate::default();
        let frame = request::Frame {
            gateway: Gateway::clone(&asking.0),
            received: arrival.received,
            started: arrival.started,
            deadline: deadlines.decide_by,
            fate: fate.clone(),
        };
        // A bug in reading it must not end other requests either.
        let read = panic::catch_unwind(AssertUnwindSafe(|| request::exchange(&message, frame)));
        let read = read.unwrap_or(Err(Failure::Panicked)).map(Box::new);
        drop(message);
        let answer = match read {
            Ok(exchange) => {
                let answer = self.decider.answer(exchange);
                let answer = answer.map(|reply| response::frame_of(reply).map_err(Failure::UnfitReply));
                let mut answer = pin!(AssertUnwindSafe(answer).catch_unwind());
                let told = timeout_at(deadlines.give_up.into(), answer.as_mut()).await;
                // Before the decider's work is dropped, which is when it records the end of it.
                told.unwrap_or_else(|_elapsed| Ok(Err(late(&fate))))
                    .unwrap_or(Err(Failure::Panicked))
            }
            Err(failure) => Err(failure),
        };
        let answer = answer.unwrap_or_else(|failure| self.deny(failure, &asking.0, &fate));
        Ok(unary::response(answer))
    }

    /// Goes on as a task; says whether its turn came too late.
    async fn waited_too_long(&self) -> bool {
        let before = clock::instant();
        stand_aside().await;
        clock::instant().saturating_duration_since(before) > self.max_wait
    }

    fn deny(&self, failure: Failure, gateway: &Gateway, fate: &Fate) -> Bytes {
        failure.report();
        // An unfit reply was recorded as what it should have been: this is a word more on that decision.
        if !fate.is_recorded() || matches!(failure, Failure::UnfitReply(_)) {
            self.decider
                .denied_by_wire(failure.reason(), gateway, fate.decision_id());
        }
        response::framed(&response::of_failure(failure, fate.decision_id()))
    }
}

fn late(fate: &Fate) -> Failure {
    fate.overrule(Failure::DeadlinePassed.reason());
    Failure::DeadlinePassed
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::task::Waker;

    use prost::Message as _;

    use super::*;
    use crate::exchange::{Exchange, Forward, Reply};
    use crate::wire::tests::harness::check;

    /// Whatever it keeps while it waits is that large.
    const OF_A_DECIDER: usize = 1024;

    struct Decides;

    impl Decider for Decides {
        async fn answer(&self, _: Box<Exchange>) -> Reply {
            let kept = [0_u8; OF_A_DECIDER];
            tokio::task::yield_now().await;
            black_box(kept);
            std::future::pending().await
        }

        fn denied_by_wire(&self, _: &'static str, _: &Gateway, _: Option<&str>) {}
    }

    /// How many bytes what a function returns takes.
    fn size_of_output<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    struct Allows;

    impl Decider for Allows {
        async fn answer(&self, _: Box<Exchange>) -> Reply {
            Reply::Forward(Forward::default())
        }

        fn denied_by_wire(&self, _: &'static str, _: &Gateway, _: Option<&str>) {}
    }

    #[tokio::test]
    async fn a_short_message_is_answered_where_it_was_read_and_a_long_one_by_a_task() {
        for (filling, at_once) in [(0, true), (SHORT - 1024, true), (SHORT, false)] {
            let mut check = check("/");
            let http = check.attributes.as_mut().unwrap().request.as_mut().unwrap();
            http.http.as_mut().unwrap().raw_body = vec![b' '; filling];
            let mut frame = vec![0];
            frame.extend(u32::try_from(check.encoded_len()).unwrap().to_be_bytes());
            check.encode(&mut frame).unwrap();
            let mut service = service(Arc::new(Allows), &Settings::default());
            let body = Body::new(http_body_util::Full::new(Bytes::from(frame)));
            let mut answering = tower::Service::call(&mut service, Request::new(body));
            let mut in_passing = Context::from_waker(Waker::noop());
            let polled = answering.as_mut().poll(&mut in_passing);
            assert_eq!(polled.is_ready(), at_once, "{filling}");
            if !at_once {
                assert_eq!(answering.await.unwrap().status(), 200);
            }
        }
    }

    #[test]
    fn the_future_of_a_check_is_little_more_than_that_of_its_decision() {
        let size = size_of_output(|check: &'static Check<Decides>, request| check.serve(request));
        assert!(
            (OF_A_DECIDER..OF_A_DECIDER + 1024).contains(&size),
            "{size} bytes are moved about for each check"
        );
    }
}
