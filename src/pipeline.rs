//! The one path through the stages, and the only place that records.
//!
//! In: an [`Exchange`]. Out: a [`Reply`], before the exchange's deadline, whatever happens: a panic, a stage that
//! is slow or a journal that can't be written all deny. Each decision is recorded once, before it is told (where the
//! settings say so: on disk); one that the gateway gave up on is recorded as `gateway_gone`, one that a wire cut off with
//! the wire's reason.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use crate::audit::{Journal, Redactor};
use crate::clock;
use crate::decide::{self, Asked, Decision, Denial, Permit, Reason};
use crate::exchange::{Decider, Exchange, Gateway, Reply, stand_aside};
use crate::identity::Verifier;
use crate::inventory::{Disclosure, Routes, Server};
use crate::mcp::{self, Message, Operation};
use crate::policy::{Opinion, PolicySet, PolicyStore, Question, Shadow, Verdict};
use crate::respond;
use crate::telemetry::Metrics;
use crate::telemetry::trace::{decision_span, in_span};

mod case;
mod record;
mod shadow;

use case::Case;

/// A message with more takes its time: each of its calls and resources is asked about by itself.
const FEW_QUESTIONS: usize = 4;

/// The stages, joined.
#[derive(Debug)]
pub struct Pipeline {
    /// Which server a request is for.
    pub routes: Routes,
    /// How large and deep a message may be.
    pub limits: mcp::Limits,
    /// Who is calling.
    pub verifier: Arc<Verifier>,
    /// What the policies say.
    pub policies: Arc<PolicyStore>,
    /// What other policies would say.
    pub shadow: Option<Arc<Shadow>>,
    /// How much of arguments and sessions is recorded.
    pub redactor: Redactor,
    /// Where decisions are recorded.
    pub journal: Journal,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// How a request ended.
#[derive(Debug)]
enum Outcome {
    /// Decided by the stages.
    Decided(Decision),
    /// The protected-resource metadata was asked for: public, so nobody is asked.
    Described(String),
}

impl Decider for Pipeline {
    async fn answer(&self, exchange: Box<Exchange>) -> Reply {
        let _in_flight = self.metrics.in_flight();
        let deadline = exchange.deadline;
        // Nothing that can't be recorded is decided; that it was not is counted and logged.
        let slot = match self.journal.reserve(deadline).await {
            Ok(slot) => slot,
            Err(error) => {
                tracing::warn!(%error, "a request is denied because its decision could not be recorded");
                let unrecorded = Denial::Unavailable(Reason::AuditUnavailable);
                let mut case = Case::open(self, exchange, None);
                return case.close(Outcome::Decided(unrecorded.into())).await;
            }
        };
        let mut case = Case::open(self, exchange, Some(slot));
        let decide_by = self.journal.decide_by(deadline);
        case.exchange.deadline = before(decide_by);
        let outcome = {
            let (span, trace, fate) = (case.span.clone(), case.trace.clone(), case.exchange.fate.clone());
            let id = || fate.decision_id().unwrap_or_default();
            let mut work = pin!(AssertUnwindSafe(self.decide(&mut case)).catch_unwind());
            let work = in_span(work.as_mut(), span, || decision_span(id(), trace.as_ref()));
            match tokio::time::timeout_at(decide_by.into(), work).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_panic)) => {
                    tracing::error!(decision_id = id(), "a decision ended in a fault of this service");
                    Outcome::Decided(Denial::Unavailable(Reason::Panicked).into())
                }
                Err(_elapsed) => Outcome::Decided(Denial::Unavailable(Reason::DeadlineExceeded).into()),
            }
        };
        case.close(outcome).await
    }

    fn denied_by_wire(&self, reason: &'static str, gateway: &Gateway, decision_id: Option<&str>) {
        self.metrics
            .decision("none", "unread", "denied", reason, Duration::ZERO);
        // Nobody waits here: with a full queue, the metric and the log have it alone.
        if let Some(Ok(slot)) = self.journal.reserve(clock::instant()).now_or_never() {
            slot.write(&record::unasked(reason, gateway, decision_id, clock::now()));
        }
    }
}

impl Pipeline {
    /// Takes a request through the stages. What each finds out is kept in the case, so that a denial by a later one
    /// can still be recorded with all that was known.
    async fn decide(&self, case: &mut Case<'_>) -> Outcome {
        let server = match self.routes.find(&case.exchange) {
            Ok(server) => Arc::clone(server),
            Err(error) => return Outcome::Decided(Denial::Route(error).into()),
        };
        case.server = Some(Arc::clone(&server));
        if respond::metadata::is_well_known(&case.exchange.path) {
            return self.describe(case, &server);
        }
        if !server.admits_origin(&case.exchange.headers) {
            return Outcome::Decided(Denial::ForeignOrigin.into());
        }
        Outcome::Decided(match self.proceed(case, &server).await {
            Ok(permit) => Decision::Permit(permit),
            Err(denial) => Decision::Denial(Box::new(denial)),
        })
    }

