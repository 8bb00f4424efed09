use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use clap::Parser;

use super::*;
use crate::cli::Color;
use crate::cli::Output;

mod tls;

/// What a server in a test has, and what it was asked.
#[derive(Default)]
struct Live {
    pages: Vec<Value>,
    token: Option<&'static str>,
    methods: Mutex<Vec<String>>,
}

/// A server of 2025-11-25: JSON for the first page of tools, events for the others.
async fn answer(State(live): State<Arc<Live>>, headers: HeaderMap, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap();
    let method = request["method"].as_str().unwrap().to_owned();
    live.methods.lock().unwrap().push(method.clone());
    let sent = headers.get("authorization").map(|value| value.to_str().unwrap());
    if live
        .token
        .is_some_and(|token| sent != Some(&format!("Bearer {token}")))
    {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]).into_response();
    }
    let id = &request["id"];
    let reply = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
    match method.as_str() {
        "initialize" => {
            let result = json!({
                "protocolVersion": request["params"]["protocolVersion"],
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "test", "version": "1" },
            });
            let headers = [("content-type", "application/json"), ("mcp-session-id", "s1")];
            (headers, reply(result)).into_response()
        }
        "tools/list" => {
            assert_eq!(headers.get("mcp-session-id").unwrap(), "s1");
            let page: usize = request["params"]["cursor"]
                .as_str()
                .map_or(0, |cursor| cursor.parse().unwrap());
            let mut result = json!({ "tools": live.pages[page] });
            let next = page.saturating_add(1);
            if next < live.pages.len() {
                result["nextCursor"] = json!(next.to_string());
            }
            if page == 0 {
                return ([("content-type", "application/json")], reply(result)).into_response();
            }
            let events = format!("event: message\r\nid: 1\r\ndata: {}\r\n\r\n", reply(result));
            ([("content-type", "text/event-stream")], events).into_response()
        }
        _ if request.get("id").is_none() => StatusCode::ACCEPTED.into_response(),
        _ => {
            let error = json!({ "code": -32601, "message": "method not found" });
            let reply = json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string();
            ([("content-type", "application/json")], reply).into_response()
        }
    }
}

async fn serve(live: Live) -> (String, Arc<Live>) {
    let live = Arc::new(live);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let app = axum::Router::new()
        .route("/mcp", post(answer))
        .with_state(Arc::clone(&live));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, live)
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

async fn pull(url: &str, folder: &Path, more: &[&str]) -> miette::Result<Outcome> {
    let folder = folder.to_str().unwrap();
    let argv = [&["pull", "k", url, "--policies", folder, "--timeout", "20"], more].concat();
    run(
        Line::parse_from(argv).args,
        Terminal::new(Output::Table, Color::Never),
    )
    .await
}

fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "inputSchema": { "type": "object", "properties": { "labels": { "type": "object" }, "n": { "type": "integer" } } },
        "execution": { "taskSupport": "optional" },
        "x-later": [1, 2.50, "ü"],
    })
}

#[tokio::test]
async fn every_page_is_written_as_the_server_wrote_it_in_the_order_of_names() {
    let (url, live) = serve(Live {
        pages: vec![json!([tool("c"), tool("a")]), json!([tool("b")])],
        ..Live::default()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(pull(&url, folder.path(), &[]).await.unwrap(), Outcome::Yes);
    let written = std::fs::read_to_string(folder.path().join("tools/k.json")).unwrap();
    let expected = json!({ "tools": [tool("a"), tool("b"), tool("c")] });
    assert_eq!(written, serde_json::to_string_pretty(&expected).unwrap() + "\n");
    assert!(
        live.methods
            .lock()
            .unwrap()
            .contains(&"notifications/initialized".to_owned())
    );
    let inventory = Inventory::load(folder.path()).unwrap();
    let tools = inventory.server(&"k".parse().unwrap()).unwrap();
    let report = Report::of(tools, Path::new("tools/k.json"));
    insta::assert_snapshot!(report.words(Terminal::new(Output::Table, Color::Never)));
}

#[tokio::test]
async fn a_token_is_sent_and_its_absence_is_told() {
    let live = || Live {
        pages: vec![json!([tool("a")])],
        token: Some("t0ken"),
        ..Live::default()
    };
    let (url, _) = serve(live()).await;
    let folder = tempfile::tempdir().unwrap();
    let error = pull(&url, folder.path(), &[]).await.unwrap_err();
    assert!(format!("{error:?}").contains("Auth required"), "{error:?}");
    let file = folder.path().join("token");
    std::fs::write(&file, "t0ken\n").unwrap();
    let more = ["--token-file", file.to_str().unwrap()];
    assert_eq!(pull(&url, folder.path(), &more).await.unwrap(), Outcome::Yes);
}

#[tokio::test]
async fn tools_that_cannot_be_loaded_are_not_written() {
    let bad = json!([{ "name": "a", "inputSchema": { "type": "object", "properties": { "x": { "$ref": "https://evil.example/s" } } } }]);
    let (url, _) = serve(Live {
        pages: vec![bad],
        ..Live::default()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tools")).unwrap();
    std::fs::write(folder.path().join("tools/k.json"), "old").unwrap();
    assert_eq!(pull(&url, folder.path(), &[]).await.unwrap(), Outcome::No);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("tools/k.json")).unwrap(),
        "old"
    );
    assert_eq!(std::fs::read_dir(folder.path().join("tools")).unwrap().count(), 1);
}

#[tokio::test]
async fn another_list_than_the_approved_one_is_not_written_over_it() {
    let (url, _) = serve(Live {
        pages: vec![json!([tool("a"), tool("b")])],
        ..Live::default()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tools")).unwrap();
    let path = folder.path().join("tools/k.json");
    // In another order and layout, it is the same list.
    for (approved, expected) in [
        (json!({ "tools": [tool("b"), tool("a")] }), Outcome::Yes),
        (json!({ "tools": [tool("a")] }), Outcome::No),
    ] {
        let text = approved.to_string();
        std::fs::write(&path, &text).unwrap();
        assert_eq!(pull(&url, folder.path(), &[]).await.unwrap(), expected);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
