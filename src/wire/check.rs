//! Envoy's `envoy.service.auth.v3.Authorization/Check`, over any [`Decider`].
//!
//! In comes a `CheckRequest` ([`request`] makes an [`Exchange`] of it), out goes a `CheckResponse` (made of the
//! [`Reply`] by [`response`]). What a gateway does with a gRPC error, or with silence, is up to its settings
//! (`failure_mode_allow`). So every failure on this side is a *denied response*: a check without an HTTP request,
//! a reply that can't be sent, a panic, a deadline about to pass ([`Failure`]); and [`guard`] turns even what the
//! gRPC layer refuses (a message too large or not a `CheckRequest`) into one.
//!
//! The pipeline has its own deadline and records what it decides; this is the net below it. More than can be decided in
//! time is not taken at all ([`admission`]).

use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use crate::exchange::{Decider, Exchange, Fate, Gateway};
use crate::wire::settings::Settings;

pub use self::deadline::Budget;
pub use self::failure::Failure;
pub use self::guard::{Arrival, Guard, Rules};

pub mod admission;
mod deadline;
mod failure;
mod guard;
mod metadata;
pub mod request;
pub mod response;

/// The service's name, for health and reflection.
pub const NAME: &str = "envoy.service.auth.v3.Authorization";

/// Who is at the other end of a connection; every request on it carries this in its extensions.
#[derive(Debug, Clone, Default)]
pub struct Asking(pub Arc<Gateway>);

/// The `Authorization` service over one decider.
#[derive(Debug)]
pub struct Check<D> {
    decider: Arc<D>,
    budget: Budget,
}

/// The service, with a bound on the size of a message. Served behind a [`Guard`] with [`rules`].
pub fn service<D: Decider>(decider: Arc<D>, settings: &Settings) -> AuthorizationServer<Check<D>> {
    let check = Check {
        decider,
        budget: settings.into(),
    };
    AuthorizationServer::new(check).max_decoding_message_size(settings.max_message_bytes)
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

#[tonic::async_trait]
impl<D: Decider> Authorization for Check<D> {
    async fn check(&self, mut request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let arrival = request
            .extensions_mut()
            .remove::<Arrival>()
            .unwrap_or_else(Arrival::without_timeout);
        let asking = request.extensions_mut().remove::<Asking>().unwrap_or_default();
        Ok(Response::new(
            self.answer(request.into_inner(), &asking.0, arrival).await,
        ))
    }
}

impl<D: Decider> Check<D> {
    async fn answer(&self, check: CheckRequest, gateway: &Gateway, arrival: Arrival) -> CheckResponse {
        let deadlines = self.budget.deadlines(arrival.timeout, arrival.started);
        let fate = Fate::default();
        let frame = request::Frame {
            gateway: gateway.clone(),
            received: arrival.received,
            started: arrival.started,
            deadline: deadlines.decide_by,
            fate: fate.clone(),
        };
        let answer = {
            let deciding = async { self.decide(request::exchange(check, frame)?).await };
            let mut deciding = pin!(caught(deciding));
            match timeout_at(Instant::from_std(deadlines.give_up), deciding.as_mut()).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(Panicked)) => Err(Failure::Panicked),
                Err(_) => {
                    // Before the decider's work is dropped, which is when it records the end of it.
                    fate.overrule(Failure::DeadlinePassed.reason());
                    Err(Failure::DeadlinePassed)
                }
            }
        };
        answer.unwrap_or_else(|failure| self.deny(failure, gateway, &fate))
    }

    fn deny(&self, failure: Failure, gateway: &Gateway, fate: &Fate) -> CheckResponse {
        failure.report();
        // An unfit reply was recorded as what it should have been: this is a word more on that decision.
        if !fate.is_recorded() || matches!(failure, Failure::UnfitReply(_)) {
            self.decider
                .denied_by_wire(failure.reason(), gateway, fate.decision_id());
        }
        response::of_failure(failure, fate.decision_id())
    }

    async fn decide(&self, exchange: Exchange) -> Result<CheckResponse, Failure> {
        let reply = self.decider.answer(exchange).await;
        response::of_reply(reply).map_err(Failure::UnfitReply)
    }
}

/// The future panicked; its panic was already reported by the panic hook.
struct Panicked;

/// Runs a future so that its panic ends this request and nothing else. Not a task of its own: dropping the
/// request must drop the decision with it.
async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    // Unwind safety: after a panic the future is not polled again, and a decider shares state between requests
    // only behind types that stay whole (no lock is held across an await).
    std::future::poll_fn(move |context| {
        match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}
