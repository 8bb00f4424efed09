//! `tools pull`: a live server's tools into the policy directory, after a look at what policies will see of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use serde_json::{Value, json};
use url::{Host, Url};

use super::live::{self, Target};
use super::report::Report;
use crate::cli::{Outcome, Terminal};
use crate::inventory::{Files, Inventory, ServerName};

const EXAMPLES: &str = "\
Examples:
  mcp-authz tools pull kubernetes http://127.0.0.1:8080/mcp
  MCP_AUTHZ_TOKEN=… mcp-authz tools pull kubernetes https://mcp.example/mcp --policies ./policies
  mcp-authz tools pull kubernetes https://mcp.example/mcp --ca-file ca.pem --client-cert me.pem --client-key me.key";

/// Ask a live server for its tools and write them to `tools/<server>.json` of the policy directory
///
/// Says which arguments policies can't see and why, and which tools nobody says what they do. Nothing is written if
/// the tools can't be loaded.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The server's name, as in the configuration
    server: ServerName,

    /// The URL of its MCP endpoint (streamable HTTP)
    url: Url,

    /// The policy directory
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "policies",
        env = "MCP_AUTHZ_POLICIES"
    )]
    policies: PathBuf,

    /// A file that holds a bearer token; without it, the environment variable `MCP_AUTHZ_TOKEN` where it is set
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Certificate authorities (PEM) that the server's certificate may come from, instead of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// A client certificate with its chain (PEM)
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,

    /// The client certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,

    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

pub(super) async fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    let target = Target {
        url: args.url.to_string(),
        token: token(args.token_file.as_deref())?,
        http: client(&args)?,
        timeout: Duration::from_secs(args.timeout),
    };
    let mut tools = live::tools(target).await?;
    tools.sort_by(|left, right| name_of(left).cmp(name_of(right)));
    let text = serde_json::to_string_pretty(&json!({ "tools": tools })).into_diagnostic()? + "\n";
    let inventory = match checked(&args, &text) {
        Ok(inventory) => inventory,
        Err(problems) => {
            for problem in problems {
                terminal.failure(&problem.into());
            }
            terminal.failure(&miette!("nothing was written"));
            return Ok(Outcome::No);
        }
    };
    let path = args.policies.join("tools").join(format!("{}.json", args.server));
    write(&path, &text).wrap_err_with(|| format!("can't write {}", path.display()))?;
    if let Some(tools) = inventory.server(&args.server) {
        Report::of(tools, &path).print(terminal)?;
    }
    Ok(Outcome::Yes)
}

fn name_of(tool: &Value) -> &str {
    tool.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn token(file: Option<&Path>) -> miette::Result<Option<String>> {
    let token = match file {
        Some(path) => Some(read(path).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())?),
        None => std::env::var("MCP_AUTHZ_TOKEN").ok(),
    };
    Ok(token.filter(|token| !token.is_empty()))
}

fn read(path: &Path) -> miette::Result<Vec<u8>> {
    std::fs::read(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("can't read {}", path.display()))
}

fn client(args: &Args) -> miette::Result<reqwest::Client> {
    // Another part of the process may have chosen already: whoever comes first is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // A redirect could take the token elsewhere.
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("mcp-authz/", env!("CARGO_PKG_VERSION")));
    if is_loopback(&args.url) {
        builder = builder.no_proxy();
    }
    if let Some(path) = &args.ca_file {
        let authorities = reqwest::Certificate::from_pem_bundle(&read(path)?).into_diagnostic()?;
        if authorities.is_empty() {
            return Err(miette!("{} holds no certificate", path.display()));
        }
        builder = builder.tls_certs_only(authorities);
    }
    if let (Some(certificate), Some(key)) = (&args.client_cert, &args.client_key) {
        let mut pem = read(certificate)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        builder = builder.identity(reqwest::Identity::from_pem(&pem).into_diagnostic()?);
    }
    builder.build().into_diagnostic()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Loads what is to be written, together with the overrides that are there.
fn checked(args: &Args, text: &str) -> Result<Inventory, Vec<crate::inventory::Problem>> {
    let mut files = vec![(format!("tools/{}.json", args.server), text.as_bytes().to_vec())];
    let overrides = format!("tools/{}.overrides.yaml", args.server);
    match std::fs::read(args.policies.join(&overrides)) {
        Ok(bytes) => files.push((overrides, bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(vec![crate::inventory::Problem::new(
                overrides,
                format!("can't be read: {error}"),
            )]);
        }
    }
    Inventory::from_files(&files.into_iter().collect::<Files>())
}

/// Replaces a file at once: whoever reads it sees the old one or the new one.
fn write(path: &Path, text: &str) -> miette::Result<()> {
    let folder = path.parent().ok_or_else(|| miette!("no folder"))?;
    std::fs::create_dir_all(folder).into_diagnostic()?;
    // A leading dot: a reading of the directory leaves it alone.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let written = std::fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    });
    if written.is_err() {
        // The first error is the one that matters.
        let _ = std::fs::remove_file(&temporary);
    }
    written.into_diagnostic()
}

#[cfg(test)]
mod tests;
