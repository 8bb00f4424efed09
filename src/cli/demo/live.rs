//! Decisions as they are made, a line each.

use std::time::Duration;

use miette::IntoDiagnostic as _;

use crate::cli::Terminal;
use crate::dev::demo::{Entry, Journal};

use super::show::short;

const EVERY: Duration = Duration::from_millis(200);

/// Prints until it is dropped.
pub(super) async fn follow(journal: &mut Journal, terminal: Terminal) -> miette::Result<()> {
    let mut ticks = tokio::time::interval(EVERY);
    let mut version = None;
    journal.skip().into_diagnostic()?;
    loop {
        ticks.tick().await;
        for entry in journal.entries().into_diagnostic()? {
            if entry.policy_version.is_some() && entry.policy_version != version {
                if version.is_some() {
                    terminal.print("  · the policies changed")?;
                }
                version.clone_from(&entry.policy_version);
            }
            // Opening, keeping and ending sessions would drown what was asked for.
            if entry.target.is_some() || entry.outcome == "denied" {
                terminal.print(line(&entry))?;
            }
        }
    }
}

fn line(entry: &Entry) -> String {
    let (green, red, plain) = ("\u{1b}[32m", "\u{1b}[31m", "\u{1b}[0m");
    let mark = if entry.outcome == "allowed" {
        format!("{green}✓{plain}")
    } else {
        format!("{red}✗{plain}")
    };
    let user = entry
        .user
        .as_ref()
        .map_or("nobody", |user| user.username.as_str());
    let agent = entry
        .workload
        .as_deref()
        .and_then(|id| id.rsplit('/').next())
        .unwrap_or("no agent");
    let what = entry.target.as_deref().or(entry.method.as_deref()).unwrap_or("?");
    let server = entry.server.as_deref().unwrap_or("?");
    let reason = entry.reason.as_deref().unwrap_or(&entry.outcome);
    let policies: Vec<&str> = entry.policies.iter().map(|policy| policy.id.as_str()).collect();
    let id = short(&entry.decision_id);
    format!(
        "  {mark} {user} · {agent} · {server}/{what} · {reason} · {} · {id}",
        policies.join(", ")
    )
}
