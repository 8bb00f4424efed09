//! `audit show`: the records that somebody looks for.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use miette::{IntoDiagnostic as _, WrapErr as _};

use crate::audit::chain::Sealed;
use crate::audit::place::Place;
use crate::audit::query::{Entry, Filter};
use crate::audit::read::{self, Line, Source};
use crate::cli::moment::moment;
use crate::cli::{Outcome, Output, Terminal};
use crate::exchange::printable;

use super::Files;

/// How often a journal that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Show records of the audit, the newest last; as JSON, each is the line as it was written
///
/// A record that was corrected (see docs/operations.md) is followed by its correction. A revocation is a record, too: its
/// reason is who said so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz audit show --outcome denied --since 1h
  mcp-authz audit show --user alice --action workbench/fs_write --limit 0 --output json
  mcp-authz audit show /var/log/mcp-authz/audit.jsonl --decision 01993c5e-0f2a-7cc1-9d3b-6f4f3a5b7c1d
  mcp-authz audit show --workload spiffe://mcp-identity.local/agent/untrusted --follow")]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// The user's name or subject
    #[arg(long, value_name = "NAME", help_heading = "Which records")]
    user: Option<String>,
    /// The workload's SPIFFE ID, or a path that it is in
    #[arg(long, value_name = "ID", help_heading = "Which records")]
    workload: Option<String>,
    /// Who acts for the user: a SPIFFE ID or a path that it is in, or `<issuer>#client:<client id>`
    #[arg(long, value_name = "ID", help_heading = "Which records")]
    actor: Option<String>,
    /// The tool that was called
    #[arg(long, value_name = "NAME", help_heading = "Which records")]
    tool: Option<String>,
    /// The action: `<server>/<tool>`, or a method
    #[arg(long, value_name = "ACTION", help_heading = "Which records")]
    action: Option<String>,
    /// The server that was asked
    #[arg(long, value_name = "NAME", help_heading = "Which records")]
    server: Option<String>,
    /// The reason's code
    #[arg(long, value_name = "CODE", help_heading = "Which records")]
    reason: Option<String>,
    /// `allowed`, `denied` or `gateway_gone`; `revoked` for revocations
    #[arg(long, value_name = "OUTCOME", help_heading = "Which records", value_parser = ["allowed", "denied", "gateway_gone", "revoked"])]
    outcome: Option<String>,
    /// The decision's id
    #[arg(long, value_name = "ID", help_heading = "Which records")]
    decision: Option<String>,
    /// From then on: a time, a day, or how long ago (`90m`, `2d`)
    #[arg(long, value_name = "TIME", help_heading = "Which records", value_parser = moment)]
    since: Option<Timestamp>,
    /// Before then
    #[arg(long, value_name = "TIME", help_heading = "Which records", value_parser = moment)]
    until: Option<Timestamp>,
    /// At most so many, the newest; 0 for all
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 100,
        visible_alias = "tail",
        help_heading = "Which records"
    )]
    limit: usize,
    /// Go on with what is recorded from now on
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    let filter = args.filter();
    let mut found = VecDeque::new();
    let mut last = None;
    for source in args.files.choose(terminal)?.open()? {
        let mut reader = Reader::new(source);
        while let Some((entry, line)) = reader.next()? {
            if filter.wants(&entry) {
                found.push_back((entry, line));
                if args.limit > 0 && found.len() > args.limit {
                    found.pop_front();
                }
            }
        }
        last = Some(reader);
    }
    show(&found, terminal, !args.follow)?;
    match last {
        Some(reader) if args.follow => follow(reader, &filter, terminal).await,
        _ => Ok(Outcome::Yes),
    }
}

impl Args {
    fn filter(&self) -> Filter {
        Filter {
            user: self.user.clone(),
            workload: self.workload.clone(),
            actor: self.actor.clone(),
            tool: self.tool.clone(),
            action: self.action.clone(),
            server: self.server.clone(),
            reason: self.reason.clone(),
            outcome: self.outcome.clone(),
            decision: self.decision.clone(),
            since: self.since,
            until: self.until,
        }
    }
}

/// Reads the records of a file that may grow.
struct Reader {
    source: Source,
    /// What is there of a line without an end.
    begun: Vec<u8>,
    /// The last line's number.
    seq: u64,
}

impl Reader {
    fn new(source: Source) -> Self {
        Self {
            source,
            begun: Vec::new(),
            seq: 0,
        }
    }

    /// The next record.
    fn next(&mut self) -> miette::Result<Option<(Entry, String)>> {
        loop {
            let line = self
                .source
                .next_line()
                .into_diagnostic()
                .wrap_err_with(|| format!("`{}`", self.source.path.display()))?;
            let Some(Line { text, ended }) = line else {
                return Ok(None);
            };
            self.begun.extend(text);
            if !ended {
                continue;
            }
            let text = std::mem::take(&mut self.begun);
            if let Some(sealed) = Sealed::read(&text) {
                self.seq = sealed.link.seq;
            }
            if let Some(entry) = Entry::read(&text) {
                return Ok(Some((entry, String::from_utf8_lossy(&text).into_owned())));
            }
        }
    }
}

