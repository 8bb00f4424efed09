//! `tools`: pull a live server's list, show what policies see of it, tell what changed in it, approve that.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Outcome, Terminal};

mod approve;
mod diff;
mod difference;
mod live;
mod pull;
mod replace;
mod report;
mod show;
mod source;
#[cfg(test)]
pub(super) mod testing;

/// The tools of MCP servers, as policies know them
#[derive(Debug, clap::Args)]
pub struct ToolsArgs {
    #[command(subcommand)]
    command: Command,
}

/// Which policy directory the tools are of
#[derive(Debug, clap::Args)]
struct Directory {
    /// The policy directory
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "policies",
        env = "MCP_AUTHZ_POLICIES"
    )]
    policies: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pull(pull::Args),
    Diff(diff::Args),
    Approve(approve::Args),
    Show(show::Args),
}

/// Runs a command on tools.
///
/// # Errors
/// The server can't be asked, or a file can't be used.
pub async fn run(args: ToolsArgs, terminal: Terminal) -> miette::Result<Outcome> {
    match args.command {
        Command::Pull(args) => pull::run(args, terminal).await,
        Command::Diff(args) => diff::run(&args, terminal).await,
        Command::Approve(args) => approve::run(&args, terminal).await,
        Command::Show(args) => show::run(&args, terminal),
    }
}
