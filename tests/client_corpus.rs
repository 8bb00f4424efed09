//! What real clients sent, as `tests/clients/record/record.sh` wrote it down: none of it is refused.
//!
//! Each file is one HTTP request: `corpus/CLIENT-VERSION/PROTOCOL/METHOD.http`. What no released client sends is written
//! by the specification, in `corpus/by-specification/`.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail on the spot"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use mcp_authz::clock;
use mcp_authz::exchange::{Exchange, Fate, Gateway};
use mcp_authz::mcp::{self, Call, Id, Limits, Message, Operation, Version};
use mcp_authz::wire::check::request::{self, Frame};
use prost::Message as _;
use serde_json::{Value, json};

const CORPUS: &str = "tests/clients/corpus";

/// The few requests that the server of the recording refused as well: where, our reason, and why it is sent at all.
const REFUSED_BY_SERVERS_TOO: &[(&str, &str, &str)] = &[
    (
        "go-sdk-1.8.0/2026-07-28/ping.http",
        "meta_incomplete",
        "a method that the version has no more, without what the version asks of every request",
    ),
    (
        "go-sdk-1.8.0/2026-07-28/logging-setLevel.http",
        "meta_incomplete",
        "the same",
    ),
    (
        "mcp-use-1.7.1/2025-03-26/stream-open.http",
        "not_acceptable",
        "no stream of events is asked for: it looks for a 401 that tells of an authorization server",
    ),
];

/// A recorded request.
struct Recorded {
    client: String,
    protocol: String,
    file: String,
    method: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

fn corpus() -> Vec<Recorded> {
    let mut corpus = Vec::new();
    for client in folders(Path::new(CORPUS)) {
        for protocol in folders(&client) {
            corpus.extend(folders(&protocol).iter().map(|file| recorded(file)));
        }
    }
    corpus
}

fn recorded(path: &Path) -> Recorded {
    let bytes = fs::read(path).unwrap();
    let end = bytes
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .expect("an empty line");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.lines();
    let method = lines.next().unwrap().split(' ').next().unwrap().to_owned();
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in lines.map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""))) {
        // As Envoy joins repeated fields.
        let joined = headers.entry(name.to_owned()).or_default();
        joined.push_str(if joined.is_empty() { "" } else { "," });
        joined.push_str(value);
    }
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    Recorded {
        client: name(path.parent().unwrap().parent().unwrap()),
        protocol: name(path.parent().unwrap()),
        file: path.strip_prefix(CORPUS).unwrap().display().to_string(),
        method,
        headers,
        body: bytes[end + 2..].to_vec(),
    }
}

impl Recorded {
    /// As a gateway describes it.
    fn exchange(&self) -> Exchange {
        let http = HttpRequest {
            method: self.method.clone(),
            path: "/mcp".to_owned(),
            host: "mcp.example".to_owned(),
            scheme: "https".to_owned(),
            headers: self.headers.clone(),
            raw_body: self.body.clone(),
            ..HttpRequest::default()
        };
        let check = CheckRequest {
            attributes: Some(AttributeContext {
                request: Some(Request {
                    http: Some(http),
                    ..Request::default()
                }),
                ..AttributeContext::default()
            }),
        };
        let frame = Frame {
            gateway: Gateway::default(),
            received: clock::now(),
            started: clock::instant(),
            deadline: clock::instant() + Duration::from_secs(5),
            fate: Fate::default(),
        };
        request::exchange(&check.encode_to_vec(), frame).unwrap()
    }

    /// The messages of the body, as another parser reads them.
    fn messages(&self) -> Vec<Value> {
        if self.body.is_empty() {
            return Vec::new();
        }
        match serde_json::from_slice(&self.body).unwrap() {
            Value::Array(messages) => messages,
            message => vec![message],
        }
    }

    /// What the audit must call each of them.
    fn methods(&self) -> Vec<String> {
        match self.method.as_str() {
            "GET" => vec!["stream/open".to_owned()],
            "DELETE" => vec!["session/end".to_owned()],
            _ => self
                .messages()
                .iter()
                .map(|message| message["method"].as_str().unwrap_or("response").to_owned())
                .collect(),
        }
    }
}

fn assert_alike(call: &Call, sent: &Value, file: &str) {
    let id = call.id.as_ref().map(|id| match id {
        Id::String(text) => json!(text),
        Id::Number(number) => json!(number),
    });
    if call.operation != Operation::Response {
        assert_eq!(id.as_ref(), sent.get("id"), "{file}");
    }
    let params = &sent["params"];
    match &call.operation {
        Operation::ToolsCall {
            tool: name,
            arguments,
        }
        | Operation::PromptsGet {
            prompt: name,
            arguments,
        } => {
            assert_eq!(params["name"], json!(name), "{file}");
            let none = json!({});
            let sent = params.get("arguments").unwrap_or(&none);
            assert_eq!(&Value::Object(arguments.to_serde()), sent, "{file}");
        }
        Operation::Resource { uri, .. } => assert_eq!(params["uri"], json!(uri), "{file}"),
        Operation::Task { task, .. } => assert_eq!(params["taskId"], json!(task), "{file}"),
        Operation::Initialize { offered } => assert_eq!(params["protocolVersion"], json!(offered), "{file}"),
        _ => {}
    }
}

