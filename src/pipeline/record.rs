//! What the audit is told of a case: one record for each call of the request.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use crate::audit::record::Text;
use crate::audit::{Batch, Durations, PolicyEffect, Record, ShadowOpinion, User};
use crate::decide::{Decision, Reason};
use crate::exchange::Gateway;
use crate::identity::{Acting, Actor};
use crate::mcp::{Call, Operation, Reference};
use crate::policy::{Outcome as Said, Verdict};

use super::Outcome;
use super::case::Case;
use super::shadow;

/// How a case ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending<'a> {
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
    pub(super) decided: Option<&'a Outcome>,
    pub(super) total: Duration,
}

/// The records of a case, in the order of its calls; one without a call where none could be read.
pub(super) fn of<'a>(case: &'a Case<'_>, ending: Ending<'a>) -> Vec<Record<'a>> {
    let common = common(case, ending);
    let size = case.calls().len();
    if size == 0 {
        return vec![common];
    }
    let calls = case.calls().iter().enumerate();
    calls
        .map(|(index, call)| Record {
            reason: Some(of_call(index, ending)),
            method: Some(call.operation.method().into()),
            target: target(call),
            target_kind: target_kind(call),
            policies: effects(verdicts(index, ending.decided)),
            shadow: opinions(case, index),
            arguments: arguments(case, call),
            batch: (size > 1).then_some(Batch { index, size }),
            ..common.clone()
        })
        .collect()
}

/// The record of a question that a wire denied without asking, or whose decision it could not tell.
pub(super) fn unasked<'a>(
    reason: &'static str,
    gateway: &'a Gateway,
    decided_as: Option<&'a str>,
    now: Timestamp,
) -> Record<'a> {
    Record {
        time: now,
        decision_id: decided_as.map_or_else(|| decision_id(now).into(), Into::into),
        outcome: "denied",
        reason: Some(reason),
        method: Some("unread".into()),
        gateway: gateway.label(),
        ..Record::default()
    }
}

/// A UUID of version 7 (RFC 9562 §5.7): ids sort by the time of the decision.
pub(super) fn decision_id(now: Timestamp) -> String {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds)).to_string()
}

/// What is the same for every call of a request.
fn common<'a>(case: &'a Case<'_>, ending: Ending<'a>) -> Record<'a> {
    let exchange = &case.exchange;
    let user = case.caller.user.as_ref();
    let actor = case.caller.actor.as_deref();
    let session = case
        .message
        .as_ref()
        .and_then(|message| message.session.as_deref());
    // Every field by name: one that is added has to say here where it comes from.
    Record {
        time: exchange.received,
        decision_id: case.decision_id.as_str().into(),
        outcome: ending.outcome,
        reason: Some(ending.reason),
        server: case.server.as_ref().map(|server| server.name.as_str().into()),
        method: Some(case.method().into()),
        protocol_version: case.message.as_ref().map(|message| message.version.as_str()),
        target: None,
        target_kind: None,
        user: user.map(|user| User {
            issuer: user.issuer.as_str().into(),
            subject: user.subject.as_str().into(),
            username: user.username.as_str().into(),
            claims: case.pipeline.redactor.claims(user),
        }),
        workload: case
            .caller
            .workload
            .as_ref()
            .map(|workload| workload.key().into()),
        actor: actor.map(|actor| actor.key().into()),
        actor_client: actor.and_then(client),
        actors: actor.map(|actor| texts(&actor.earlier)).unwrap_or_default(),
        tenant: user.and_then(|user| tenant(&user.tenants)),
        session: session.map(|session| case.pipeline.redactor.session(session).into()),
        policies: Vec::new(),
        shadow: Vec::new(),
        policy_version: case.policies.as_ref().map(|policies| policies.version().into()),
        durations_us: durations(case, ending.total),
        trace_id: case.trace.as_ref().map(|trace| trace.trace_id().into()),
        gateway: exchange.gateway.label(),
        request_id: Some(exchange.request_id.as_str())
            .filter(|id| !id.is_empty())
            .map(Into::into),
        client: exchange.source.address,
        batch: None,
        arguments: None,
    }
}

