//! Tables of cases: one line of YAML each, sent as bytes over TLS, as no client library would.
//!
//! `threat` is the row of docs/threat-model.md that the case belongs to. `expect` is the HTTP status and then either
//! `allowed` (the MCP server answered), `gateway` and Envoy's own word for what it refused, or the JSON-RPC code and the
//! reason of our denial, with `told` and another reason where the caller is told that one.
//!
//! In a body, a header or a request line, `<<ff fe>>` stands for those bytes, `<<70*[>>` for 70 times that text, and
//! `<<call>>` for the good call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_authz::dev::stack::Stack;
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::{self, Caller};

/// One line of a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What is tried, as docs/threat-model.md says it.
    pub(crate) threat: String,
    /// How, if there is more than one way.
    #[serde(default)]
    pub(crate) name: String,
    /// The method and the target of the request line; `POST /workbench/mcp`.
    #[serde(default = "first")]
    first: String,
    /// The good call with one text replaced by another. Neither this nor `body`: the good call.
    edit: Option<[String; 2]>,
    /// A call of this tool instead.
    tool: Option<String>,
    /// Another body, sent without the headers that name a call.
    body: Option<String>,
    /// `MCP-Protocol-Version`; with `body` 2025-06-18, else 2026-07-28. Empty for none.
    version: Option<String>,
    /// More header lines.
    #[serde(default)]
    headers: Vec<String>,
    /// Header lines that are left out.
    #[serde(default)]
    without: Vec<String>,
    expect: String,
}

/// What must come of a case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected<'a> {
    /// The MCP server answers.
    Allowed,
    /// The gateway refuses, with this word in its access log.
    Gateway(&'a str),
    /// Denied by us: JSON-RPC code, reason of the record, reason of the answer.
    Denied(i64, &'a str, &'a str),
}

/// The tool of the good call: not permitted to the developer where the point is who may call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Good {
    Permitted,
    Denied,
}

fn first() -> String {
    "POST /workbench/mcp".to_owned()
}

/// The cases of a file in `tests/black_box/cases`.
pub(crate) fn cases(text: &str) -> Vec<Case> {
    serde_saphyr::from_str(text).unwrap()
}

impl Case {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.words()[0].parse().unwrap()
    }

    pub(crate) fn expected(&self) -> Expected<'_> {
        match self.words()[1..] {
            ["allowed"] => Expected::Allowed,
            ["gateway", details] => Expected::Gateway(details),
            [code, reason] => Expected::Denied(code.parse().unwrap(), reason, reason),
            [code, reason, "told", told] => Expected::Denied(code.parse().unwrap(), reason, told),
            _ => panic!("{self:?}"),
        }
    }

    fn words(&self) -> Vec<&str> {
        self.expect.split(' ').collect()
    }

    /// Whether the answer has no body (RFC 9110 §9.3.2).
    pub(crate) fn is_head(&self) -> bool {
        self.first.starts_with("HEAD ")
    }

    /// The request, as it is sent.
    pub(crate) fn request(&self, stack: &Stack, caller: &Caller, good: Good) -> Vec<u8> {
        let (tool, arguments) = match (&self.tool, good) {
            (Some(tool), _) => (tool.as_str(), json!({ "path": "/srv/work/hello.txt" })),
            (None, Good::Permitted) => ("fs_read", json!({ "path": "/srv/work/hello.txt" })),
            (None, Good::Denied) => (
                "db_admin",
                json!({ "table": "orders", "privilege": "select", "grantee": "x" }),
            ),
        };
        let tool = String::from_utf8(rendered(tool, "")).unwrap();
        let call = caller::call(&tool, &arguments).to_string();
        let body = self.body(&call);
        let mut bytes = format!("{} HTTP/1.1\r\n", self.first).into_bytes();
        for line in self.lines(stack, caller, &tool, body.len()) {
            bytes.extend(rendered(&line, ""));
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        bytes
    }

    fn body(&self, call: &str) -> Vec<u8> {
        match (&self.body, &self.edit) {
            (Some(body), _) => rendered(body, call),
            (None, Some([old, new])) => {
                assert!(call.contains(old), "{self:?}");
                rendered(&call.replacen(old, new, 1), "")
            }
            (None, None) => call.as_bytes().to_vec(),
        }
    }

    /// The header lines. One that the case brings itself takes the place of ours.
    fn lines(&self, stack: &Stack, caller: &Caller, tool: &str, length: usize) -> Vec<String> {
        let mut lines = vec![
            format!("host: localhost:{}", stack.ports.listener),
            format!("authorization: Bearer {}", caller.token.as_deref().unwrap()),
            "accept: application/json, text/event-stream".to_owned(),
            "content-type: application/json".to_owned(),
            format!("content-length: {length}"),
            "connection: close".to_owned(),
        ];
        let names_call = self.body.is_none();
        let usual = if names_call { "2026-07-28" } else { "2025-06-18" };
        let version = self.version.as_deref().unwrap_or(usual);
        if !version.is_empty() {
            lines.push(format!("mcp-protocol-version: {version}"));
        }
        if names_call {
            lines.push("mcp-method: tools/call".to_owned());
            lines.push(format!("mcp-name: {}", field(tool)));
        }
        let name = |line: &str| line.split(':').next().unwrap().to_ascii_lowercase();
        let replaced: Vec<String> = self
            .headers
            .iter()
            .map(|line| name(line))
            .chain(self.without.clone())
            .collect();
        lines.retain(|line| !replaced.contains(&name(line)));
        lines.extend(
            self.headers
                .iter()
                .map(|line| line.replace("PORT", &stack.ports.listener.to_string())),
        );
        lines
    }
}

/// A name as `Mcp-Name` may hold it (MCP 2026-07-28).
fn field(name: &str) -> String {
    let plain = name.trim() == name && name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if plain && !name.is_empty() {
        name.to_owned()
    } else {
        format!("=?base64?{}?=", STANDARD.encode(name))
    }
}

/// The text with what stands between `<<` and `>>` put in.
fn rendered(text: &str, call: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, marked)) = rest.split_once("<<") {
        let (mark, after) = marked.split_once(">>").unwrap();
        bytes.extend(plain.as_bytes());
        match mark.split_once('*') {
            _ if mark == "call" => bytes.extend(call.as_bytes()),
            _ if mark == "call in UTF-16" => {
                bytes.extend(call.encode_utf16().flat_map(u16::to_le_bytes));
            }
            Some((times, what)) => bytes.extend(what.repeat(times.parse().unwrap()).as_bytes()),
            None => bytes.extend(mark.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap())),
        }
        rest = after;
    }
    bytes.extend(rest.as_bytes());
    bytes
}

/// The JSON-RPC message of an HTTP/1.1 answer.
pub(crate) fn message(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    // Chunked or not: the message is on one line.
    let line = body.lines().find(|line| line.starts_with(['{', '[']));
    line.and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_default()
}

/// Asserts that no case of a table came out otherwise than it says, and shows those that did.
#[track_caller]
pub(crate) fn assert_none(wrong: &[String], of: usize) {
    assert!(wrong.is_empty(), "{} of {of}\n{}", wrong.len(), wrong.join("\n"));
}
