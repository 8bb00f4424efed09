//! The table: who, through what, called what, what came of it and why.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, Table, Width};
use serde_json::{Value, json};

use crate::cli::Terminal;
use crate::decide::Reason;
use crate::dev::client::Answer;
use crate::dev::demo::{Entry, Expected, Played};

/// The width where there is no terminal to ask.
const WIDTH: u16 = 146;

/// From this width on nothing needs to be broken.
const ROOMY: u16 = 144;

pub(super) fn table(played: &[Played], terminal: Terminal) -> Table {
    let mut table = terminal.table(["Who", "Through", "Calls", "", "Why", "Decision"]);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    let dim = terminal.colors();
    for played in played {
        let calls = format!("{}/{}\n{}", played.server, played.tool, arguments(played));
        table.add_row(vec![
            Cell::new(told(&format!("{}\n{}", played.who, played.note), dim)),
            Cell::new(told(&format!("{}\n{}", played.agent, played.tier), dim)),
            Cell::new(told(&calls, dim)),
            mark(played),
            Cell::new(told(&why(played), dim)),
            Cell::new(played.decision_id().map_or("never asked", short)).add_attribute(Attribute::Dim),
        ]);
    }
    // Where there is room, names are not broken: so they can be searched for.
    if table.width().is_none_or(|width| width >= ROOMY) {
        for (column, width) in [(0, 21), (2, 38), (4, 48), (5, 14)] {
            if let Some(column) = table.column_mut(column) {
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
            }
        }
    }
    table
}

/// A text whose first line is the one to look at.
fn told(text: &str, dim: bool) -> String {
    match text.split_once('\n') {
        Some((first, rest)) if dim => format!("{first}\n\u{1b}[2m{rest}\u{1b}[0m"),
        _ => text.to_owned(),
    }
}

/// One sentence on the whole.
pub(super) fn summary(played: &[Played]) -> String {
    let unexpected: Vec<&Played> = played.iter().filter(|played| !played.as_expected()).collect();
    let allowed = played.iter().filter(|played| played.allowed()).count();
    let denied = played.len().saturating_sub(allowed);
    if unexpected.is_empty() {
        return format!("{allowed} calls allowed, {denied} denied: every answer as expected.");
    }
    let told = unexpected.iter().map(|played| {
        let Played {
            user,
            agent,
            server,
            tool,
            expected,
            answer,
            entry,
            ..
        } = played;
        format!("  {user} through {agent}, {server}/{tool}: expected {expected:?}, got {answer:?}, recorded {entry:?}")
    });
    let told: Vec<String> = told.collect();
    let heading = format!("{} of {} answers are not as expected:", told.len(), played.len());
    format!("{heading}\n{}", told.join("\n"))
}

/// The same for scripts.
pub(super) fn rows(played: &[Played]) -> Vec<Value> {
    let row = |played: &Played| {
        json!({
            "user": played.user,
            "note": played.note,
            "agent": played.agent,
            "tier": played.tier,
            "tool": format!("{}/{}", played.server, played.tool),
            "arguments": played.arguments,
            "allowed": played.allowed(),
            "reason": played.entry.as_ref().and_then(|entry| entry.reason.as_deref()),
            "decision_id": played.decision_id(),
            "as_expected": played.as_expected(),
        })
    };
    played.iter().map(row).collect()
}

/// As people write them: `path=/srv/work/hello.txt, create=true`.
fn arguments(played: &Played) -> String {
    let told = played.arguments.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn mark(played: &Played) -> Cell {
    let (text, color) = match (played.as_expected(), played.allowed()) {
        (false, _) => ("?!", Color::Magenta),
        (true, true) => ("✓", Color::Green),
        (true, false) => ("✗", Color::Red),
    };
    Cell::new(text).fg(color).add_attribute(Attribute::Bold)
}

fn why(played: &Played) -> String {
    match (&played.answer, &played.entry) {
        (Answer::Result { .. }, Some(entry)) => by_both(entry),
        (Answer::Error { message, .. }, Some(entry)) if entry.reason.as_deref() == Some("no_permit") => {
            format!("no_permit {}", lacking(entry).unwrap_or_else(|| message.clone()))
        }
        (Answer::Error { message, data, .. }, Some(entry)) => refused(entry, message, data),
        (Answer::Challenged { .. }, Some(entry)) => {
            let reason = entry.reason.as_deref().unwrap_or_default();
            format!("{reason}\n{}", meaning(reason).unwrap_or_default())
        }
        (_, None) if played.expected == Expected::NoToken => {
            "refused by Keycloak\nnobody whom it knows logs in with such an SVID".to_owned()
        }
        (_, None) => "refused by the gateway\nno authority that it trusts signed the certificate".to_owned(),
        (Answer::Failed { error }, Some(_)) => error.clone(),
    }
}

/// The reason, and what the caller was told; of a forbid which policy it was.
fn refused(entry: &Entry, message: &str, data: &Value) -> String {
    let reason = entry.reason.as_deref().unwrap_or_default();
    let forbids: Vec<&str> = entry
        .policies
        .iter()
        .filter(|policy| policy.effect == "forbid")
        .map(|policy| policy.id.as_str())
        .collect();
    if let ([policy, ..], Some(told)) = (
        forbids.as_slice(),
        data.pointer("/reasons/0").and_then(Value::as_str),
    ) {
        return format!("{reason} by {policy}\n{told}");
    }
    // The caller isn't told that there is no such tool; whoever reads the audit is.
    let told = if reason == "unknown_tool" {
        meaning(reason).unwrap_or(message)
    } else {
        message
    };
    format!("{reason}\n{told}")
}

/// The policies that let it through: the user's and the agent's.
fn by_both(entry: &Entry) -> String {
    let of = |principal: &str| {
        let permits = entry
            .policies
            .iter()
            .filter(|policy| policy.principal == principal && policy.effect == "permit");
        permits
            .map(|policy| policy.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!("{}\n{}", of("user"), of("workload"))
}

/// Who of the two may not, and what lets the other.
fn lacking(entry: &Entry) -> Option<String> {
    let permitted = |principal: &str| {
        entry
            .policies
            .iter()
            .find(|policy| policy.principal == principal && policy.effect == "permit")
    };
    match (permitted("user"), permitted("workload")) {
        (Some(policy), None) => Some(format!("for this agent\n(the user may: {})", policy.id)),
        (None, Some(policy)) => Some(format!("for this user\n(the agent may: {})", policy.id)),
        (None, None) => Some("for this user, nor for this agent".to_owned()),
        (Some(_), Some(_)) => None,
    }
}

fn meaning(code: &str) -> Option<&'static str> {
    Reason::ALL
        .iter()
        .find(|reason| reason.code() == code)
        .map(|reason| reason.meaning())
}

/// The end of an id, where no two are alike: enough to search the audit for.
pub(super) fn short(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}
