//! What a client sends in confidence is in no log, trace, metric, health answer or record.

use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use serde_json::json;

use crate::service::{Service, decision, http, post, stop, texts};

/// In every planted secret.
const PLANTED: &str = "planted7f3a";

/// Secrets in every place that a client can write to, in messages of every kind.
#[expect(clippy::too_many_lines, reason = "a table")]
fn questions(key: &str) -> Vec<(&'static str, CheckRequest)> {
    let secret = |place: &str| format!("{PLANTED}-{place}");
    // Not a real token, but one that is read to its end: header, claims, signature.
    let token = format!(
        "Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImEifQ.eyJzdWIiOiJ{PLANTED}In0.{}",
        secret("signature")
    );
    let basic = format!("Basic {}", secret("password"));
    let (session, cookie, query) = (
        secret("session"),
        secret("cookie"),
        format!("/mcp?access_token={}", secret("query")),
    );
    let headers: Vec<(&str, &str)> = vec![
        ("authorization", &token),
        ("mcp-session-id", &session),
        ("cookie", &cookie),
        ("x-api-key", &cookie),
        ("proxy-authorization", &basic),
        ("dpop", &token),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    let quiet: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| *name != "authorization")
        .copied()
        .collect();
    let call = |arguments: serde_json::Value| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "fs_write", "arguments": arguments } })
            .to_string()
    };
    let value = secret("value");
    let ping = json!({ "jsonrpc": "2.0", "id": secret("id"), "method": "ping", "params": { "x": value } })
        .to_string();
    let whole = call(json!({ key: value, "deep": { "list": [value] } }));
    let cut = whole.split_at(whole.len() - 3).0.to_owned();
    let twice = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{{\"a\":\"{value}\",\"a\":\"{value}\"}}}}"
    );
    let with = |name: &'static str, value: &'static str| {
        let mut headers = quiet.clone();
        headers.push((name, value));
        headers
    };
    vec![
        ("allowed", post("/mcp", &quiet, &ping)),
        ("denied", post("/mcp", &quiet, &whole)),
        ("a bad token", post("/mcp", &headers, &whole)),
        ("a token in the query", post(&query, &quiet, &whole)),
        (
            "a password",
            post("/mcp", &with("authorization", "Basic planted7f3a-basic"), &whole),
        ),
        ("a body that is cut", post("/mcp", &quiet, &cut)),
        ("a key twice", post("/mcp", &quiet, &twice)),
        ("no JSON", post("/mcp", &quiet, &value)),
        (
            "a batch",
            post(
                "/mcp",
                &with("mcp-protocol-version", "2025-03-26"),
                &format!("[{whole},{ping}]"),
            ),
        ),
        (
            "a bad version",
            post(
                "/mcp",
                &with("mcp-protocol-version", "planted7f3a-version"),
                &ping,
            ),
        ),
        (
            "a bad content type",
            post(
                "/mcp",
                &[("content-type", "planted7f3a/type"), ("cookie", &cookie)],
                &ping,
            ),
        ),
        ("no HTTP", CheckRequest::default()),
    ]
}

#[tokio::test]
async fn planted_secrets_are_nowhere_to_be_found() {
    // Names of arguments are recorded unless they are not to be.
    for (format, arguments, key) in [("json", "names", "password"), ("text", "none", "planted7f3a-key")] {
        let service = Service::new(&json!({
            "log": { "filter": "trace", "format": format },
            "audit": { "arguments": arguments },
        }));
        let process = service.start();
        let mut client = service.client().await;
        let mut allowed = 0;
        for (name, question) in questions(key) {
            let mut question = tonic::Request::new(question);
            question.set_timeout(Duration::from_secs(20));
            let answer = client
                .check(question)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            if name != "no HTTP" {
                allowed += usize::from(decision(answer.get_ref()).1);
            }
        }
        assert_eq!(allowed, 1);
        for path in ["/metrics", "/health", "/ready"] {
            let answer = http(service.http, path).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(!answer.contains(PLANTED), "{path}: {answer}");
        }
        drop(client);
        stop(process);
        let mut looked_at = 0;
        for (path, text) in texts(service.folder.path()) {
            let text = String::from_utf8_lossy(&text);
            if let Some(line) = text.lines().find(|line| line.contains(PLANTED)) {
                panic!("{}: {line}", path.display());
            }
            looked_at += 1;
        }
        // What would be found if it were there: the log and the records of all these questions.
        assert!(looked_at >= 5);
        let [_, log] = service
            .outputs()
            .map(|path| std::fs::read_to_string(path).unwrap());
        assert!(log.contains("TRACE"), "{log}");
        let records = std::fs::read_to_string(service.place().current()).unwrap();
        assert!(records.lines().count() > questions(key).len(), "{records}");
    }
}
