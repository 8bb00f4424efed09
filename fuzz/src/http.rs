//! An HTTP request as text: `POST /mcp`, header lines, an empty line, the body. One line ending is as good as another.
//!
//! Lines that begin with `:` say what no header does: `:body: cut`, `:body: ambiguous`, and with any other name what a
//! filter of the gateway left in its metadata, as JSON.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use mcp_authz::clock;
use mcp_authz::exchange::{Body, Exchange, Fate, Gateway, Headers, Peer, Source};

/// The parts of the text.
#[derive(Debug, Default)]
pub struct Text<'a> {
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Name and value of each header line.
    pub fields: Vec<(String, &'a [u8])>,
    /// Whatever follows the empty line.
    pub body: &'a [u8],
}

/// Takes a text apart. Any bytes are one.
#[must_use]
pub fn parse(bytes: &[u8]) -> Text<'_> {
    let mut text = Text::default();
    let (first, mut rest) = line(bytes);
    let first = String::from_utf8_lossy(first).into_owned();
    let (method, path) = first.split_once(' ').unwrap_or((&first, "/mcp"));
    method.clone_into(&mut text.method);
    path.split(' ')
        .next()
        .unwrap_or_default()
        .clone_into(&mut text.path);
    loop {
        let (field, after) = line(rest);
        rest = after;
        if field.is_empty() {
            break;
        }
        let colon = field
            .iter()
            .skip(1)
            .position(|byte| *byte == b':')
            .map(|at| at + 1);
        let (name, value) = field.split_at(colon.unwrap_or(field.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        text.fields
            .push((String::from_utf8_lossy(name).into_owned(), value));
    }
    text.body = rest;
    text
}

fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    (
        line.strip_suffix(b"\r").unwrap_or(line),
        rest.get(1..).unwrap_or_default(),
    )
}

/// The exchange that the text describes.
#[must_use]
pub fn exchange(text: &Text<'_>) -> Exchange {
    let mut headers = Headers::default();
    let mut filter_metadata = serde_json::Map::new();
    let mut body = if text.body.is_empty() {
        Body::Absent
    } else {
        Body::Whole(Bytes::copy_from_slice(text.body))
    };
    for (name, value) in &text.fields {
        match (name.strip_prefix(':'), *value) {
            (None, value) => headers.push(name, value),
            (Some("body"), b"cut") => body = Body::Cut,
            (Some("body"), b"ambiguous") => body = Body::Ambiguous,
            (Some(filter), value) => {
                if let Ok(found) = serde_json::from_slice(value) {
                    filter_metadata.insert(filter.to_owned(), found);
                }
            }
        }
    }
    Exchange {
        method: text.method.clone(),
        path: text.path.clone(),
        headers,
        body,
        filter_metadata,
        ..empty()
    }
}

/// An exchange that says nothing, through a trusted gateway.
#[must_use]
pub fn empty() -> Exchange {
    let started = clock::instant();
    Exchange {
        method: "POST".to_owned(),
        path: "/workbench/mcp".to_owned(),
        host: "mcp.example".to_owned(),
        scheme: "https".to_owned(),
        headers: Headers::default(),
        body: Body::Absent,
        source: Source::default(),
        context: [("server".to_owned(), "workbench".to_owned())].into(),
        filter_metadata: serde_json::Map::new(),
        gateway: Gateway {
            peer: Peer::Unix,
            ..Gateway::default()
        },
        request_id: String::new(),
        received: now(),
        started,
        deadline: started + Duration::from_mins(1),
        fate: Fate::default(),
    }
}

/// When all this happens: within the life of the tokens in `keys/tokens.txt`.
///
/// # Panics
/// Never.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}
