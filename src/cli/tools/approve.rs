//! `tools approve`: a server's tools as they are now become the approved ones, if no policy and no test breaks.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use serde_json::json;

use super::Directory;
use super::difference::{Difference, Sides};
use super::replace::write;
use super::source::Source;
use crate::cli::configured::ConfigFile;
use crate::cli::{Outcome, Output, Terminal};
use crate::clock;
use crate::inventory::approvals::{self, Approval};
use crate::inventory::{Problem, Server, ServerName};
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
    /// The server's name, as in the configuration
    server: ServerName,

    #[command(flatten)]
    source: Source,

    /// Who approves
    #[arg(long, value_name = "NAME", value_parser = said)]
    by: String,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = said)]
    why: String,

    #[command(flatten)]
    directory: Directory,

    #[command(flatten)]
    config: ConfigFile,
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
    let servers = args.config.servers(terminal)?;
    let listed = args.source.list(&args.server).await?;
    let text = listed.text.clone();
    let sides = Sides::read(&args.directory.policies, &args.server, listed)
        .map_err(|problems| terminal.last(problems))?;
    let difference = match sides.difference(&servers) {
        Ok(difference) => difference,
        Err(problems) => return refused(None, problems, terminal),
    };
    let path = format!("tools/{}.approvals.yaml", args.server);
    let earlier = approvals::of(&sides.old, &args.server)?;
    let digest = approvals::digest_of(sides.listed());
    if difference.changes.is_empty() && earlier.last().is_some_and(|last| last.digest == digest) {
        difference.print(terminal)?;
        return Ok(Outcome::Yes);
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
        return refused(Some(&difference), broken, terminal);
    }
    let place = |path: &str| -> PathBuf { Path::new(&args.directory.policies).join(path) };
    // The record first: a list without one is refused, should this end in between.
    for (path, text) in [(&path, &record), (&sides.path, &text)] {
        let place = place(path);
        write(&place, text).wrap_err_with(|| format!("can't write {}", place.display()))?;
    }
    told(&difference, &[&sides.path, &path], terminal)
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

fn refused(
    difference: Option<&Difference>,
    broken: Vec<Problem>,
    terminal: Terminal,
) -> miette::Result<Outcome> {
    match (terminal.output(), difference) {
        (Output::Json, difference) => {
            let named: Vec<String> = broken.iter().map(ToString::to_string).collect();
            terminal.json(&json!({ "approved": false, "difference": difference, "breaks": named }))?;
        }
        (Output::Table, Some(difference)) => difference.print(terminal)?,
        (Output::Table, None) => {}
    }
    let things = if broken.len() == 1 { "thing" } else { "things" };
    let count = broken.len();
    for problem in broken {
        terminal.failure(&problem.into());
    }
    terminal.failure(&miette!(
        help = "change them together with the list: put it in a copy of the directory, or approve once they hold with both",
        "the change would break {count} {things}: nothing was written"
    ));
    Ok(Outcome::No)
}

fn told(difference: &Difference, written: &[&str], terminal: Terminal) -> miette::Result<Outcome> {
    match terminal.output() {
        Output::Json => {
            terminal.json(&json!({ "approved": true, "difference": difference, "written": written }))?;
        }
        Output::Table => {
            difference.print(terminal)?;
            terminal.print(format!(
                "\napproved: {} are to be committed",
                written.join(" and ")
            ))?;
        }
    }
    Ok(Outcome::Yes)
}

#[cfg(test)]
mod tests;
