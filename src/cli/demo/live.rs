//! What happens, as it happens: decisions, and policies that are edited.

use std::time::Duration;

use miette::IntoDiagnostic as _;
use serde::Deserialize;

use crate::cli::Terminal;
use crate::dev::demo::{Entry, Journal, Tail};

use super::show::short;

const EVERY: Duration = Duration::from_millis(200);

/// What the policy store says in the log of mcp-authz.
#[derive(Debug, Deserialize)]
struct Event {
    target: String,
    message: String,
    /// The first thing that is wrong with the directory.
    #[serde(default)]
    first: Option<String>,
}

/// Prints until it is dropped.
pub(super) async fn follow(journal: &mut Journal, mut log: Tail, terminal: Terminal) -> miette::Result<()> {
    let mut ticks = tokio::time::interval(EVERY);
    journal.skip().into_diagnostic()?;
    log.added::<Event>().into_diagnostic()?;
    loop {
        ticks.tick().await;
        for event in log.added::<Event>().into_diagnostic()? {
            if event.target.ends_with("policy::store") {
                let first = event.first.map(|first| format!(": {first}")).unwrap_or_default();
                terminal.print(format!("  · {}{first}", event.message))?;
            }
        }
        for entry in journal.entries().into_diagnostic()? {
            // Opening, keeping and ending sessions would drown what was asked for.
            if entry.method.as_deref() == Some("tools/call") || entry.outcome == "denied" {
                terminal.print(line(&entry))?;
            }
        }
    }
}

fn line(entry: &Entry) -> String {
    let mark = match entry.outcome.as_str() {
        "allowed" => "\u{1b}[32m✓\u{1b}[0m",
        _ => "\u{1b}[31m✗\u{1b}[0m",
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
    let policies = if policies.is_empty() {
        String::new()
    } else {
        format!(" ({})", policies.join(", "))
    };
    format!(
        "  {mark} {user} · {agent} · {server}/{what} · {reason}{policies} · {}",
        short(&entry.decision_id)
    )
}
