//! What changed between two directories, and what it does.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

mod approvals;

/// The shipped directory with these files changed or added.
fn files(changes: &[(&str, String)]) -> Files {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let shipped = Files::read(&directory).unwrap();
    changes
        .iter()
        .fold(shipped, |files, (path, text)| files.with(path, text.as_bytes()))
}

fn text(path: &str) -> String {
    String::from_utf8(files(&[]).get(path).unwrap().to_vec()).unwrap()
}

fn load(files: &Files) -> PolicySet {
    PolicySet::load_and_test(files, &[]).unwrap()
}

/// A file in which one text stands for another.
fn with(path: &'static str, from: &str, to: &str) -> Vec<(&'static str, String)> {
    let before = text(path);
    assert!(before.contains(from), "{path} has no {from}");
    vec![(path, before.replacen(from, to, 1))]
}

fn changes(new: &[(&str, String)]) -> Changes {
    let (old, new) = (files(&[]), files(new));
    let (was, is) = (load(&old), load(&new));
    let side = |set, files| Side { set, files };
    Changes::between(side(&was, &old), side(&is, &new)).unwrap()
}

fn words(new: &[(&str, String)]) -> Vec<String> {
    let found = changes(new);
    let mut words = Vec::new();
    for policy in found.policies {
        words.push(format!("{} {}", policy.fate.as_str(), policy.id));
        words.extend(policy.words);
    }
    for entity in found.entities {
        words.push(format!("{} {}", entity.fate.as_str(), entity.entity));
        words.extend(entity.words);
    }
    words
}

const LIMITS: &str = "workbench-limits.cedar";
const LARGE: &str = "changed large-queries-are-for-admins";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_part_of_a_policy_has_its_words() {
    let cases: [(&str, &str, &str, &[&str]); 12] = [
        (
            "> 100 ",
            "> 1000 ",
            LARGE,
            &[
                "went: when context.arguments.limit > 100",
                "came: when context.arguments.limit > 1000",
            ],
        ),
        (
            "unless { principal in Role::\"mcp-admin\" }",
            "",
            LARGE,
            &["went: unless principal in Role::\"mcp-admin\""],
        ),
        (
            "forbid (",
            "@shadow\nforbid (",
            LARGE,
            &["decides nothing any more: it is `@shadow` now"],
        ),
        (
            "principal is User",
            "principal",
            LARGE,
            &["principal is User → any principal"],
        ),
        (
            "action == Action::\"workbench/db_read\"",
            "action in [Action::\"workbench/db_read\"]",
            LARGE,
            &["action == Action::\"workbench/db_read\" → action in Action::\"workbench/db_read\""],
        ),
        (
            "resource\n)",
            "resource in Server::\"workbench\"\n)",
            LARGE,
            &["any resource → resource in Server::\"workbench\""],
        ),
        (
            "@reason(\"Only administrators may query more than 100 rows at once\")",
            "@scope(\"db:large\")",
            LARGE,
            &[
                "@reason went: \"Only administrators may query more than 100 rows at once\"",
                "@scope came: \"db:large\"",
            ],
        ),
        (
            "rows at once",
            "rows",
            LARGE,
            &[
                "@reason \"Only administrators may query more than 100 rows at once\" → \"Only administrators may query more than 100 rows\"",
            ],
        ),
        ("// Limits on", "// Some limits on", "", &[]),
        ("when { context", "when\n{\n  context", "", &[]),
        (
            "@id(\"large-queries-are-for-admins\")",
            "@id(\"large\")",
            "added large",
            &[
                "forbid",
                "principal is User",
                "action == Action::\"workbench/db_read\"",
                "any resource",
                "when context.arguments has limit",
                "when context.arguments.limit > 100",
                "unless principal in Role::\"mcp-admin\"",
                "@reason \"Only administrators may query more than 100 rows at once\"",
                "removed large-queries-are-for-admins",
            ],
        ),
        (
            "has limit && context.arguments.limit > 100 }",
            "has limit && (context.arguments.limit > 100 || context.arguments.limit < 0) }",
            LARGE,
            &[
                "went: when context.arguments.limit > 100",
                "came: when context.arguments.limit > 100 || context.arguments.limit < 0",
            ],
        ),
    ];
    for (from, to, head, expected) in cases {
        let found = words(&with(LIMITS, from, to));
        if head.is_empty() {
            assert_eq!(found, Vec::<String>::new(), "{to}");
            continue;
        }
        assert_eq!(found[0], head, "{to}");
        assert_eq!(found[1..=expected.len()], *expected, "{to}");
    }
}

