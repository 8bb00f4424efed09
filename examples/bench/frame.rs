//! A check as the shipped configuration of Envoy makes it of a usual call, and an mcp-authz that allows it.

use std::path::Path;

use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use mcp_authz::clock;
use mcp_authz::dev::demo::cast::{ASSISTANT, Agent, DAN};
use mcp_authz::dev::pki::Authority;
use mcp_authz::dev::{DevIssuer, Mint};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message as _;
use serde_json::{Value, json};

use crate::Failure;

const RESOURCE: &str = "https://localhost:8443/workbench/mcp";
const ISSUER: &str = "https://id.example/realms/mcp";

/// Longer than any bench.
const TOKEN_LIFETIME: i64 = 12 * 3600;

/// Writes `jwks.json`, the check as `check.frame`, and the call that it is about: `call.json` and `call.headers`.
pub(crate) fn prepare(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory)?;
    let issuer = DevIssuer::create(directory, ISSUER)?;
    let check = check(&token_of(&issuer, DAN.name)?)?;
    std::fs::write(directory.join("check.frame"), framed(&check)?)?;
    let call = check.attributes.and_then(|attributes| attributes.request?.http);
    let call = call.ok_or("a check without a call")?;
    let headers = call.header_map.unwrap_or_default().headers.into_iter();
    let lines =
        headers.map(|header| format!("{}: {}\n", header.key, String::from_utf8_lossy(&header.raw_value)));
    std::fs::write(directory.join("call.headers"), lines.collect::<String>())?;
    std::fs::write(directory.join("call.json"), call.raw_body)?;
    Ok(())
}

/// Writes the configuration of an mcp-authz that allows the check, into a directory that is prepared. Its file and
/// its audit bear the name. `others`: settings that are other than usual, as an object of JSON.
pub(crate) fn configure(
    directory: &Path,
    name: &str,
    durability: &str,
    grpc: u16,
    http: u16,
    others: &str,
) -> Result<(), Failure> {
    let directory = directory.canonicalize()?;
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut configuration = json!({
        "policies": { "directory": policies },
        "servers": [{ "name": "workbench", "resource": RESOURCE }],
        "grpc": { "listen": format!("127.0.0.1:{grpc}") },
        "http": { "listen": format!("127.0.0.1:{http}") },
        "identity": {
            "issuers": [{
                "name": "bench",
                "issuer": ISSUER,
                "algorithms": ["ES256"],
                "keys": { "file": directory.join("jwks.json") },
            }],
            "spiffe": { "trust_domains": ["mcp-identity.local"] },
            "gateways": [{ "name": "envoy", "address": "127.0.0.1", "trusted_for": ["principal", "xfcc"] }],
        },
        "audit": {
            "file": directory.join(format!("{name}.jsonl")),
            "durability": durability,
            // At the rate of a bench that takes a processor of its own, in whatever round it falls.
            "rotation": { "compress": false },
        },
    });
    merge(&mut configuration, serde_json::from_str(others)?);
    let text = serde_saphyr::to_string(&configuration)?;
    std::fs::write(directory.join(format!("{name}.yaml")), text)?;
    Ok(())
}

/// Puts settings into a configuration, in the place of those of the same name.
fn merge(into: &mut Value, settings: Value) {
    match (into, settings) {
        (Value::Object(into), Value::Object(settings)) => {
            for (name, setting) in settings {
                merge(into.entry(name).or_insert(Value::Null), setting);
            }
        }
        (into, setting) => *into = setting,
    }
}

/// A message of gRPC: not compressed, its length, itself.
pub(crate) fn framed(check: &CheckRequest) -> Result<Vec<u8>, Failure> {
    let message = check.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len())?.to_be_bytes());
    frame.extend(message);
    Ok(frame)
}

/// A token of a user who may call the tool.
pub(crate) fn token_of(issuer: &DevIssuer, user: &str) -> Result<String, Failure> {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let mint = Mint {
        user: user.to_owned(),
        email: Some("dan@example.com".to_owned()),
        roles: texts(DAN.roles),
        tenants: texts(&["acme"]),
        audiences: texts(&[RESOURCE]),
        lifetime_seconds: TOKEN_LIFETIME,
        ..Mint::default()
    };
    Ok(issuer.mint(&mint, clock::now())?)
}

/// The check with that token.
pub(crate) fn check(token: &str) -> Result<CheckRequest, Failure> {
    let Agent::Workload { spiffe_id, .. } = ASSISTANT else {
        return Err("an agent without a certificate".into());
    };
    let identity = Authority::new(clock::now())?.workload(spiffe_id)?;
    let source = Peer {
        principal: spiffe_id.to_owned(),
        certificate: utf8_percent_encode(&identity.certificate, NON_ALPHANUMERIC).to_string(),
        ..peer(41_234)
    };
    let request = Request {
        time: None,
        http: Some(http(token, spiffe_id)),
    };
    let attributes = AttributeContext {
        source: Some(source),
        destination: Some(peer(8443)),
        request: Some(request),
        context_extensions: [("server".to_owned(), "workbench".to_owned())].into(),
        ..AttributeContext::default()
    };
    Ok(CheckRequest {
        attributes: Some(attributes),
    })
}

fn peer(port: u32) -> Peer {
    let socket = SocketAddress {
        address: "127.0.0.1".to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Peer {
        address: Some(Address {
            address: Some(Kind::SocketAddress(socket)),
        }),
        ..Peer::default()
    }
}

/// With `pack_as_bytes` and `encode_raw_headers`: the maps of texts stay empty.
fn http(token: &str, spiffe_id: &str) -> HttpRequest {
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"fs_write","arguments":{"path":"/srv/work/notes/today.md","content":"- water the plants\n- read the mail\n","create":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let length = body.len().to_string();
    let authorization = format!("Bearer {token}");
    let xfcc =
        format!("Hash=0f4c1f0a7a1b4d5c6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5;URI={spiffe_id}");
    let headers = [
        (":authority", "localhost:8443"),
        (":path", "/workbench/mcp"),
        (":method", "POST"),
        (":scheme", "https"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "fs_write"),
        ("authorization", &authorization),
        ("user-agent", "python-httpx/0.28.1"),
        ("content-length", &length),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "6c5b0f52-0b1e-4c8d-9f5a-3a6f1d2e4b70"),
        ("x-envoy-internal", "true"),
        ("x-forwarded-client-cert", &xfcc),
        ("x-envoy-auth-partial-body", "false"),
    ];
    let headers = headers.map(|(key, value)| HeaderValue {
        key: key.to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    });
    HttpRequest {
        id: "1234567890123456789".to_owned(),
        method: "POST".to_owned(),
        path: "/workbench/mcp".to_owned(),
        host: "localhost:8443".to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        size: i64::try_from(body.len()).unwrap_or(i64::MAX),
        header_map: Some(HeaderMap {
            headers: headers.to_vec(),
        }),
        raw_body: body.as_bytes().to_vec(),
        ..HttpRequest::default()
    }
}