    async fn proceed(&self, case: &mut Case<'_>, server: &Server) -> Result<Permit, Denial> {
        let read = mcp::read(&case.exchange, &self.limits);
        case.marks.read = Some(clock::instant());
        // What was found out is kept for the record at once: whatever follows may fail, or be given up on.
        let unread = read.map(|message| case.message = Some(message)).err();
        let identified = self
            .verifier
            .identify(&case.exchange, server, case.exchange.received)
            .await;
        case.marks.identified = Some(clock::instant());
        // Who nobody knows learns nothing about how we read: a missing identity is told before a bad body.
        case.caller = identified.map_err(Denial::Identity)?;
        if let Some(refused) = unread {
            return Err(Denial::Message(refused));
        }
        let message = case
            .message
            .as_ref()
            .ok_or(Denial::Unavailable(Reason::Internal))?;
        if message.questions() > FEW_QUESTIONS {
            stand_aside().await;
        }
        let policies = self.policies.current();
        let (asked, opinions) = ask(&policies, server, message, case);
        let decision = decide::decide(server, case.calls(), &case.caller, asked);
        let headers = argument_headers(&policies, server, message);
        case.policies = Some(policies);
        case.shadow = opinions;
        case.marks.asked = Some(clock::instant());
        match decision {
            Decision::Permit(permit) => headers.map(|()| permit),
            Decision::Denial(denial) => Err(*denial),
        }
    }

    fn describe(&self, case: &Case<'_>, server: &Server) -> Outcome {
        match respond::metadata::request(&case.exchange, server) {
            Ok(()) => Outcome::Described(respond::metadata::document(
                server,
                &self.verifier.issuers_of(server),
            )),
            Err(reason) => Outcome::Decided(Denial::Metadata(reason).into()),
        }
    }
}

/// When a stage that waits for somebody else gives up: before its decision is given up, so that it is told for whom it
/// waited.
fn before(decide_by: Instant) -> Instant {
    const SPARE: Duration = Duration::from_millis(5);
    let left = decide_by.saturating_duration_since(clock::instant());
    let spare = left.checked_div(20).unwrap_or_default().min(SPARE);
    decide_by.checked_sub(spare).unwrap_or(decide_by)
}

/// Asks one set of policies about every call of a message, and those that don't rule what they would say.
fn ask(
    policies: &PolicySet,
    server: &Server,
    message: &Message,
    case: &Case<'_>,
) -> (Vec<Asked>, Vec<Vec<Opinion>>) {
    // Only the first call that is denied is told about: a batch of many asks once what it lacks.
    let mut denied_before = false;
    let of_call = |call| {
        let question = Question {
            server,
            call,
            caller: &case.caller,
            session: message.session.as_deref(),
            address: case.exchange.source.address,
            version: message.version,
            now: case.exchange.received,
        };
        let verdicts = policies.ask(&question);
        let denied = verdicts
            .as_ref()
            .is_ok_and(|verdicts| !verdicts.iter().all(Verdict::allows));
        let told = denied && !std::mem::replace(&mut denied_before, true);
        let missing = told.then(|| policies.missing(&question)).flatten();
        let remedies = match &verdicts {
            Ok(verdicts) if told && missing.is_none() && server.disclosure >= Disclosure::Conditions => {
                policies.remedies(&question, verdicts)
            }
            _ => Vec::new(),
        };
        let opinions = shadow::opinions(case, &question, &verdicts);
        let asked = Asked {
            missing,
            remedies,
            may_know: verdicts.is_ok() || policies.may_know(&question),
            verdicts,
        };
        (asked, opinions)
    };
    message.calls().iter().map(of_call).unzip()
}

/// Whether each `Mcp-Param` header says what its argument says (MCP 2026-07-28): a gateway may route by it. Told only to
/// callers who are permitted the call.
fn argument_headers(policies: &PolicySet, server: &Server, message: &Message) -> Result<(), Denial> {
    if !message.version.has_argument_headers() {
        return Ok(());
    }
    for (call, asked) in message.calls().iter().enumerate() {
        let Operation::ToolsCall { tool, arguments } = &asked.operation else {
            continue;
        };
        let Some(tool) = policies
            .inventory()
            .server(&server.name)
            .and_then(|tools| tools.tool(tool))
        else {
            continue;
        };
        tool.headers_agree(arguments, &message.param_headers)
            .map_err(|error| Denial::ArgumentHeader { call, error })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes what a function returns takes.
    fn size_of_output<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_future_of_a_decision_is_small() {
        let size = size_of_output(|pipeline: &'static Pipeline, exchange| pipeline.answer(exchange));
        assert!(size <= 2 * 1024, "{size} bytes are moved about for each decision");
    }
}
