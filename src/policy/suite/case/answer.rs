//! A test asked of a set of policies, and what came of it held against what was expected.

use std::sync::Arc;

use jiff::Timestamp;

use super::why::why;
use super::{Case, Expected, NOBODY, People, Said};
use crate::identity::{Acting, Actor, Workload};
use crate::inventory::{Requirement, Server};
use crate::mcp::{Call, Id};
use crate::policy::{AskError, Look, Outcome, PolicySet, Question, StepUp, Verdict, default_server};

/// The time of a test that names none: 2026-01-01T12:00:00Z.
const NOON: i64 = 1_767_268_800;

/// What came of a test.
pub(in crate::policy) struct Answer {
    pub(in crate::policy) found: Expected,
    /// The code of the reason.
    pub(in crate::policy) reason: &'static str,
    /// The policies that determined it, by id.
    pub(in crate::policy) by: Vec<String>,
    /// What isn't as expected.
    pub(in crate::policy) unmet: Option<Said>,
}

/// Asks, and compares. Whoever looks on is shown the question.
pub(in crate::policy) fn ask(
    set: &PolicySet,
    servers: &[Server],
    people: &People,
    case: &Case,
    look: &mut Look<'_>,
) -> Result<Answer, Said> {
    let server = server(servers, case)?;
    let mut caller = case.caller(people)?;
    if case.actor.is_none() && server.require.contains(&Requirement::Actor) {
        // Who says nothing of an actor says nothing against the usual one: the workload that calls acts itself.
        caller.actor = caller.workload.as_deref().map(acting);
    }
    let call = Call {
        id: Some(Id::Number(1)),
        operation: case.operation(people)?,
    };
    let question = Question {
        server: &server,
        call: &call,
        caller: &caller,
        session: case.session.as_deref(),
        address: case.address,
        version: case.version()?,
        now: case
            .now
            .unwrap_or_else(|| Timestamp::from_second(NOON).unwrap_or(Timestamp::UNIX_EPOCH)),
    };
    let said = set.ask(&question);
    look(&question, &said);
    let mut answer = Answer::of(&said);
    let told = || {
        let mut lines = vec![told(&said)];
        lines.extend(why(set, &question));
        lines.join("\n")
    };
    answer.unmet = answer.compare(case, told).or_else(|| {
        let (expected, found) = (
            case.step_up.as_ref()?.step(),
            set.step_up(&question).unwrap_or_default(),
        );
        let (wanted, offered) = (asked(&expected), asked(&found));
        (found != expected).then(|| Said::new(format!("expected {wanted} to be asked for, not {offered}")))
    });
    Ok(answer)
}

/// The server as configured. One that isn't is as the configuration's defaults would have it, and asks about the actor of a
/// test that names one.
pub(super) fn server(servers: &[Server], case: &Case) -> Result<Server, Said> {
    let name = &case.server;
    if let Some(server) = servers.iter().find(|server| server.name.as_str() == name) {
        return Ok(server.clone());
    }
    let mut server = default_server(name).map_err(|error| Said::new(error.to_string()))?;
    let named = case.actor.as_deref().filter(|name| *name != NOBODY);
    server.require.extend(named.map(|_| Requirement::Actor));
    Ok(server)
}

fn acting(workload: &Workload) -> Arc<Actor> {
    Arc::new(Actor {
        current: Acting::Workload(workload.clone()),
        earlier: Vec::new(),
    })
}

/// What a step-up asks for, in words.
fn asked(step: &StepUp) -> String {
    let scopes: Vec<&str> = step.scopes.iter().map(String::as_str).collect();
    let mut words = vec![format!("the scopes [{}]", scopes.join(", "))];
    words.extend(step.acr.as_ref().map(|acr| format!("a login of `{acr}`")));
    words.extend(
        step.max_age
            .map(|seconds| format!("a login of at most {seconds} s ago")),
    );
    words.join(" and ")
}

impl Answer {
    fn of(said: &Result<Vec<Verdict>, AskError>) -> Self {
        let verdicts = match said {
            Ok(verdicts) => verdicts,
            Err(error) => {
                return Self {
                    found: Expected::Deny,
                    reason: error.code(),
                    by: Vec::new(),
                    unmet: None,
                };
            }
        };
        let denying = verdicts.iter().find(|verdict| !verdict.allows());
        let deciding = verdicts
            .iter()
            .filter(|verdict| verdict.allows() == denying.is_none());
        let mut by = Vec::new();
        for fired in deciding.flat_map(|verdict| &verdict.fired) {
            if !by.contains(&fired.id) {
                by.push(fired.id.clone());
            }
        }
        Self {
            found: denying.is_none().into(),
            reason: denying
                .map_or(Outcome::Allowed, |verdict| verdict.outcome)
                .as_str(),
            by,
            unmet: None,
        }
    }

    /// What isn't as expected, with what came out.
    fn compare(&self, case: &Case, told: impl Fn() -> String) -> Option<Said> {
        let unmet = |message: String| {
            Some(Said {
                message,
                help: Some(told()),
            })
        };
        if self.found != case.expect {
            let (expected, found) = match self.found {
                Expected::Allow => ("deny", "allowed"),
                Expected::Deny => ("allow", "denied"),
            };
            return unmet(format!("expected {expected}, but it is {found}"));
        }
        if let Some(because) = case.because.as_ref().filter(|because| *because != self.reason) {
            return unmet(format!(
                "expected because of `{because}`, but it is `{}`",
                self.reason
            ));
        }
        let missing = case.by.iter().find(|id| !self.by.contains(id))?;
        unmet(format!("expected by `{missing}`, which didn't decide"))
    }
}

/// What was said of each principal.
fn told(answer: &Result<Vec<Verdict>, AskError>) -> String {
    match answer {
        Err(error) => format!("{}: {error}", error.code()),
        Ok(verdicts) => {
            let each = verdicts.iter().map(|verdict| {
                let ids: Vec<&str> = verdict.fired.iter().map(|fired| fired.id.as_str()).collect();
                let by = if ids.is_empty() {
                    String::new()
                } else {
                    format!(" by {}", ids.join(", "))
                };
                format!("{}: {}{by}", verdict.principal.as_str(), verdict.outcome.as_str())
            });
            each.collect::<Vec<_>>().join("; ")
        }
    }
}
