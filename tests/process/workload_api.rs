//! The process beside an agent that serves the SPIFFE Workload API, or doesn't.

use std::sync::Arc;
use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::dev::trust_domain::DevTrustDomain;
use mcp_authz::dev::workload_api::{Workload, WorkloadApi};
use mcp_authz::spiffe::{SpiffeId, TrustDomain};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::service::Service;

/// The status of `/ready` and what it says of the Workload API; `None` while nobody listens.
async fn ready(service: &Service) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", service.http)).await.ok()?;
    let question = b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(question).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    Some((status, body["workload_api"].as_str().unwrap().to_owned()))
}

async fn until(service: &Service, status: &str, says: &str) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut last = None;
    for _ in 0..3000 {
        ticks.tick().await;
        last = ready(service).await;
        if last
            .as_ref()
            .is_some_and(|(told, state)| told == status && state.contains(says))
        {
            return;
        }
    }
    panic!("not {status} with `{says}` but {last:?}");
}

fn workload() -> Workload {
    let domain = TrustDomain::parse("mcp-identity.local").unwrap();
    Workload {
        ids: vec![SpiffeId::parse("spiffe://mcp-identity.local/mcp-authz").unwrap()],
        trust_domain: Arc::new(DevTrustDomain::new(domain, clock::now()).unwrap()),
        federated: Vec::new(),
        svid_lifetime: Duration::from_hours(1),
    }
}

#[tokio::test]
async fn without_an_agent_the_process_starts_says_why_it_is_not_ready_and_goes_on_once_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let service = Service::new(&json!({
        "workload_api": { "socket": format!("unix://{}", socket.display()) },
        "grpc": { "tls": { "workload_api": { "trust_domains": ["mcp-identity.local"] } } },
    }));
    let mut process = service.start();
    until(
        &service,
        "503",
        "missing: no X.509-SVID: the Workload API can't be reached",
    )
    .await;

    let workload = workload();
    let agent = WorkloadApi::serve(&socket, workload.clone()).unwrap();
    until(
        &service,
        "200",
        "ok: spiffe://mcp-identity.local/mcp-authz until ",
    )
    .await;
    drop(agent);
    until(
        &service,
        "200",
        "stale: spiffe://mcp-identity.local/mcp-authz until ",
    )
    .await;
    let _again = WorkloadApi::serve(&socket, workload).unwrap();
    until(&service, "200", "ok: ").await;
    process.kill().unwrap();
    process.wait().unwrap();
}
