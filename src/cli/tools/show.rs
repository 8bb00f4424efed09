//! `tools show`: what policies see of the tools that the policy directory has, without asking any server.

use miette::miette;

use super::Directory;
use super::report::Report;
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::{Inventory, ServerName, ServerTools};

const EXAMPLES: &str = "\
Examples:
  mcp-authz tools show
  mcp-authz tools show kubernetes --policies ./policies --output json";

/// Say what policies can't see of the tools in the policy directory, and what can be done instead
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The server; all of them where none is given
    server: Option<ServerName>,

    #[command(flatten)]
    directory: Directory,
}

pub(super) fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    let inventory = match Inventory::load(&args.directory.policies) {
        Ok(inventory) => inventory,
        Err(problems) => {
            for problem in problems {
                terminal.failure(&problem.into());
            }
            return Ok(Outcome::No);
        }
    };
    let asked = |name: &ServerName| args.server.as_ref().is_none_or(|server| server == name);
    let of = |tools: &ServerTools| {
        let file = args
            .directory
            .policies
            .join("tools")
            .join(format!("{}.json", tools.name));
        Report::of(tools, &file)
    };
    let found = inventory.iter().filter(|tools| asked(&tools.name));
    let reports: Vec<Report> = found.map(of).collect();
    if let Some(server) = &args.server
        && reports.is_empty()
    {
        let known: Vec<&str> = inventory.iter().map(|tools| tools.name.as_str()).collect();
        return Err(miette!(
            help = format!("it has those of {}", known.join(", ")),
            "the policy directory has no tools of `{server}`"
        ));
    }
    match terminal.output() {
        Output::Json => terminal.json(&reports)?,
        Output::Table => {
            let words: Vec<String> = reports.iter().map(|report| report.words(terminal)).collect();
            terminal.print(words.join("\n\n\n"))?;
        }
    }
    Ok(Outcome::Yes)
}
