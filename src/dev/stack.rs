//! Everything at once on loopback: a dev issuer, the MCP servers, mcp-authz and Envoy in front, each a real
//! process (the issuer a task of ours) and joined by certificates made on the spot.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::envoy::{self, Places};
use super::issuer::{DevIssuer, DevIssuerError};
use super::part::{self, Part, PartError};
use super::pki::{self, Authority, PkiError};
use super::trust_domain::DevTrustDomain;

/// The trust domain of the default policies.
pub const TRUST_DOMAIN: &str = "mcp-identity.local";

/// The MCP servers of the default policies.
pub const SERVERS: [&str; 2] = ["workbench", "info"];

const ENVOY_CONFIGURATION: &str = include_str!("../../envoy/envoy.yaml");
const MCP_SERVER: &str = include_str!("../../compose/mcp-server/server.py");

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program mcp-authz itself.
    pub program: PathBuf,
    /// The policy directory that rules.
    pub policies: PathBuf,
    /// Where `make tools` put Envoy and the Python of the MCP servers.
    pub tools: PathBuf,
    /// Where configuration, certificates and logs are written.
    pub directory: PathBuf,
    /// The port of Envoy's listener; any free one if this is taken or none is named.
    pub listener: Option<u16>,
    /// What else the configuration of mcp-authz shall say: laid over the usual one, member by member.
    pub configuration: Value,
    /// Whose SVIDs the gateway takes, besides certificates of the authority that is made on the spot.
    pub trust_domain: Option<Arc<DevTrustDomain>>,
}

