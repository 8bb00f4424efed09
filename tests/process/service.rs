//! mcp-authz as a process of its own, with the strict audit, and what asks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use mcp_authz::audit::place::Place;
use mcp_authz::dev::part::free_ports;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::transport::{Channel, Endpoint};

pub(crate) const AGENT: &str = "spiffe://mcp-identity.local/agent/1";

/// A folder with all that the process needs, and its ports.
pub(crate) struct Service {
    pub(crate) folder: TempDir,
    grpc: u16,
    pub(crate) http: u16,
}

impl Service {
    /// With one policy, which lets every agent converse, and these settings besides.
    pub(crate) fn new(settings: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [grpc, http] = free_ports().unwrap();
        let policies = folder.path().join("policies");
        fs::create_dir(&policies).unwrap();
        fs::copy("policies/base.cedarschema", policies.join("base.cedarschema")).unwrap();
        let lets =
            "@id(\"agents-converse\") permit (principal, action in Action::\"lifecycle\", resource);\n";
        fs::write(policies.join("agents.cedar"), lets).unwrap();
        let config = serde_json::json!({
            "grpc": { "listen": format!("127.0.0.1:{grpc}") },
            "http": { "listen": format!("127.0.0.1:{http}") },
            "servers": [{ "name": "workbench", "resource": "https://mcp.example/mcp", "require": ["workload"] }],
            "identity": {
                "gateways": [{ "name": "here", "address": "127.0.0.1/32", "trusted_for": ["principal"] }],
                "spiffe": { "trust_domains": ["mcp-identity.local"] },
            },
            "policies": { "directory": policies, "reload": false },
            "audit": { "file": folder.path().join("audit.jsonl"), "durability": "disk" },
        });
        fs::write(folder.path().join("mcp-authz.yaml"), config.to_string()).unwrap();
        Self { folder, grpc, http }.with(settings)
    }

    /// With these settings, too.
    pub(crate) fn with(self, settings: &Value) -> Self {
        let path = self.folder.path().join("mcp-authz.yaml");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        merge(&mut config, settings);
        fs::write(&path, config.to_string()).unwrap();
        self
    }

    pub(crate) fn place(&self) -> Place {
        Place::new(&self.folder.path().join("audit.jsonl"))
    }

    /// What the process says on standard output and standard error, all its lives together.
    pub(crate) fn outputs(&self) -> [PathBuf; 2] {
        ["stdout", "stderr"].map(|name| self.folder.path().join(name))
    }

    pub(crate) fn start(&self) -> Child {
        let append = |path: PathBuf| -> Stdio {
            fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .unwrap()
                .into()
        };
        let [stdout, stderr] = self.outputs().map(append);
        Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
            .args(["serve", "--config"])
            .arg(self.folder.path().join("mcp-authz.yaml"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap()
    }

    /// A client, once the process listens.
    pub(crate) async fn client(&self) -> AuthorizationClient<Channel> {
        let endpoint = Endpoint::try_from(format!("http://127.0.0.1:{}", self.grpc)).unwrap();
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let connecting = async {
            loop {
                ticks.tick().await;
                if let Ok(channel) = endpoint.connect().await {
                    return AuthorizationClient::new(channel);
                }
            }
        };
        let connected = tokio::time::timeout(Duration::from_mins(1), connecting).await;
        connected.unwrap_or_else(|_| panic!("{}", fs::read_to_string(&self.outputs()[1]).unwrap_or_default()))
    }
}

fn merge(config: &mut Value, settings: &Value) {
    match (config, settings) {
        (Value::Object(config), Value::Object(settings)) => {
            for (name, value) in settings {
                merge(config.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (config, settings) => *config = settings.clone(),
    }
}

/// A POST of this body, with these headers besides, that an agent sends.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &str) -> CheckRequest {
    let mut all: std::collections::HashMap<String, String> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    all.entry("content-type".to_owned())
        .or_insert_with(|| "application/json".to_owned());
    let http = HttpRequest {
        method: "POST".to_owned(),
        path: path.to_owned(),
        host: "mcp.example".to_owned(),
        scheme: "https".to_owned(),
        headers: all,
        body: body.to_owned(),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                principal: AGENT.to_owned(),
                ..Peer::default()
            }),
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            context_extensions: [("server".to_owned(), "workbench".to_owned())].into(),
            ..AttributeContext::default()
        }),
    }
}

/// The decision's id in an answer, and whether it was allowed.
pub(crate) fn decision(response: &CheckResponse) -> (String, bool) {
    let allowed = matches!(response.http_response, Some(HttpResponse::OkResponse(_)));
    let metadata = response.dynamic_metadata.as_ref();
    let id = metadata.and_then(|metadata| metadata.fields.get("decision_id")?.kind.clone());
    match id {
        Some(Kind::StringValue(id)) => (id, allowed),
        _ => panic!("{response:?}"),
    }
}

pub(crate) fn ping(id: usize) -> CheckRequest {
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}");
    post("/mcp", &[], &body)
}

/// What is answered to a GET.
pub(crate) async fn http(port: u16, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let question = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Ends a process as a service manager does, and sees that it ends well.
pub(crate) fn stop(mut process: Child) {
    let pid = process.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(told.success() && process.wait().unwrap().success());
}

/// All files in a folder, with what is in its folders, as far as they are plain.
pub(crate) fn texts(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found
}
