//! `config validate`: whether a configuration can be used.

use clap::Subcommand;
use serde_json::json;

use crate::config::Config;

use super::configured::ConfigFile;
use super::{Outcome, Output, Terminal};

/// The configuration: whether it can be used
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration file and the environment over it: unknown keys, types, contradictions
    #[command(after_help = "\
Examples:
  mcp-authz config validate mcp-authz.yaml
  MCP_AUTHZ__AUDIT__QUEUE=1000 mcp-authz config validate --output json")]
    Validate(Validate),
}

#[derive(Debug, clap::Args)]
struct Validate {
    /// The configuration file
    #[arg(
        value_name = "FILE",
        env = "MCP_AUTHZ_CONFIG",
        default_value = "mcp-authz.yaml"
    )]
    file: std::path::PathBuf,
}

/// Checks the configuration: its problems are a clear no.
pub(super) fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    let Command::Validate(Validate { file }) = &args.command;
    // A file that isn't there says nothing about what is in it.
    if let Err(error) = std::fs::metadata(file) {
        return Err(miette::miette!(
            help = "name the file: `mcp-authz config validate FILE`",
            "`{}`: {error}",
            file.display()
        ));
    }
    let problems = Config::load(Some(file), std::env::vars_os())
        .err()
        .unwrap_or_default();
    match terminal.output() {
        Output::Json => terminal.json(&json!({ "valid": problems.is_empty(), "problems": problems }))?,
        Output::Table if problems.is_empty() => terminal.print(format!("{}: valid", file.display()))?,
        Output::Table => {
            for problem in &problems {
                terminal.failure(&problem.clone().into());
            }
        }
    }
    Ok(Outcome::from(problems.is_empty()))
}

impl ConfigFile {
    /// The servers of the configuration, where there is one: a policy directory can be looked at without.
    pub(super) fn servers(&self, terminal: Terminal) -> miette::Result<Vec<crate::inventory::Server>> {
        if !self.config.exists() {
            return Ok(Vec::new());
        }
        Ok(self.load(terminal)?.servers)
    }
}
