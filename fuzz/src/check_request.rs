//! A gateway's question, from its bytes to the answer's: always an answer, and a yes only to somebody proved.

use std::sync::LazyLock;

use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use mcp_authz::app;
use mcp_authz::config::Config;
use mcp_authz::exchange::{Decider as _, Exchange, Reply};
use mcp_authz::pipeline::Pipeline;
use mcp_authz::wire::check::message::{Asked, Unusual};
use mcp_authz::wire::check::{request, response};
use prost::Message as _;
use serde_json::Value as Json;

use super::{headers, message, world};

/// Reasons that are faults of ours: whatever is sent, none of these is its answer.
const FAULTS: [&str; 4] = ["panicked", "internal", "deadline_exceeded", "audit_unavailable"];

/// Decides the check.
///
/// # Panics
/// If the answer is a fault, can't be sent, or is a yes without proof.
pub fn check(bytes: &[u8]) {
    let generated = CheckRequest::decode(bytes);
    match (Asked::swift(bytes), &generated) {
        (Ok(asked), Ok(check)) => assert_eq!(asked, Asked::plain(check), "two readings of a check"),
        // Where it differs from a check, nobody looks.
        (Ok(_), Err(_)) | (Err(Unusual), _) => {}
    }
    let exchange = match request::exchange(bytes, headers::frame()) {
        Ok(exchange) => exchange,
        Err(failure) => {
            denied(&response::of_failure(failure, None));
            return;
        }
    };
    let read = message::read(&exchange);
    let reply = answer(exchange.clone());
    if let Reply::Forward(_) = &reply {
        proved(&exchange);
        let server = exchange.path.contains("/.well-known/");
        assert!(read.is_some() && !server, "a yes to what was not read");
    }
    let sent = response::of_reply(reply).expect("an answer that can be sent");
    let code = sent.status.as_ref().map_or(0, |status| status.code);
    match sent.http_response.as_ref().expect("an answer") {
        HttpResponse::OkResponse(_) => assert_eq!(code, 0),
        _ => denied(&sent),
    }
}

/// Whether the check is answered with a yes: `cargo test` asks whether any is.
#[must_use]
pub fn allows(bytes: &[u8]) -> bool {
    request::exchange(bytes, headers::frame())
        .is_ok_and(|exchange| matches!(answer(exchange), Reply::Forward(_)))
}

fn denied(sent: &CheckResponse) {
    let code = sent.status.as_ref().map_or(0, |status| status.code);
    assert_ne!(code, 0, "a denial that gateways take for a yes");
    let Some(HttpResponse::DeniedResponse(denial)) = &sent.http_response else {
        panic!("a denial without an answer")
    };
    if let Ok(body) = serde_json::from_str::<Json>(&denial.body) {
        let reason = body
            .pointer("/error/data/reason")
            .and_then(Json::as_str)
            .unwrap_or_default();
        assert!(!FAULTS.contains(&reason), "{reason}");
    }
}

/// A yes needs a token that was signed, and a workload of the trust domain.
fn proved(exchange: &Exchange) {
    let credential = exchange
        .headers
        .single("authorization")
        .expect("one credential")
        .expect("a credential");
    let (_, token) = credential.split_once(' ').expect("a token");
    assert!(world::was_signed(token), "a yes to a forged token");
    let caller = world::identify(exchange).expect("a caller");
    let workload = caller.workload.expect("a workload");
    assert_eq!(workload.spiffe_id.trust_domain(), world::TRUST_DOMAIN);
}

fn answer(exchange: Exchange) -> Reply {
    static PIPELINE: LazyLock<Pipeline> = LazyLock::new(pipeline);
    world::block_on(PIPELINE.answer(Box::new(exchange)))
}

fn pipeline() -> Pipeline {
    let policies = world::checkout().join("policies");
    let text = format!(
        "servers:\n  - {{name: workbench, resource: '{}', origins: ['https://app.example']}}\n  \
         - {{name: info, resource: 'https://mcp.example/info/mcp', route: {{host: mcp.example, path: /info/mcp}}}}\n\
         policies: {{directory: '{}'}}\nidentity: {}\naudit: {{file: /dev/null}}\n",
        world::RESOURCE,
        policies.display(),
        serde_json::to_string(&world::identity()).expect("settings can be written"),
    );
    let config = Config::read(None, &text, []).unwrap_or_else(|problems| panic!("{problems:?}"));
    world::block_on(app::pipeline(&config)).unwrap_or_else(|error| panic!("{error}"))
}
