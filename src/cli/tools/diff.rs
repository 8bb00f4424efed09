//! `tools diff`: what changed in a server's tools since they were approved.

use super::Directory;
use super::difference::Sides;
use super::source::Source;
use crate::cli::configured::ConfigFile;
use crate::cli::{Outcome, Terminal};
use crate::inventory::ServerName;

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
    /// The server's name, as in the configuration
    server: ServerName,

    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    directory: Directory,

    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    let servers = args.config.servers(terminal)?;
    let listed = args.source.list(&args.server).await?;
    let difference = Sides::read(&args.directory.policies, &args.server, listed)
        .and_then(|sides| sides.difference(&servers))
        .map_err(|problems| terminal.last(problems))?;
    difference.print(terminal)?;
    Ok(Outcome::from(difference.changes.is_empty()))
}

#[cfg(test)]
mod tests;
