//! The commands: one file each, behind one clap tree.
//!
//! A command is a struct of clap's `Args` (with a `Subcommand` inside where it has several) and a
//! `run(args, …, Terminal) -> miette::Result<Outcome>`, `async` where it waits for something. It prints its
//! result through [`Terminal`], as a table or as JSON, on stdout. An `Err` means that it could not tell: it is shown
//! on stderr and the exit code is 2.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use miette::IntoDiagnostic as _;

pub use terminal::{Color, Output, Terminal};

mod audit;
mod check;
mod completions;
mod config;
mod configured;
pub mod demo;
mod moment;
pub mod policy;
mod revoke;
mod serve;
mod terminal;
pub mod token;
pub mod tools;

/// Decides, for every Model Context Protocol message that passes a gateway, whether this person, through this
/// workload, may do this.
#[derive(Debug, Parser)]
#[command(name = "mcp-authz", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How results are printed
    #[arg(long, value_enum, global = true, default_value_t = Output::Table, value_name = "FORMAT", help_heading = "Output")]
    output: Output,

    /// When to use colours; `auto`: on a terminal, unless `NO_COLOR` is set
    #[arg(long, value_enum, global = true, default_value_t = Color::Auto, value_name = "WHEN", help_heading = "Output")]
    color: Color,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  yes: allowed, valid, done
  1  a clear no: denied, not valid, tests failed
  2  could not tell: wrong usage, a file that can't be read, a part that is down";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::DemoArgs),
    Check(check::Args),
    Policy(Policy),
    Tools(tools::ToolsArgs),
    Token(token::TokenArgs),
    Revoke(revoke::Args),
    Audit(audit::Args),
    Config(config::Args),
    Completions(completions::Args),
}

/// Policies: whether a directory may rule, and whether it allows and denies what its tests say
#[derive(Debug, clap::Args)]
struct Policy {
    #[command(flatten)]
    args: policy::PolicyArgs,
    #[command(flatten)]
    file: configured::ConfigFile,
}

/// What a command found out. That it could not is an error instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed, valid, done: exit code 0.
    Yes,
    /// Denied, not valid, tests failed: exit code 1.
    No,
}

impl From<bool> for Outcome {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Runs the command that the arguments name, and says how it went.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    let matches = tree()
        .color(terminal::asked_color(&argv).into())
        .try_get_matches_from(argv);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        // Help and version also come this way, with code 0.
        Err(usage) => {
            // A closed stderr is no reason for another code.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let terminal = Terminal::new(cli.output, cli.color);
    match dispatch(cli.command, terminal) {
        Ok(Outcome::Yes) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(report) => {
            terminal.failure(&report);
            ExitCode::from(2)
        }
    }
}

/// The whole tree of commands.
fn tree() -> clap::Command {
    Cli::command()
}

fn dispatch(command: Command, terminal: Terminal) -> miette::Result<Outcome> {
    // TLS of every kind (gateways, issuers, MCP servers) uses this one; an earlier choice is the same.
    let _chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .into_diagnostic()?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Serve(args) => serve::run(args, terminal).await,
            Command::Demo(args) => demo::run(args, terminal).await,
            Command::Check(args) => check::run(args, terminal).await,
            Command::Policy(Policy { args, file }) => policy::run(&args, &file, terminal).await,
            Command::Tools(args) => tools::run(args, terminal).await,
            Command::Token(args) => token::run(args, terminal).await,
            Command::Revoke(args) => revoke::run(args, terminal).await,
            Command::Audit(args) => audit::run(args, terminal).await,
            Command::Config(args) => config::run(&args, terminal),
            Command::Completions(args) => completions::run(&args, terminal),
        }
    });
    // What is left, a connection that nobody closes, doesn't keep the process.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests;
