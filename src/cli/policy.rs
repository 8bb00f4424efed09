//! `policy`: whether a policy directory may rule and what is wrong with it, and what helps to write one.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::configured::ConfigFile;
#[cfg(test)]
use super::{Color, Output};
use super::{Outcome, Terminal};
use crate::inventory::Problem;
use crate::policy::Report;

mod diff;
mod explain;
mod format;
mod matrix;
mod schema;
mod test;
#[cfg(test)]
mod testing;
mod validate;

/// Policies: whether a directory may rule, and whether it allows and denies what its tests say
#[derive(Debug, clap::Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::Args),
    Test(test::Args),
    Diff(diff::Args),
    Explain(Box<explain::Args>),
    Format(format::Args),
    Matrix(Box<matrix::Args>),
    Schema(schema::Args),
}

#[derive(Debug, Clone, clap::Args)]
struct Directory {
    /// The policy directory
    #[arg(value_name = "DIR", default_value = "policies")]
    directory: PathBuf,
}

/// Runs a command on a policy directory. A server that the configuration doesn't name is taken with its defaults.
///
/// # Errors
/// The configuration or the directory can't be read.
pub(super) async fn run(
    args: &PolicyArgs,
    config: &ConfigFile,
    terminal: Terminal,
) -> miette::Result<Outcome> {
    let servers = &config.servers(terminal)?;
    match &args.command {
        Command::Validate(args) => validate::run(args, servers, terminal),
        Command::Test(args) => test::run(args, servers, terminal).await,
        Command::Diff(args) => diff::run(args, servers, terminal),
        Command::Explain(args) => explain::run(args, config, servers, terminal),
        Command::Format(args) => format::run(args, terminal),
        Command::Matrix(args) => matrix::run(args, servers, terminal),
        Command::Schema(args) => schema::run(args, servers, terminal),
    }
}

/// What keeps a directory from being used, shown.
fn refused(problems: &[Problem], terminal: Terminal) -> miette::Result<()> {
    for problem in problems {
        terminal.failure(&problem.clone().into());
    }
    let things = if problems.len() == 1 { "thing" } else { "things" };
    terminal.print(format!("not valid: {} {things} to put right", problems.len()))
}

fn counted(report: &Report) -> String {
    match report.failures.len() {
        0 => format!("{} passed", report.cases()),
        failed => format!("{failed} of {} failed", report.cases()),
    }
}

/// Problems for scripts.
fn list<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Vec<Value> {
    let one = |problem: &Problem| {
        let (line, column) = problem.line_column().unzip();
        json!({
            "severity": if problem.warning { "warning" } else { "error" },
            "code": problem.code,
            "file": problem.file,
            "line": line,
            "column": column,
            "message": problem.message,
            "help": problem.help,
        })
    };
    problems.into_iter().map(one).collect()
}
