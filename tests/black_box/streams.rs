//! Answers that take their time, sessions, and streams that stay open.

use std::time::Duration;

use mcp_authz::dev::client::{self, SINGLE_CALL};
use mcp_authz::dev::stack::Stack;
use serde_json::{Value, json};

use crate::parts::caller::{Caller, Reply, TRUSTED, call, person};
use crate::parts::http2::Connection;
use crate::parts::{audit, with_own_stack, with_stack};

fn initialize() -> String {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "black box", "version": "1" },
        },
    })
    .to_string()
}

/// Opens a session and says its id.
async fn session(caller: &Caller) -> String {
    let reply = caller.post(initialize(), &[]).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let id = reply.header("mcp-session-id").to_owned();
    assert!(!id.is_empty(), "{reply:?}");
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    assert_eq!(caller.post(initialized, &in_session(&id)).await.status, 202);
    id
}

fn in_session(id: &str) -> [(&'static str, &str); 2] {
    [("mcp-session-id", id), ("mcp-protocol-version", "2025-11-25")]
}

#[test]
fn a_long_stream_arrives_event_by_event_and_whole() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let id = session(&caller).await;
        let call = json!({
            "jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": {
                "name": "api_execute",
                "arguments": { "job": "report", "replicas": 100 },
                "_meta": { "progressToken": "p" },
            },
        });
        let mut request = caller
            .request("POST")
            .header("content-type", "application/json")
            .body(call.to_string());
        for (name, value) in in_session(&id) {
            request = request.header(name, value);
        }
        let mut response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut text = String::new();
        let mut arrivals = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            arrivals.push(mcp_authz::clock::instant());
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let events: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| !data.is_empty())
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let progress = events
            .iter()
            .filter_map(|event| event["params"]["progress"].as_f64());
        let expected: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(progress.collect::<Vec<f64>>(), expected);
        assert_eq!(events.last().unwrap()["result"]["isError"], false);
        // The job takes two seconds; a gateway that buffers would hand all of it over at once.
        let took = *arrivals.last().unwrap() - arrivals[0];
        assert!(
            took > Duration::from_secs(1),
            "{took:?} in {} pieces",
            arrivals.len()
        );
    });
}

#[test]
fn the_stream_of_a_session_opens_with_get_and_ends_with_delete() {
    with_stack(async |stack| {
        let caller = Caller::developer(stack);
        let id = session(&caller).await;
        let with = |mut request: reqwest::RequestBuilder| {
            for (name, value) in in_session(&id) {
                request = request.header(name, value);
            }
            request
        };
        let get = with(
            caller
                .http
                .get(&caller.url)
                .bearer_auth(caller.token.as_deref().unwrap()),
        );
        let mut stream = get.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(stream.status(), 200);
        assert_eq!(stream.headers()["content-type"], "text/event-stream");

        let deleted = Reply::of(with(caller.request("DELETE"))).await;
        assert_eq!(deleted.status, 200, "{deleted:?}");
        // The server ends the stream of a session that is gone.
        let rest = async { while let Ok(Some(_)) = stream.chunk().await {} };
        tokio::time::timeout(Duration::from_secs(10), rest).await.unwrap();

        let list = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" }).to_string();
        assert_eq!(caller.post(list, &in_session(&id)).await.status, 404);
    });
}

#[test]
fn opening_and_ending_streams_is_decided_too() {
    with_stack(async |stack| {
        let nobody = Caller::without_token(stack, TRUSTED, "workbench");
        for method in ["GET", "DELETE"] {
            let request = nobody.request(method).header("mcp-session-id", "guessed");
            let reply = Reply::of(request.header("accept", "text/event-stream")).await;
            reply.assert_denied(401, "no_credential");
            let record = audit::record(stack, &reply.decision_id()).await;
            assert_eq!(record["outcome"], "denied", "{record}");
        }
    });
}

#[test]
fn a_server_that_answers_in_json_is_served_alike() {
    with_stack(async |stack| {
        let caller = Caller::new(stack, &person("pia", &[], &["public:read"]), TRUSTED, "info");
        let id = session(&caller).await;
        let call = json!({
            "jsonrpc": "2.0", "id": "two", "method": "tools/call",
            "params": { "name": "get_public_info", "arguments": { "topic": "tea" } },
        });
        let reply = caller.post(call.to_string(), &in_session(&id)).await;
        assert_eq!(reply.header("content-type"), "application/json");
        reply.assert_allowed();
        assert_eq!(reply.message()["id"], "two");
        assert_eq!(reply.message()["result"]["structuredContent"]["topic"], "tea");
    });
}

