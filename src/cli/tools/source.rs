//! Where a server's list of tools comes from: the live server, or a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};
use serde_json::{Value, json};
use url::{Host, Url};

use super::live::{self, Target};
use crate::inventory::{Files, ServerName, changes};

/// How to reach a live server
#[derive(Debug, clap::Args)]
pub(super) struct Connection {
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

/// A live server, or a file that holds its list
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The URL of its MCP endpoint (streamable HTTP)
    #[arg(required_unless_present = "file")]
    url: Option<Url>,

    /// Take the list (a tools/list result) from this file instead of a live server
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    file: Option<PathBuf>,

    #[command(flatten)]
    connection: Connection,
}

/// A list of tools, as it is to be written.
pub(super) struct Listed {
    /// The definitions, in the order of their names.
    pub(super) definitions: Vec<Value>,
    /// The file's text.
    pub(super) text: String,
}

impl Source {
    /// The list.
    ///
    /// # Errors
    /// The server can't be asked, or the file can't be read as a list.
    pub(super) async fn list(&self, server: &ServerName) -> miette::Result<Listed> {
        match (&self.url, &self.file) {
            (Some(url), _) => self.connection.list(url).await,
            (None, Some(file)) => {
                let path = format!("tools/{server}.json");
                let files: Files = [(path, read(file)?)].into_iter().collect();
                Listed::new(changes::definitions(&files, server)?)
            }
            (None, None) => Err(miette!("give the URL of the server, or --file")),
        }
    }
}

impl Connection {
    /// The list of a live server.
    ///
    /// # Errors
    /// The server can't be asked.
    pub(super) async fn list(&self, url: &Url) -> miette::Result<Listed> {
        let target = Target {
            url: url.to_string(),
            token: token(self.token_file.as_deref())?,
            http: self.client(url)?,
            timeout: Duration::from_secs(self.timeout),
        };
        Listed::new(live::tools(target).await?)
    }

    fn client(&self, url: &Url) -> miette::Result<reqwest::Client> {
        // Another part of the process may have chosen already: whoever comes first is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // A redirect could take the token elsewhere.
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mcp-authz/", env!("CARGO_PKG_VERSION")));
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &self.ca_file {
            let authorities = reqwest::Certificate::from_pem_bundle(&read(path)?).into_diagnostic()?;
            if authorities.is_empty() {
                return Err(miette!("{} holds no certificate", path.display()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            builder = builder.identity(reqwest::Identity::from_pem(&pem).into_diagnostic()?);
        }
        builder.build().into_diagnostic()
    }
}

impl Listed {
    fn new(mut definitions: Vec<Value>) -> miette::Result<Self> {
        definitions.sort_by(|left, right| name_of(left).cmp(name_of(right)));
        let text = serde_json::to_string_pretty(&json!({ "tools": definitions })).into_diagnostic()? + "\n";
        Ok(Self { definitions, text })
    }
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

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
