//! An explanation, for people and for scripts.

use serde_json::{Value, json};

use super::Explained;
use crate::cli::Terminal;
use crate::exchange::printable;
use crate::policy::{
    Applied, Beside, Effect, Explanation, Location, Looked, Met, OfPrincipal, OfTarget, Outcome, PolicySet,
    Truth,
};

/// Permits that nearly apply, and those for others, that are shown of one principal.
const MAX_SHOWN: usize = 5;

/// What is said of one principal: what the policy does, its id, where it is written, why.
type Row = [String; 4];

/// One call for people.
pub(super) fn text(one: &Explained, set: &PolicySet, terminal: Terminal) -> String {
    let outcome = if one.allows() { "allowed" } else { "denied" };
    let mut said = Vec::new();
    if !one.title.is_empty() {
        said.push(one.title.clone());
    }
    said.push(match one.reason() {
        "allowed" => format!("{}: allowed", one.call),
        reason => format!("{}: {outcome} ({reason})", one.call),
    });
    if let Some(earlier) = &one.recorded {
        let policies = if earlier.policy_version == set.version() {
            "these policies"
        } else {
            "other policies"
        };
        let (time, was, reason) = (earlier.time, &earlier.outcome, &earlier.reason);
        said.push(format!("recorded at {time:.0}: {was} ({reason}), by {policies}"));
    }
    said.extend(one.why.as_ref().err().map(ToString::to_string));
    let mut said: Vec<String> = said
        .iter()
        .map(|line| printable::escape(line).into_owned())
        .collect();
    let targets = one.why.as_ref().map(|why| why.trace.targets.as_slice());
    for (number, target) in targets.unwrap_or_default().iter().enumerate() {
        if number > 0 {
            let asked = format!("{} on {}", target.action, target.resource);
            said.push(printable::escape(&asked).into_owned());
        }
        if let Ok(why) = &one.why {
            said.push(table(target, why, terminal));
        }
    }
    said.join("\n")
}

fn table(target: &OfTarget, why: &Explanation, terminal: Terminal) -> String {
    let mut table = terminal.table(["principal", "outcome", "what", "policy", "written", "why"]);
    for principal in &target.principals {
        let verdict = &principal.verdict;
        let mut first = Some((verdict.principal.as_str(), verdict.outcome.as_str()));
        for row in rows(principal, why) {
            let (who, outcome) = first.take().unwrap_or_default();
            let cells = [who.to_owned(), outcome.to_owned()].into_iter().chain(row);
            table.add_row(cells.map(|cell| printable::escape(&cell).into_owned()));
        }
    }
    table.to_string()
}

fn rows(principal: &OfPrincipal, why: &Explanation) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let determining = principal.policies.iter().filter(|met| determines(met, principal));
    rows.extend(determining.map(determined));
    if principal.verdict.outcome == Outcome::NoPermit {
        let near = principal.near();
        let lacking = |met: &Met| lines(met.lacking().into_iter().map(Looked::in_words));
        let shown = near.iter().take(MAX_SHOWN);
        rows.extend(shown.map(|met| row("would permit, but", met, lacking(met))));
        rows.extend(more(near.len()));
        let beside: Vec<&Beside> = why.beside.iter().filter(|one| is_of(one, principal)).collect();
        rows.extend(beside.iter().take(MAX_SHOWN).map(|one| other(one)));
        rows.extend(more(beside.len()));
    }
    let shadows = principal
        .policies
        .iter()
        .filter(|met| met.shadow && met.applied == Applied::Yes);
    rows.extend(shadows.map(|met| match met.effect {
        Effect::Permit => row("would permit (shadow)", met, reason(met)),
        Effect::Forbid => row("would forbid (shadow)", met, reason(met)),
    }));
    if rows.is_empty() {
        rows.push(["", "", "", "no policy is about this"].map(str::to_owned));
    }
    rows
}

fn is_of(one: &Beside, principal: &OfPrincipal) -> bool {
    one.principal == principal.verdict.principal
}

fn determines(met: &Met, principal: &OfPrincipal) -> bool {
    principal
        .verdict
        .fired
        .iter()
        .any(|fired| fired.id == met.policy.id)
}

/// A policy that decided. Of a forbid: what would lift it.
fn determined(met: &Met) -> Row {
    match (met.effect, met.applied) {
        (_, Applied::Failed) => {
            let failed = met.conditions.iter().find(|looked| !looked.holds());
            let why = failed.map(|looked| match &looked.truth {
                Truth::Unknown(why) => format!("`{}`: {why}", looked.condition.text),
                _ => looked.condition.text.clone(),
            });
            row("fails, and so forbids", met, why.unwrap_or_default())
        }
        (Effect::Permit, _) => row("permits", met, reason(met)),
        (Effect::Forbid, _) => {
            let lifted = met.lifted_by().into_iter().map(Looked::lifted_in_words);
            let lifted = lifted.collect::<Vec<_>>().join(", or ");
            row("forbids", met, lines([reason(met), lifted]))
        }
    }
}

