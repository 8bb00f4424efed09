//! `completions`: what a shell needs to complete our commands.

use clap_complete::Shell;

use super::{Outcome, Terminal};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz completions bash > /etc/bash_completion.d/mcp-authz
  mcp-authz completions zsh > \"${fpath[1]}/_mcp-authz\"
  mcp-authz completions fish > ~/.config/fish/completions/mcp-authz.fish")]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::tree(), "mcp-authz", &mut script);
    terminal.print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Outcome::Yes)
}
