//! Replicas of mcp-authz that share a Redis, each behind an Envoy of its own, in front of the shared stack's servers and
//! issuer. Clients know one URL; which replica a request of theirs gets to is up to whoever balances the load.

use std::path::PathBuf;
use std::process::Command;

use mcp_authz::clock;
use mcp_authz::dev::dpop::{Proof, ProofKey};
use mcp_authz::dev::envoy::{self, Places};
use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::part::{self, Part};
use mcp_authz::dev::stack::Stack;
use reqwest::header::{HOST, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::caller::{Caller, Reply, TRUSTED, developer};
use super::{repository, temporary};

/// mcp-authz and the Envoy in front of it.
pub(crate) struct Replica {
    /// Where Envoy listens.
    port: u16,
    /// Where health, readiness and metrics are.
    http: u16,
    /// Where it is told what to take no more.
    socket: PathBuf,
    parts: [Part; 2],
}

/// A user whose token is bound to a key.
pub(crate) struct Bound {
    key: ProofKey,
    token: String,
    url: String,
}

impl Replica {
    /// One more replica with this state, ready for requests.
    pub(crate) async fn start(stack: &Stack, name: &str, state: &Value) -> Self {
        let folder = temporary(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let [port, admin, authz, http] = part::free_ports().unwrap();

        let written = std::fs::read_to_string(stack.directory.join("mcp-authz.yaml")).unwrap();
        let mut configuration: Value = serde_saphyr::from_str(&written).unwrap();
        configuration["grpc"]["listen"] = json!(format!("127.0.0.1:{authz}"));
        // Who waits for Redis to the last is answered in time on a loaded machine too.
        configuration["grpc"]["deadline_margin"] = json!("400ms");
        configuration["http"]["listen"] = json!(format!("127.0.0.1:{http}"));
        configuration["audit"]["file"] = json!(folder.join("audit.jsonl"));
        configuration["state"] = state.clone();
        let socket = folder.join("revoke");
        configuration["revocation"] = json!({ "socket": socket });
        for server in configuration["servers"].as_array_mut().unwrap() {
            // All clocks are this machine's, and the less is waited for after a loss of memory.
            server["dpop"] = json!({ "max_ahead": "1s" });
        }
        let path = folder.join("mcp-authz.yaml");
        std::fs::write(&path, serde_saphyr::to_string(&configuration).unwrap()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-authz"));
        command.arg("serve").arg("--config").arg(&path);
        let mut own = Part::start("mcp-authz", &command, &folder.join("mcp-authz.log")).unwrap();

        let shipped = std::fs::read_to_string(repository().join("envoy/envoy.yaml")).unwrap();
        let places = Places {
            listener: port,
            admin,
            authz,
            workbench: stack.ports.workbench,
            info: stack.ports.info,
            pki: &stack.directory.join("pki"),
        };
        let domains = |port: u16| format!("\"localhost:{port}\", \"127.0.0.1:{port}\"");
        let gateway = envoy::configuration(&shipped, &places)
            .unwrap()
            .replace(&domains(port), &domains(stack.ports.listener));
        let path = folder.join("envoy.yaml");
        std::fs::write(&path, gateway).unwrap();
        let search = std::env::var_os("PATH");
        let program = envoy::find(&repository().join(".tools"), search.as_deref()).unwrap();
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&path)
            .args(["--concurrency", "1", "--disable-hot-restart"]);
        let mut gateway = Part::start("envoy", &command, &folder.join("envoy.log")).unwrap();

        own.ready(|| part::answers_ok(http, "/ready")).await.unwrap();
        gateway.ready(|| part::accepts(port)).await.unwrap();
        Self {
            port,
            http,
            socket,
            parts: [own, gateway],
        }
    }

    /// The same caller, whose requests get to this replica.
    pub(crate) fn caller(&self, stack: &Stack, caller: &Caller) -> Caller {
        let identity = stack.authority.workload(TRUSTED).unwrap();
        let host = HeaderValue::try_from(format!("localhost:{}", stack.ports.listener)).unwrap();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(stack.authority.client_config(Some(&identity)).unwrap())
            .no_proxy()
            .http1_only()
            .default_headers(HeaderMap::from_iter([(HOST, host)]))
            .build()
            .unwrap();
        Caller {
            http,
            url: format!("https://localhost:{}/workbench/mcp", self.port),
            token: caller.token.clone(),
        }
    }

    /// What `/ready` says.
    pub(crate) async fn ready(&self, http: &reqwest::Client) -> Value {
        let url = format!("http://127.0.0.1:{}/ready", self.http);
        let answer = http.get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// An operator revokes something here.
    pub(crate) fn revoke(&self, what: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-authz"));
        let command = command.arg("revoke").arg("--socket").arg(&self.socket).args(what);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Whether it is still the process that was started.
    pub(crate) fn assert_never_restarted(&mut self) {
        for part in &mut self.parts {
            assert!(part.ended().unwrap().is_none(), "{} ended", part.name());
        }
    }

    /// The ends of its logs.
    pub(crate) fn logs(&self) -> String {
        let end = |part: &Part| format!("--- {}\n{}\n", part.log().display(), part.log_tail());
        self.parts.iter().map(end).collect()
    }
}

impl Bound {
    /// The trusted developer, whose token is bound to a new key.
    pub(crate) fn developer(stack: &Stack) -> Self {
        let key = ProofKey::generate();
        let url = stack.url("workbench");
        let cnf = json!({ "jkt": key.thumbprint() });
        let mint = Mint {
            audiences: vec![url.clone()],
            extra: [("cnf".to_owned(), cnf)].into_iter().collect(),
            ..developer()
        };
        let token = stack.issuer.mint(&mint, clock::now()).unwrap();
        Self { key, token, url }
    }

    /// A new proof for a call.
    pub(crate) fn proof(&self) -> String {
        let proof = Proof {
            method: "POST",
            url: &self.url,
            token: Some(&self.token),
            ..Proof::default()
        };
        self.key.proof(&proof, clock::now()).unwrap()
    }

    /// A call with this proof.
    pub(crate) async fn call(&self, at: &Caller, proof: &str) -> Reply {
        let unnamed = Caller {
            token: None,
            ..at.clone()
        };
        let scheme = format!("DPoP {}", self.token);
        let read = json!({ "path": "/srv/work/hello.txt" });
        let fields = [("authorization", scheme.as_str()), ("dpop", proof)];
        unnamed.call_with("fs_read", &read, &fields).await
    }
}