fn row(does: &str, met: &Met, why: String) -> Row {
    [does.to_owned(), met.policy.id.clone(), place(&met.location), why]
}

fn other(one: &Beside) -> Row {
    [
        "permits others".to_owned(),
        one.policy.id.clone(),
        place(&one.location),
        format!("needs {}; has {}", one.needs, one.has),
    ]
}

fn more(found: usize) -> Option<Row> {
    let more = found.saturating_sub(MAX_SHOWN);
    (more > 0).then(|| {
        let said = format!("and {more} more");
        ["", said.as_str(), "", ""].map(str::to_owned)
    })
}

fn reason(met: &Met) -> String {
    met.policy.reason.clone().unwrap_or_default()
}

fn lines(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

fn place(location: &Location) -> String {
    format!("{}:{}", location.file, location.line)
}

/// One call for scripts.
pub(super) fn to_json(one: &Explained) -> Value {
    let mut said = json!({
        "call": one.call,
        "outcome": if one.allows() { "allowed" } else { "denied" },
        "reason": one.reason(),
    });
    let mut more = serde_json::Map::new();
    match &one.recorded {
        Some(earlier) => {
            more.insert("decision_id".to_owned(), json!(one.title));
            let recorded = json!({
                "time": earlier.time,
                "outcome": earlier.outcome,
                "reason": earlier.reason,
                "policy_version": earlier.policy_version,
            });
            more.insert("recorded".to_owned(), recorded);
        }
        None if one.title.is_empty() => {}
        None => {
            more.insert("test".to_owned(), json!(one.title));
        }
    }
    match &one.why {
        Err(error) => {
            more.insert("message".to_owned(), json!(error.to_string()));
        }
        Ok(why) => {
            let targets = why.trace.targets.iter().map(|of| target(of, why));
            more.insert("targets".to_owned(), targets.collect());
        }
    }
    if let Some(members) = said.as_object_mut() {
        members.extend(more);
    }
    said
}

fn target(target: &OfTarget, why: &Explanation) -> Value {
    let principals = target.principals.iter().map(|principal| {
        let near = principal.near().into_iter().map(|met| {
            let lacking = met.lacking().into_iter().map(Looked::in_words);
            json!({ "id": met.policy.id, "lacking": lacking.collect::<Vec<_>>() })
        });
        let beside = why.beside.iter().filter(|one| is_of(one, principal)).map(|one| {
            json!({
                "id": one.policy.id,
                "file": &*one.location.file,
                "line": one.location.line,
                "needs": one.needs.to_json(),
                "has": one.has.to_json(),
            })
        });
        let by = principal.verdict.fired.iter().map(|fired| fired.id.as_str());
        json!({
            "principal": principal.verdict.principal.as_str(),
            "id": principal.id,
            "outcome": principal.verdict.outcome.as_str(),
            "by": by.collect::<Vec<_>>(),
            "near": near.collect::<Vec<_>>(),
            "others": beside.collect::<Vec<_>>(),
            "policies": principal.policies.iter().map(policy).collect::<Vec<_>>(),
        })
    });
    json!({
        "action": target.action,
        "resource": target.resource,
        "principals": principals.collect::<Vec<_>>(),
    })
}

fn policy(met: &Met) -> Value {
    json!({
        "id": met.policy.id,
        "effect": match met.effect { Effect::Permit => "permit", Effect::Forbid => "forbid" },
        "shadow": met.shadow,
        "applied": match met.applied { Applied::Yes => "yes", Applied::No => "no", Applied::Failed => "failed" },
        "reason": met.policy.reason,
        "file": &*met.location.file,
        "line": met.location.line,
        "conditions": met.conditions.iter().map(condition).collect::<Vec<_>>(),
    })
}

fn condition(looked: &Looked) -> Value {
    let (holds, why) = match &looked.truth {
        Truth::Holds => (Some(true), None),
        Truth::Fails => (Some(false), None),
        Truth::Unknown(why) => (None, Some(why)),
    };
    json!({
        "text": looked.condition.text,
        "unless": looked.condition.unless,
        "line": looked.condition.line,
        "reached": looked.reached,
        "holds": holds,
        "error": why,
        "values": looked.needs.values(),
        "words": (!looked.holds()).then(|| looked.in_words()),
    })
}
