//! `config`: whether a configuration can be used, and what it comes to.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use miette::IntoDiagnostic as _;
use serde_json::json;

use super::configured::{self, ConfigFile};
use super::{Outcome, Output, Terminal};

/// The configuration: whether it can be used, and what it comes to
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
    /// Show what the file, the environment and the defaults come to
    #[command(after_help = "\
Examples:
  mcp-authz config show
  MCP_AUTHZ__GRPC__LISTEN=127.0.0.1:9191 mcp-authz config show --config mcp-authz.yaml --output json")]
    Show(ConfigFile),
}

#[derive(Debug, clap::Args)]
struct Validate {
    /// The configuration file. Default: `mcp-authz.yaml`, where there is one; else the environment alone
    #[arg(value_name = "FILE", env = "MCP_AUTHZ_CONFIG")]
    file: Option<PathBuf>,
}

/// Checks or shows the configuration.
pub(super) fn run(args: &Args, terminal: Terminal) -> miette::Result<Outcome> {
    match &args.command {
        Command::Validate(Validate { file }) => validate(file.as_deref(), terminal),
        Command::Show(file) => show(file, terminal),
    }
}

/// Its problems are a clear no.
fn validate(file: Option<&Path>, terminal: Terminal) -> miette::Result<Outcome> {
    // A file that can't be read says nothing about what is in it.
    if let Some(path) = file
        && let Err(error) = std::fs::File::open(path)
    {
        return Err(miette::miette!("`{}`: {error}", path.display()));
    }
    let problems = configured::load(file).err().unwrap_or_default();
    match terminal.output() {
        Output::Json => terminal.json(&json!({ "valid": problems.is_empty(), "problems": problems }))?,
        Output::Table if problems.is_empty() => {
            let name = file.or_else(configured::usual);
            let name = name.map_or_else(|| "the environment".into(), Path::to_string_lossy);
            terminal.print(format!("{name}: valid"))?;
        }
        Output::Table => {
            for problem in &problems {
                terminal.failure(&problem.clone().into());
            }
        }
    }
    Ok(Outcome::from(problems.is_empty()))
}

/// Nothing in it is secret: a configuration only names the files that hold secrets.
fn show(file: &ConfigFile, terminal: Terminal) -> miette::Result<Outcome> {
    let config = file.load(terminal)?;
    match terminal.output() {
        Output::Json => terminal.json(&config)?,
        Output::Table => {
            let yaml = serde_saphyr::to_string(&config).into_diagnostic()?;
            terminal.print(yaml.trim_end())?;
        }
    }
    Ok(Outcome::Yes)
}
