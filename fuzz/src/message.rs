//! A whole HTTP request: what is read of it is what the laxest reader finds in it.

use mcp_authz::exchange::{Body, Exchange};
use mcp_authz::mcp::{self, Call, Id, Limits, Message, Operation, Payload, Reference, Refusal, Version};
use serde_json::Value as Json;

use super::http;
use super::json::{alike, member};

/// Reads the request and compares what is read with the body and the headers.
///
/// # Panics
/// If they disagree.
pub fn check(bytes: &[u8]) {
    read(&http::exchange(&http::parse(bytes)));
}

/// The message, if there is one, compared with what it was read from.
///
/// # Panics
/// If they disagree.
pub fn read(exchange: &Exchange) -> Option<Message> {
    let limits = Limits::default();
    match mcp::read(exchange, &limits) {
        Ok(message) => {
            headers(exchange, &message);
            match exchange.method.as_str() {
                "POST" => body(exchange, &message),
                "GET" => assert_eq!(message.calls()[0].operation.method(), "stream/open"),
                "DELETE" => assert_eq!(message.calls()[0].operation, Operation::EndSession),
                other => panic!("{other} is read"),
            }
            Some(message)
        }
        Err(refused) => {
            assert!(Refusal::CODES.contains(&refused.why.code()));
            None
        }
    }
}

/// No deciding header is there twice, and none says another thing than the message.
fn headers(exchange: &Exchange, message: &Message) {
    let value = |name: &'static str| {
        let values: Vec<_> = exchange.headers.values(name).collect();
        assert!(values.len() <= 1, "`{name}` is there {} times", values.len());
        values
            .first()
            .map(|value| std::str::from_utf8(value).expect("text"))
    };
    let [first, ..] = message.calls() else {
        panic!("an empty message")
    };
    let initialize = matches!(first.operation, Operation::Initialize { .. });
    if !initialize {
        let sent = value("mcp-protocol-version").unwrap_or("2025-03-26");
        assert_eq!(sent, message.version.as_str());
    }
    let session = value("mcp-session-id").filter(|_| message.version != Version::V2026_07_28);
    assert_eq!(session, message.session.as_deref());
    if let Some(method) = value("mcp-method")
        && !matches!(first.operation, Operation::Unknown { .. })
    {
        assert_eq!(method, first.operation.method());
    }
    for (name, _) in &message.param_headers {
        assert_eq!(exchange.headers.values(name).count(), 1, "{name}");
    }
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        assert!(!exchange.headers.contains(name), "{name}");
    }
    if message.version == Version::V2026_07_28 && first.id.is_some() {
        assert!(value("mcp-method").is_some());
    }
    if let (Some(sent), Some(name)) = (value("mcp-name"), name_of(&first.operation)) {
        let decoded = mcp::header_value(sent).expect("a name");
        assert_eq!(decoded, name);
    }
}

fn name_of(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::ToolsCall { tool: name, .. }
        | Operation::PromptsGet { prompt: name, .. }
        | Operation::Resource { uri: name, .. }
        | Operation::Task { task: name, .. } => Some(name),
        _ => None,
    }
}

fn body(exchange: &Exchange, message: &Message) {
    let Body::Whole(bytes) = &exchange.body else {
        panic!("a message without a body")
    };
    let theirs: Json = serde_json::from_slice(bytes).expect("what is read is JSON");
    match (&message.payload, &theirs) {
        (Payload::Single(ours), theirs @ Json::Object(_)) => call(ours, theirs, message.version),
        (Payload::Batch(ours), Json::Array(theirs)) => {
            assert_eq!(message.version, Version::V2025_03_26);
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(theirs) {
                call(ours, theirs, message.version);
            }
        }
        (ours, theirs) => panic!("{ours:?} of {theirs}"),
    }
}

/// One message as the laxest parser reads it.
fn call(ours: &Call, theirs: &Json, version: Version) {
    assert_eq!(member(theirs, "jsonrpc").and_then(Json::as_str), Some("2.0"));
    let method = member(theirs, "method").and_then(Json::as_str);
    let answers = member(theirs, "result").is_some() || member(theirs, "error").is_some();
    if ours.operation == Operation::Response {
        assert!(method.is_none() && answers && version != Version::V2026_07_28);
        return;
    }
    assert!(!answers);
    let id = member(theirs, "id");
    match &ours.id {
        None => assert_eq!(id, None),
        Some(Id::Number(number)) => assert_eq!(id.and_then(Json::as_i64), Some(*number)),
        Some(Id::String(text)) => assert_eq!(id.and_then(Json::as_str), Some(text.as_str())),
    }
    let method = method.expect("a method");
    if let Operation::Unknown { method: sent } = &ours.operation {
        assert_eq!(method, sent);
    } else {
        assert_eq!(method, ours.operation.method());
    }
    let params = member(theirs, "params")
        .cloned()
        .unwrap_or(Json::Object(serde_json::Map::new()));
    assert!(params.is_object(), "params of another type");
    operation(&ours.operation, &params);
}

fn operation(operation: &Operation, params: &Json) {
    let text = |name: &str| member(params, name).and_then(Json::as_str);
    match operation {
        Operation::ToolsCall {
            tool: name,
            arguments,
        }
        | Operation::PromptsGet {
            prompt: name,
            arguments,
        } => {
            assert_eq!(text("name"), Some(name.as_str()));
            let sent = member(params, "arguments").cloned();
            let sent = sent.unwrap_or(Json::Object(serde_json::Map::new()));
            assert!(alike(&Json::Object(arguments.to_serde()), &sent), "{sent}");
        }
        Operation::Resource { uri, .. } => assert_eq!(text("uri"), Some(uri.as_str())),
        Operation::Task { task, .. } => assert_eq!(text("taskId"), Some(task.as_str())),
        Operation::Initialize { offered } => assert_eq!(text("protocolVersion"), Some(offered.as_str())),
        Operation::Listen { uris } => {
            let sent = member(params, "notifications").expect("a filter");
            let sent = member(sent, "resourceSubscriptions").and_then(Json::as_array);
            let sent: Vec<_> = sent
                .into_iter()
                .flatten()
                .map(|uri| uri.as_str().expect("text"))
                .collect();
            assert_eq!(&sent, uris);
        }
        Operation::Complete { reference } => {
            let sent = member(params, "ref").expect("a reference");
            let text = |name: &str| member(sent, name).and_then(Json::as_str).expect("text");
            match reference {
                Reference::Prompt(name) => {
                    assert_eq!((text("type"), text("name")), ("ref/prompt", name.as_str()));
                }
                Reference::Resource(uri) => {
                    assert_eq!((text("type"), text("uri")), ("ref/resource", uri.as_str()));
                }
            }
        }
        Operation::Plain { .. } | Operation::Unknown { .. } => {}
        Operation::Response | Operation::OpenStream { .. } | Operation::EndSession => {
            panic!("{operation:?} of a request")
        }
    }
}
