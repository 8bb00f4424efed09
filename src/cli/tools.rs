//! `tools pull`, `tools show`.

use clap::Subcommand;

use super::{Outcome, Terminal};

mod live;
mod pull;
mod report;
mod show;

/// The tools of MCP servers, as policies know them
#[derive(Debug, clap::Args)]
pub struct ToolsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pull(pull::Args),
    Show(show::Args),
}

/// Runs a command on tools.
///
/// # Errors
/// The server can't be asked, or a file can't be used.
pub async fn run(args: ToolsArgs, terminal: Terminal) -> miette::Result<Outcome> {
    match args.command {
        Command::Pull(args) => pull::run(args, terminal).await,
        Command::Show(args) => show::run(&args, terminal),
    }
}
