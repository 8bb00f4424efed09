//! agentgateway, as its shipped configuration has it, before mcp-authz with the one shipped for it.

use mcp_authz::dev::mint::Mint;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::parts::agentgateway::Request;
use crate::parts::caller::{TRUSTED, UNTRUSTED, developer};
use crate::parts::with_stack;

use ground::{GATEWAY, Ground, Switch, WORKBENCH, with, without};

mod claims;
mod configuration;
mod ground;
mod multiplexed;

#[test]
fn a_call_goes_through_with_our_headers_alone() {
    with_stack(async |stack| {
        let ground = Ground::as_shipped(stack, "through").await;
        let forged = ["x-mcp-user", "x-mcp-agent", "x-mcp-workload"];
        let request = forged
            .iter()
            .fold(ground.allowed(), |request, name| with(request, name, "root"));
        let request = with(request, "x-forwarded-client-cert", format!("URI={UNTRUSTED}"));
        let request = with(request, "x-request-id", "mine");
        let reply = ground.send(request).await;
        assert_eq!(reply.seen("x-mcp-user").as_deref(), Some("dan"));
        assert_eq!(reply.seen("x-mcp-workload").as_deref(), Some(TRUSTED));
        assert_eq!(reply.seen("x-mcp-agent"), None);
        assert_eq!(reply.seen("x-forwarded-client-cert"), None);
        let record = ground.record(1).await;
        assert_eq!(
            (&record["outcome"], &record["gateway"]),
            (&json!("allowed"), &json!(GATEWAY))
        );
        assert_eq!(
            reply.seen("x-mcp-decision-id").as_deref(),
            record["decision_id"].as_str()
        );
        // As docs/agentgateway.md says.
        assert_eq!(record["request_id"], "mine");
    });
}

#[test]
fn denials_arrive_as_json() {
    with_stack(async |stack| {
        let ground = Ground::as_shipped(stack, "denials").await;
        let admin = json!({ "table": "orders", "privilege": "select", "grantee": "x" });
        ground
            .send(ground.call("db_admin", &admin))
            .await
            .assert_denied(200, "no_permit");
        let nobody = ground.send(without(ground.allowed(), "authorization")).await;
        nobody.assert_denied(401, "no_credential");
        let learn =
            "resource_metadata=\"https://localhost:8443/.well-known/oauth-protected-resource/workbench/mcp\"";
        assert_eq!(nobody.headers["www-authenticate"], format!("Bearer {learn}"));
        let metadata = Request {
            method: "GET",
            path: "/.well-known/oauth-protected-resource/workbench/mcp",
            headers: Vec::new(),
            body: Vec::new(),
            workload: Some(TRUSTED),
        };
        let metadata = ground.send(metadata).await;
        assert_eq!(
            (metadata.status, &metadata.message()["resource"]),
            (200, &json!(WORKBENCH))
        );
    });
}

#[test]
fn what_a_client_sends_twice_or_in_the_gateways_name_is_refused() {
    with_stack(async |stack| {
        let ground = Ground::as_shipped(stack, "forged").await;
        let good = || ground.allowed();
        let token = good().header("authorization").unwrap().to_owned();
        let cases = [
            (with(good(), "authorization", token), 400, "two_credentials"),
            (with(good(), "mcp-name", "fs_read"), 400, "header_mismatch"),
            (with(good(), "mcp-method", "tools/call"), 400, "header_mismatch"),
            (
                with(good(), "content-type", "application/json"),
                415,
                "content_type",
            ),
            (
                with(good(), "mcp-protocol-version", "2026-07-28"),
                400,
                "version_mismatch",
            ),
            // Read by many servers as x-mcp-user, and Envoy alone keeps it out by itself.
            (with(good(), "x_mcp_user", "root"), 400, "header_lookalike"),
            (with(good(), "x-envoy-auth-partial-body", "true"), 413, "body_cut"),
        ];
        for (request, status, reason) in cases {
            ground.send(request).await.assert_denied(status, reason);
        }
        let vouched = with(good(), "x-envoy-auth-partial-body", "false");
        assert!(ground.send(vouched).await.seen("x-mcp-user").is_some());
    });
}

#[test]
fn a_body_that_the_gateway_cut_is_denied_and_recorded() {
    with_stack(async |stack| {
        let ground = Ground::as_shipped(stack, "cut").await;
        let mut request = ground.allowed();
        // Whole JSON at the limit, and more behind it.
        request.body.resize(1_048_576, b' ');
        request.body.extend_from_slice(b"{}");
        let request = with(request, "x-envoy-auth-partial-body", "false");
        ground.send(request).await.assert_denied(413, "body_cut");
        assert_eq!(ground.record(1).await["reason"], "body_cut");
        let mut whole = ground.allowed();
        whole.body.resize(1_048_576, b' ');
        let whole = with(whole, "content-length", "1048576");
        assert!(ground.send(whole).await.seen("x-mcp-user").is_some());
    });
}