fn read(recorded: &Recorded) -> Option<Message> {
    let read = mcp::read(&recorded.exchange(), &Limits::default());
    let expected = REFUSED_BY_SERVERS_TOO
        .iter()
        .find(|(file, ..)| *file == recorded.file);
    match (read, expected) {
        (Ok(message), None) => Some(message),
        (Err(refused), Some((_, reason, _))) => {
            assert_eq!(refused.why.code(), *reason, "{}", recorded.file);
            None
        }
        (Err(refused), None) => panic!("{}: {refused:?}", recorded.file),
        (Ok(_), Some(_)) => panic!("{} is read", recorded.file),
    }
}

#[test]
fn nothing_that_a_real_client_sent_is_refused() {
    let mut read_files = 0;
    for recorded in corpus() {
        let Some(message) = read(&recorded) else { continue };
        let expected = recorded.methods();
        assert_eq!(message.calls().len(), expected.len(), "{}", recorded.file);
        for (call, method) in message.calls().iter().zip(&expected) {
            let known = call.operation.method();
            if let Operation::Unknown { method: sent } = &call.operation {
                assert_eq!(sent, method, "{}", recorded.file);
            } else {
                assert_eq!(known, method, "{}", recorded.file);
            }
        }
        for (call, sent) in message.calls().iter().zip(recorded.messages()) {
            assert_alike(call, &sent, &recorded.file);
        }
        if expected != ["initialize"] {
            assert_eq!(message.version.as_str(), recorded.protocol, "{}", recorded.file);
        }
        read_files += 1;
    }
    assert!(read_files > 300, "{read_files}");
}

#[test]
fn the_corpus_has_the_clients_that_matter() {
    let corpus = corpus();
    let mut clients: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for recorded in corpus
        .iter()
        .filter(|recorded| recorded.client != "by-specification")
    {
        let (client, _) = recorded.client.rsplit_once('-').unwrap();
        clients.entry(client).or_default().insert(&recorded.protocol);
    }
    let official = [
        "python-sdk",
        "typescript-sdk",
        "typescript-client",
        "go-sdk",
        "rust-sdk",
    ];
    for sdk in official {
        assert!(clients[sdk].len() >= 3, "{sdk}: {:?}", clients[sdk]);
    }
    assert!(clients.contains_key("inspector"));
    assert!(clients.len() >= official.len() + 1 + 4, "{clients:?}");
    for version in Version::ALL {
        let speaking = official
            .iter()
            .filter(|sdk| clients[**sdk].contains(version.as_str()));
        assert!(speaking.count() >= 2, "{version}");
    }
}

#[test]
fn the_corpus_has_every_method_under_every_version() {
    let mut sent: BTreeSet<(String, String)> = BTreeSet::new();
    for recorded in corpus() {
        for method in recorded.methods() {
            sent.insert((recorded.protocol.clone(), method));
        }
    }
    let page = include_str!("../docs/json-profile.md");
    let (_, table) = page.split_once("| method | versions |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let mut missing = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let columns: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        for method in columns[0].split(", ").map(|name| name.trim_matches('`')) {
            for version in Version::ALL.iter().filter(|version| knows(columns[1], **version)) {
                let key = (version.as_str().to_owned(), method.to_owned());
                if !sent.contains(&key) {
                    missing.push(key);
                }
            }
        }
    }
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        for way in ["stream/open", "session/end", "response"] {
            if !sent.contains(&(version.to_owned(), way.to_owned())) {
                missing.push((version.to_owned(), way.to_owned()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// Whether the table's column of versions names this one.
fn knows(column: &str, version: Version) -> bool {
    let (least, most) = match column.split_once(' ') {
        None if column == "all" => return true,
        None => (column, column),
        Some(("to", last)) => ("2025-03-26", last),
        Some(("from", first)) => (first, "2026-07-28"),
        Some(_) => panic!("{column}"),
    };
    (least..=most).contains(&version.as_str())
}

#[test]
fn the_corpus_names_no_machine() {
    for recorded in corpus() {
        let text = fs::read_to_string(Path::new(CORPUS).join(&recorded.file)).unwrap();
        for place in [
            "/root/",
            "/home/",
            "/tmp/",
            "/Users/",
            "127.0.0.1",
            "localhost",
            "authorization:",
        ] {
            assert!(!text.contains(place), "{}: {place}", recorded.file);
        }
    }
}
