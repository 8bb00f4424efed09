//! `tools pull`: a live server's tools into the policy directory, after a look at what policies will see of them.

use std::path::Path;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use serde_json::{Value, json};
use url::Url;

use super::Directory;
use super::replace::write;
use super::report::Report;
use super::source::Connection;
use crate::cli::{Outcome, Output, Terminal};
use crate::inventory::changes::{self, List, ToolChange};
use crate::inventory::{Files, Inventory, Problem, ServerName};

const EXAMPLES: &str = "\
Examples:
  mcp-authz tools pull kubernetes http://127.0.0.1:8080/mcp
  MCP_AUTHZ_TOKEN=… mcp-authz tools pull kubernetes https://mcp.example/mcp --policies ./policies
  mcp-authz tools pull kubernetes https://mcp.example/mcp --ca-file ca.pem --client-cert me.pem --client-key me.key";

/// Ask a live server for its tools and write them to `tools/<server>.json` of the policy directory
///
/// Says which arguments policies can't see and why, and which tools nobody says what they do. Nothing is written if
/// the tools can't be loaded, or if the directory has another list of this server: that is for `tools approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The server's name, as in the configuration
    server: ServerName,

    /// The URL of its MCP endpoint (streamable HTTP)
    url: Url,

    #[command(flatten)]
    directory: Directory,

    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    let listed = args.connection.list(&args.url).await?;
    let inventory = match checked(&args, &listed.text) {
        Ok(inventory) => inventory,
        Err(problems) => return Ok(refused(problems, terminal)),
    };
    let path = args
        .directory
        .policies
        .join("tools")
        .join(format!("{}.json", args.server));
    match approved(&args, &path)? {
        None => write(&path, &listed.text).wrap_err_with(|| format!("can't write {}", path.display()))?,
        Some(Ok(approved)) => {
            let (old, new) = (List::new(&approved, None), List::new(&listed.definitions, None));
            let differences = changes::between(old, new);
            if !differences.is_empty() {
                return differs(&args, &differences, terminal);
            }
        }
        Some(Err(problem)) => return Ok(refused(vec![problem], terminal)),
    }
    if let Some(tools) = inventory.server(&args.server) {
        Report::of(tools, &path).print(terminal)?;
    }
    Ok(Outcome::Yes)
}

fn refused(problems: Vec<Problem>, terminal: Terminal) -> Outcome {
    for problem in problems {
        terminal.failure(&problem.into());
    }
    terminal.failure(&miette!("nothing was written"));
    Outcome::No
}

/// What policies rest on isn't changed by a look at the server: the change is read, and approved by somebody.
fn differs(args: &Args, differences: &[ToolChange], terminal: Terminal) -> miette::Result<Outcome> {
    let (server, url) = (&args.server, &args.url);
    if terminal.output() == Output::Json {
        terminal.json(&json!({ "server": server.as_str(), "written": false, "changes": differences }))?;
    }
    let tools: Vec<String> = differences
        .iter()
        .map(|change| format!("{} {}", change.tool.escape_debug(), change.fate.as_str()))
        .collect();
    terminal.failure(&miette!(
        help = format!(
            "see it: mcp-authz tools diff {server} {url}; approve it: mcp-authz tools approve {server} {url} --by NAME --why TEXT"
        ),
        "the server's list is not the approved one ({}): nothing was written",
        tools.join(", ")
    ));
    Ok(Outcome::No)
}

/// The definitions that are there already.
fn approved(args: &Args, path: &Path) -> miette::Result<Option<Result<Vec<Value>, Problem>>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let name = format!("tools/{}.json", args.server);
            let files: Files = [(name, bytes)].into_iter().collect();
            Ok(Some(changes::definitions(&files, &args.server)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error)
            .into_diagnostic()
            .wrap_err_with(|| format!("can't read {}", path.display())),
    }
}

/// Loads what is to be written, together with the overrides that are there.
fn checked(args: &Args, text: &str) -> Result<Inventory, Vec<Problem>> {
    let mut files = vec![(format!("tools/{}.json", args.server), text.as_bytes().to_vec())];
    let overrides = format!("tools/{}.overrides.yaml", args.server);
    match std::fs::read(args.directory.policies.join(&overrides)) {
        Ok(bytes) => files.push((overrides, bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(vec![Problem::new(overrides, format!("can't be read: {error}"))]);
        }
    }
    Inventory::from_files(&files.into_iter().collect::<Files>())
}

#[cfg(test)]
mod tests;