#[test]
fn a_body_as_text_is_read_too() {
    with_stack(async |stack| {
        let mut ground = Ground::as_shipped(stack, "text").await;
        for route in ground.gateway.routes() {
            route["policies"]["extAuthz"]["includeRequestBody"]["packAsBytes"] = json!(false);
        }
        assert!(ground.send(ground.allowed()).await.seen("x-mcp-user").is_some());
        let mut broken = ground.allowed();
        broken.body = br#"{"jsonrpc":"2.0","id":1,"method":"ping","x":""#.to_vec();
        ground.send(broken).await.assert_denied(400, "json_syntax");
    });
}

#[test]
fn a_workload_is_what_the_gateway_verified_and_nothing_that_a_client_says() {
    with_stack(async |stack| {
        let ground = Ground::as_shipped(stack, "workloads").await;
        let nobody = |request: Request| Request {
            workload: None,
            ..request
        };
        let named = with(
            ground.allowed(),
            "x-forwarded-client-cert",
            format!("URI={TRUSTED}"),
        );
        let cases = [
            (nobody(ground.allowed()), "workload_missing"),
            // Its entry isn't trusted for this header.
            (nobody(named), "gateway_not_trusted"),
            (
                Request {
                    workload: Some("spiffe://mcp-identity.local.evil.example/a"),
                    ..ground.allowed()
                },
                "workload_foreign_trust_domain",
            ),
        ];
        for (request, reason) in cases {
            ground.send(request).await.assert_denied(403, reason);
        }
        let write = json!({ "path": "/srv/work/new.txt", "content": "x", "create": true });
        let crawler = Request {
            workload: Some(UNTRUSTED),
            ..ground.call("fs_write", &write)
        };
        ground.send(crawler).await.assert_denied(200, "no_permit");
    });
}

#[test]
fn streams_and_ends_of_sessions_are_decided_under_the_gateways_own_session_id() {
    with_stack(async |stack| {
        let ground = Ground::as_shipped(stack, "sessions").await;
        let request = |method: &'static str, body: Value, session: Option<&String>| {
            let mut request = ground.allowed();
            for name in ["mcp-method", "mcp-name", "mcp-protocol-version"] {
                request = without(request, name);
            }
            request = with(request, "mcp-protocol-version", "2025-11-25");
            if let Some(session) = session {
                request = with(request, "mcp-session-id", session);
            }
            let body = if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into()
            };
            Request {
                method,
                body,
                ..request
            }
        };
        let hello = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            },
        });
        let opened = ground.send(request("POST", hello, None)).await;
        let session = opened.headers.get("mcp-session-id");
        assert!(session.is_some(), "{opened:?}");
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(ground.send(request("POST", ready, session)).await.status, 202);
        assert_eq!(
            ground.send(request("GET", Value::Null, session)).await.status,
            200
        );
        assert_eq!(
            ground.send(request("DELETE", Value::Null, session)).await.status,
            200
        );
        let records = ground.records(4).await;
        let methods: Vec<Value> = records.iter().map(|record| record["method"].clone()).collect();
        let expected = [
            "initialize",
            "notifications/initialized",
            "stream/open",
            "session/end",
        ];
        assert_eq!(methods, expected);
    });
}

/// Gives an issuer's keys once, and then takes questions without answering.
async fn falls_asleep(listener: TcpListener, keys: Value) {
    let body = keys.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
    let (mut first, _) = listener.accept().await.unwrap();
    let mut question = [0; 1024];
    let _ = first.read(&mut question).await.unwrap();
    let answer = format!("{head} {}\r\n\r\n{body}", body.len());
    first.write_all(answer.as_bytes()).await.unwrap();
    drop(first);
    let mut asked = Vec::new();
    while let Ok(connection) = listener.accept().await {
        asked.push(connection);
    }
}

/// The gateway would wait for ever, and so would the issuer: the bound is ours.
#[test]
fn an_answer_comes_in_time_though_the_gateway_names_no_deadline() {
    with_stack(async |stack| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asleep = tokio::spawn(falls_asleep(listener, stack.issuer.jwks()));
        let ground = Ground::start(stack, "deadline", Switch::default(), |configuration| {
            let issuer = &mut configuration["identity"]["issuers"][0];
            issuer["keys"] = json!({ "jwks_url": format!("http://{address}/keys") });
            issuer["algorithms"] = json!(["ES256"]);
            issuer["fetch_timeout"] = json!("1h");
            issuer["unknown_kid_interval"] = json!("1ms");
        })
        .await;
        assert!(ground.send(ground.allowed()).await.seen("x-mcp-user").is_some());
        let unknown = Mint {
            audiences: vec![WORKBENCH.to_owned()],
            kid: Some("rotated".to_owned()),
            ..developer()
        };
        let request = without(ground.allowed(), "authorization");
        let request = with(request, "authorization", ground.token(&unknown));
        ground.send(request).await.assert_denied(503, "keys_unavailable");
        assert_eq!(ground.record(2).await["reason"], "keys_unavailable");
        asleep.abort();
    });
}

#[test]
fn nobody_answers_for_a_mcp_authz_that_is_gone() {
    with_stack(async |stack| {
        let mut ground = Ground::as_shipped(stack, "gone").await;
        let request = ground.allowed();
        ground.authz.stop().await;
        let reply = ground.send(request).await;
        assert_eq!(
            (reply.status, reply.text.as_str()),
            (403, "external authorization failed")
        );
    });
}
