//! `serve`: the service itself.

use std::io::IsTerminal as _;

use miette::IntoDiagnostic as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, AppError};
use crate::telemetry::logging;

use super::configured::ConfigFile;
use super::{Outcome, Terminal};

/// Serve: answer gateways until SIGTERM or Ctrl-C, then finish what is under way
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz serve
  mcp-authz serve --config /etc/mcp-authz/mcp-authz.yaml
  MCP_AUTHZ__GRPC__LISTEN=127.0.0.1:9191 mcp-authz serve")]
pub(super) struct Args {
    #[command(flatten)]
    file: ConfigFile,
}

/// Serves until a signal.
pub(super) async fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    let config = args.file.load(terminal)?;
    let rust_log = std::env::var("RUST_LOG").ok();
    logging::init(&config.log, rust_log.as_deref(), std::io::stderr().is_terminal()).into_diagnostic()?;
    let shutdown = stop_signal()?;
    let app = App::start(config)
        .await
        .map_err(|error| report(error, terminal))?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        grpc = app.grpc_address().map(tracing::field::display),
        unix = app
            .unix_path()
            .map(|path| tracing::field::display(path.display().to_string())),
        http = app.http_address().map(tracing::field::display),
        revocation = app.revocation_address().map(tracing::field::display),
        "serving"
    );
    app.serve(shutdown).await.into_diagnostic()?;
    tracing::info!("every answer is given and recorded: goodbye");
    Ok(Outcome::Yes)
}

/// A policy directory's problems are shown one by one, each with its line.
pub(super) fn report(error: AppError, terminal: Terminal) -> miette::Report {
    if let AppError::Policies { problems, .. } = &error {
        for problem in problems {
            terminal.failure(&problem.clone().into());
        }
    }
    miette::Report::from_err(error)
}

/// Done at the first SIGTERM or Ctrl-C.
fn stop_signal() -> miette::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    let mut interrupt = signal(SignalKind::interrupt()).into_diagnostic()?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new requests, the ones under way are finished");
    })
}
