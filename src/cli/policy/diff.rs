//! `policy diff`: what changed between two policy directories, and which answers that changes.

use std::path::Path;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};

use self::show::Report;
use self::side::Side;
use crate::audit::read::Source;
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::{Files, Server};
use crate::policy::PolicySet;
use crate::policy::diff::{self, Cases, Changes, Replay};

mod show;
mod side;

/// Tell what changed between two policy directories or git revisions, and which tests and recorded calls come out otherwise
///
/// Exit code 1 if something that was denied is allowed, by a test of either or by a recorded call, or if approvals are gone and a tool
/// can be called that nobody approved as it is now, and nobody accepts it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz policy diff main policies
  mcp-authz policy diff HEAD~1 HEAD --output json
  mcp-authz policy diff main policies --log /var/log/mcp-authz/audit.jsonl --log audit-000000000001-*.jsonl.gz
  mcp-authz policy diff main:policies policies --accept 'ada:workbench/db_read' --accept '*:info/get_public_info'")]
pub(super) struct Args {
    /// What was: a directory, or a git revision (`main`, `HEAD~1`, `main:deploy/policies`)
    old: String,

    /// What is or would be: a directory, or a git revision
    new: String,

    /// Ask both about the calls recorded in this file of the audit, plain or gzipped; `-` for standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    log: Vec<String>,

    /// Take it that this is allowed now: `USER:SERVER/TOOL` as the output names them, `*` for either, or `all`
    #[arg(long, value_name = "WHAT", value_parser = accepted)]
    accept: Vec<Accepted>,
}

/// What may become allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Accepted {
    All,
    /// Of this user, or of any.
    Some {
        text: String,
    },
}

fn accepted(text: &str) -> Result<Accepted, String> {
    match text {
        "all" => Ok(Accepted::All),
        _ if text.contains(':') => Ok(Accepted::Some {
            text: text.to_owned(),
        }),
        _ => Err("write `USER:SERVER/TOOL`, with `*` for any, or `all`".to_owned()),
    }
}

impl Accepted {
    fn takes(&self, who: &str, what: &str) -> bool {
        match self {
            Self::All => true,
            // Compared whole: names may hold a colon.
            Self::Some { text } => {
                [format!("{who}:{what}"), format!("*:{what}"), format!("{who}:*")].contains(text)
            }
        }
    }
}

pub(super) fn run(args: &Args, servers: &[Server], terminal: Terminal) -> miette::Result<Outcome> {
    let report = gathered(args, servers, terminal)?;
    match terminal.output() {
        Output::Json => terminal.json(&report)?,
        Output::Table => terminal.print(report.words(terminal))?,
    }
    Ok(Outcome::from(report.is_accepted()))
}

fn gathered(args: &Args, servers: &[Server], terminal: Terminal) -> miette::Result<Report> {
    let old = loaded(&Side::of(&args.old, &args.new)?, servers, terminal)?;
    let new = loaded(&Side::of(&args.new, &args.old)?, servers, terminal)?;
    let (was, is) = (old.as_side(), new.as_side());
    let changes = Changes::between(was, is)?;
    let cases = Cases::between(was, is, servers).map_err(|problems| terminal.last(problems))?;
    let replay = replayed(&args.log, &changes, (&old.set, &new.set), servers)?;
    let accepts = |who: &str, what: &str| args.accept.iter().any(|accepted| accepted.takes(who, what));
    Ok(Report::new([&old, &new], changes, cases, replay, accepts))
}

/// A directory, read and loaded.
struct Loaded {
    name: String,
    files: Files,
    set: PolicySet,
}

impl Loaded {
    fn as_side(&self) -> diff::Side<'_> {
        diff::Side {
            set: &self.set,
            files: &self.files,
        }
    }
}

fn loaded(side: &Side, servers: &[Server], terminal: Terminal) -> miette::Result<Loaded> {
    let name = side.to_string();
    let files = side.read()?.map_err(|problems| terminal.last(problems))?;
    if files.is_empty() {
        return Err(miette!("there are no policies in `{name}`"));
    }
    let set = PolicySet::load_and_test(&files, servers)
        .map_err(|problems| terminal.last(problems).wrap_err(format!("`{name}` can't rule")))?;
    Ok(Loaded { name, files, set })
}

/// The recorded calls, asked again; `None` where no log is given.
fn replayed(
    logs: &[String],
    changes: &Changes,
    (old, new): (&PolicySet, &PolicySet),
    servers: &[Server],
) -> miette::Result<Option<Replay>> {
    if logs.is_empty() {
        return Ok(None);
    }
    let mut replay = Replay::new(&changes.servers);
    for log in logs {
        let path = if log == "-" { "/dev/stdin" } else { log };
        let mut source = Source::open(Path::new(path))
            .into_diagnostic()
            .wrap_err_with(|| format!("can't read {log}"))?;
        let mut number = 0_usize;
        while let Some(line) = source
            .next_line()
            .into_diagnostic()
            .wrap_err_with(|| format!("can't read {log} after line {number}"))?
        {
            number = number.saturating_add(1);
            match replay.line(&line.text, old, new, servers) {
                Ok(()) => {}
                // The line that is just being written.
                Err(_) if !line.ended => {}
                Err(error) => {
                    return Err(error)
                        .into_diagnostic()
                        .wrap_err_with(|| format!("{log}:{number}"));
                }
            }
        }
    }
    Ok(Some(replay.sorted()))
}

#[cfg(test)]
mod tests;
