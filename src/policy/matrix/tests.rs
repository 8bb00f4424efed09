//! A cell never says more than what every call comes to.

mod generated;

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::tests::{arguments, caller, files, load, now, only, question, user};
use super::super::*;
use super::{Cell, Matrix, Subject, Who, people};
use crate::identity::{Caller, User, Workload};
use crate::inventory::Files;
use crate::mcp::{Call, Id, Operation};
use crate::spiffe::SpiffeId;
use std::sync::Arc;

fn declared(set: &PolicySet, kind: &str, name: &str) -> Subject {
    let mut subjects = set.declared_subjects().into_iter();
    subjects
        .find(|subject| subject.kind() == kind && subject.name() == name)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn matrix(
    files: &Files,
    who: impl Fn(&PolicySet) -> Vec<Vec<Subject>>,
    protocol: bool,
) -> (PolicySet, Matrix) {
    let set = load(files);
    let who = who(&set).into_iter().map(|subjects| Who { subjects });
    let who: Vec<Who> = who.collect();
    let survey = set.survey(files, &[]).unwrap();
    let what = set.callable(protocol);
    let could_call: Vec<Vec<bool>> = who.iter().map(|who| survey.could_call(who, &what)).collect();
    let matrix = survey.matrix(who, what);
    for (row, (what, cells)) in matrix.rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let denied = matches!(cell, Cell::Deny(_));
            assert_eq!(could_call[column][row], !denied, "{}: {cell:?}", what.title());
        }
    }
    (set, matrix)
}

/// The cell of one column before one thing, in words.
fn cell(matrix: &Matrix, what: &str, column: usize) -> String {
    let (_, cells) = matrix.rows.iter().find(|(row, _)| row.title() == what).unwrap();
    said(&cells[column])
}

fn said(cell: &Cell) -> String {
    match cell {
        Cell::Allow(by) => format!("allow by {}", by.join(", ")),
        Cell::Deny(because) => format!("deny: {} {}", because.code, because.by.join(", "))
            .trim_end()
            .to_owned(),
        Cell::Depends(conditions) => {
            let conditions: Vec<String> = conditions.iter().map(ToString::to_string).collect();
            format!("depends: {}", conditions.join("; "))
        }
    }
}

/// What stands in a policy about `db_read`, and what a person of the role `mcp-viewer` may.
const VIEWERS: &[(&str, &str)] = &[
    ("permit (principal, action, resource);", "allow by p"),
    (
        "permit (principal is Workload, action, resource);",
        "deny: no_permit",
    ),
    (
        "permit (principal, action, resource) when { context.arguments has limit && context.arguments.limit <= 5 };",
        "depends: if context.arguments has limit && context.arguments.limit <= 5 (p)",
    ),
    (
        r#"permit (principal, action, resource) when { principal in Role::"mcp-admin" && context.arguments.sql == "x" };"#,
        "deny: no_permit",
    ),
    (
        r#"permit (principal, action, resource) when { context.arguments.sql == "x" && principal in Role::"mcp-admin" };"#,
        "deny: no_permit",
    ),
    (
        r#"permit (principal, action, resource) when { principal in Role::"mcp-viewer" || context.arguments.sql == "x" };"#,
        "allow by p",
    ),
    (
        r#"permit (principal is User, action, resource) when { principal.scopes.contains("db") };"#,
        r#"depends: if principal.scopes.contains("db") (p)"#,
    ),
    (
        r#"permit (principal, action, resource) when { context.now < datetime("2027-01-01") };"#,
        r#"depends: if context.now < datetime("2027-01-01T00:00:00Z") (p)"#,
    ),
    (
        r#"permit (principal is User, action, resource) when { principal has authenticated && context.now.durationSince(principal.authenticated) < duration("15m") };"#,
        r#"depends: if principal has authenticated && context.now.durationSince(principal.authenticated) < duration("15m") (p)"#,
    ),
    (
        r#"permit (principal, action, resource) when { context.workload in TrustTier::"trusted" };"#,
        r#"depends: if context.workload in TrustTier::"trusted" (p)"#,
    ),
    (
        r#"permit (principal, action, resource) when { context.user in Role::"mcp-viewer" };"#,
        "allow by p",
    ),
    (
        "permit (principal, action, resource) when { [context].contains(context) };",
        "depends: if p applies, which only a call can tell",
    ),
    (
        r#"permit (principal, action, resource) when { principal == User::"https://issuer.example#ada" };"#,
        "deny: no_permit",
    ),
];

