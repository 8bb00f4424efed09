//! `tools approve`: a server's tools as they are now become the approved ones, if no policy and no test breaks.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use serde::{Serialize, Serializer};

use super::difference::{Compared, Difference};
use super::replace::write;
use crate::cli::{Outcome, Output, Terminal};
use crate::clock;
use crate::inventory::approvals::{self, Approval};
use crate::inventory::{Problem, Server};
use crate::policy::PolicySet;

const EXAMPLES: &str = "\
Examples:
  mcp-authz tools approve kubernetes http://127.0.0.1:8080/mcp --by ada --why \"drain_node is new in 1.4\"
  mcp-authz tools approve kubernetes --file reviewed.json --by ada --why \"as reviewed in #42\"";

/// Make a server's tools the approved ones: tools/<server>.json, and who did it why in tools/<server>.approvals.yaml
///
/// First all policies and tests are held against the change. If any breaks, it is named and nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Who approves
    #[arg(long, value_name = "NAME", value_parser = said)]
    by: String,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = said)]
    why: String,

    #[command(flatten)]
    compared: Compared,
}

/// What came of it.
#[derive(Serialize)]
struct Report {
    approved: bool,
    /// What changes; nothing if the server's list is none.
    difference: Option<Difference>,
    /// The files that were written, relative to the policy directory; none if the list was approved before.
    written: Vec<String>,
    /// What the change would break.
    #[serde(serialize_with = "named")]
    breaks: Vec<Problem>,
}

fn named<S: Serializer>(breaks: &[Problem], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(breaks.iter().map(ToString::to_string))
}

/// A text that says something.
fn said(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("must say something".to_owned()),
        text if text.len() > 4096 => Err("has more than 4096 bytes".to_owned()),
        text => Ok(text.to_owned()),
    }
}

pub(super) async fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    let report = approve(args, terminal).await?;
    match terminal.output() {
        Output::Json => terminal.json(&report)?,
        Output::Table => report.print(terminal)?,
    }
    let approved = report.approved;
    if !approved {
        report.tell_what_breaks(terminal);
    }
    Ok(Outcome::from(approved))
}

async fn approve(args: &Args, terminal: Terminal) -> miette::Result<Report> {
    let (sides, servers) = args.compared.read(terminal).await?;
    let difference = match sides.difference(&servers) {
        Ok(difference) => difference,
        Err(problems) => return Ok(Report::refused(None, problems)),
    };
    let path = format!("tools/{}.approvals.yaml", sides.server);
    let earlier = approvals::of(&sides.old, &sides.server)?;
    let digest = approvals::digest_of(sides.listed());
    if difference.changes.is_empty() && earlier.last().is_some_and(|last| last.digest == digest) {
        return Ok(Report::approved(difference, &[]));
    }
    let approval = Approval {
        when: clock::now(),
        by: args.by.clone(),
        why: args.why.clone(),
        digest,
        changes: difference.summary(),
    };
    let record = approvals::with(earlier, approval).into_diagnostic()?;
    let broken = broken(&sides.new.clone().with(&path, record.as_bytes()), &servers);
    if !broken.is_empty() {
        return Ok(Report::refused(Some(difference), broken));
    }
    let place = |path: &str| -> PathBuf { Path::new(&args.compared.directory.policies).join(path) };
    // The record first: a list without one is refused, should this end in between.
    for (path, text) in [(&path, &record), (&sides.path, &sides.text)] {
        let place = place(path);
        write(&place, text).wrap_err_with(|| format!("can't write {}", place.display()))?;
    }
    Ok(Report::approved(difference, &[&sides.path, &path]))
}

/// What of the directory breaks with the change: its policies, or its tests.
fn broken(files: &crate::inventory::Files, servers: &[Server]) -> Vec<Problem> {
    match PolicySet::load_and_test(files, servers) {
        Err(problems) => problems,
        Ok(set) => {
            let failures = set.tests().failures.iter();
            failures.map(|failure| failure.problem.clone()).collect()
        }
    }
}

impl Report {
    fn approved(difference: Difference, written: &[&str]) -> Self {
        Self {
            approved: true,
            difference: Some(difference),
            written: written.iter().map(|&path| path.to_owned()).collect(),
            breaks: Vec::new(),
        }
    }

    const fn refused(difference: Option<Difference>, breaks: Vec<Problem>) -> Self {
        Self {
            approved: false,
            difference,
            written: Vec::new(),
            breaks,
        }
    }

    /// For people.
    fn print(&self, terminal: Terminal) -> miette::Result<()> {
        if let Some(difference) = &self.difference {
            terminal.print(difference.words())?;
        }
        if self.written.is_empty() {
            return Ok(());
        }
        terminal.print(format!(
            "\napproved: {} are to be committed",
            self.written.join(" and ")
        ))
    }

    fn tell_what_breaks(self, terminal: Terminal) {
        let count = self.breaks.len();
        let things = if count == 1 { "thing" } else { "things" };
        for problem in self.breaks {
            terminal.failure(&problem.into());
        }
        terminal.failure(&miette!(
            help = "change them together with the list: put it in a copy of the directory, or approve once they hold with both",
            "the change would break {count} {things}: nothing was written"
        ));
    }
}

#[cfg(test)]
mod tests;
