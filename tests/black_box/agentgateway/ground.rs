//! Both sides of agentgateway's question, each by the configuration that is shipped for it, with the servers, the issuer
//! and the authority of the shared stack.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::part::{Part, accepts, answers_ok, free_ports};
use mcp_authz::dev::stack::Stack;
use serde_json::Value;

use crate::parts::agentgateway::{AgentGateway, Reply, Request, switched};
use crate::parts::caller::{TRUSTED, call, developer};
use crate::parts::{copy, repository};

pub(super) const GATEWAY: &str = "spiffe://mcp-identity.local/gateway/agentgateway";
pub(super) const WORKBENCH: &str = "https://localhost:8443/workbench/mcp";

pub(super) fn shipped(name: &str) -> String {
    std::fs::read_to_string(repository().join("envoy").join(name)).unwrap()
}

/// Replaces what differs from one machine to the next, each where it must be.
fn at(mut text: String, places: &[(&str, String)]) -> String {
    for (old, new) in places {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

/// Both sides, with the servers, the issuer and the authority of the shared stack.
pub(super) struct Ground {
    pub(super) gateway: AgentGateway,
    pub(super) stack: &'static Stack,
    pub(super) directory: PathBuf,
    pub(super) authz: Part,
}

/// Who verifies the users' tokens, as either side sees it.
#[derive(Clone, Copy, Default)]
pub(super) struct Switch {
    pub(super) gateway: bool,
    pub(super) authz: bool,
}

impl Ground {
    /// `change` may alter the configuration of mcp-authz.
    pub(super) async fn start(
        stack: &'static Stack,
        name: &str,
        switch: Switch,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("agentgateway")
            .join(name);
        let _ = std::fs::remove_dir_all(&directory);
        copy(&repository().join("policies"), &directory.join("policies"));
        copy(&stack.directory.join("pki"), &directory.join("pki"));
        let identity = stack.authority.workload(GATEWAY).unwrap();
        identity.write(&directory.join("pki"), "gateway").unwrap();
        let [grpc, http] = free_ports().unwrap();
        let pki = format!("{}/", directory.join("pki").display());
        let gateway = at(
            switched(&shipped("agentgateway.yaml"), switch.gateway),
            &[
                ("/etc/mcp-authz/pki/", pki.clone()),
                ("127.0.0.1:50051", format!("127.0.0.1:{grpc}")),
                ("127.0.0.1:9101", format!("127.0.0.1:{}", stack.ports.workbench)),
                ("127.0.0.1:9102", format!("127.0.0.1:{}", stack.ports.info)),
            ],
        );
        let authz = at(
            switched(&shipped("mcp-authz.agentgateway.yaml"), switch.authz),
            &[
                ("/etc/mcp-authz/pki/", pki),
                ("127.0.0.1:50051", format!("127.0.0.1:{grpc}")),
                ("127.0.0.1:9192", format!("127.0.0.1:{http}")),
                ("https://id.example/realms/mcp", stack.issuer.issuer().to_owned()),
                (
                    "directory: policies",
                    format!("directory: {}", directory.join("policies").display()),
                ),
                (
                    "/var/log/mcp-authz/audit.jsonl",
                    directory.join("audit.jsonl").display().to_string(),
                ),
            ],
        );
        let mut authz: Value = serde_saphyr::from_str(&authz).unwrap();
        change(&mut authz);
        let path = directory.join("mcp-authz.yaml");
        std::fs::write(&path, serde_saphyr::to_string(&authz).unwrap()).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_mcp-authz"));
        program.arg("serve").arg("--config").arg(path);
        let mut authz = Part::start("mcp-authz", &program, &directory.join("mcp-authz.log")).unwrap();
        // Not `/ready`: a test may take the issuer away from the start.
        let up = async || accepts(grpc).await && answers_ok(http, "/health").await;
        authz.ready(up).await.unwrap();
        let gateway = AgentGateway::new(&gateway);
        Self {
            gateway,
            stack,
            directory,
            authz,
        }
    }

    pub(super) async fn as_shipped(stack: &'static Stack, name: &str) -> Self {
        Self::start(stack, name, Switch::default(), |_| ()).await
    }

    pub(super) fn token(&self, mint: &Mint) -> String {
        let token = self.stack.issuer.mint(mint, clock::now()).unwrap();
        format!("Bearer {token}")
    }

    /// A tools/call of 2026-07-28 by the trusted developer.
    pub(super) fn call(&self, tool: &str, arguments: &Value) -> Request {
        let mint = Mint {
            audiences: vec![WORKBENCH.to_owned()],
            ..developer()
        };
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", tool),
        ];
        let mut headers: Vec<_> = headers.map(|(name, value)| (name, value.to_owned())).into();
        headers.push(("authorization", self.token(&mint)));
        Request {
            method: "POST",
            path: "/workbench/mcp",
            headers,
            body: call(tool, arguments).to_string().into(),
            workload: Some(TRUSTED),
        }
    }

    /// One that the default policies allow.
    pub(super) fn allowed(&self) -> Request {
        self.call("fs_read", &serde_json::json!({ "path": "/srv/work/hello.txt" }))
    }

    pub(super) async fn send(&self, request: Request) -> Reply {
        self.gateway.send(request).await
    }

    /// The first so many records, as soon as they are there.
    pub(super) async fn records(&self, count: usize) -> Vec<Value> {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..1000 {
            ticks.tick().await;
            let text = std::fs::read_to_string(self.directory.join("audit.jsonl")).unwrap_or_default();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines = whole
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            // What the journal notes of itself is no decision.
            let found: Vec<Value> = lines.filter(|line| line["event"].is_null()).collect();
            if found.len() >= count {
                return found;
            }
        }
        panic!("fewer than {count} records");
    }

    pub(super) async fn record(&self, number: usize) -> Value {
        self.records(number).await.remove(number.saturating_sub(1))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.authz.log_tail());
        }
    }
}

pub(super) fn with(mut request: Request, name: &'static str, value: impl Into<String>) -> Request {
    request.headers.push((name, value.into()));
    request
}

pub(super) fn without(mut request: Request, name: &str) -> Request {
    request.headers.retain(|(known, _)| *known != name);
    request
}
