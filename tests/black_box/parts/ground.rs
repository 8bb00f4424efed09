//! Gateways and servers for tokens that only their owner may use: each demands something else.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mcp_authz::dev::stack::{Ports, Stack};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::bound::Owner;
use super::{copy, repository, settings, temporary};

/// A gateway and its two servers. It ends with this process.
struct Ground {
    name: &'static str,
    trusted_for: &'static [&'static str],
    /// `sender_constraint` of `workbench` and of `info`.
    constraints: [&'static str; 2],
    /// `dpop` of both.
    proofs: fn() -> [Value; 2],
    stack: OnceCell<Result<Stack, String>>,
}

/// The certificate is named by `x-forwarded-client-cert`, by the connection, by nobody.
static GROUNDS: [Ground; 4] = [
    Ground::new("bound-keys", &["xfcc"], ["dpop", "any"], patient),
    Ground::new("bound-certificates", &["principal"], ["mtls", "none"], patient),
    Ground::new("bound-stranger", &[], ["none", "none"], patient),
    Ground::new("bound-nonces", &["principal", "xfcc"], ["dpop", "any"], demanding),
];

/// One takes proofs for a minute, the other for an hour.
fn patient() -> [Value; 2] {
    ["60s", "1h"].map(|max_age| json!({ "max_age": max_age }))
}

/// Both demand nonces; those of one are soon too old.
fn demanding() -> [Value; 2] {
    ["6s", "5m"].map(|lifetime| json!({ "nonces": "required", "nonce_lifetime": lifetime }))
}

impl Ground {
    const fn new(
        name: &'static str,
        trusted_for: &'static [&'static str],
        constraints: [&'static str; 2],
        proofs: fn() -> [Value; 2],
    ) -> Self {
        Self {
            name,
            trusted_for,
            constraints,
            proofs,
            stack: OnceCell::const_new(),
        }
    }

    /// The policies, and who is required. Where no gateway is trusted nobody names a workload; the policies' own tests
    /// say what holds where one is required.
    fn policies(&self) -> (PathBuf, Vec<&str>) {
        let shipped = repository().join("policies");
        if !self.trusted_for.is_empty() {
            return (shipped, vec!["user", "workload"]);
        }
        let policies = temporary(self.name).join("policies");
        let _ = fs::remove_dir_all(&policies);
        copy(&shipped, &policies);
        fs::remove_dir_all(policies.join("tests")).unwrap();
        (policies, vec!["user"])
    }

    async fn stack(&self) -> &Stack {
        let started = self.stack.get_or_init(|| self.start()).await;
        started.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    async fn start(&self) -> Result<Stack, String> {
        let ports = Ports::free(None).await.unwrap();
        let (policies, require) = self.policies();
        let server = |name: &str, constraint: &str, proofs: Value| {
            json!({
                "name": name, "resource": ports.url(name), "sender_constraint": constraint, "require": require,
                "dpop": proofs,
            })
        };
        let [workbench, info] = self.constraints;
        let [of_workbench, of_info] = (self.proofs)();
        let configuration = json!({
            "servers": [server("workbench", workbench, of_workbench), server("info", info, of_info)],
            "identity": { "gateways": [{
                "name": "envoy", "certificate": "spiffe://mcp-identity.local/gateway/envoy",
                "trusted_for": self.trusted_for,
            }] },
        });
        let settings = settings(self.name, policies, configuration);
        let stack = Stack::start_at(&settings, ports)
            .await
            .map_err(|error| error.to_string())?;
        remembers(&stack).await;
        Ok(stack)
    }
}

/// Waits until a proof can't have been made before the state in memory began to remember; until then it is refused for
/// that very reason.
async fn remembers(stack: &Stack) {
    let owner = Owner::new(stack, "info");
    let (mut ticks, mut nonce) = (tokio::time::interval(Duration::from_millis(200)), Value::Null);
    for _ in 0..300 {
        ticks.tick().await;
        let reply = owner.prove(&nonce).await;
        match reply.status {
            200 => return,
            401 => nonce = reply.header("dpop-nonce").into(),
            _ => reply.assert_denied(503, "replays_forgotten"),
        }
    }
    panic!("still nothing is remembered");
}

/// A server by what it demands of tokens and proofs.
pub(crate) async fn place(at: &str) -> (&'static Stack, &'static str) {
    let (ground, server) = match at {
        "dpop" => (0, "workbench"),
        "any" => (0, "info"),
        "mtls" => (1, "workbench"),
        "none" => (1, "info"),
        "stranger" => (2, "info"),
        "nonces" => (3, "info"),
        "short nonces" => (3, "workbench"),
        other => panic!("{other} is no place"),
    };
    (GROUNDS[ground].stack().await, server)
}

/// The challenge of a server: by these schemes, with this error.
pub(crate) fn challenge(stack: &Stack, server: &str, schemes: &str, error: &str) -> String {
    let port = stack.ports.listener;
    let mut parameters = format!(
        "resource_metadata=\"https://localhost:{port}/.well-known/oauth-protected-resource/{server}/mcp\""
    );
    if error != "-" {
        parameters = format!("{parameters}, error=\"{error}\"");
    }
    let dpop = format!("DPoP {parameters}, algs=\"ES256 ES384 EdDSA\"");
    match schemes {
        "DPoP" => dpop,
        "Bearer" => format!("Bearer {parameters}"),
        "both" => format!("Bearer {parameters}, {dpop}"),
        other => panic!("{other} is no scheme"),
    }
}