#[test]
fn actions_that_come_and_go_are_told_one_by_one() {
    let found = words(&with(
        "workbench-people.cedar",
        "action in [Action::\"read\", Action::\"list\"]",
        "action in [Action::\"read\", Action::\"write\", Action::\"admin\"]",
    ));
    assert_eq!(
        found,
        [
            "changed viewers-on-workbench",
            "action also in [Action::\"write\", Action::\"admin\"]",
            "action no longer in Action::\"list\"",
        ]
    );
}

#[test]
fn entities_say_who_is_newly_in_what() {
    let found = words(&with(
        "entities.json",
        r#"{ "uid": { "type": "WorkloadPath", "id": "spiffe://mcp-identity.local/agent/untrusted" }, "attrs": {},
    "parents": [{ "type": "TrustTier", "id": "untrusted" }] }"#,
        r#"{ "uid": { "type": "WorkloadPath", "id": "spiffe://mcp-identity.local/agent/untrusted" }, "attrs": {},
    "parents": [{ "type": "TrustTier", "id": "trusted" }] },
    { "uid": { "type": "Role", "id": "auditor" }, "attrs": {}, "parents": [{ "type": "Role", "id": "mcp-viewer" }] }"#,
    ));
    assert_eq!(
        found,
        [
            "added Role::\"auditor\"",
            "in Role::\"mcp-viewer\"",
            "changed WorkloadPath::\"spiffe://mcp-identity.local/agent/untrusted\"",
            "newly in TrustTier::\"trusted\"",
            "no longer in TrustTier::\"untrusted\"",
        ]
    );
}

#[test]
fn tools_are_told_in_the_words_of_tools_diff() {
    let found = changes(&with(
        "tools/workbench.json",
        "Returns the text of a file.",
        "Returns a file.",
    ));
    assert_eq!(found.servers.len(), 1);
    assert_eq!(found.servers[0].tools[0].changes[0].words, "description changed");
    assert!(changes(&[]).is_empty());
}

/// A record of a call of `db_read`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "written on the spot, where it is called"
)]
fn line(number: usize, roles: &[&str], arguments: Value, shown: &str) -> Vec<u8> {
    let line = json!({
        "time": "2026-03-01T12:00:00.000042Z", "decision_id": format!("d-{number}"), "outcome": "allowed",
        "reason": "allowed", "server": "workbench", "method": "tools/call", "protocol_version": "2025-11-25",
        "target": "db_read", "user": { "issuer": "https://idp", "subject": "42", "username": roles.join("+"),
        "claims": { "roles": roles } }, "workload": "spiffe://mcp-identity.local/agent/trusted/1",
        "policy_version": "abc", "durations_us": { "total": 120 }, "gateway": "envoy", "arguments": arguments,
        "arguments_as": shown,
    });
    line.to_string().into_bytes()
}

fn replay(new: &[(&str, String)], lines: &[Vec<u8>]) -> Replay {
    let (old, new) = (files(&[]), files(new));
    let (was, is) = (load(&old), load(&new));
    let side = |set, files| Side { set, files };
    let changes = Changes::between(side(&was, &old), side(&is, &new)).unwrap();
    let mut replay = Replay::new(&changes.servers);
    for line in lines {
        replay.line(line, &was, &is, &[]).unwrap();
    }
    replay.sorted()
}

#[test]
fn recorded_calls_that_flip_are_grouped_and_what_cannot_be_asked_is_counted() {
    let limit = |limit: i64| json!({ "sql": "select 1", "limit": limit });
    let lines = [
        line(1, &["mcp-viewer"], limit(50), "all"),
        line(2, &["mcp-viewer"], limit(500), "all"),
        line(3, &["mcp-viewer"], limit(600), "all"),
        line(4, &["mcp-developer"], limit(600), "all"),
        line(5, &["mcp-admin"], limit(600), "all"),
        line(
            6,
            &["mcp-viewer"],
            json!({ "sql": "string", "limit": "number" }),
            "names",
        ),
        line(7, &["mcp-viewer"], json!({ "sql": "string" }), "names"),
        br#"{"time":"2026-03-01T12:00:00Z","event":"opened","seq":1}"#.to_vec(),
        br#"{"time":"2026-03-01T12:00:00Z","decision_id":"d-9","outcome":"denied","reason":"expired"}"#
            .to_vec(),
    ];
    let found = replay(&with(LIMITS, "> 100 ", "> 1000 "), &lines);
    let groups: Vec<_> = found
        .flips
        .iter()
        .map(|group| {
            (
                group.flip.who.as_str(),
                group.calls,
                group.example.as_str(),
                group.flip.opens(),
            )
        })
        .collect();
    assert_eq!(
        groups,
        [("mcp-viewer", 2, "d-2", true), ("mcp-developer", 1, "d-4", true)]
    );
    let flip = &found.flips[0].flip;
    assert_eq!(flip.what, "workbench/db_read");
    assert_eq!(
        (flip.old.reason.as_str(), &flip.old.by[..]),
        ("forbidden", &["large-queries-are-for-admins".to_owned()][..])
    );
    assert_eq!(flip.new.reason, "allowed");
    assert_eq!((found.lines, found.calls, found.asked), (9, 8, 6));
    // They are recorded as allowed, which the old directory would not have done.
    assert_eq!(found.unlike, 3);
    let not_asked: Vec<_> = found
        .not_asked
        .iter()
        .map(|one| (one.code, one.calls, one.example.as_str()))
        .collect();
    assert_eq!(
        not_asked,
        [("no_policy_asked", 1, "d-9"), ("argument_not_recorded", 1, "d-6")]
    );
}

