//! The yardstick of the benchmarks: a tonic server on the types of envoy-types that answers every check with one
//! constant allow, of the same headers as ours. It reads nothing and decides nothing; never put it before a server.
//!
//! `cargo run --release --example always_allow -- 127.0.0.1:50052`; the address on which it listens is the first
//! line that it prints (port 0 takes a free one).

use std::error::Error;
use std::io::Write;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The headers of a usual allow, with values of a usual length.
const HEADERS: [(&str, &str); 7] = [
    ("x-mcp-decision-id", "01990b3e-5b1c-7c44-8a5e-3f6d2b9c1a70"),
    ("x-mcp-user", "alice"),
    ("x-mcp-tenant", "team-a"),
    (
        "x-mcp-workload",
        "spiffe://mcp-identity.local/ns/agents/sa/assistant",
    ),
    ("x-mcp-agent", "assistant"),
    ("x-mcp-action", "kubernetes/scale_deployment"),
    (
        "x-mcp-policies",
        "developers-scale-their-tenant,trusted-agents-act-for-their-users",
    ),
];

struct AlwaysAllow {
    answer: CheckResponse,
}

#[tonic::async_trait]
impl Authorization for AlwaysAllow {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(self.answer.clone()))
    }
}

fn allow() -> CheckResponse {
    let headers = HEADERS.map(|(name, value)| HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            ..HeaderValue::default()
        }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    });
    CheckResponse {
        status: Some(rpc::Status::default()),
        dynamic_metadata: None,
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: headers.to_vec(),
            ..OkHttpResponse::default()
        })),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:50052".to_owned());
    let listener = TcpListener::bind(address).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    Server::builder()
        .add_service(AuthorizationServer::new(AlwaysAllow { answer: allow() }))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}
