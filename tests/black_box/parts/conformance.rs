//! The server of the conformance suite, once on its own and once behind Envoy and mcp-authz, and the suite itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_authz::clock;
use mcp_authz::dev::envoy::{self, Places};
use mcp_authz::dev::part::{Part, accepts, answers_ok, free_ports};
use mcp_authz::dev::pki::Authority;
use serde_json::{Value, json};

use super::{node, repository};

const AGENT: &str = "spiffe://mcp-identity.local/agent/conformance";
const GATEWAY: &str = "spiffe://mcp-identity.local/gateway/envoy";

/// What a check came to, wherever it is made: by scenario and check, each time that it was made.
pub(crate) type Results = BTreeMap<(String, String), Vec<String>>;

/// Both ways to the suite's server.
pub(crate) struct Ground {
    directory: PathBuf,
    /// Straight to a server.
    pub(crate) directly: String,
    /// Through Envoy and mcp-authz to another one like it: what one run changes, the other doesn't see.
    pub(crate) through: String,
    parts: Vec<Part>,
}

impl Ground {
    pub(crate) async fn prepare() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(directory.join("pki")).unwrap();
        let [directly, behind, listener, admin, authz, http] = free_ports().unwrap();
        certificates(&directory.join("pki"));
        let mut ground = Self {
            directory,
            directly: format!("http://localhost:{directly}/conformance/mcp"),
            through: format!("https://localhost:{listener}/conformance/mcp"),
            parts: Vec::new(),
        };
        for (name, port) in [("directly", directly), ("behind", behind)] {
            let mut server = Command::new(repository().join(".tools/venv/bin/python"));
            server
                .arg(repository().join("tests/clients/conformance/server.py"))
                .args(["--port", &port.to_string()]);
            ground.start(name, &server, || answers_ok(port, "/health")).await;
        }
        ground.policies(behind);
        ground.authz(authz, http).await;
        let places = Places {
            listener,
            admin,
            authz,
            workbench: behind,
            info: behind,
            pki: &ground.directory.join("pki"),
        };
        ground.envoy(&places).await;
        ground
    }

    async fn start<F: Future<Output = bool>>(
        &mut self,
        name: &str,
        program: &Command,
        ready: impl FnMut() -> F,
    ) {
        let mut part = Part::start(name, program, &self.directory.join(format!("{name}.log"))).unwrap();
        part.ready(ready).await.unwrap();
        self.parts.push(part);
    }

    /// Whatever is known is allowed; the tools are pulled from the server itself.
    fn policies(&self, server: u16) {
        let policies = self.directory.join("policies");
        std::fs::create_dir_all(policies.join("tools")).unwrap();
        let schema = "base.cedarschema";
        std::fs::copy(repository().join("policies").join(schema), policies.join(schema)).unwrap();
        let all = "@id(\"everything\")\n@reason(\"What is known is allowed\")\npermit (principal, action, resource);\n";
        std::fs::write(policies.join("all.cedar"), all).unwrap();
        std::fs::write(policies.join("entities.json"), "[]\n").unwrap();
        let pulled = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
            .args(["tools", "pull", "conformance"])
            .arg(format!("http://127.0.0.1:{server}/conformance/mcp"))
            .arg("--policies")
            .arg(&policies)
            .output()
            .unwrap();
        assert!(pulled.status.success(), "{pulled:?}");
    }

    async fn authz(&mut self, listen: u16, http: u16) {
        let pki = self.directory.join("pki");
        let configuration = json!({
            "policies": { "directory": self.directory.join("policies") },
            "servers": [{
                "name": "conformance",
                "resource": self.through,
                // Nobody has a token: the suite knows of none.
                "require": ["workload"],
                // A page on this machine may call, as the server itself has it.
                "origins": [self.through.replace("https:", "http:").replace("/conformance/mcp", "")],
            }],
            "grpc": {
                "listen": format!("127.0.0.1:{listen}"),
                "tls": {
                    "certificate": pki.join("authz.pem"),
                    "key": pki.join("authz-key.pem"),
                    "client_ca": pki.join("ca.pem"),
                },
            },
            "http": { "listen": format!("127.0.0.1:{http}") },
            "identity": {
                "spiffe": { "trust_domains": ["mcp-identity.local"] },
                "gateways": [{ "name": "envoy", "certificate": GATEWAY, "trusted_for": ["principal", "xfcc"] }],
            },
            "audit": { "file": self.audit() },
        });
        let path = self.directory.join("mcp-authz.yaml");
        std::fs::write(&path, serde_saphyr::to_string(&configuration).unwrap()).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_mcp-authz"));
        program.arg("serve").arg("--config").arg(path);
        self.start("mcp-authz", &program, || answers_ok(http, "/ready"))
            .await;
    }

    /// The shipped configuration, in which the server `info` is now called `conformance`.
    async fn envoy(&mut self, places: &Places<'_>) {
        let shipped = std::fs::read_to_string(repository().join("envoy/envoy.yaml")).unwrap();
        let mut configuration = envoy::configuration(&shipped, places).unwrap();
        for (old, new) in [
            ("/info/mcp", "/conformance/mcp"),
            ("server: info ", "server: conformance "),
        ] {
            assert!(configuration.contains(old), "{old}");
            configuration = configuration.replace(old, new);
        }
        let path = self.directory.join("envoy.yaml");
        std::fs::write(&path, configuration).unwrap();
        let mut program = Command::new(repository().join(".tools/venv/bin/envoy"));
        program.arg("-c").arg(path);
        program.args(["--concurrency", "2", "--disable-hot-restart"]);
        let listener = places.listener;
        self.start("envoy", &program, || accepts(listener)).await;
    }

    /// Where the decisions are recorded.
    pub(crate) fn audit(&self) -> PathBuf {
        self.directory.join("audit.jsonl")
    }

    /// Runs what a revision requires, or one scenario of it, at a server.
    pub(crate) fn run(&self, url: &str, revision: &str, scenario: Option<&str>) -> Results {
        let way = if url == self.through {
            "through"
        } else {
            "directly"
        };
        let results = self.directory.join(format!("{way}-{revision}"));
        let _ = std::fs::remove_dir_all(&results);
        let mut suite = node::tool("@modelcontextprotocol/conformance/dist/index.js");
        if url == self.through {
            node::show_certificate(&mut suite, &self.directory.join("pki"), "conformance");
        }
        suite.args(["server", "--url", url, "-o"]).arg(&results);
        match scenario {
            None => suite.args(["--requirements", revision]),
            Some(scenario) => suite.args(["--scenario", scenario, "--spec-version", revision]),
        };
        let output = suite.output().unwrap();
        let found = read(&results);
        assert!(!found.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        found
    }
}

