//! The lists that the documents are compared with: what the code really measures, records and tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mcp_authz::audit::{
    Batch, Durations, PolicyEffect, Record, Redacted, ShadowOpinion, ShowArguments, User,
};
use mcp_authz::telemetry::{
    BundleStatus, DecisionStatus, IntrospectionStatus, KeyStatus, Metrics, PolicyStatus, StateStatus, Status,
    StreamStatus, TokenStatus, VerifiedStatus, WorkloadApiStatus, WorkloadTlsStatus,
};
use mcp_authz::{clock, identity};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The rows of the tables below a heading, up to the next heading of its level or above; without their heads.
pub(crate) fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let start = format!("## {heading}");
    let section = page.lines().skip_while(|line| *line != start).skip(1);
    let section = section.take_while(|line| !line.starts_with("## "));
    let mut rows = Vec::new();
    for line in section.filter_map(|line| line.strip_prefix('|')) {
        if line.trim_start().starts_with("---") {
            // What stood before it was the head.
            rows.pop();
        } else {
            let cells = line.trim_end_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    assert!(!rows.is_empty(), "no table below `{start}`");
    rows
}

/// What stands in backticks.
pub(crate) fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names in the first cells below a heading.
pub(crate) fn first_column(page: &str, heading: &str) -> BTreeSet<String> {
    rows(page, heading)
        .iter()
        .flat_map(|row| names(&row[0]))
        .collect()
}

/// Each metric that is rendered once everything has happened, with its labels.
pub(crate) fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let (metrics, now) = (Metrics::new(["workbench"]), clock::now());
    metrics.decision("workbench", "tools/call", "denied", "no_permit", Duration::ZERO);
    metrics.state_operation("use_once", "first", Duration::ZERO);
    metrics.revocation("session", "operator");
    metrics.notice("keycloak", "logout_token", "revoked");
    metrics.shadow("workbench", "directory", "allowed", "deny");
    let key = |issuer: &str| KeyStatus {
        issuer: issuer.to_owned(),
        fetched: Some(now),
        ..KeyStatus::default()
    };
    let status = Status {
        policies: PolicyStatus {
            version: Some("1".to_owned()),
            loaded: Some(now),
            refused: None,
            decisions: DecisionStatus {
                lookups: vec![("hit", 1)],
                ..DecisionStatus::default()
            },
        },
        shadow: Some(PolicyStatus::default()),
        keys: vec![key("one")],
        bundles: vec![BundleStatus {
            trust_domain: "one".to_owned(),
            confirmed: Some(now),
            ..BundleStatus::default()
        }],
        tokens: TokenStatus {
            lookups: vec![("known", 1)],
            removed: vec![("expired", 1)],
            verified: vec![VerifiedStatus::default()],
            introspections: vec![IntrospectionStatus {
                outcomes: vec![("active", 1)],
                ..IntrospectionStatus::default()
            }],
            ..TokenStatus::default()
        },
        state: StateStatus {
            revocations_age: Some(Duration::ZERO),
            ..StateStatus::default()
        },
        workload_api: Some(WorkloadApiStatus {
            streams: vec![StreamStatus::default()],
            tls: Some(WorkloadTlsStatus {
                authorities: vec![("example.org".to_owned(), 1)],
                refused: vec![("untrusted", 1)],
                ..WorkloadTlsStatus::default()
            }),
        }),
        ..Status::default()
    };
    labels_of(&metrics.render(&status, now))
}

/// The metrics of a page as Prometheus reads it, with their labels.
fn labels_of(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            found
                .entry(described.split(' ').next().unwrap().to_owned())
                .or_default();
        } else if let Some((name, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let ends = ["_bucket", "_sum", "_count"];
            let whole = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let labels = labels.split('}').next().unwrap().split(',');
            let labels = labels.map(|label| label.split('=').next().unwrap().to_owned());
            let metric = found.entry(whole.to_owned()).or_default();
            metric.extend(labels.filter(|label| label != "le"));
        }
    }
    found
}

/// The members of a line in which nothing is left out. Without `..`: another field does not compile until it is here.
pub(crate) fn fields_of_a_record() -> BTreeSet<String> {
    let text = || Some("x".into());
    let record = Record {
        time: clock::now(),
        decision_id: "x".into(),
        outcome: "denied",
        reason: Some("no_permit"),
        server: text(),
        method: text(),
        protocol_version: Some("2025-11-25"),
        target: text(),
        target_kind: Some("prompt"),
        user: Some(User {
            claims: Some(facts()),
            ..User::default()
        }),
        workload: text(),
        actor: text(),
        actor_client: text(),
        actors: vec!["x".into()],
        tenant: text(),
        session: text(),
        policies: vec![PolicyEffect::default()],
        shadow: vec![ShadowOpinion {
            from: "directory",
            would: "deny",
            code: Some("would_deny"),
            because: Some("no_permit"),
            policies: vec![PolicyEffect::default()],
            policy_version: text(),
        }],
        policy_version: text(),
        durations_us: Durations {
            total: 1,
            read: Some(1),
            identity: Some(1),
            policy: Some(1),
        },
        trace_id: text(),
        gateway: "x".into(),
        request_id: text(),
        client: Some(std::net::IpAddr::from([127, 0, 0, 1])),
        batch: Some(Batch { index: 0, size: 2 }),
        arguments: Some(Redacted {
            arguments: "{}".to_owned(),
            omitted: 1,
            shown: ShowArguments::All,
        }),
    };
    let line: Value = serde_json::from_slice(&record.to_line()).unwrap();
    let mut found = BTreeSet::new();
    fields(&line, "", &mut found);
    found
}

/// What is written of a user with every claim, one of them too long.
fn facts() -> Arc<RawValue> {
    let list = || vec!["x".to_owned()];
    let user = identity::User {
        issuer: "x".to_owned(),
        subject: "x".to_owned(),
        username: "x".to_owned(),
        email: Some("x".to_owned()),
        roles: list(),
        groups: list(),
        tenants: list(),
        scopes: list(),
        acr: Some("x".to_owned()),
        client_id: Some("x".to_owned()),
        token_id: Some("x".to_owned()),
        login_session: Some("x".to_owned()),
        expires: Timestamp::MAX,
        authenticated: Some(Timestamp::UNIX_EPOCH),
    };
    let facts = user.facts();
    let mut facts: Map<String, Value> = serde_json::from_str(facts.get()).unwrap();
    let long = identity::User {
        acr: Some("x".repeat(10_000)),
        ..user
    };
    let long: Map<String, Value> = serde_json::from_str(long.facts().get()).unwrap();
    facts.extend(long);
    serde_json::value::to_raw_value(&facts).unwrap().into()
}

fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                let separator = if path.is_empty() { "" } else { "." };
                fields(value, &format!("{path}{separator}{name}"), found);
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|item| fields(item, &format!("{path}[]"), found)),
        _ => drop(found.insert(path.to_owned())),
    }
}

/// The names of all functions that are tests.
pub(crate) fn test_functions(folders: &[&Path]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in folders {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(test_functions(&[&path]));
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.extend(tests_in(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

fn tests_in(text: &str) -> BTreeSet<String> {
    let marks = ["#[test]", "#[tokio::test"];
    let mut found = BTreeSet::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        marked |= marks.iter().any(|mark| line.starts_with(mark));
        if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
            found.extend(rest.split('(').next().map(str::to_owned));
            marked = false;
        }
    }
    found
}