#[test]
fn whether_unrecorded_arguments_fit_a_changed_schema_cannot_be_told() {
    let new = with(
        "tools/workbench.json",
        "\"maximum\": 1048576",
        "\"maximum\": 4096",
    );
    let mut names = line(1, &["mcp-viewer"], json!({ "path": "string" }), "names");
    let mut values = line(
        2,
        &["mcp-viewer"],
        json!({ "path": "/a", "max_bytes": 5000 }),
        "all",
    );
    for line in [&mut names, &mut values] {
        let text = String::from_utf8(line.clone()).unwrap();
        *line = text.replace("db_read", "fs_read").into_bytes();
    }
    let found = replay(&new, &[names, values]);
    assert_eq!(found.not_asked[0].code, "argument_not_recorded");
    assert_eq!(found.flips.len(), 1);
    assert_eq!(found.flips[0].flip.new.reason, "arguments_dont_fit");
    assert!(!found.flips[0].flip.opens());
}

#[test]
fn tests_of_both_are_asked_of_both() {
    let mut new = with(LIMITS, "> 100 ", "> 1000 ");
    new.push((
        "tests/own.yaml",
        "users: { vera: { roles: [mcp-viewer] } }\n\
         workloads: { build: spiffe://mcp-identity.local/agent/trusted/build }\n\
         cases:\n  - { name: more, server: workbench, user: vera, workload: build, tool: db_read,\n      \
         arguments: { sql: s, limit: 500 }, expect: allow }\n"
            .to_owned(),
    ));
    let (old, new) = (files(&[]), files(&new));
    let (was, is) = (load(&old), load(&new));
    let side = |set, files| Side { set, files };
    let cases = Cases::between(side(&was, &old), side(&is, &new), &[]).unwrap();
    assert_eq!(cases.tests.len(), 1);
    assert_eq!(
        (cases.tests[0].fate, cases.tests[0].words.as_str()),
        (Fate::Added, "expects allow")
    );
    assert!(cases.asked > 50, "{}", cases.asked);
    let more = cases.flips.iter().find(|case| case.name == "more").unwrap();
    assert_eq!(
        (more.file.as_str(), more.line, more.flip.opens()),
        ("tests/own.yaml", 4, true)
    );
    assert_eq!(more.flip.who, "vera");
    // The shipped tests say that a viewer may not: they fail.
    assert!(cases.failing > 0);
    assert!(cases.flips.iter().any(|case| case.file == "tests/workbench.yaml"));
    let back = Cases::between(side(&is, &new), side(&was, &old), &[]).unwrap();
    assert_eq!(
        (back.tests[0].fate, back.tests[0].words.as_str(), back.failing),
        (Fate::Removed, "it expected allow", 0)
    );
    assert!(back.flips.iter().any(|case| case.removed && !case.flip.opens()));
}

#[test]
fn a_test_that_expects_or_asks_something_else_is_told() {
    let of = |expect: &str, limit: usize| {
        format!(
            "users: {{ vera: {{ roles: [mcp-viewer] }} }}\n\
             cases:\n  - {{ name: one, server: workbench, user: vera, tool: db_read, arguments: {{ sql: s, limit: {limit} }}, expect: {expect} }}\n"
        )
    };
    for (before, after, words) in [
        (of("deny", 5), of("allow", 5), "expects allow, which it did not"),
        (of("deny", 5), of("deny", 6), "asks something else, expects deny"),
    ] {
        let (old, new) = (
            files(&[("tests/own.yaml", before)]),
            files(&[("tests/own.yaml", after)]),
        );
        let (was, is) = (load(&old), load(&new));
        let side = |set, files| Side { set, files };
        let cases = Cases::between(side(&was, &old), side(&is, &new), &[]).unwrap();
        let told: Vec<_> = cases
            .tests
            .iter()
            .map(|test| (test.fate, test.words.as_str(), test.line))
            .collect();
        assert_eq!(told, [(Fate::Changed, words, 3)]);
    }
}