/// The reason of one call: the others of a denied batch were denied with it.
fn of_call(index: usize, ending: Ending<'_>) -> &'static str {
    match ending.decided {
        Some(Outcome::Decided(Decision::Denial(denial)))
            if denial.call().is_some_and(|call| call != index) =>
        {
            Reason::DeniedWithBatch.code()
        }
        _ => ending.reason,
    }
}

fn verdicts(index: usize, decided: Option<&Outcome>) -> &[Verdict] {
    match decided {
        Some(Outcome::Decided(Decision::Permit(permit))) => permit
            .verdicts()
            .get(index)
            .map(Vec::as_slice)
            .unwrap_or_default(),
        Some(Outcome::Decided(Decision::Denial(denial))) if denial.call() == Some(index) => denial.verdicts(),
        _ => &[],
    }
}

fn opinions<'a>(case: &'a Case<'_>, index: usize) -> Vec<ShadowOpinion<'a>> {
    let opinions = case.shadow.get(index).into_iter().flatten();
    opinions
        .map(|opinion| shadow::recorded(opinion, effects))
        .collect()
}

fn effects(verdicts: &[Verdict]) -> Vec<PolicyEffect<'_>> {
    let mut effects = Vec::new();
    for verdict in verdicts {
        let fired = if verdict.outcome == Said::Allowed {
            "permit"
        } else {
            "forbid"
        };
        let lists = [
            (fired, &verdict.fired),
            ("error", &verdict.errored),
            ("shadow", &verdict.shadow),
        ];
        for (effect, policies) in lists {
            effects.extend(policies.iter().map(|policy| PolicyEffect {
                id: policy.id.as_str().into(),
                principal: verdict.principal.as_str(),
                effect,
            }));
        }
    }
    effects
}

/// What a call is about: a tool, a prompt, a URI, a task.
fn target(call: &Call) -> Option<Text<'_>> {
    match &call.operation {
        Operation::ToolsCall { tool: name, .. }
        | Operation::PromptsGet { prompt: name, .. }
        | Operation::Resource { uri: name, .. }
        | Operation::Complete {
            reference: Reference::Prompt(name) | Reference::Resource(name),
        }
        | Operation::Task { task: name, .. }
        | Operation::Unknown { method: name } => Some(name.as_str().into()),
        Operation::Listen { uris } => Some(listed(uris).into()),
        Operation::Initialize { offered } => Some(offered.as_str().into()),
        Operation::Plain { .. }
        | Operation::Response
        | Operation::OpenStream { .. }
        | Operation::EndSession => None,
    }
}

/// What a completion is for; of other methods the method says it.
fn target_kind(call: &Call) -> Option<&'static str> {
    match &call.operation {
        Operation::Complete { reference } => Some(match reference {
            Reference::Prompt(_) => "prompt",
            Reference::Resource(_) => "resource",
        }),
        _ => None,
    }
}

/// The only tenant, or all of them.
fn tenant(tenants: &[String]) -> Option<Text<'_>> {
    match tenants {
        [] => None,
        [tenant] => Some(tenant.as_str())
            .filter(|tenant| !tenant.is_empty())
            .map(Into::into),
        several => Some(several.join(",").into()),
    }
}

fn texts(texts: &[String]) -> Vec<Text<'_>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

/// The client id of an agent that is named by its subject.
fn client(actor: &Actor) -> Option<Text<'_>> {
    match &actor.current {
        Acting::Agent(agent) => agent
            .client_id
            .as_deref()
            .filter(|_| agent.subject.is_some())
            .map(Into::into),
        Acting::Workload(_) => None,
    }
}

/// URIs with spaces between. A space in one is escaped, so that one can't pass for two.
fn listed(uris: &[String]) -> String {
    let escaped: Vec<String> = uris.iter().map(|uri| uri.replace(' ', "%20")).collect();
    escaped.join(" ")
}

fn arguments(case: &Case<'_>, call: &Call) -> Option<crate::audit::Redacted> {
    match &call.operation {
        Operation::ToolsCall { arguments, .. } | Operation::PromptsGet { arguments, .. } => {
            case.pipeline.redactor.arguments(arguments)
        }
        _ => None,
    }
}

fn durations(case: &Case<'_>, total: Duration) -> Durations {
    let between =
        |from: Option<Instant>, to: Option<Instant>| Some(micros(to?.saturating_duration_since(from?)));
    let marks = case.marks;
    Durations {
        total: micros(total),
        read: between(Some(case.exchange.started), marks.read),
        identity: between(marks.read, marks.identified),
        policy: between(marks.identified, marks.asked),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_uri_with_a_space_is_not_recorded_as_two() {
        let target = |uris: &[&str]| {
            let uris = uris.iter().map(|&uri| uri.to_owned()).collect();
            let call = Call {
                id: None,
                operation: Operation::Listen { uris },
            };
            target(&call).map(Text::into_owned)
        };
        let (one, two) = (target(&["docs://a docs://b"]), target(&["docs://a", "docs://b"]));
        assert_eq!(one.as_deref(), Some("docs://a%20docs://b"));
        assert_eq!(two.as_deref(), Some("docs://a docs://b"));
    }
}
