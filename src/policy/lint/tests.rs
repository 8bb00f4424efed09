//! Each lint, on policies that it is about and on ones beside it.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::inventory::problem::code;
use crate::inventory::{Files, Problem};
use crate::mcp::{Call, Id, Operation, Version};
use crate::policy::tests::{caller, directory, now, only, tool, user};
use crate::policy::{PolicySet, Question, Verdict, default_server};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Linted {
    policies: String,
    /// Code, line, and what is said in the message or the help.
    finds: Vec<(String, usize, String)>,
}

fn lint(files: &Files) -> Vec<Problem> {
    PolicySet::load_untested(files, &[])
        .and_then(|set| set.lint(files, &[]))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn authors_are_told_what_may_not_be_meant_and_nothing_else() {
    let cases: Vec<Linted> = serde_saphyr::from_str(include_str!("cases.yaml")).unwrap();
    let mut unmet = Vec::new();
    for Linted { policies, finds } in &cases {
        let found = lint(&only(policies));
        let as_expected = found.len() == finds.len()
            && found.iter().zip(finds).all(|(problem, (code, line, said))| {
                let help = problem.help.as_deref().unwrap_or_default();
                problem.warning
                    && problem.code == code
                    && problem.line_column() == Some((*line, 1))
                    && format!("{}\n{help}", problem.message).contains(said)
            });
        if !as_expected {
            let found: Vec<String> = found
                .iter()
                .map(|problem| format!("{}: {problem} ({:?})", problem.code, problem.help))
                .collect();
            unmet.push(format!("{policies}\n  found: {}", found.join("\n         ")));
        }
    }
    assert!(unmet.is_empty(), "{}", unmet.join("\n"));
}

#[test]
fn the_shipped_policies_say_what_they_mean() {
    let found = lint(&Files::read(&directory()).unwrap());
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_tier_that_nothing_is_in_is_for_nobody() {
    let entities = r#"[
        { "uid": { "type": "TrustTier", "id": "inner" }, "attrs": {}, "parents": [{ "type": "TrustTier", "id": "outer" }] },
        { "uid": { "type": "TrustTier", "id": "outer" }, "attrs": {}, "parents": [] },
        { "uid": { "type": "TrustTier", "id": "empty" }, "attrs": {}, "parents": [] },
        { "uid": { "type": "TrustDomain", "id": "example.org" }, "attrs": {}, "parents": [{ "type": "TrustTier", "id": "inner" }] }
    ]"#;
    let policies = "\
@id(\"inner\") permit (principal in TrustTier::\"inner\", action == Action::\"ping\", resource);
@id(\"outer\") permit (principal in TrustTier::\"outer\", action == Action::\"initialize\", resource);
@id(\"empty\") permit (principal in TrustTier::\"empty\", action == Action::\"server/discover\", resource);
";
    let own = only(policies);
    let kept = own
        .iter()
        .filter(|(path, _)| *path != "entities.json" && !path.starts_with("tools/"));
    let kept = kept.map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    let files = kept
        .chain([("entities.json".to_owned(), entities.as_bytes().to_vec())])
        .collect();
    let found: Vec<String> = lint(&files)
        .iter()
        .map(|problem| format!("{}: {problem}", problem.code))
        .collect();
    assert_eq!(
        found,
        ["unreachable: own.cedar:3:1: `empty` is for nobody: nothing is in TrustTier::\"empty\""]
    );
}

/// Heads and conditions that overlap in many ways.
const HEADS: [&str; 14] = [
    "principal, action, resource",
    "principal is User, action, resource",
    "principal is Workload, action in Action::\"tools/call\", resource",
    "principal in Role::\"mcp-admin\", action, resource in Server::\"workbench\"",
    "principal is User in Role::\"mcp-admin\", action in Action::\"read\", resource",
    "principal in Role::\"mcp-viewer\", action in [Action::\"read\", Action::\"list\"], resource",
    "principal in TrustTier::\"trusted\", action in Action::\"tools/call\", resource in ToolGroup::\"database\"",
    "principal in WorkloadPath::\"spiffe://mcp-identity.local/agent/trusted\", action in Action::\"read\", resource",
    "principal in WorkloadPath::\"spiffe://mcp-identity.local/agent\", action == Action::\"workbench/db_read\", resource",
    "principal == Workload::\"spiffe://mcp-identity.local/agent/trusted/1\", action, resource == Tool::\"workbench/db_read\"",
    "principal, action == Action::\"workbench/db_read\", resource",
    "principal, action in Action::\"write\", resource in ToolGroup::\"database\"",
    "principal is User, action in Action::\"lifecycle\", resource",
    "principal, action == Action::\"ping\", resource == Server::\"workbench\"",
];
const BODIES: [&str; 6] = [
    "",
    "when { context has session }",
    "when { context has session && context.request has address }",
    "unless { context.request has address }",
    "when { context.request has address } when { context has session }",
    "unless { context has session || context.request has address }",
];
const CHANGES_NOTHING: [&str; 4] = [
    code::UNREACHABLE,
    code::DUPLICATE,
    code::REDUNDANT,
    code::OVERRIDDEN,
];

/// What is said of each caller by itself, of every call of a few, with and without a session and an address.
fn decided(set: &PolicySet) -> Vec<Vec<bool>> {
    let server = default_server("workbench").unwrap();
    let callers = [
        ("mcp-admin", "/agent/trusted/1"),
        ("mcp-viewer", "/agent/trusted/2"),
        ("", "/agent/other"),
    ];
    let callers = callers.map(|(role, path)| caller(user("ada", &[role]), path));
    let arguments = r#"{"sql":"a"}"#;
    let mut calls = vec![
        tool("db_read", arguments),
        tool("db_write", arguments),
        tool("shell_list", "{}"),
    ];
    calls.push(Call {
        id: Some(Id::Number(1)),
        operation: Operation::Plain { method: "ping" },
    });
    let mut all = Vec::new();
    for (caller, call) in callers
        .iter()
        .flat_map(|caller| calls.iter().map(move |call| (caller, call)))
    {
        for known in [(true, true), (true, false), (false, true), (false, false)] {
            let verdicts = set.ask(&Question {
                server: &server,
                call,
                caller,
                session: known.0.then_some("s"),
                address: known.1.then(|| "192.0.2.7".parse().unwrap()),
                version: Version::V2025_11_25,
                now: now(),
            });
            all.push(verdicts.unwrap().iter().map(Verdict::allows).collect());
        }
    }
    all
}

#[test]
fn what_is_said_to_change_nothing_changes_nothing_when_it_is_gone() {
    let mut state = 7_u64;
    let mut pick = |of: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % of
    };
    let (mut told, mut codes) = (0, BTreeSet::new());
    for _ in 0..40 {
        let policies: Vec<String> = (0..7)
            .map(|number| {
                let effect = if pick(4) == 0 { "forbid" } else { "permit" };
                let (head, body) = (HEADS[pick(HEADS.len())], BODIES[pick(BODIES.len())]);
                format!("@id(\"p{number}\") @reason(\"r\") {effect} ({head}) {body};")
            })
            .collect();
        let files = only(&policies.join("\n"));
        let set = PolicySet::load_untested(&files, &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
        let before = decided(&set);
        for problem in set.lint(&files, &[]).unwrap() {
            assert!(CHANGES_NOTHING.contains(&problem.code), "{problem}");
            let (line, _) = problem.line_column().unwrap();
            let mut others = policies.clone();
            others.remove(line - 1);
            let without = PolicySet::load_untested(&only(&others.join("\n")), &[]).unwrap();
            assert_eq!(before, decided(&without), "{problem}\n{}", policies.join("\n"));
            told += 1;
            codes.insert(problem.code);
        }
    }
    assert!(told > 40 && codes.len() >= 3, "{told} {codes:?}");
}
