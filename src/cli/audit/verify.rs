//! `audit verify`: the first line that is broken or missing.

use miette::{IntoDiagnostic as _, WrapErr as _};

use crate::audit::checkpoint::Checkpoint;
use crate::audit::verify::{Report, verify};
use crate::cli::{Outcome, Output, Terminal};

use super::{Chosen, Files};

/// Check the hash chain over the audit's lines, and name the first that is broken or missing
///
/// Files may be compressed. A last line without an end is a process that was killed while it wrote: the next start mends
/// it. Whoever can rewrite all files can also write a chain that holds; `--checkpoint` with one from a log that they can't
/// reach shows it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz audit verify
  mcp-authz audit verify /var/log/mcp-authz --output json
  mcp-authz audit verify audit-000000000001-000000004711-20261121T090000Z.jsonl.gz
  mcp-authz audit verify --checkpoint 4711:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9")]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// A line that must be there, by number and hash, as the log has it at each checkpoint; may be repeated
    #[arg(long = "checkpoint", value_name = "SEQ:HASH")]
    checkpoints: Vec<Checkpoint>,
}

pub(super) fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    let chosen = args.files.choose(terminal)?;
    let mut checkpoints = args.checkpoints.clone();
    let mut noted = None;
    // First: the journal may be written to while it is read, and is then longer than its checkpoint.
    if let Chosen::Journal(place) = &chosen {
        let kept = Checkpoint::of(place)
            .into_diagnostic()
            .wrap_err_with(|| format!("`{}`", place.checkpoint().display()))?;
        if kept.is_none() {
            noted = Some(format!(
                "`{}` is not there: lines cut off the end are not missed",
                place.checkpoint().display()
            ));
        }
        checkpoints.extend(kept);
    }
    let mut report = verify(chosen.open()?, &checkpoints, matches!(chosen, Chosen::Journal(_)));
    report.notes.extend(noted);
    match terminal.output() {
        Output::Json => terminal.json(&report)?,
        Output::Table => terminal.print(told(&report))?,
    }
    Ok(Outcome::from(report.broken.is_none()))
}

fn told(report: &Report) -> String {
    let mut lines = Vec::new();
    let files = match report.files.len() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let hold = match (report.first, report.last, &report.hash) {
        (Some(first), Some(last), Some(hash)) => {
            format!("lines {first} to {last} hold, in {files}; the last is {last}:{hash}")
        }
        _ => format!("no line holds, in {files}"),
    };
    if let Some(broken) = &report.broken {
        lines.push(format!(
            "{}:{}: {}",
            broken.file.display(),
            broken.line,
            broken.fault.meaning()
        ));
        lines.push(format!("  expected  {}", broken.expected));
        lines.push(format!("  found     {}", broken.found));
    }
    lines.push(hold);
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}