fn certificates(pki: &Path) {
    let authority = Authority::new(clock::now()).unwrap();
    authority.write(pki).unwrap();
    authority.server(None).unwrap().write(pki, "server").unwrap();
    let authz = authority.server(Some("spiffe://mcp-identity.local/mcp-authz"));
    authz.unwrap().write(pki, "authz").unwrap();
    for (id, name) in [(GATEWAY, "gateway"), (AGENT, "conformance")] {
        authority.workload(id).unwrap().write(pki, name).unwrap();
    }
}

/// The suite leaves a folder for each scenario, `server-<scenario>-<time>`.
fn read(results: &Path) -> Results {
    const TIME: usize = "-2026-01-01T00-00-00-000Z".len();
    let mut found = Results::new();
    for folder in std::fs::read_dir(results).into_iter().flatten() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let scenario = name.strip_prefix("server-").unwrap();
        let (scenario, _) = scenario.split_at(scenario.len().saturating_sub(TIME));
        let text = std::fs::read_to_string(folder.path().join("checks.json")).unwrap();
        let checks: Vec<Value> = serde_json::from_str(&text).unwrap();
        for check in checks {
            let text = |key: &str| check[key].as_str().unwrap().to_owned();
            let place = found.entry((scenario.to_owned(), text("id"))).or_default();
            place.push(text("status"));
        }
    }
    found
}
