//! Pieces to make requests of, in whatever spelling the profile allows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_authz::exchange::Headers;
use mcp_authz::mcp::Version;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::messages::table;
use super::texts::{self, Told};

/// Pieces to make one request of.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    pub(super) version: Version,
    pub(super) method: &'static str,
    pub(super) id: String,
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
    pub(super) fn chooses(&self, which: usize, of: usize) -> usize {
        self.choices[which].index(of)
    }

    fn is_notification(&self) -> bool {
        self.method.starts_with("notifications/")
    }

    pub(super) fn is_stateless(&self) -> bool {
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
    pub(super) fn body(&self) -> (String, Option<String>) {
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
    pub(super) fn headers(&self, body: &str, about: Option<&str>, single: bool) -> Headers {
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

pub(super) fn pieces() -> impl Strategy<Value = Pieces> {
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
