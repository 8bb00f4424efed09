//! Every request that docs/json-profile.md allows, made from its own table of methods: none is refused.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mcp_authz::clock;
use mcp_authz::exchange::{Body, Exchange, Fate, Gateway, Headers, Source};
use mcp_authz::mcp::{self, Limits, Version};
use proptest::prelude::*;
use proptest::sample::{Index, select};

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
fn table() -> Vec<(&'static str, Vec<Version>)> {
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

/// Pieces to make one request of.
#[derive(Debug, Clone)]
struct Pieces {
    version: Version,
    method: &'static str,
    id: String,
    name: Vec<(char, String)>,
    uri: String,
    arguments: Option<Told>,
    /// Members that nobody reads.
    more: Vec<(String, Told)>,
    meta: Vec<(String, Told)>,
    /// Which of the things that may be left out or spelt otherwise are.
    choices: Vec<Index>,
}

impl Pieces {
    fn chooses(&self, which: usize, of: usize) -> usize {
        self.choices[which].index(of)
    }

    fn is_notification(&self) -> bool {
        self.method.starts_with("notifications/")
    }

    fn is_stateless(&self) -> bool {
        self.version == Version::V2026_07_28
    }

    /// The members of `params` that the method needs or knows, and what the message is about.
    fn own_members(&self) -> (Vec<(String, String)>, Option<String>) {
        let text = |told: &Told| told.text(&[]);
        let mut members: Vec<(String, String)> = Vec::new();
        let mut push = |key: &str, value: String| members.push((key.to_owned(), value));
        let named = Told::Text(self.name.clone());
        let mut about = None;
        match self.method {
            "tools/call" | "prompts/get" => {
                push("name", text(&named));
                about = Some(texts::meant(&self.name));
                if let Some(arguments) = &self.arguments {
                    push("arguments", text(arguments));
                }
                if self.version == Version::V2025_11_25
                    && self.chooses(0, 3) == 0
                    && self.method == "tools/call"
                {
                    push("task", r#"{"ttl":60000}"#.to_owned());
                }
            }
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                push("uri", format!("{:?}", self.uri));
                about = Some(self.uri.clone());
            }
            "tasks/get" | "tasks/cancel" | "tasks/result" | "tasks/update" => {
                push("taskId", text(&named));
                about = Some(texts::meant(&self.name));
            }
            "initialize" => push("protocolVersion", text(&named)),
            "completion/complete" if self.chooses(0, 2) == 0 => {
                push(
                    "ref",
                    format!(r#"{{"type":"ref/prompt","name":{}}}"#, text(&named)),
                );
            }
            "completion/complete" => push(
                "ref",
                format!(r#"{{"uri":{:?},"type":"ref/resource"}}"#, self.uri),
            ),
            "subscriptions/listen" => {
                let filter = match self.chooses(0, 3) {
                    0 => "{}".to_owned(),
                    1 => r#"{"toolsListChanged":true}"#.to_owned(),
                    _ => format!(r#"{{"resourceSubscriptions":[{0:?},{0:?}]}}"#, self.uri),
                };
                push("notifications", filter);
            }
            _ => {}
        }
        (members, about)
    }

    /// The members of `params`, and what the message is about.
    fn params(&self) -> (Vec<(String, String)>, Option<String>) {
        let text = |told: &Told| told.text(&[]);
        let (mut members, about) = self.own_members();
        let mut push = |key: &str, value: String| members.push((key.to_owned(), value));
        let retried = matches!(self.method, "tools/call" | "prompts/get" | "resources/read");
        if self.is_stateless() && retried && self.chooses(1, 3) == 0 {
            push("inputResponses", "{\"a\":{\"action\":\"accept\"}}".to_owned());
            push("requestState", text(&Told::Text(self.name.clone())));
        }
        for (key, value) in &self.more {
            push(key, text(value));
        }
        let mut meta: Vec<_> = self
            .meta
            .iter()
            .map(|(key, value)| format!("{key:?}:{}", text(value)))
            .collect();
        if self.is_stateless() {
            meta.push(format!(
                "\"io.modelcontextprotocol/protocolVersion\":\"{}\"",
                self.version
            ));
            meta.push("\"io.modelcontextprotocol/clientCapabilities\":{\"x\":1}".to_owned());
        }
        if !meta.is_empty() {
            push("_meta", format!("{{{}}}", meta.join(",")));
        }
        (members, about)
    }

    /// The message, its members in one order or the other.
    fn body(&self) -> (String, Option<String>) {
        let (members, about) = self.params();
        let params: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("{key:?}: {value}"))
            .collect();
        let mut parts = vec![
            "\"jsonrpc\":\"2.0\"".to_owned(),
            format!("\"method\" :{:?}", self.method),
        ];
        if !self.is_notification() {
            parts.push(format!("\"id\":{}", self.id));
        }
        if !params.is_empty() || self.chooses(2, 2) == 0 {
            parts.push(format!("\"params\":{{{}}}", params.join(" , ")));
        }
        if self.chooses(3, 2) == 0 {
            parts.reverse();
        }
        (format!("{{{}}}", parts.join(",\n")), about)
    }

    /// The headers that may or must come with it.
    fn headers(&self, body: &str, about: Option<&str>, single: bool) -> Headers {
        let types = [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ];
        let mut headers: Headers = [("content-type", types[self.chooses(4, 4)])]
            .into_iter()
            .collect();
        let absent = self.version == Version::V2025_03_26 && self.chooses(5, 2) == 0;
        if !absent {
            headers.push("mcp-protocol-version", self.version.as_str());
        }
        if self.chooses(6, 2) == 0 {
            headers.push("content-length", body.len().to_string());
        }
        if self.chooses(7, 4) == 0 {
            headers.push("content-encoding", "identity");
        }
        if self.chooses(8, 2) == 0 {
            headers.push("mcp-session-id", "0b1e-~!\"#$%&'()*+:;<=>?@[]^_`{|}");
        }
        if self.chooses(9, 3) == 0 {
            headers.push("mcp-param-region", "eu west");
            headers.push("mcp-param-city", "=?base64?R2Vuw6h2ZQ==?=");
        }
        headers.push("accept", "application/json, text/event-stream");
        let must = self.is_stateless() && !self.is_notification();
        if single && (must || self.chooses(10, 3) == 0) {
            headers.push("mcp-method", self.method);
        }
        if let Some(about) = about.filter(|_| single && (must || self.chooses(11, 3) == 0)) {
            headers.push("mcp-name", self.wrapped(about));
        }
        headers
    }

    /// A name as a header says it: plain where it can be, wrapped where it must be.
    fn wrapped(&self, name: &str) -> String {
        let plain = name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && name.trim() == name;
        let looks_wrapped = name.starts_with("=?base64?") && name.ends_with("?=");
        if plain && !looks_wrapped && self.chooses(12, 4) != 0 {
            return name.to_owned();
        }
        format!("=?base64?{}?=", STANDARD.encode(name))
    }
}

fn pieces() -> impl Strategy<Value = Pieces> {
    let rows: Vec<_> = table()
        .into_iter()
        .flat_map(|(method, versions)| versions.into_iter().map(move |version| (version, method)))
        .chain(Version::ALL.map(|version| (version, "vendor/custom")))
        .chain([
            (Version::V2026_07_28, "ping"),
            (Version::V2025_06_18, "tasks/get"),
        ])
        .collect();
    let id = prop_oneof![
        texts::string(0..40).prop_map(|text| Told::Text(text).text(&[])),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(|id| id.to_string()),
        (0..5_i64).prop_map(|id| id.to_string()),
    ];
    let members = |prefix: &'static str| {
        let key = "[a-z]{1,6}[A-Z./]?[a-z]{0,4}".prop_map(move |key| format!("{prefix}{key}"));
        prop::collection::btree_map(key, texts::value(), 0..3)
            .prop_map(|members| members.into_iter().collect())
    };
    (
        select(rows),
        id,
        texts::string(0..60),
        uri(),
        prop::option::of(texts::object()),
        members("x-"),
        members("x-"),
        prop::collection::vec(any::<Index>(), 16),
    )
        .prop_map(
            |((version, method), id, name, uri, arguments, more, meta, choices)| Pieces {
                version,
                method,
                id,
                name,
                uri,
                arguments,
                more,
                meta,
                choices,
            },
        )
}

/// A URI in the one spelling that no server changes.
fn uri() -> impl Strategy<Value = String> {
    let start = select(vec![
        "file:///",
        "https://docs.example/",
        "https://ada@docs.example:8443/",
        "docs://",
        "urn:isbn:",
        "ui://MyWidget/",
        "mailto:Ada@example.com",
        "postgres://db/",
        "",
    ]);
    let segment = prop_oneof![
        4 => "[A-Za-z0-9_~-]{1,12}",
        1 => "[a-z]{1,4}\\.[a-z]{1,3}",
        1 => "[a-zé𝄞ü]{1,4} [a-z{}]{1,4}",
        1 => select(vec!["%20", "a%2Fb", "%C3%A9", "100%", "...", ".hidden", "{path}", "@:!$&'()*+,;="]).prop_map(str::to_owned),
    ];
    let query = select(vec!["", "", "?q=../b&r=%2F", "#Top"]);
    (start, prop::collection::vec(segment, 1..5), query)
        .prop_map(|(start, segments, query)| format!("{start}{}{query}", segments.join("/")))
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
