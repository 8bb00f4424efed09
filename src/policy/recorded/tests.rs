//! Lines of the audit, asked again.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::inventory::Files;
use crate::policy::PolicySet;

/// The shipped tools and entities under these policies.
fn set(policies: &str) -> PolicySet {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let shipped = Files::read(&directory).unwrap();
    let kept = shipped
        .iter()
        .filter(|(path, _)| {
            !path.starts_with("tests/") && Path::new(path).extension().is_none_or(|end| end != "cedar")
        })
        .map(|(path, bytes)| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let declared = if path == "entities.json" {
                declared(&text)
            } else {
                text
            };
            (path.to_owned(), declared.into_bytes())
        });
    let files: Files = kept
        .chain([("own.cedar".to_owned(), policies.as_bytes().to_vec())])
        .collect();
    PolicySet::load(&files, &[]).unwrap()
}

/// With a group and a tenant.
fn declared(entities: &str) -> String {
    let own = r#", {"uid":{"type":"Group","id":"/staff"},"attrs":{},"parents":[]}, {"uid":{"type":"Tenant","id":"acme"},"attrs":{},"parents":[]}]"#;
    format!("{}{own}", entities.trim_end().trim_end_matches(']'))
}

/// The line of a call that was allowed, with these members changed; `null` takes one away.
fn line(changes: Value) -> Vec<u8> {
    let mut line = json!({
        "time": "2026-03-01T12:00:00.000042Z", "decision_id": "d-1", "outcome": "allowed", "reason": "allowed",
        "server": "workbench", "method": "tools/call", "protocol_version": "2025-11-25", "target": "db_read",
        "user": { "issuer": "https://idp", "subject": "42", "username": "ada", "claims": {
            "acr": "2", "client_id": "cli", "authenticated": "2026-03-01T11:00:00Z", "roles": ["mcp-viewer"],
            "tenants": ["acme"], "scopes": ["public:read"], "groups": ["/staff"] } },
        "workload": "spiffe://mcp-identity.local/agent/trusted/1", "session": "9f86d081884c7d65",
        "policies": [{ "id": "p", "principal": "user", "effect": "permit" }], "policy_version": "abc",
        "durations_us": { "total": 120 }, "gateway": "envoy", "client": "192.0.2.7",
        "arguments": { "sql": "string", "limit": "number" }, "arguments_as": "names", "seq": 7, "hash": "0"
    });
    let Value::Object(changes) = changes else {
        panic!("changes are members")
    };
    let members = line.as_object_mut().unwrap();
    for (name, value) in changes {
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    serde_json::to_vec(&line).unwrap()
}

/// What comes of it: a reason's code, or why it can't be asked.
fn asked(policies: &str, changes: Value) -> Result<&'static str, Unasked> {
    let recorded = match Line::read(&line(changes)).unwrap() {
        Line::Call(recorded) => recorded,
        Line::Unasked(id, why) => {
            assert_eq!(id, "d-1");
            return Err(why);
        }
        Line::Other => panic!("it is a call"),
    };
    let server = recorded.server(&[]).unwrap();
    let answer = set(policies).ask_again(&recorded, &server)?;
    Ok(match answer {
        Ok(verdicts) => {
            let denying = verdicts.iter().find(|verdict| !verdict.allows());
            denying.map_or("allowed", |verdict| verdict.outcome.as_str())
        }
        Err(error) => error.code(),
    })
}

const AGENTS: &str = "@id(\"agents\") permit (principal is Workload, action, resource);\n";

/// A policy for users, and one that lets every workload.
fn users(condition: &str) -> String {
    let action = if condition.contains("arguments") {
        "action == Action::\"workbench/db_read\""
    } else {
        "action"
    };
    format!(
        "{AGENTS}@id(\"users\") permit (principal is User, {action}, resource) when {{ {condition} }};\n\
         @id(\"elsewhere\") forbid (principal is User, action == Action::\"workbench/fs_read\", resource)\n\
         when {{ context.arguments.path == \"/etc\" && principal has email && context has session }};"
    )
}

