//! One request on its way: what is known of it so far, and the promise that it is recorded once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Span;

use crate::audit::{Receipt, Slot};
use crate::clock;
use crate::decide::{Decision, Denial, Reason};
use crate::exchange::{Exchange, Reply};
use crate::identity::Caller;
use crate::inventory::Server;
use crate::mcp::{Call, Message, Operation};
use crate::policy::{Opinion, PolicySet};
use crate::respond::{self, About};
use crate::telemetry::TraceContext;
use crate::telemetry::trace::{conclude, decision_span_if_seen};

use super::record::{self, Ending};
use super::{Outcome, Pipeline};

/// A request between its arrival and its answer. Dropped before [`Case::close`], it is recorded as what ended it: a
/// panic, the wire that answered in our stead, or a gateway that gave up (`gateway_gone`: nobody hears the answer).
pub(super) struct Case<'p> {
    pub(super) pipeline: &'p Pipeline,
    /// Its deadline is that of the stages once they have begun.
    pub(super) exchange: Box<Exchange>,
    /// Until when it must be recorded.
    deadline: Instant,
    pub(super) decision_id: String,
    pub(super) trace: Option<TraceContext>,
    pub(super) span: Span,
    pub(super) server: Option<Arc<Server>>,
    pub(super) message: Option<Message>,
    pub(super) caller: Caller,
    pub(super) policies: Option<Arc<PolicySet>>,
    /// Of each call, what policies would say that don't rule.
    pub(super) shadow: Vec<Vec<Opinion>>,
    pub(super) marks: Marks,
    /// A place in the journal; taken when the case is recorded.
    slot: Option<Slot>,
    /// Its record on its way to the disk.
    receipt: Option<Receipt>,
    closed: bool,
}

/// When each stage was done.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Marks {
    pub(super) read: Option<Instant>,
    pub(super) identified: Option<Instant>,
    pub(super) asked: Option<Instant>,
}

impl<'p> Case<'p> {
    pub(super) fn open(pipeline: &'p Pipeline, exchange: Box<Exchange>, slot: Option<Slot>) -> Self {
        let decision_id = record::decision_id(exchange.received);
        exchange.fate.decided_as(&decision_id);
        let trace = TraceContext::extract(&exchange.headers);
        Self {
            pipeline,
            span: decision_span_if_seen(&decision_id, trace.as_ref()),
            trace,
            decision_id,
            deadline: exchange.deadline,
            exchange,
            server: None,
            message: None,
            caller: Caller::default(),
            policies: None,
            shadow: Vec::new(),
            marks: Marks::default(),
            slot,
            receipt: None,
            closed: false,
        }
    }

    /// Every call of the request; none if it could not be read.
    pub(super) fn calls(&self) -> &[Call] {
        self.message.as_ref().map(Message::calls).unwrap_or_default()
    }

    /// The method that stands for the request: that of its only call, or `batch`.
    pub(super) fn method(&self) -> &'static str {
        match self.calls() {
            [] if respond::metadata::is_well_known(&self.exchange.path) => "metadata",
            [] => "unread",
            [call] => call.operation.method(),
            _ => "batch",
        }
    }

    /// The action that stands for the request: `<server>/<tool>` for a call of a tool, else the method.
    pub(super) fn action(&self) -> String {
        match (self.calls(), &self.server) {
            (
                [
                    Call {
                        operation: Operation::ToolsCall { tool, .. },
                        ..
                    },
                ],
                Some(server),
            ) => {
                format!("{}/{tool}", server.name)
            }
            _ => self.method().to_owned(),
        }
    }

    /// Records the outcome, then tells it: nothing is recorded that can't be told, and nothing told that isn't recorded,
    /// where the settings say so on disk.
    pub(super) async fn close(&mut self, mut outcome: Outcome) -> Reply {
        let mut reply = self.reply(&outcome);
        let ending = self.ending(&outcome);
        if let Some(slot) = self.slot.take() {
            let receipt = slot.commit(&record::of(self, ending));
            let receipt = self.receipt.insert(receipt);
            if let Err(error) = receipt.durable(self.deadline).await {
                tracing::warn!(%error, "a request is denied because its decision could not be recorded");
                outcome = Outcome::Decided(Denial::Unavailable(Reason::AuditUnavailable).into());
                reply = self.reply(&outcome);
            }
        }
        let (told, reason) = verdict(&outcome);
        self.count(told, reason.code());
        reply
    }

    fn reply(&self, outcome: &Outcome) -> Reply {
        let action = self.action();
        let about = About {
            decision_id: &self.decision_id,
            server: self.server.as_deref(),
            caller: &self.caller,
            message: self.message.as_ref(),
            action: &action,
            withheld: self.pipeline.verifier.svid_header(),
        };
        match outcome {
            Outcome::Described(document) => Reply::Answer(respond::describe(document.clone(), &about)),
            Outcome::Decided(Decision::Permit(permit)) => Reply::Forward(respond::allow(permit, &about)),
            Outcome::Decided(Decision::Denial(denial)) => Reply::Answer(respond::deny(denial, &about)),
        }
    }

    fn ending<'a>(&self, decided: &'a Outcome) -> Ending<'a> {
        let (outcome, reason) = verdict(decided);
        Ending {
            outcome,
            reason: reason.code(),
            decided: Some(decided),
            total: self.elapsed(),
        }
    }

    fn elapsed(&self) -> Duration {
        clock::instant().saturating_duration_since(self.exchange.started)
    }

    /// Counts what was told, and says it in the trace and to the wire.
    fn count(&mut self, outcome: &'static str, reason: &'static str) {
        self.closed = true;
        self.exchange.fate.recorded();
        let server = self
            .server
            .as_deref()
            .map_or("none", |server| server.name.as_str());
        let method = self.method();
        self.pipeline
            .metrics
            .decision(server, method, outcome, reason, self.elapsed());
        conclude(&self.span, server, method, outcome, reason);
    }
}

fn verdict(outcome: &Outcome) -> (&'static str, Reason) {
    match outcome {
        Outcome::Described(_) => ("allowed", Reason::MetadataServed),
        Outcome::Decided(Decision::Permit(_)) => ("allowed", Reason::Allowed),
        Outcome::Decided(Decision::Denial(denial)) => ("denied", denial.reason()),
    }
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (outcome, reason) = match self.exchange.fate.overruled() {
            Some(reason) => ("denied", reason),
            None if std::thread::panicking() => ("denied", Reason::Panicked.code()),
            None => ("gateway_gone", Reason::GatewayGone.code()),
        };
        // The record is on its way to the disk already: the journal then corrects it.
        if let Some(receipt) = &self.receipt {
            receipt.overrule(outcome, reason);
        }
        if let Some(slot) = self.slot.take() {
            slot.write_all(&record::of(
                self,
                Ending {
                    outcome,
                    reason,
                    decided: None,
                    total: self.elapsed(),
                },
            ));
        }
        self.count(outcome, reason);
    }
}
