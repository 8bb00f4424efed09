//! Held against the part of the schema that it can reach, a policy has the findings that it has against the whole.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use std::collections::BTreeSet;

use super::differential::all_bodies;
use super::*;
use crate::inventory::Inventory;
use crate::policy::load::kept::Kept;
use crate::policy::load::rules::Rules;
use crate::policy::load::schema::join;
use crate::policy::load::validate::{self, Finding};

/// Each finding in words. Against the whole, an error comes once for each action of a kind: which one it is, and which of its
/// arguments are spelt alike, is left out.
fn told(findings: &[Finding]) -> BTreeSet<String> {
    let line = |finding: &Finding| match finding {
        Finding::Error(id, problem) => format!("error in {id}: {problem}"),
        Finding::Impossible(id, problem) => format!("impossible {id}: {problem}"),
        Finding::Warning(problem) => format!("warning: {problem}"),
    };
    let without = |text: String, from: &str, to: &str| match text.split_once(from) {
        Some((before, after)) => format!("{before}{}", after.split_once(to).map_or("", |(_, rest)| rest)),
        None => text,
    };
    let lines = findings.iter().map(line);
    let lines = lines.map(|text| without(text, "in context for Action::\"", "\""));
    lines
        .map(|text| without(text, " (did you mean `", "`?)"))
        .collect()
}

/// What is found with parts and with the whole.
fn both(files: &Files) -> [BTreeSet<String>; 2] {
    let inventory = Inventory::from_files(files).unwrap();
    let (schema, parts) = join(files, &inventory, &[]).unwrap();
    let mut kept = Kept::default();
    kept.begin();
    let rules = Rules::read(files, &mut kept).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    let parted = validate::validate(&schema, Some(parts.unwrap()), &rules, &mut kept);
    assert_eq!(kept.work.validated, rules.all.len() + rules.templates.len());
    [told(&parted), told(&validate::all(&schema, &rules))]
}

/// What a tool of its own takes, so that tools differ in more ways than the shipped ones do.
const TOOLS: &str = r#"{ "tools": [
  { "name": "a", "inputSchema": { "type": "object", "required": ["path"], "properties": {
      "path": { "type": "string" }, "where": { "type": "object", "properties": { "zone": { "type": "string" } } } } } },
  { "name": "b", "inputSchema": { "type": "object", "properties": {
      "path": { "type": "string" }, "where": { "type": "object", "required": ["zone"], "properties": { "zone": { "type": "string" } } } } } },
  { "name": "c", "inputSchema": { "type": "object", "required": ["path"], "properties": {
      "path": { "type": "integer" }, "where": { "type": "object", "required": ["zone"], "properties": { "zone": { "type": "integer" } } } } } },
  { "name": "d", "inputSchema": { "type": "object", "properties": {} } }
] }"#;

const SCOPES: [&str; 12] = [
    "principal, action, resource",
    r#"principal, action in Action::"tools/call", resource"#,
    r#"principal is User, action in [Action::"own/a", Action::"own/b", Action::"workbench/db_read"], resource"#,
    r#"principal in Role::"mcp-admin", action == Action::"own/c", resource"#,
    r#"principal, action in [Action::"lists", Action::"own/a"], resource is Server"#,
    r#"principal is Agent, action in Action::"lifecycle", resource is Session"#,
    r#"principal in TrustTier::"trusted", action in Action::"execute", resource in Server::"own""#,
    r#"principal, action == Action::"own/d", resource == Resource::"x""#,
    r#"principal == ?principal, action in Action::"tools/call", resource in ?resource"#,
    r#"principal is User in ?principal, action == Action::"own/a", resource"#,
    r#"principal, action in Action::"tools/cal", resource"#,
    r#"principal in Rol::"x", action, resource"#,
];

const CONDITIONS: [&str; 22] = [
    "true",
    "false",
    "context.arguments.path == \"a\"",
    "context.arguments has path && context.arguments.path == \"a\"",
    "context.arguments has path && context.arguments.path == 1",
    "context.arguments has where && context.arguments.where.zone == \"a\"",
    "context.arguments has where.zone && context.arguments.where.zone == \"a\"",
    "context.arguments has nothing",
    "context.arguments == context.arguments",
    "context == context",
    "context.arguments == {}",
    r#"action == Action::"own/a" && context.arguments has where"#,
    r#"action == Action::"own/c" || context.user.mail == "x""#,
    r#"action in [Action::"read", Action::"own/d"]"#,
    r#"Action::"own/a" in Action::"tools/call""#,
    r#"action == Action::"own/z""#,
    "principal.scopes.contains(\"a\")",
    "principal has acr && principal.acr == 1",
    "context has session && context.session in resource",
    "context.now",
    "resource.pinned",
    "if principal is User then principal.email == \"x\" else resource has uri",
];

#[test]
fn hand_made_mistakes_are_found_with_a_part_of_the_schema_as_with_the_whole() {
    let mut policies = String::new();
    for (scope, at) in SCOPES.iter().zip(0..) {
        for (condition, number) in CONDITIONS.iter().zip(0..) {
            policies.extend([format!(
                "@id(\"p{at}-{number}\") permit ({scope})\nwhen {{ {condition} }};\n"
            )]);
        }
    }
    let default = only(&policies);
    let kept = default
        .iter()
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    let files = kept
        .chain([("tools/own.json".to_owned(), TOOLS.as_bytes().to_vec())])
        .collect();
    let [parted, whole] = both(&files);
    let difference: Vec<_> = parted.symmetric_difference(&whole).collect();
    assert!(difference.is_empty(), "{difference:#?}");
    assert!(whole.len() > 150, "{}", whole.len());
    for kind in ["error in", "impossible p", "tools/cal", "Rol", "own/z"] {
        assert!(
            kind == "own/z" || whole.iter().any(|line| line.contains(kind)),
            "no {kind}"
        );
    }
}

#[test]
fn generated_policies_are_found_sound_or_not_with_a_part_of_the_schema_as_with_the_whole() {
    let bodies = all_bodies();
    let policies: Vec<String> = bodies
        .iter()
        .step_by(17 * 7 + 2)
        .zip(0..)
        .map(|(body, number)| format!("@id(\"p{number}\") permit {body}\n"))
        .collect();
    assert!(policies.len() > 60, "{}", policies.len());
    let [parted, whole] = both(&only(&policies.concat()));
    let difference: Vec<_> = parted.symmetric_difference(&whole).collect();
    assert!(difference.is_empty(), "{difference:#?}");
    assert!(!whole.is_empty());
}

#[test]
fn policies_over_many_tools_are_found_sound_with_a_part_of_the_schema_as_with_the_whole() {
    let grown = grown::grown(&directory(), 200, 60).unwrap();
    let files = grown
        .into_iter()
        .filter(|(path, _)| !path.starts_with("tests/"))
        .collect();
    let [parted, whole] = both(&files);
    assert_eq!((parted, whole), (BTreeSet::new(), BTreeSet::new()));
}