#[test]
fn a_call_is_asked_again_with_who_called_and_what_for() {
    let cases = [
        ("principal in Role::\"mcp-viewer\"", "allowed"),
        ("principal in Role::\"mcp-admin\"", "no_permit"),
        ("principal in Group::\"/staff\"", "allowed"),
        (
            "principal in Tenant::\"acme\" && principal.tenants == [\"acme\"]",
            "allowed",
        ),
        ("principal.scopes.contains(\"public:read\")", "allowed"),
        ("principal has acr && principal.acr == \"2\"", "allowed"),
        (
            "principal has clientId && principal.clientId == \"cli\"",
            "allowed",
        ),
        (
            "principal has authenticated && context.now.durationSince(principal.authenticated) < duration(\"61m\")",
            "allowed",
        ),
        (
            "principal has authenticated && context.now.durationSince(principal.authenticated) < duration(\"59m\")",
            "no_permit",
        ),
        (
            "principal.username == \"ada\" && principal.issuer == \"https://idp\"",
            "allowed",
        ),
        ("context.request.version == \"2025-11-25\"", "allowed"),
        (
            "context.request has address && context.request.address.isInRange(ip(\"192.0.2.0/24\"))",
            "allowed",
        ),
        (
            "context has workload && context.workload.path == \"/agent/trusted/1\"",
            "allowed",
        ),
    ];
    for (condition, expected) in cases {
        assert_eq!(asked(&users(condition), json!({})), Ok(expected), "{condition}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_no_policy_in_reach_reads_may_be_missing() {
    // Of `db_read` only `limit` is read, and only where it is given.
    let limit = users("!(context.arguments has limit)");
    let session = users("context has session");
    let version = users("context.request.version == \"2025-11-25\"");
    let email = users("principal has email");
    let scopes = users("principal.scopes.contains(\"a\")");
    let claims = |claims: Value| json!({ "user": { "issuer": "i", "subject": "s", "username": "u", "claims": claims } });
    let all = users("true");
    let sql = json!({ "arguments": { "sql": "string" } });
    let cases: Vec<(&str, Value, Result<&str, Unasked>)> = vec![
        (&all, json!({}), Ok("allowed")),
        (&limit, json!({}), Err(Unasked::Argument)),
        (&limit, sql.clone(), Ok("allowed")),
        (
            &limit,
            json!({ "arguments": { "sql": "string" }, "arguments_omitted": 1 }),
            Err(Unasked::Argument),
        ),
        (
            &limit,
            json!({ "arguments": null, "arguments_as": null }),
            Err(Unasked::Argument),
        ),
        (
            &all,
            json!({ "arguments": null, "arguments_as": null }),
            Ok("allowed"),
        ),
        (
            &limit,
            json!({ "arguments": { "sql": "select 1", "limit": 7 }, "arguments_as": "all" }),
            Ok("no_permit"),
        ),
        (
            &limit,
            json!({ "arguments": { "sql": "select 1" }, "arguments_as": "all" }),
            Ok("allowed"),
        ),
        // As an older version wrote it: types and values can't be told apart.
        (
            &limit,
            json!({ "arguments": { "limit": 7 }, "arguments_as": null }),
            Err(Unasked::Argument),
        ),
        (
            &limit,
            json!({ "arguments": { "limit": "1e400" }, "arguments_as": "all" }),
            Err(Unasked::Argument),
        ),
        (
            &limit,
            json!({ "arguments": { "limit": 7 }, "arguments_as": "all" }),
            Ok("arguments_dont_fit"),
        ),
        (
            &all,
            json!({ "arguments": { "sql": "x…(+9 bytes)" }, "arguments_as": "all" }),
            Ok("allowed"),
        ),
        (
            &all,
            json!({ "reason": "arguments_dont_fit" }),
            Err(Unasked::RefusedArguments),
        ),
        (&all, json!({ "target": "no_such_tool" }), Ok("unknown_tool")),
        (&all, claims(Value::Null), Err(Unasked::Claim("roles"))),
        (
            &all,
            claims(json!({ "omitted": ["groups"] })),
            Err(Unasked::Claim("groups")),
        ),
        (&all, claims(json!({ "omitted": ["scopes"] })), Ok("allowed")),
        (
            &scopes,
            claims(json!({ "omitted": ["scopes"] })),
            Err(Unasked::Claim("scopes")),
        ),
        (&scopes, claims(json!({ "scopes": ["a"] })), Ok("allowed")),
        (&email, json!({}), Err(Unasked::Claim("email"))),
        (&session, json!({}), Err(Unasked::Session)),
        (&session, json!({ "session": "plain-session-1" }), Ok("allowed")),
        (&session, json!({ "session": null }), Ok("no_permit")),
        (
            &version,
            json!({ "protocol_version": null }),
            Err(Unasked::Version),
        ),
        (&all, json!({ "protocol_version": null }), Ok("allowed")),
        (
            &all,
            json!({ "policy_version": null, "reason": "expired" }),
            Err(Unasked::NoPolicy("expired".to_owned())),
        ),
        (
            &all,
            json!({ "target": "x…(+12 bytes)" }),
            Err(Unasked::Cut("target")),
        ),
        (&all, json!({ "workload": null }), Ok("allowed")),
        (
            &all,
            json!({ "workload": "spiffe:/" }),
            Err(Unasked::Malformed("workload")),
        ),
        (
            &all,
            json!({ "method": "tools/cull" }),
            Err(Unasked::Malformed("method")),
        ),
    ];
    for (policies, changes, expected) in cases {
        assert_eq!(asked(policies, changes.clone()), expected, "{policies} {changes}");
    }
}

#[test]
fn every_method_is_asked_about_what_its_line_names() {
    let policies = format!(
        "{AGENTS}@id(\"read\") permit (principal is User, action == Action::\"resources/read\", resource == Resource::\"docs://a\");\n\
         @id(\"listen\") permit (principal is User, action in [Action::\"subscriptions/listen\", Action::\"resources/subscribe\"], resource)\n\
         when {{ resource != Resource::\"docs://b\" }};\n\
         @id(\"complete\") permit (principal is User, action == Action::\"completion/complete\", resource is Prompt);\n\
         @id(\"life\") permit (principal is User, action in Action::\"lifecycle\", resource);"
    );
    let cases = [
        (
            json!({ "method": "resources/read", "target": "docs://a" }),
            Ok("allowed"),
        ),
        (
            json!({ "method": "resources/read", "target": "docs://b" }),
            Ok("no_permit"),
        ),
        (
            json!({ "method": "subscriptions/listen", "target": "docs://a docs://c" }),
            Ok("allowed"),
        ),
        (
            json!({ "method": "subscriptions/listen", "target": "docs://a docs://b" }),
            Ok("no_permit"),
        ),
        (
            json!({ "method": "subscriptions/listen", "target": "" }),
            Ok("allowed"),
        ),
        (
            json!({ "method": "completion/complete", "target": "p", "target_kind": "prompt" }),
            Ok("allowed"),
        ),
        (
            json!({ "method": "completion/complete", "target": "d://p", "target_kind": "resource" }),
            Ok("no_permit"),
        ),
        (
            json!({ "method": "completion/complete", "target": "p" }),
            Err(Unasked::CompletionOf),
        ),
        (
            json!({ "method": "initialize", "target": "2025-11-25" }),
            Ok("allowed"),
        ),
        (json!({ "method": "session/end", "target": null }), Ok("allowed")),
        (json!({ "method": "unknown", "target": "x/y" }), Ok("no_permit")),
    ];
    for (changes, expected) in cases {
        assert_eq!(asked(&policies, changes.clone()), expected, "{changes}");
    }
}

#[test]
fn an_actor_is_asked_about_where_the_record_shows_that_it_was() {
    let policies = format!(
        "{AGENTS}@id(\"users\") permit (principal is User, action, resource);\n\
         @id(\"bots\") permit (principal is Agent, action, resource) when {{ principal has clientId && principal.clientId == \"bot\" }};"
    );
    let part = json!([{ "id": "p", "principal": "actor", "effect": "permit" }]);
    let cases = [
        (
            json!({ "actor": "https://idp#client:bot", "policies": part }),
            Ok("allowed"),
        ),
        (
            json!({ "actor": "https://idp#client:other", "policies": part }),
            Ok("no_permit"),
        ),
        (json!({ "actor": "https://idp#client:other" }), Ok("allowed")),
        (
            json!({ "actor": "https://idp#subject:bob", "actor_client": "bot", "policies": part }),
            Ok("allowed"),
        ),
        (
            json!({ "actor": "https://idp#subject:bob", "policies": part }),
            Ok("no_permit"),
        ),
        (
            json!({ "actor": "spiffe://mcp-identity.local/agent/trusted/1", "policies": part }),
            Ok("allowed"),
        ),
        (json!({ "actor": "bob" }), Err(Unasked::Malformed("actor"))),
    ];
    for (changes, expected) in cases {
        assert_eq!(asked(&policies, changes.clone()), expected, "{changes}");
    }
}

#[test]
fn lines_that_are_no_decision_are_told_from_lines_that_are_none() {
    for other in [
        r#"{"time":"2026-03-01T12:00:00Z","event":"opened","seq":1}"#,
        r#"{"time":"2026-03-01T12:00:00Z","decision_id":"d","outcome":"denied","corrects":"allowed","policy_version":"a"}"#,
    ] {
        assert!(matches!(Line::read(other.as_bytes()), Ok(Line::Other)), "{other}");
    }
    for none in ["", "{", "[]", "2026-03-01 denied"] {
        assert!(Line::read(none.as_bytes()).is_err(), "{none}");
    }
}
