//! `demo`: people and agents through a real Envoy, then your own calls.

use std::path::{Path, PathBuf};

use miette::{Context as _, IntoDiagnostic as _, miette};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::dev::demo::{self, Journal, Played, Tail, cast::SCENES};
use crate::dev::stack::{Settings, Stack};

use super::{Outcome, Output, Terminal};

mod agents;
mod live;
mod playground;
mod show;

/// The port that people find in the documentation.
const PORT: u16 = 8443;

/// Show it on this machine: Envoy, MCP servers, a dev issuer, and a cast of people and agents who call tools
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz demo
  mcp-authz demo --once
  mcp-authz demo --keycloak --once
  mcp-authz demo --once --output json")]
pub struct DemoArgs {
    /// With a real Keycloak, where ten agents log in by their SPIFFE SVIDs and call with tokens bound to their keys
    #[arg(long)]
    keycloak: bool,
    /// Stop after the cast: exit code 0 only if every answer was the expected one
    #[arg(long)]
    once: bool,
    /// The policy directory that rules; edit it while the demo runs
    #[arg(long, value_name = "DIRECTORY", default_value = "policies")]
    policies: PathBuf,
    /// Where configuration, certificates, tokens and logs are written
    #[arg(long, value_name = "DIRECTORY", default_value = ".demo")]
    directory: PathBuf,
    /// Where `make tools` put Envoy and Python
    #[arg(long, value_name = "DIRECTORY", default_value = ".tools")]
    tools: PathBuf,
    /// The gateway's port; another free one if it is taken
    #[arg(long, default_value_t = PORT)]
    port: u16,
}

/// Runs `demo`.
///
/// # Errors
/// A part is missing or doesn't start.
pub async fn run(args: DemoArgs, terminal: Terminal) -> miette::Result<Outcome> {
    let stopped = stop_signal()?;
    tokio::select! {
        outcome = perform(&args, terminal) => outcome,
        // Everything that was started ends with what is dropped here.
        () = stopped => Ok(Outcome::Yes),
    }
}

async fn perform(args: &DemoArgs, terminal: Terminal) -> miette::Result<Outcome> {
    if args.keycloak {
        return agents::perform(args, terminal).await;
    }
    let people = terminal.output() == Output::Table;
    if people {
        terminal.print("Starting Envoy, two MCP servers, an issuer of tokens and mcp-authz …")?;
    }
    let settings = settings(args, &args.directory)?;
    let stack = Stack::start(&settings)
        .await
        .into_diagnostic()
        .wrap_err("the demo can't start")?;
    let mut journal = Journal::open(&stack.audit()).into_diagnostic()?;
    let mut played = Vec::with_capacity(SCENES.len());
    for scene in SCENES {
        played.push(demo::play(&stack, &mut journal, scene).await.into_diagnostic()?);
    }
    let as_expected = report(&played, &stack, terminal)?;
    if !args.once && people {
        playground::write(&stack).into_diagnostic()?;
        terminal.print(playground::hints(&stack, args))?;
        live::follow(&mut journal, Tail::new(&stack.authz_log()), terminal).await?;
    }
    stack.stop().await;
    Ok(Outcome::from(as_expected))
}

/// Says what came of the scenes, and whether all came as expected.
fn report(played: &[Played], stack: &Stack, terminal: Terminal) -> miette::Result<bool> {
    let as_expected = played.iter().all(Played::as_expected);
    match terminal.output() {
        Output::Table => {
            terminal.print(show::table(played, terminal))?;
            terminal.print(show::summary(played))?;
        }
        Output::Json => terminal.json(&show::rows(played))?,
    }
    if !as_expected {
        terminal.print(format!("The ends of the logs:\n{}", stack.logs()))?;
    }
    Ok(as_expected)
}

fn settings(args: &DemoArgs, directory: &Path) -> miette::Result<Settings> {
    let policies = args.policies.canonicalize().map_err(|error| {
        miette!(
            help = "run it in the repository, or name the directory with --policies",
            "the policy directory `{}` can't be found: {error}",
            args.policies.display()
        )
    })?;
    Ok(Settings {
        program: std::env::current_exe().into_diagnostic()?,
        policies,
        tools: args.tools.clone(),
        directory: directory.to_owned(),
        listener: Some(args.port),
        configuration: Value::Null,
        trust_domain: None,
    })
}

/// Ends when somebody presses Ctrl-C or the process is told to stop.
fn stop_signal() -> miette::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).into_diagnostic()?;
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
