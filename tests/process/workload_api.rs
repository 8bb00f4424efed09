//! The process beside an agent that serves the SPIFFE Workload API, or doesn't.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use mcp_authz::clock;
use mcp_authz::dev::trust_domain::DevTrustDomain;
use mcp_authz::dev::workload_api::{Workload, WorkloadApi};
use mcp_authz::spiffe::{SpiffeId, TrustDomain};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::service::{AGENT, Service, post};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

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

/// The reason for which a caller with this JWT-SVID is denied; none: it is allowed.
async fn denied(service: &Service, svid: &str) -> Option<String> {
    let question = post("/mcp", &[("x-jwt-svid", svid)], PING);
    let answer = service.client().await.check(question).await.unwrap().into_inner();
    match answer.http_response.unwrap() {
        HttpResponse::OkResponse(_) => None,
        HttpResponse::DeniedResponse(denied) => {
            let body: Value = serde_json::from_str(&denied.body).unwrap();
            Some(body["error"]["data"]["reason"].as_str().unwrap().to_owned())
        }
        other @ HttpResponse::ErrorResponse(_) => panic!("{other:?}"),
    }
}

async fn until_denied(service: &Service, svid: &str, reason: Option<&str>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut last = None;
    for _ in 0..3000 {
        ticks.tick().await;
        last = denied(service, svid).await;
        if last.as_deref() == reason {
            return;
        }
    }
    panic!("not {reason:?} but {last:?}");
}

#[tokio::test]
async fn jwt_svids_are_verified_with_what_the_agent_says_and_a_withdrawn_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let service = Service::new(&json!({
        "workload_api": { "socket": format!("unix://{}", socket.display()) },
        "identity": { "spiffe": {
            "trust_domains": [{ "name": "mcp-identity.local", "bundle": "workload_api" }],
            "jwt_svid": { "header": "x-jwt-svid" },
        } },
    }));
    let mut process = service.start();
    let workload = workload();
    let domain = Arc::clone(&workload.trust_domain);
    let (id, hour) = (SpiffeId::parse(AGENT).unwrap(), Duration::from_hours(1));
    let mint = || {
        domain
            .mint_jwt_svid(&id, &["https://mcp.example/mcp"], hour, clock::now())
            .unwrap()
    };
    let first = mint();
    until_denied(&service, &first, Some("svid_bundle_unavailable")).await;

    let _agent = WorkloadApi::serve(&socket, workload).unwrap();
    until_denied(&service, &first, None).await;
    domain.rotate(clock::now()).unwrap();
    let second = mint();
    until_denied(&service, &second, None).await;
    assert_eq!(denied(&service, &first).await, None, "both keys hold");
    domain.withdraw();
    until_denied(&service, &first, Some("svid_key_unknown")).await;
    assert_eq!(denied(&service, &second).await, None);
    process.kill().unwrap();
    process.wait().unwrap();
}
