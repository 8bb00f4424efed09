//! `tools diff`: what changed in a server's tools since they were approved.

use super::difference::Compared;
use crate::cli::{Outcome, Terminal};

const EXAMPLES: &str = "\
Examples:
  mcp-authz tools diff kubernetes http://127.0.0.1:8080/mcp
  mcp-authz tools diff kubernetes --file new.json --output json";

/// Tell in words what changed in a server's tools since they were approved, and which policies and tests that touches
///
/// Exit code 1 if anything did.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    compared: Compared,
}

pub(super) async fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    let (sides, servers) = args.compared.read(terminal).await?;
    let difference = sides
        .difference(&servers)
        .map_err(|problems| terminal.last(problems))?;
    difference.print(terminal)?;
    Ok(Outcome::from(difference.changes.is_empty()))
}

#[cfg(test)]
mod tests;
