//! `demo --keycloak`: ten agents without a static credential at a real Keycloak, then whoever is named calls what is typed.

use std::path::Path;
use std::time::Duration;

use miette::{Context as _, IntoDiagnostic as _};

use crate::cli::{Outcome, Output, Terminal};
use crate::dev::agents::World;
use crate::dev::demo::agents::{self, SCENES};
use crate::dev::demo::{Journal, Tail};
use crate::dev::keycloak::{Keycloak, KeycloakError, Ports};

use super::{DemoArgs, live};

mod typed;

/// How often a person is told that Keycloak isn't ready yet, in seconds.
const TOLD_EVERY: u64 = 5;

/// The realm, as it is shipped.
const REALM: &str = "mcp";

pub(super) async fn perform(args: &DemoArgs, terminal: Terminal) -> miette::Result<Outcome> {
    // Beside what the other demo writes: it keeps tokens there.
    let directory = args.directory.join("agents");
    let settings = super::settings(args, &directory)?;
    let people = terminal.output() == Output::Table;
    let mut keycloak = start(&args.tools, &directory.join("keycloak"), terminal).await?;
    if people {
        terminal.print("Starting a SPIFFE trust domain, Envoy, two MCP servers and mcp-authz …")?;
    }
    let world = World::start(&keycloak, REALM, settings).await;
    let world = world.into_diagnostic().wrap_err("the demo can't start")?;
    let mut journal = Journal::open(&world.stack.audit()).into_diagnostic()?;
    let mut played = Vec::with_capacity(SCENES.len());
    for scene in SCENES {
        let scene = agents::play(&world, &mut journal, scene).await;
        played.push(scene.into_diagnostic()?);
    }
    let as_expected = super::report(&played, &world.stack, terminal)?;
    if !args.once && people {
        terminal.print(typed::hints(&directory, args))?;
        tokio::select! {
            followed = live::follow(&mut journal, Tail::new(&world.stack.authz_log()), terminal) => followed?,
            obeyed = typed::obey(&world, terminal) => obeyed?,
        }
    }
    world.stack.stop().await;
    keycloak.stop().await;
    Ok(Outcome::from(as_expected))
}

/// A new Keycloak: nothing of an earlier one is left. A person is told that it takes its time.
async fn start(tools: &Path, directory: &Path, terminal: Terminal) -> miette::Result<Keycloak> {
    let people = terminal.output() == Output::Table;
    if people {
        terminal.print("Starting Keycloak: ten seconds, or thirty on a busy machine …")?;
    }
    forget(&directory.join("database.mv.db"))?;
    let ports = Ports::free().into_diagnostic()?;
    let mut starting = std::pin::pin!(Keycloak::start(tools, directory, ports));
    let mut ticks = tokio::time::interval(Duration::from_secs(TOLD_EVERY));
    ticks.tick().await;
    let mut waited: u64 = 0;
    let started = loop {
        tokio::select! {
            started = &mut starting => break started,
            _ = ticks.tick() => {
                waited = waited.saturating_add(TOLD_EVERY);
                if people {
                    terminal.print(format!("  … {waited} s"))?;
                }
            }
        }
    };
    started
        .map_err(|error| explained(&error))
        .wrap_err("Keycloak can't start")
}

fn forget(database: &Path) -> miette::Result<()> {
    match std::fs::remove_file(database) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)
            .into_diagnostic()
            .wrap_err(format!("can't remove `{}`", database.display())),
        _ => Ok(()),
    }
}

/// What to do about it, where that isn't in the error.
fn explained(error: &KeycloakError) -> miette::Report {
    let help = match error {
        KeycloakError::NoTool(_) => {
            "`make demo KEYCLOAK=1` fetches and builds it; it needs Java 17 or newer, and Maven"
        }
        KeycloakError::Part(_) => {
            "Keycloak needs Java 17 or newer in PATH, half a gigabyte of memory and two free ports"
        }
        _ => "what Keycloak itself says is in keycloak.log, in the demo's directory",
    };
    miette::miette!(help = help, "{error}")
}