fn show(found: &VecDeque<(Entry, String)>, terminal: Terminal, as_table: bool) -> miette::Result<()> {
    match terminal.output() {
        Output::Json => found.iter().try_for_each(|(_, line)| terminal.print(line)),
        Output::Table if as_table => {
            let mut table = terminal.table([
                "time", "outcome", "reason", "user", "workload", "action", "decision",
            ]);
            for (entry, _) in found {
                table.add_row(cells(entry));
            }
            terminal.print(table)
        }
        Output::Table => found.iter().try_for_each(|(entry, _)| terminal.print(row(entry))),
    }
}

/// What is shown of a record. A line's escapes are undone by reading it, and done again here.
fn cells(entry: &Entry) -> [String; 7] {
    let time = entry.time.map(|time| format!("{time:.3}")).unwrap_or_default();
    let outcome = match &entry.corrects {
        Some(wrong) => format!("{} (not {wrong})", entry.outcome),
        None => entry.outcome.clone(),
    };
    let otherwise = entry.shadow.iter().filter(|shadow| !shadow.code.is_empty());
    let otherwise: Vec<String> = otherwise
        .map(|shadow| format!("{} by {}", shadow.code, shadow.from))
        .collect();
    let outcome = if otherwise.is_empty() {
        outcome
    } else {
        format!("{outcome} ({})", otherwise.join(", "))
    };
    let action = match entry.method.as_str() {
        "tools/call" => entry.action(),
        _ if entry.target.is_empty() => entry.method.clone(),
        _ => format!("{} {}", entry.method, entry.target),
    };
    let texts = [
        &time,
        &outcome,
        &entry.reason,
        &entry.user.username,
        &entry.workload,
        &action,
        &entry.decision_id,
    ];
    texts.map(|text| printable::escape(text).into_owned())
}

fn row(entry: &Entry) -> String {
    cells(entry).join("  ")
}

/// Prints what is recorded, until it is interrupted.
async fn follow(mut reader: Reader, filter: &Filter, terminal: Terminal) -> miette::Result<Outcome> {
    let place = Place::new(&reader.source.path);
    let mut ticks = tokio::time::interval(LOOK);
    let mut seq = reader.seq;
    loop {
        // Looked at before its end is: what was written before it was put aside is read.
        let replaced = reader.source.was_replaced();
        print_rest(&mut reader, filter, terminal)?;
        seq = seq.max(reader.seq);
        if replaced {
            // More than one may have come and gone since the last look.
            let newer = read::journal(&place).into_diagnostic()?;
            let shown = seq;
            for source in newer.into_iter().filter(|source| source.first() > shown) {
                reader = Reader::new(source);
                print_rest(&mut reader, filter, terminal)?;
                seq = seq.max(reader.seq);
            }
        }
        tokio::select! {
            _ = ticks.tick() => {}
            _ = tokio::signal::ctrl_c() => return Ok(Outcome::Yes),
        }
    }
}

fn print_rest(reader: &mut Reader, filter: &Filter, terminal: Terminal) -> miette::Result<()> {
    while let Some((entry, line)) = reader.next()? {
        if filter.wants(&entry) {
            match terminal.output() {
                Output::Json => terminal.print(line)?,
                Output::Table => terminal.print(row(&entry))?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shadow_policies_would_change_stands_beside_the_outcome() {
        let line =
            br#"{"decision_id":"d","outcome":"allowed","shadow":[{"from":"annotation","would":"allow"},
            {"from":"directory","would":"deny","code":"would_deny"}]}"#;
        let cells = cells(&Entry::read(line).unwrap());
        assert_eq!(cells[1], "allowed (would_deny by directory)");
    }

    #[test]
    fn what_a_client_wrote_cannot_disturb_a_terminal() {
        let line = br#"{"decision_id":"d","method":"tools/call","server":"s","target":"x\u001b[2J\u202e\n"}"#;
        let cells = cells(&Entry::read(line).unwrap());
        assert_eq!(cells[5], r"s/x\u001b[2J\u202e\u000a");
    }

    #[test]
    fn a_revocation_shows_what_was_revoked_by_whom() {
        let line = br#"{"event":"revoked","time":"2026-11-21T09:00:00Z","issuer":"keycloak","source":"operator","operator":0,
            "revoked":[{"kind":"session","value":"s\u001b1"},{"kind":"subject","value":"u-1"}]}"#;
        let cells = cells(&Entry::read(line).unwrap());
        assert_eq!(
            cells[1..],
            [
                "revoked",
                "operator (uid 0)",
                "u-1",
                "",
                r"session s\u001b1, subject u-1 of keycloak",
                ""
            ]
        );
    }

    #[test]
    fn a_correction_shows_what_it_corrects() {
        let line = br#"{"decision_id":"d","outcome":"denied","corrects":"allowed"}"#;
        assert_eq!(cells(&Entry::read(line).unwrap())[1], "denied (not allowed)");
    }
}
