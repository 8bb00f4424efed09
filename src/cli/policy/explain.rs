//! `policy explain`: why calls are allowed or denied, by which policies, and which permits nearly applied.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Directory, refused};
use crate::cli::configured::ConfigFile;
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::{Files, Server};
use crate::policy::{AskError, Explanation, PolicySet, Question, Verdict};

mod imagined;
mod shown;
mod told;

use imagined::Imagined;

/// Explain why calls are allowed or denied: by which policies, and which permits nearly applied
///
/// Of tests, of calls in the audit, or of a call that is described here. Exits with 1 if one of them is denied, and with 2 if a
/// record doesn't hold what policies read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz policy explain --test tests/workbench.yaml:42
  mcp-authz policy explain --role mcp-viewer --workload spiffe://mcp-identity.local/agent/trusted/1 --server workbench --tool shell_list
  mcp-authz policy explain --decision 01993c5e-0f2a-7cc1-9d3b-6f4f3a5b7c1d
  tail -1 audit.jsonl | mcp-authz policy explain --audit - --output json")]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,

    /// The tests in whose `<file>:<line>: <name>` this text stands
    #[arg(long, value_name = "TEXT", help_heading = "Which calls")]
    test: Option<String>,

    /// The call of this decision, from the audit
    #[arg(
        long,
        value_name = "ID",
        help_heading = "Which calls",
        conflicts_with = "test"
    )]
    decision: Option<String>,

    /// The calls of these files of the audit; `-` is standard input. For `--decision`: where it is looked for. Default: `audit.file` of
    /// the configuration
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Which calls",
        conflicts_with = "test"
    )]
    audit: Vec<PathBuf>,

    #[command(flatten)]
    imagined: Imagined,
}

/// A call, and why it is decided as it is.
struct Explained {
    /// Which: a test's place and name, or a decision's id.
    title: String,
    /// Who calls what.
    call: String,
    /// What was recorded of it, where it is from the audit.
    recorded: Option<Earlier>,
    why: Result<Explanation, AskError>,
}

/// What was decided when a call was recorded.
struct Earlier {
    time: Timestamp,
    outcome: String,
    reason: String,
    policy_version: String,
}

pub(super) fn run(
    args: &Args,
    config: &ConfigFile,
    servers: &[Server],
    terminal: Terminal,
) -> miette::Result<Outcome> {
    let files = match Files::read(&args.directory.directory) {
        Ok(files) => files,
        Err(problems) => return Err(terminal.last(problems)),
    };
    let set = match PolicySet::load_untested(&files, servers) {
        Ok(set) => set,
        Err(problems) => {
            refused(&problems, terminal)?;
            return Err(miette::miette!("the policies can't be asked"));
        }
    };
    let (explained, unasked) = args.explained(&set, &files, config, servers, terminal)?;
    match terminal.output() {
        Output::Json => terminal.json(&to_json(&explained, &unasked))?,
        Output::Table => {
            for one in &explained {
                terminal.print(shown::text(one, &set, terminal))?;
            }
        }
    }
    if let Some((decision, why)) = unasked.first() {
        let others = unasked.len().saturating_sub(1);
        let more = if others == 0 {
            String::new()
        } else {
            format!(", and {others} more")
        };
        return Err(miette::miette!("`{decision}` can't be explained: {why}{more}"));
    }
    Ok(Outcome::from(explained.iter().all(Explained::allows)))
}

/// Records that can't be explained: the decision's id, and why.
type Unexplained = Vec<(String, String)>;

impl Args {
    fn explained(
        &self,
        set: &PolicySet,
        files: &Files,
        config: &ConfigFile,
        servers: &[Server],
        terminal: Terminal,
    ) -> miette::Result<(Vec<Explained>, Unexplained)> {
        let recorded = self.decision.is_some() || !self.audit.is_empty();
        match &self.test {
            Some(only) => of_tests(set, files, servers, Some(only)).map(|found| (found, Vec::new())),
            None if recorded => {
                let lines = told::lines(&self.audit, self.decision.as_deref(), config, terminal)?;
                told::explained(lines, set, servers)
            }
            None => {
                let described = self.imagined.as_tests(set)?;
                of_tests(set, &described, servers, None).map(|found| (found, Vec::new()))
            }
        }
    }
}

/// The tests of a directory, or of a call that was described as one.
fn of_tests(
    set: &PolicySet,
    files: &Files,
    servers: &[Server],
    only: Option<&str>,
) -> miette::Result<Vec<Explained>> {
    let mut explained = Vec::new();
    let report = set.test(files, servers, only, &mut |question, _| {
        explained.push(Explained {
            title: String::new(),
            call: said(question),
            recorded: None,
            why: set.explain(question),
        });
    });
    let report = report.map_err(|mut problems| match problems.pop() {
        Some(problem) => miette::Report::new(problem),
        None => miette::miette!("the tests can't be read"),
    })?;
    if explained.is_empty() {
        return Err(miette::miette!(
            help = "it is looked for in `<file>:<line>: <name>` of each test, for instance `tests/info.yaml:7: ada calls info/search`",
            "no test has `{}` in it",
            only.unwrap_or_default()
        ));
    }
    if only.is_some() {
        for (one, test) in explained.iter_mut().zip(&report.tested) {
            one.title = format!("{}:{}: {}", test.file, test.line, test.name);
        }
    }
    Ok(explained)
}

/// Who calls what.
fn said(question: &Question<'_>) -> String {
    let caller = question.caller;
    let who: Vec<&str> = [
        caller.user.as_ref().map(|user| user.username.as_str()),
        caller.actor.as_ref().map(|actor| actor.key()),
        caller.workload.as_ref().map(|workload| workload.key()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let who = if who.is_empty() {
        "nobody".to_owned()
    } else {
        who.join(" through ")
    };
    let method = question.call.operation.method();
    let what = match &question.call.operation {
        crate::mcp::Operation::ToolsCall { tool, .. } => format!("{}/{tool}", question.server.name),
        _ => format!("{method} of {}", question.server.name),
    };
    format!("{who} calls {what}")
}

impl Explained {
    fn allows(&self) -> bool {
        let verdicts = self.why.as_ref().map(|why| why.trace.verdicts.as_slice());
        verdicts.is_ok_and(|verdicts| !verdicts.is_empty() && verdicts.iter().all(Verdict::allows))
    }

    /// The code of the reason.
    fn reason(&self) -> &'static str {
        match &self.why {
            Err(error) => error.code(),
            Ok(why) => {
                let denying = why.trace.verdicts.iter().find(|verdict| !verdict.allows());
                denying.map_or("allowed", |verdict| verdict.outcome.as_str())
            }
        }
    }
}

fn to_json(explained: &[Explained], unasked: &Unexplained) -> Value {
    let unasked: Vec<Value> = unasked
        .iter()
        .map(|(decision, why)| json!({ "decision_id": decision, "why": why }))
        .collect();
    json!({
        "calls": explained.iter().map(shown::to_json).collect::<Vec<_>>(),
        "unexplained": unasked,
    })
}

#[cfg(test)]
mod tests;
