//! Every request that docs/json-profile.md allows, made from its own table of methods: none is refused.

use std::time::Duration;

use bytes::Bytes;
use mcp_authz::clock;
use mcp_authz::exchange::{Body, Exchange, Fate, Gateway, Headers, Source};
use mcp_authz::mcp::{self, Limits, Version};
use proptest::prelude::*;

use super::pieces::{Pieces, pieces};
use super::texts::{self, Told};

/// A request, and what it must be read as.
#[derive(Debug)]
struct Sent {
    exchange: Exchange,
    version: Version,
    /// The method of each message, as the audit names it.
    methods: Vec<String>,
    /// What the first is about: a tool, a prompt, a URI, a task.
    about: Option<String>,
}

/// The rows of the page's table: a method and the versions that know it.
pub(super) fn table() -> Vec<(&'static str, Vec<Version>)> {
    let page = include_str!("../../docs/json-profile.md");
    let (_, page) = page.split_once("| method | versions |").unwrap();
    let (table, _) = page.split_once("\n\n").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let mut methods = Vec::new();
    for row in rows {
        let columns: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        for name in columns[0].split(", ") {
            methods.push((name.trim_matches('`'), versions(columns[1])));
        }
    }
    methods
}

fn versions(told: &str) -> Vec<Version> {
    let known = |name: &str| Version::from_name(name).unwrap_or_else(|| panic!("{told}"));
    let place = |version: Version| Version::ALL.iter().position(|other| *other == version);
    let is_meant: Box<dyn Fn(Version) -> bool> = match told.split_once(' ') {
        None if told == "all" => Box::new(|_| true),
        None => Box::new(move |version| version == known(told)),
        Some(("to", last)) => Box::new(move |version| place(version) <= place(known(last))),
        Some(("from", first)) => Box::new(move |version| place(version) >= place(known(first))),
        Some(_) => panic!("{told}"),
    };
    Version::ALL
        .into_iter()
        .filter(|version| is_meant(*version))
        .collect()
}

fn exchange(method: &str, headers: Headers, body: Body) -> Exchange {
    let started = clock::instant();
    Exchange {
        method: method.to_owned(),
        path: "/mcp".to_owned(),
        host: "mcp.example".to_owned(),
        scheme: "https".to_owned(),
        headers,
        body,
        source: Source::default(),
        context: std::collections::HashMap::new(),
        filter_metadata: serde_json::Map::new(),
        gateway: Gateway::default(),
        request_id: String::new(),
        received: clock::now(),
        started,
        deadline: started + Duration::from_secs(5),
        fate: Fate::default(),
    }
}

fn whole(text: String) -> Body {
    Body::Whole(Bytes::from(text))
}

/// What a method is counted as: `unknown` if its version doesn't know it.
fn read_as(pieces: &Pieces) -> String {
    let knows = |(method, versions): &(&str, Vec<Version>)| {
        *method == pieces.method && versions.contains(&pieces.version)
    };
    if table().iter().any(knows) {
        pieces.method
    } else {
        "unknown"
    }
    .to_owned()
}

fn single(pieces: &Pieces) -> Sent {
    let (body, about) = pieces.body();
    let known = read_as(pieces);
    let about = about.filter(|_| known != "unknown");
    Sent {
        exchange: exchange("POST", pieces.headers(&body, about.as_deref(), true), whole(body)),
        version: pieces.version,
        methods: vec![known],
        about,
    }
}