/// Why it isn't all there.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A tool isn't installed.
    #[error("`{}` is missing: run `make tools`", .0.display())]
    NoTool(PathBuf),
    /// A part doesn't start.
    #[error(transparent)]
    Part(#[from] PartError),
    /// Certificates can't be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The issuer can't be made.
    #[error(transparent)]
    Issuer(#[from] DevIssuerError),
    /// The shipped configuration of Envoy isn't as expected.
    #[error(transparent)]
    Envoy(#[from] envoy::Unexpected),
    /// The configuration can't be written as YAML.
    #[error("can't write the configuration: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// A file or a directory can't be written or read.
    #[error("`{}`: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The ports on loopback.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Envoy, for clients.
    pub listener: u16,
    /// Envoy's administration.
    pub admin: u16,
    /// mcp-authz, for Envoy.
    pub authz: u16,
    /// mcp-authz: health, readiness, metrics.
    pub http: u16,
    /// The MCP server `workbench`.
    pub workbench: u16,
    /// The MCP server `info`.
    pub info: u16,
}

impl Ports {
    /// Ports that are free; the listener's is the wanted one if it is.
    ///
    /// # Errors
    /// [`PartError::NoPort`].
    pub async fn free(wanted: Option<u16>) -> Result<Self, PartError> {
        let [listener, admin, authz, http, workbench, info] = part::free_ports()?;
        let listener = match wanted {
            Some(port) if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_ok() => port,
            _ => listener,
        };
        Ok(Self {
            listener,
            admin,
            authz,
            http,
            workbench,
            info,
        })
    }

    /// Where clients reach a server, which is also its resource identifier (RFC 8707).
    #[must_use]
    pub fn url(&self, server: &str) -> String {
        format!("https://localhost:{}/{server}/mcp", self.listener)
    }
}

/// What runs; dropping it stops it all.
pub struct Stack {
    /// Where configuration, certificates and logs are.
    pub directory: PathBuf,
    /// Where everything listens.
    pub ports: Ports,
    /// Who signs certificates.
    pub authority: Authority,
    /// Who issues tokens.
    pub issuer: DevIssuer,
    issuing: JoinHandle<()>,
    /// The issuer's port stays taken as long as this is there, whoever answers on it.
    issuer_port: Option<std::net::TcpListener>,
    parts: Vec<Part>,
}

impl Stack {
    /// Starts it all and waits until it is ready.
    ///
    /// # Errors
    /// [`StackError`]; what had been started is stopped.
    pub async fn start(settings: &Settings) -> Result<Self, StackError> {
        Self::start_at(settings, Ports::free(settings.listener).await?).await
    }

    /// The same at ports that were chosen before: for who must say them to somebody else first.
    ///
    /// # Errors
    /// [`StackError`]; what had been started is stopped.
    pub async fn start_at(settings: &Settings, ports: Ports) -> Result<Self, StackError> {
        Self::started(settings, ports, "/ready", |_| Ok(())).await
    }

    /// The same for an mcp-authz whose issuers are down: it answers, and says that it isn't ready.
    ///
    /// # Errors
    /// [`StackError`]; what had been started is stopped.
    pub async fn start_unready(settings: &Settings, ports: Ports) -> Result<Self, StackError> {
        Self::started(settings, ports, "/health", |_| Ok(())).await
    }

    /// The same with files in the directory of the certificates that are changed before anything reads them.
    ///
    /// # Errors
    /// [`StackError`]; what had been started is stopped.
    pub async fn start_with(
        settings: &Settings,
        ports: Ports,
        change: impl FnOnce(&Path) -> Result<(), PkiError>,
    ) -> Result<Self, StackError> {
        Self::started(settings, ports, "/ready", change).await
    }

    async fn started(
        settings: &Settings,
        ports: Ports,
        until: &str,
        change: impl FnOnce(&Path) -> Result<(), PkiError>,
    ) -> Result<Self, StackError> {
        let directory = make(&settings.directory)?;
        let pki = make(&directory.join("pki"))?;
        let authority = certificates(&pki, settings.trust_domain.as_deref())?;
        change(&pki)?;
        let (issuer, issuing, issuer_port) = issue(&directory)?;
        let mut stack = Self {
            directory,
            ports,
            authority,
            issuer,
            issuing,
            issuer_port: Some(issuer_port),
            parts: Vec::new(),
        };
        stack.start_servers(settings)?;
        stack.start_authz(settings)?;
        stack.start_envoy(settings, &pki)?;
        stack.ready(until).await?;
        Ok(stack)
    }

    /// Where clients reach a server, which is also its resource identifier (RFC 8707).
    #[must_use]
    pub fn url(&self, server: &str) -> String {
        self.ports.url(server)
    }

    /// Where the decisions are recorded, a line of JSON each.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.directory.join("audit.jsonl")
    }

    /// Where mcp-authz writes its log, a line of JSON for each event.
    #[must_use]
    pub fn authz_log(&self) -> PathBuf {
        self.directory.join("mcp-authz.log")
    }

    /// The logs of the parts, and the end of each.
    #[must_use]
    pub fn logs(&self) -> String {
        let end = |part: &Part| format!("--- {}\n{}\n", part.log().display(), part.log_tail());
        self.parts.iter().map(end).collect()
    }

    /// Stops one part, to see what the others make of it.
    pub async fn stop_part(&mut self, name: &str) {
        for part in self.parts.iter_mut().filter(|part| part.name() == name) {
            part.stop().await;
        }
    }

    /// Takes the issuer away; tokens can still be signed.
    pub fn stop_issuer(&mut self) {
        self.issuing.abort();
        self.issuer_port = None;
    }

    /// Puts the issuer to sleep: who asks it is connected, and hears nothing.
    pub fn put_issuer_to_sleep(&self) {
        self.issuing.abort();
    }

    /// Stops it all, the gateway first, and waits until it is.
    pub async fn stop(mut self) {
        self.issuing.abort();
        while let Some(mut part) = self.parts.pop() {
            part.stop().await;
        }
    }

    fn start_servers(&mut self, settings: &Settings) -> Result<(), StackError> {
        let python = settings.tools.join("venv/bin/python");
        if !python.is_file() {
            return Err(StackError::NoTool(python));
        }
        let script = self.directory.join("server.py");
        write(&script, MCP_SERVER)?;
        for (server, port) in [("workbench", self.ports.workbench), ("info", self.ports.info)] {
            let mut command = Command::new(&python);
            command
                .arg(&script)
                .args(["--server", server, "--port", &port.to_string()]);
            command
                .arg("--tools")
                .arg(settings.policies.join(format!("tools/{server}.json")));
            command
                .arg("--scratch")
                .arg(make(&self.directory.join("work").join(server))?);
            if server == "info" {
                // One server answers with streams, the other with plain JSON: both are MCP's.
                command.arg("--json");
            }
            self.start_part(server, &command)?;
        }
        Ok(())
    }

    fn start_authz(&mut self, settings: &Settings) -> Result<(), StackError> {
        let mut configuration = self.configuration(&settings.policies);
        if settings.configuration.pointer("/grpc/tls/workload_api").is_some() {
            // The one excludes the other.
            if let Some(files) = configuration.pointer_mut("/grpc/tls") {
                *files = json!({});
            }
        }
        overlay(&mut configuration, &settings.configuration);
        let path = self.directory.join("mcp-authz.yaml");
        write(&path, &serde_saphyr::to_string(&configuration)?)?;
        let mut command = Command::new(&settings.program);
        command.arg("serve").arg("--config").arg(&path);
        self.start_part("mcp-authz", &command)
    }

    fn start_envoy(&mut self, settings: &Settings, pki: &Path) -> Result<(), StackError> {
        let search = std::env::var_os("PATH");
        let program = envoy::find(&settings.tools, search.as_deref())
            .ok_or_else(|| StackError::NoTool(settings.tools.join("venv/bin/envoy")))?;
        let Ports {
            listener,
            admin,
            authz,
            workbench,
            info,
            ..
        } = self.ports;
        let places = Places {
            listener,
            admin,
            authz,
            workbench,
            info,
            pki,
        };
        let path = self.directory.join("envoy.yaml");
        write(&path, &envoy::configuration(ENVOY_CONFIGURATION, &places)?)?;
        let mut command = Command::new(program);
        // Several may run on one machine: no shared memory for hot restarts.
        command
            .arg("-c")
            .arg(&path)
            .args(["--concurrency", "2", "--disable-hot-restart"])
            // Whoever reads the access log wants to see now what happened now.
            .args(["--file-flush-interval-msec", "200"]);
        self.start_part("envoy", &command)
    }

    fn start_part(&mut self, name: &str, command: &Command) -> Result<(), StackError> {
        let log = self.directory.join(format!("{name}.log"));
        self.parts.push(Part::start(name, command, &log)?);
        Ok(())
    }

    async fn ready(&mut self, until: &str) -> Result<(), StackError> {
        let Ports {
            listener,
            admin,
            http,
            workbench,
            info,
            ..
        } = self.ports;
        let questions = [
            (workbench, "/health"),
            (info, "/health"),
            (http, until),
            (admin, "/ready"),
        ];
        for (part, (port, path)) in self.parts.iter_mut().zip(questions) {
            part.ready(|| part::answers_ok(port, path)).await?;
        }
        if let Some(envoy) = self.parts.last_mut() {
            envoy.ready(|| part::accepts(listener)).await?;
        }
        Ok(())
    }

    fn configuration(&self, policies: &Path) -> Value {
        let pki = self.directory.join("pki");
        let servers = SERVERS.map(|server| {
            let scopes: &[&str] = if server == "info" { &["public:read"] } else { &[] };
            // As under `cors` in envoy.yaml.
            let origins = ["https://console.mcp-identity.local"];
            json!({ "name": server, "resource": self.url(server), "scopes": scopes, "origins": origins })
        });
        json!({
            "policies": { "directory": policies },
            "servers": servers,
            "grpc": {
                "listen": format!("127.0.0.1:{}", self.ports.authz),
                "tls": {
                    "certificate": pki.join("authz.pem"),
                    "key": pki.join("authz-key.pem"),
                    "client_ca": pki.join("ca.pem"),
                },
            },
            "http": { "listen": format!("127.0.0.1:{}", self.ports.http) },
            "identity": {
                "issuers": [{ "name": "demo", "issuer": self.issuer.issuer(), "algorithms": ["ES256"] }],
                "spiffe": { "trust_domains": [TRUST_DOMAIN] },
                "gateways": [{
                    "name": "envoy",
                    "certificate": gateway(),
                    "trusted_for": ["principal", "xfcc"],
                }],
            },
            "audit": { "file": self.audit() },
            "log": { "format": "json" },
        })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.issuing.abort();
    }
}

fn gateway() -> String {
    format!("spiffe://{TRUST_DOMAIN}/gateway/envoy")
}

fn certificates(pki: &Path, domain: Option<&DevTrustDomain>) -> Result<Authority, PkiError> {
    let authority = Authority::new(crate::clock::now())?;
    let others = domain.map(DevTrustDomain::x509_bundle_pem).unwrap_or_default();
    let trusted = [authority.certificate(), &others].concat();
    pki::write(&pki.join("ca.pem"), &trusted, 0o644)?;
    authority.server(None)?.write(pki, "server")?;
    authority
        .server(Some(&format!("spiffe://{TRUST_DOMAIN}/mcp-authz")))?
        .write(pki, "authz")?;
    authority.workload(&gateway())?.write(pki, "gateway")?;
    Ok(authority)
}

/// The issuer, served on a port of its own.
fn issue(directory: &Path) -> Result<(DevIssuer, JoinHandle<()>, std::net::TcpListener), StackError> {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(PartError::Listen)?;
    socket.set_nonblocking(true).map_err(PartError::Listen)?;
    let kept = socket.try_clone().map_err(PartError::Listen)?;
    let listener = TcpListener::from_std(socket).map_err(PartError::Listen)?;
    let port = listener.local_addr().map_err(PartError::Listen)?.port();
    let issuer = DevIssuer::create(
        &directory.join("issuer"),
        &format!("http://127.0.0.1:{port}/realms/demo"),
    )?;
    let router = issuer.router();
    let serving = tokio::spawn(async move {
        // It ends with us; there is nobody to tell.
        let _ = axum::serve(listener, router).await;
    });
    Ok((issuer, serving, kept))
}

/// Lays one JSON value over another: members replace or join members, anything else replaces.
pub fn overlay(under: &mut Value, over: &Value) {
    match (under, over) {
        (_, Value::Null) => {}
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                overlay(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// Makes a directory for its owner alone and says its absolute path: parts run elsewhere.
fn make(path: &Path) -> Result<PathBuf, StackError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let failed = |source| StackError::File {
        path: path.to_owned(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    path.canonicalize().map_err(failed)
}

fn write(path: &Path, text: &str) -> Result<(), StackError> {
    std::fs::write(path, text).map_err(|source| StackError::File {
        path: path.to_owned(),
        source,
    })
}