#[test]
fn conditions_on_what_is_unknown_are_left_and_the_rest_is_settled() {
    for (policy, expected) in VIEWERS {
        let policy = policy.replace("action,", "action == Action::\"workbench/db_read\",");
        let files = only(&format!("@id(\"p\") {policy}"));
        let (_, matrix) = matrix(
            &files,
            |set| vec![vec![declared(set, "role", "mcp-viewer")]],
            false,
        );
        assert_eq!(cell(&matrix, "workbench/db_read", 0), *expected, "{policy}");
    }
}

#[test]
fn a_forbid_that_may_err_leaves_no_cell_allowed() {
    let cases = [
        (
            "context.arguments.sql == \"x\"",
            "depends: unless context.arguments.sql == \"x\" (f)",
        ),
        ("principal in Role::\"mcp-viewer\"", "deny: forbidden f"),
        ("9223372036854775807 + 1 == 0", "deny: policy_error f"),
        (
            "context.arguments.sql == \"x\" && principal in Role::\"mcp-admin\"",
            "allow by p",
        ),
        (
            "context.arguments has limit && context.arguments.limit + 9223372036854775807 > 0 && principal in Role::\"mcp-admin\"",
            "depends: unless context.arguments has limit && (context.arguments.limit + 9223372036854775807) > 0 && false (f)",
        ),
    ];
    for (condition, expected) in cases {
        let files = only(&format!(
            "@id(\"p\") permit (principal, action, resource);\n@id(\"f\") forbid (principal, action == Action::\"workbench/db_read\", resource) when {{ {condition} }};"
        ));
        let (_, matrix) = matrix(
            &files,
            |set| vec![vec![declared(set, "role", "mcp-viewer")]],
            false,
        );
        assert_eq!(cell(&matrix, "workbench/db_read", 0), expected, "{condition}");
    }
}

#[test]
fn shadow_policies_are_in_no_cell() {
    let files = only(
        "@id(\"p\") permit (principal, action, resource);\n@id(\"f\") @shadow forbid (principal, action, resource);",
    );
    let (_, matrix) = matrix(
        &files,
        |set| vec![vec![declared(set, "role", "mcp-viewer")]],
        false,
    );
    assert_eq!(cell(&matrix, "workbench/db_read", 0), "allow by p");
}

#[test]
fn both_of_a_pair_must_be_allowed() {
    let files = files(&[]);
    let pair = |set: &PolicySet, role: &str, tier: &str| {
        vec![declared(set, "role", role), declared(set, "tier", tier)]
    };
    let (_, matrix) = matrix(
        &files,
        |set| {
            vec![
                pair(set, "mcp-admin", "trusted"),
                pair(set, "mcp-viewer", "trusted"),
                pair(set, "mcp-admin", "untrusted"),
            ]
        },
        false,
    );
    let cells = |what| {
        [
            cell(&matrix, what, 0),
            cell(&matrix, what, 1),
            cell(&matrix, what, 2),
        ]
    };
    assert_eq!(
        cells("workbench/db_read"),
        [
            "allow by admins-on-workbench, trusted-agents-on-workbench",
            "depends: unless context.arguments has limit && context.arguments.limit > 100 (large-queries-are-for-admins)",
            "deny: no_permit",
        ]
    );
}