/// Under 2025-03-26: requests and notifications, or responses.
fn batch(mut members: Vec<Pieces>, responses: bool) -> Sent {
    for (place, pieces) in members.iter_mut().enumerate() {
        pieces.version = Version::V2025_03_26;
        pieces.id = format!("\"{place}\"");
        if pieces.method == "initialize" {
            pieces.method = "ping";
        }
    }
    let (bodies, methods): (Vec<_>, Vec<_>) = members
        .iter()
        .enumerate()
        .map(|(place, pieces)| {
            if responses {
                (
                    format!(r#"{{"jsonrpc":"2.0","id":{place},"result":{{}}}}"#),
                    "response".to_owned(),
                )
            } else {
                (pieces.body().0, read_as(pieces))
            }
        })
        .unzip();
    let body = format!(" [{}]\n", bodies.join(" , "));
    Sent {
        exchange: exchange("POST", members[0].headers(&body, None, false), whole(body)),
        version: Version::V2025_03_26,
        methods,
        about: None,
    }
}

/// The client answers the server, up to 2025-11-25.
fn response(pieces: &Pieces, value: &Told) -> Sent {
    let mut pieces = pieces.clone();
    if pieces.is_stateless() {
        pieces.version = Version::V2025_11_25;
    }
    let (id, value) = (&pieces.id, value.text(&[" "]));
    let body = match pieces.chooses(0, 4) {
        0 => format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no","data":{value}}}}}"#
        ),
        1 => r#"{"error":{"message":"","code":-32700},"jsonrpc":"2.0"}"#.to_owned(),
        _ => format!(r#"{{"id":{id},"result":{{"content":{value},"Method":1}},"jsonrpc":"2.0"}}"#),
    };
    Sent {
        exchange: exchange("POST", pieces.headers(&body, None, false), whole(body)),
        version: pieces.version,
        methods: vec!["response".to_owned()],
        about: None,
    }
}

/// A stream is opened, a session ended.
fn bodiless(pieces: &Pieces) -> Sent {
    let version = if pieces.is_stateless() {
        Version::V2025_11_25
    } else {
        pieces.version
    };
    let get = pieces.chooses(0, 2) == 0;
    let mut headers: Headers = [("mcp-protocol-version", version.as_str())].into_iter().collect();
    let accepted = [
        "text/event-stream",
        "*/*",
        "application/json, text/event-stream;q=0.9",
        "Text/*",
    ];
    if get {
        headers.push("accept", accepted[pieces.chooses(1, 4)]);
        headers.push("last-event-id", "stream 7: é,😀");
    }
    if pieces.chooses(2, 2) == 0 {
        headers.push("content-length", "0");
    }
    headers.push("mcp-session-id", "abc.DEF");
    Sent {
        exchange: exchange(if get { "GET" } else { "DELETE" }, headers, Body::Absent),
        version,
        methods: vec![if get { "stream/open" } else { "session/end" }.to_owned()],
        about: None,
    }
}

fn assert_read(sent: &Sent) {
    let message = match mcp::read(&sent.exchange, &Limits::default()) {
        Ok(message) => message,
        Err(refused) => panic!("{refused:?}: {sent:?}"),
    };
    let methods: Vec<_> = message
        .calls()
        .iter()
        .map(|call| call.operation.method())
        .collect();
    assert_eq!(methods, sent.methods, "{sent:?}");
    if sent.methods != ["initialize"] {
        assert_eq!(message.version, sent.version, "{sent:?}");
    }
    if let Some(about) = &sent.about {
        use mcp::Operation::{PromptsGet, Resource, Task, ToolsCall};
        let (ToolsCall { tool: found, .. }
        | PromptsGet { prompt: found, .. }
        | Resource { uri: found, .. }
        | Task { task: found, .. }) = &message.calls()[0].operation
        else {
            panic!("{message:?}")
        };
        assert_eq!(found, about);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases * 4, ..ProptestConfig::default() })]

    #[test]
    fn any_message_that_the_profile_allows_is_read(pieces in pieces()) {
        assert_read(&single(&pieces));
    }

    #[test]
    fn any_text_that_the_profile_allows_is_read(text in texts::text()) {
        if let Err(fault) = mcp::json::read(text.as_bytes(), texts::MAX_NESTING) {
            panic!("{fault:?}: {text}");
        }
    }
}

proptest! {
    #[test]
    fn any_batch_that_the_profile_allows_is_read(
        members in prop::collection::vec(pieces(), 1..6), responses in prop::bool::weighted(0.2)
    ) {
        assert_read(&batch(members, responses));
    }

    #[test]
    fn any_response_stream_and_end_that_the_profile_allows_is_read(pieces in pieces(), value in texts::value()) {
        assert_read(&response(&pieces, &value));
        assert_read(&bodiless(&pieces));
    }
}

#[test]
fn the_table_of_methods_is_understood() {
    let table = table();
    let of = |name| &table.iter().find(|(method, _)| *method == name).unwrap().1;
    assert!(table.len() > 20, "{table:?}");
    assert_eq!(of("tools/call"), &Version::ALL);
    assert_eq!(of("ping").last(), Some(&Version::V2025_11_25));
    assert_eq!(of("tasks/update"), &[Version::V2026_07_28]);
}
