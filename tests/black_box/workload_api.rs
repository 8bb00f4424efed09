//! The gateway and mcp-authz know each other by X.509-SVIDs: mcp-authz has its own from the Workload API of an agent.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::client;
use mcp_authz::dev::pki::{Authority, PkiError};
use mcp_authz::dev::stack::{Ports, Stack, TRUST_DOMAIN};
use mcp_authz::dev::trust_domain::DevTrustDomain;
use mcp_authz::dev::workload_api::{Mood, Workload, WorkloadApi};
use mcp_authz::spiffe::{SpiffeId, TrustDomain};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::parts::caller::Caller;
use crate::parts::{audit, repository, run, settings};

const GATEWAY: &str = "spiffe://mcp-identity.local/gateway/envoy";

fn read() -> Value {
    json!({ "path": "/srv/work/hello.txt" })
}

fn id(id: &str) -> SpiffeId {
    SpiffeId::parse(id).unwrap()
}

/// A certificate of the trust domain where the shipped configuration of Envoy looks for its own.
fn gateway_by_svid(pki: &Path, domain: &DevTrustDomain) -> Result<(), PkiError> {
    let svid = domain.x509_svid(&id(GATEWAY), Duration::from_hours(1), clock::now());
    svid.unwrap().identity().write(pki, "gateway")
}

async fn text(port: u16, path: &str) -> String {
    let url = format!("http://127.0.0.1:{port}{path}");
    let authority = Authority::new(clock::now()).unwrap();
    let answer = client::http(&authority, None).unwrap().get(url).send().await;
    answer.unwrap().text().await.unwrap()
}

/// The number behind a metric or a statistic.
async fn number(port: u16, path: &str, name: &str) -> u64 {
    let text = text(port, path).await;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    number.trim_start_matches([':', ' ']).parse().unwrap()
}

/// Waits until it is so.
async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..1200 {
        ticks.tick().await;
        if is().await {
            return;
        }
    }
    panic!("not in a minute: {what}");
}

/// Somebody who calls without end.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    calling: JoinSet<()>,
}

impl Load {
    fn start(stack: &Stack) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            done: Arc::default(),
            calling: JoinSet::new(),
        };
        for _ in 0..3 {
            let (caller, stop, done) = (
                Caller::developer(stack),
                Arc::clone(&load.stop),
                Arc::clone(&load.done),
            );
            load.calling.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    caller.call("fs_read", &read()).await.assert_allowed();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        load
    }

    /// Waits until the gateway has connected twice again, and calls went through after that.
    async fn over_new_connections(&self, stack: &Stack) {
        let connected = async || {
            number(
                stack.ports.admin,
                "/stats?filter=mcp_authz.upstream_cx_total",
                "cluster.mcp_authz.upstream_cx_total",
            )
            .await
        };
        let before = connected().await;
        until("new connections", async || {
            connected().await >= before.saturating_add(2)
        })
        .await;
        let done = self.done.load(Ordering::SeqCst);
        until("calls", async || {
            self.done.load(Ordering::SeqCst) >= done.saturating_add(10)
        })
        .await;
    }

    async fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.calling.join_next().await {
            ended.unwrap();
        }
        self.done.load(Ordering::SeqCst)
    }
}

/// mcp-authz by the agent at this address, its connections renewed all the time, behind a gateway with an SVID.
async fn start(agent: &WorkloadApi, domain: &Arc<DevTrustDomain>) -> Stack {
    let configuration = json!({
        "workload_api": { "socket": agent.address() },
        "grpc": {
            "max_connection_age": "500ms",
            "tls": { "workload_api": { "trust_domains": [TRUST_DOMAIN] } },
        },
    });
    let mut settings = settings("workload-api", repository().join("policies"), configuration);
    settings.trust_domain = Some(Arc::clone(domain));
    let ports = Ports::free(None).await.unwrap();
    let started = Stack::start_with(&settings, ports, |pki| gateway_by_svid(pki, domain)).await;
    started.unwrap_or_else(|error| panic!("{error}"))
}

const OPEN: &str = "mcp_authz_workload_api_open{stream=\"x509\"}";
const REFUSED: &str = "mcp_authz_tls_handshakes_refused_total{reason=\"untrusted\"}";

async fn metric(stack: &Stack, name: &str) -> u64 {
    number(stack.ports.http, "/metrics", name).await
}

#[test]
fn svids_rotate_and_the_agent_restarts_under_calls_through_the_gateway_and_none_is_dropped() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent.sock");
        let name = TrustDomain::parse(TRUST_DOMAIN).unwrap();
        let domain = Arc::new(DevTrustDomain::new(name, clock::now()).unwrap());
        // Envoy reads its files once: it has to know the next authority, too.
        domain.prepare(clock::now()).unwrap();
        let workload = Workload {
            ids: vec![id("spiffe://mcp-identity.local/mcp-authz")],
            trust_domain: Arc::clone(&domain),
            federated: Vec::new(),
            svid_lifetime: Duration::from_hours(1),
        };
        let agent = WorkloadApi::serve(&socket, workload.clone()).unwrap();
        let stack = start(&agent, &domain).await;
        let caller = Caller::developer(&stack);
        let reply = caller.call("fs_read", &read()).await;
        reply.assert_allowed();
        let record = audit::record(&stack, &reply.decision_id()).await;
        assert_eq!(record["gateway"], GATEWAY);

        let load = Load::start(&stack);
        load.over_new_connections(&stack).await;
        agent.behave(Mood::Serving);
        load.over_new_connections(&stack).await;
        domain.activate();
        load.over_new_connections(&stack).await;
        drop(agent);
        until("a lost stream", async || metric(&stack, OPEN).await == 0).await;
        load.over_new_connections(&stack).await;
        let ready = text(stack.ports.http, "/ready").await;
        assert!(
            ready.contains("stale: spiffe://mcp-identity.local/mcp-authz"),
            "{ready}"
        );
        let _agent = WorkloadApi::serve(&socket, workload).unwrap();
        until("an open stream", async || metric(&stack, OPEN).await == 1).await;
        load.over_new_connections(&stack).await;
        let done = load.stop().await;
        assert!(done > 50, "{done}");
        assert_eq!(metric(&stack, REFUSED).await, 0);

        // What signed the gateway's certificate holds no more: neither does the gateway's word.
        domain.withdraw();
        let refused = async || caller.call("fs_read", &read()).await.status == 503;
        until("nobody is let in", refused).await;
        assert!(metric(&stack, REFUSED).await > 0);
        stack.stop().await;
    });
}