/// Waits until no request is being decided, as the metrics say.
async fn all_decided(stack: &Stack) {
    let http = client::http(&stack.authority, None).unwrap();
    let url = format!("http://127.0.0.1:{}/metrics", stack.ports.http);
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..500 {
        ticks.tick().await;
        let metrics = http.get(&url).send().await.unwrap().text().await.unwrap();
        if metrics
            .lines()
            .any(|line| line == "mcp_authz_requests_in_flight 0")
        {
            return;
        }
    }
    panic!("something is still being decided");
}

/// A counter of the gateway's.
async fn stat(stack: &Stack, name: &str) -> u64 {
    let http = client::http(&stack.authority, None).unwrap();
    let url = format!("http://127.0.0.1:{}/stats?filter=^{name}$", stack.ports.admin);
    let text = http.get(url).send().await.unwrap().text().await.unwrap();
    text.trim().rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_flood_of_resets_through_the_gateway_leaves_nothing_under_way() {
    with_own_stack("resets", Value::Null, async |stack, _| {
        let caller = Caller::developer(&stack);
        let read = json!({ "path": "/srv/work/hello.txt" });
        let body = call("fs_read", &read).to_string();
        let token = format!("Bearer {}", caller.token.as_deref().unwrap());
        let mut headers = vec![("authorization", token.as_str()), ("mcp-name", "fs_read")];
        headers.extend(SINGLE_CALL);
        let settings = h2::client::Builder::new();
        let mut connection = Connection::open(&stack, &settings).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        // Somebody else, through the same gateway.
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (other, reading) = (caller.clone(), read.clone());
        let unharmed = tokio::spawn(async move {
            while !*stopped.borrow() {
                let reply = other.call("fs_read", &reading).await;
                // It may be too much for a small machine, which then says so; never is a connection lost.
                if reply.status != 200 {
                    reply.assert_denied(503, "overloaded");
                }
            }
        });
        for _ in 0..60 {
            let mut streams = Vec::new();
            for _ in 0..50 {
                match connection.post(&caller.url, &headers, &body).await {
                    Ok(opened) => streams.push(opened),
                    // The gateway has had enough of it: come again.
                    Err(_) => connection = Connection::open(&stack, &settings).await,
                }
            }
            // So that they are on their way.
            ticks.tick().await;
            for (_, stream) in &mut streams {
                stream.send_reset(h2::Reason::CANCEL);
            }
        }
        let resets = stat(&stack, "http.mcp.downstream_rq_rx_reset").await;
        assert!(resets > 300, "{resets} streams were reset");
        stop.send_replace(true);
        unharmed.await.unwrap();
        all_decided(&stack).await;
        caller.call("fs_read", &read).await.assert_allowed();
        // Whoever is gone is recorded as gone, and who had an answer as answered.
        let records = audit::records(&stack, |_| true).await;
        let known = ["allowed", "gateway_gone", "check_unreadable", "overloaded"];
        for record in &records {
            assert!(known.contains(&record["reason"].as_str().unwrap()), "{record}");
        }
        stack
    });
}

#[test]
fn who_takes_no_answers_holds_up_nobody() {
    with_own_stack("slow-reader", Value::Null, async |stack, _| {
        let caller = Caller::developer(&stack);
        let read = json!({ "path": "/srv/work/hello.txt" });
        let body = call("fs_read", &read).to_string();
        let token = format!("Bearer {}", caller.token.as_deref().unwrap());
        let mut headers = vec![("authorization", token.as_str()), ("mcp-name", "fs_read")];
        headers.extend(SINGLE_CALL);
        // Without a window no byte of a body may be sent.
        let mut greedy = Connection::open(&stack, h2::client::Builder::new().initial_window_size(0)).await;
        let mut open = Vec::new();
        for _ in 0..90 {
            let (answer, stream) = greedy.post(&caller.url, &headers, &body).await.unwrap();
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), 200);
            open.push((answer, stream));
        }
        all_decided(&stack).await;
        caller.call("fs_read", &read).await.assert_allowed();
        drop(open);
        stack
    });
}