#[test]
fn a_resource_that_a_policy_names_is_told_apart_from_all_others() {
    let files = only(
        "@id(\"p\") permit (principal, action == Action::\"resources/read\", resource == Resource::\"docs://a\");\n\
         @id(\"q\") permit (principal, action == Action::\"prompts/get\", resource in Server::\"workbench\");",
    );
    let (_, matrix) = matrix(
        &files,
        |set| vec![vec![declared(set, "role", "mcp-viewer")]],
        true,
    );
    assert_eq!(
        cell(&matrix, "workbench: resources/read", 0),
        "depends: if resource == Resource::\"docs://a\" (p)"
    );
    assert_eq!(cell(&matrix, "workbench: prompts/get", 0), "allow by q");
    assert_eq!(cell(&matrix, "info: prompts/get", 0), "deny: no_permit");
    assert_eq!(cell(&matrix, "workbench: tools/list", 0), "deny: no_permit");
}

#[test]
fn the_tests_people_are_found_and_namesakes_told_apart() {
    let files = files(&[
        (
            "tests/a.yaml",
            "users: { ada: { roles: [mcp-admin] } }\nworkloads: { build: \"spiffe://a.example/x\" }\ncases: []",
        ),
        (
            "tests/b.yaml",
            "users: { ada: { roles: [mcp-viewer] }, eve: {} }\nworkloads: { build: \"spiffe://a.example/x\" }",
        ),
    ]);
    let found: Vec<String> = people(&files)
        .unwrap()
        .iter()
        .map(|subject| format!("{} {}", subject.kind(), subject.name()))
        .collect();
    assert_eq!(
        found,
        [
            "user ada",
            "user ada (tests/b.yaml)",
            "user eve",
            "workload build"
        ]
    );
}

/// How long the largest matrix takes that anybody is promised: `cargo test --lib -- --ignored matrix`.
#[test]
#[ignore = "measures"]
fn five_hundred_tools_and_twenty_principals() {
    let tools: Vec<String> = (0..500)
        .map(|number| {
            format!(
                r#"{{ "name": "t{number}", "inputSchema": {{ "type": "object", "properties": {{ "limit": {{ "type": "integer" }} }} }} }}"#
            )
        })
        .collect();
    let tools = format!("{{ \"tools\": [{}] }}", tools.join(","));
    let roles: Vec<String> = (0..20)
        .map(|number| {
            format!(r#"{{ "uid": {{ "type": "Role", "id": "r{number}" }}, "attrs": {{}}, "parents": [] }}"#)
        })
        .collect();
    let policies: Vec<String> = (0..20)
        .map(|role| {
            format!(
                "@id(\"p{role}\") permit (principal in Role::\"r{role}\", action in Action::\"tools/call\", resource in Server::\"big\") when {{ resource.destructive || principal.scopes.contains(\"s\") }};\n@id(\"f{role}\") forbid (principal in Role::\"r{role}\", action == Action::\"big/t{role}\", resource) when {{ context.arguments has limit && context.arguments.limit > {role} }};\n"
            )
        })
        .collect();
    let default = Files::read(&super::super::tests::directory()).unwrap();
    let files: Files = [
        (
            "base.cedarschema",
            default.get("base.cedarschema").unwrap().to_vec(),
        ),
        ("entities.json", format!("[{}]", roles.join(",")).into_bytes()),
        ("tools/big.json", tools.into_bytes()),
        ("own.cedar", policies.concat().into_bytes()),
    ]
    .into_iter()
    .map(|(path, bytes)| (path.to_owned(), bytes))
    .collect();
    let set = load(&files);
    let who = set.declared_subjects().into_iter().map(|subject| Who {
        subjects: vec![subject],
    });
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let start = std::time::Instant::now();
    let matrix = set
        .survey(&files, &[])
        .unwrap()
        .matrix(who.collect(), set.callable(false));
    eprintln!(
        "{} cells in {:?}",
        matrix.rows.len() * matrix.who.len(),
        start.elapsed()
    );
}
