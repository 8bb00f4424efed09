//! `token mint` and `token inspect`.

use clap::Subcommand;

use super::{Outcome, Terminal};

mod inspect;
mod mint;

/// Access tokens: issue one for a trial, or see what one says and why it would be refused
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Mint(mint::Args),
    Inspect(inspect::Args),
}

/// Runs `token mint` or `token inspect`.
///
/// # Errors
/// A file can't be used, or the arguments contradict each other.
pub async fn run(args: TokenArgs, terminal: Terminal) -> miette::Result<Outcome> {
    match args.command {
        Command::Mint(args) => mint::run(args, terminal),
        Command::Inspect(args) => inspect::run(args, terminal).await,
    }
}
