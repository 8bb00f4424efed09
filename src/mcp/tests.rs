//! What is read and what isn't, as tables.

mod bodies;
mod clients;
mod fields;
mod gateway;
mod requests;

use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;

use super::*;
use crate::exchange::{Body, Fate, Gateway, Headers, Source};

/// An exchange with a whole body and just these headers.
fn exchange(method: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Exchange {
    let body: Vec<u8> = body.into();
    #[expect(
        clippy::disallowed_methods,
        reason = "an exchange needs an instant; nothing here depends on it"
    )]
    let now = Instant::now();
    Exchange {
        method: method.to_owned(),
        path: "/mcp".to_owned(),
        host: "mcp.example".to_owned(),
        scheme: "https".to_owned(),
        headers: headers.iter().copied().collect::<Headers>(),
        body: if body.is_empty() {
            Body::Absent
        } else {
            Body::Whole(Bytes::from(body))
        },
        source: Source::default(),
        context: std::collections::HashMap::new(),
        filter_metadata: serde_json::Map::new(),
        gateway: Gateway::default(),
        request_id: String::new(),
        received: Timestamp::UNIX_EPOCH,
        started: now,
        deadline: now,
        fate: Fate::default(),
    }
}

/// A POST of JSON under a version; without one, without the header.
fn post(version: Option<Version>, body: &str) -> Exchange {
    post_with(version, &[], body)
}

fn post_with(version: Option<Version>, more: &[(&str, &str)], body: &str) -> Exchange {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(version.map(|version| ("mcp-protocol-version", version.as_str())));
    headers.extend_from_slice(more);
    exchange("POST", &headers, body)
}

fn message(exchange: &Exchange) -> Message {
    match read(exchange, &Limits::default()) {
        Ok(message) => message,
        Err(refused) => panic!("{refused:?}: {exchange:?}"),
    }
}

fn refusal(exchange: &Exchange) -> Refusal {
    refused(exchange).why
}

fn refused(exchange: &Exchange) -> Refused {
    match read(exchange, &Limits::default()) {
        Ok(message) => panic!("{message:?}: {exchange:?}"),
        Err(refused) => refused,
    }
}

#[test]
fn the_profile_names_every_reason() {
    let page = include_str!("../../docs/json-profile.md");
    let (_, profile) = page.split_once("## The reasons").unwrap();
    for code in Refusal::CODES {
        assert!(
            profile.contains(&format!("| `{code}` |")),
            "{code} is missing in docs/json-profile.md"
        );
    }
    let listed = profile.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(
        listed,
        Refusal::CODES.len(),
        "docs/json-profile.md lists a reason that is none"
    );
}

#[test]
fn codes_are_the_names_of_their_variants_and_unique() {
    let unique: std::collections::HashSet<_> = Refusal::CODES.iter().collect();
    assert_eq!(unique.len(), Refusal::CODES.len());
    assert_eq!(Refusal::DuplicateKey { at: 1 }.code(), "duplicate_key");
    assert_eq!(
        Refusal::HeaderMismatch { header: "Mcp-Name" }.code(),
        "header_mismatch"
    );
}

#[test]
fn the_profile_gives_each_reason_the_answer_that_its_variant_names() {
    let profile = include_str!("../../docs/json-profile.md");
    let mut answer = None;
    let mut compared = 0;
    for line in include_str!("refusal.rs").lines().map(str::trim) {
        if let Some((_, named)) = line.strip_prefix("///").and_then(|line| line.split_once("HTTP ")) {
            answer = named
                .get(..3)
                .zip(named.split_once('−').and_then(|(_, code)| code.get(..5)));
        }
        let code = line
            .strip_prefix('"')
            .and_then(|line| line.split_once("\" \""))
            .map(|(code, _)| code);
        if let Some(code) = code {
            let (status, error) = answer.take().expect(code);
            let row = format!("| `{code}` | {status} | −{error} |");
            assert!(profile.contains(&row), "docs/json-profile.md lacks {row}");
            compared += 1;
        }
    }
    assert_eq!(compared, Refusal::CODES.len());
}
