//! A cell never says more than what every call comes to.

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
    let who = who(&set).into_iter().map(|subjects| Who { subjects }).collect();
    let matrix = set.matrix(files, &[], who, set.callable(protocol)).unwrap();
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

/// Conditions by the tool that they are about, each well typed by itself.
const DB_READ: [&str; 6] = [
    "context.arguments has limit",
    "context.arguments has limit && context.arguments.limit > 100",
    "context.arguments has limit && context.arguments.limit + 9223372036854775000 > 0",
    "context.arguments.sql like \"select*\"",
    "context.arguments.sql == context.user.username",
    "[\"a\", \"b\"].contains(context.arguments.sql)",
];
const API_WRITE: [&str; 6] = [
    "context.arguments.record has tags && context.arguments.record.tags.contains(\"new\")",
    "context.arguments.record has tags && context.user.scopes.containsAll(context.arguments.record.tags)",
    "context.arguments.record has amount && context.arguments.record.amount.lessThan(decimal(\"5.0\"))",
    "context.arguments.record.name == \"first\"",
    "context.arguments.url like \"https://*\"",
    "context.arguments has record.tags",
];
const GENERAL: [&str; 18] = [
    "true",
    "9223372036854775807 + 1 == 0",
    "principal in Role::\"mcp-admin\"",
    "principal in TrustTier::\"trusted\"",
    "principal is User && principal.scopes.contains(\"a\")",
    "principal is User && principal has acr && principal.acr == \"gold\"",
    "context.user in Role::\"mcp-viewer\"",
    "context.user.scopes.contains(\"b\")",
    "context.user == User::\"https://issuer.example#ada\"",
    "context.workload in TrustTier::\"trusted\"",
    "context.workload.path like \"/agent/t*\"",
    "context has session",
    "context has agent",
    "context.now < datetime(\"2026-02-01\")",
    "context.request.version == \"2025-11-25\"",
    "context.request has address && context.request.address.isInRange(ip(\"192.0.2.0/24\"))",
    "context.user has authenticated && context.now.durationSince(context.user.authenticated) < duration(\"15m\")",
    "resource.destructive",
];
const PRINCIPALS: [&str; 6] = [
    "principal",
    "principal is User",
    "principal is Workload",
    "principal in Role::\"mcp-viewer\"",
    "principal in TrustTier::\"trusted\"",
    "principal == User::\"https://issuer.example#ada\"",
];

fn condition(own: &'static [&'static str]) -> impl Strategy<Value = String> {
    let atom = prop_oneof![select(own), select(&GENERAL)].prop_map(|atom| format!("({atom})"));
    atom.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!{a}")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

fn policy() -> impl Strategy<Value = String> {
    let about = prop_oneof![
        condition(&DB_READ).prop_map(|text| ("workbench/db_read", text)),
        condition(&API_WRITE).prop_map(|text| ("workbench/api_write", text)),
    ];
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    (effect, select(&PRINCIPALS), about).prop_map(|(effect, principal, (tool, condition))| {
        format!("{effect} ({principal}, action == Action::\"{tool}\", resource) when {{ {condition} }};")
    })
}

/// Without the policies that the validator refuses: those that can never apply.
fn sound(mut policies: Vec<String>) -> Files {
    loop {
        let lines: Vec<String> = policies
            .iter()
            .enumerate()
            .map(|(number, policy)| format!("@id(\"p{number}\") {policy}\n"))
            .collect();
        let files = only(&lines.concat());
        let Err(problems) = PolicySet::load(&files, &[]) else {
            return files;
        };
        let wrong: HashSet<usize> = problems
            .iter()
            .map(|problem| problem.line_column().unwrap().0.saturating_sub(1))
            .collect();
        let kept = policies
            .into_iter()
            .enumerate()
            .filter(|(line, _)| !wrong.contains(line));
        policies = kept.map(|(_, policy)| policy).collect();
    }
}

fn some_arguments() -> impl Strategy<Value = (&'static str, String)> {
    let sql = select(&["select 1", "ada", "a", "x"]);
    let limit = prop_oneof![
        Just(String::new()),
        select(&[1, 5, 100, 101, 900, 1_000_000]).prop_map(|limit| format!(", \"limit\": {limit}"))
    ];
    let tags = prop_oneof![
        Just(String::new()),
        subsequence(&["new", "a", "b"][..], 0..=3).prop_map(|tags| format!(", \"tags\": {tags:?}")),
    ];
    let amount = select(&[
        "",
        ", \"amount\": 4.5",
        ", \"amount\": 5",
        ", \"amount\": 0.1234567",
    ]);
    let record = (
        select(&["https://a.example", "ftp://a"]),
        select(&["first", "other"]),
        tags,
        amount,
    );
    prop_oneof![
        (sql, limit).prop_map(|(sql, limit)| ("db_read", format!("{{\"sql\": \"{sql}\"{limit}}}"))),
        record.prop_map(|(url, name, tags, amount)| {
            (
                "api_write",
                format!("{{\"url\": \"{url}\", \"record\": {{\"name\": \"{name}\"{tags}{amount}}}}}"),
            )
        }),
    ]
}

/// All that is unknown of a call: the token, who else is on it, its arguments, where and when it comes.
#[derive(Debug, Clone)]
struct Unknown {
    name: &'static str,
    roles: Vec<&'static str>,
    scopes: Vec<&'static str>,
    acr: Option<&'static str>,
    login: Option<i64>,
    path: &'static str,
    session: bool,
    late: bool,
    call: (&'static str, String),
}

fn unknown() -> impl Strategy<Value = Unknown> {
    let token = (
        select(&["ada", "eve"]),
        subsequence(&["mcp-admin", "mcp-viewer"][..], 0..=2),
        subsequence(&["a", "b", "new"][..], 0..=3),
        prop::option::of(select(&["gold", "tin"])),
        prop::option::of(-60_i64..2000),
    );
    let place = (
        select(&["/agent/trusted/1", "/agent/untrusted/1", "/other"]),
        any::<bool>(),
        any::<bool>(),
        some_arguments(),
    );
    (token, place).prop_map(
        |((name, roles, scopes, acr, login), (path, session, late, call))| Unknown {
            name,
            roles,
            scopes,
            acr,
            login,
            path,
            session,
            late,
            call,
        },
    )
}

impl Unknown {
    fn user(&self, roles: &[&str], name: &str) -> User {
        let mut user = user(name, roles);
        user.scopes = self.scopes.iter().map(|scope| (*scope).to_owned()).collect();
        user.acr = self.acr.map(str::to_owned);
        let ago = |seconds| {
            now()
                .checked_sub(jiff::SignedDuration::from_secs(seconds))
                .unwrap()
        };
        user.authenticated = self.login.map(ago);
        user
    }

    /// A call that is of this column, and otherwise whatever.
    fn caller(&self, who: &Who) -> Caller {
        let mut caller = caller(self.user(&self.roles, self.name), self.path);
        for subject in &who.subjects {
            match subject {
                // Of a role's people, none that a policy names.
                Subject::Person(_, role) => caller.user = Some(Arc::new(self.user(&[role], "somebody"))),
                Subject::User(_, user) => caller.user = Some(Arc::clone(user)),
                Subject::Workload(_, workload) => caller.workload = Some(Arc::clone(workload)),
                Subject::Agent(..) | Subject::Path(_) | Subject::Client(_) => {
                    let tail = if matches!(subject, Subject::Path(_)) {
                        "untrusted/9"
                    } else {
                        "trusted/9"
                    };
                    let spiffe_id =
                        SpiffeId::parse(&format!("spiffe://mcp-identity.local/agent/{tail}")).unwrap();
                    caller.workload = Some(Arc::new(Workload { spiffe_id }));
                }
            }
        }
        caller
    }
}

fn columns(set: &PolicySet) -> Vec<Vec<Subject>> {
    let mut ada = user("ada", &["mcp-viewer"]);
    ada.scopes = vec!["a".to_owned()];
    let ada = Subject::User("ada".to_owned(), Arc::new(ada));
    let spiffe_id = SpiffeId::parse("spiffe://mcp-identity.local/agent/trusted/7").unwrap();
    let build = Subject::Workload("build".to_owned(), Arc::new(Workload { spiffe_id }));
    vec![
        vec![declared(set, "role", "mcp-viewer")],
        vec![declared(set, "role", "mcp-admin")],
        vec![declared(set, "tier", "trusted")],
        vec![declared(
            set,
            "path",
            "spiffe://mcp-identity.local/agent/untrusted",
        )],
        vec![ada.clone()],
        vec![build.clone()],
        vec![ada, build],
        vec![
            declared(set, "role", "mcp-viewer"),
            declared(set, "tier", "trusted"),
        ],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_allowed_cell_has_no_denied_call_and_a_denied_cell_no_allowed_one(
        policies in prop::collection::vec(policy(), 1..8),
        calls in prop::collection::vec(unknown(), 24),
    ) {
        let files = sound(policies);
        let (set, matrix) = matrix(&files, columns, false);
        let server = default_server("workbench").unwrap();
        for unknown in calls {
            let (name, given) = &unknown.call;
            let (_, cells) = matrix.rows.iter().find(|(what, _)| what.tool.as_deref() == Some(name)).unwrap();
            let operation = Operation::ToolsCall { tool: (*name).to_owned(), arguments: arguments(given) };
            let call = Call { id: Some(Id::Number(1)), operation };
            for (who, cell) in matrix.who.iter().zip(cells) {
                let caller = unknown.caller(who);
                let mut question = question(&server, &caller, &call);
                if !unknown.session {
                    question.session = None;
                }
                if !unknown.late {
                    question.now = "2026-01-15T10:00:00Z".parse().unwrap();
                }
                // What Cedar can't hold is in no cell.
                let Ok(verdicts) = set.ask(&question) else { continue };
                let asked = |verdict: &&Verdict| match (who.subjects.as_slice(), verdict.principal) {
                    ([one], Principal::User) => one.is_person(),
                    ([one], _) => !one.is_person(),
                    _ => true,
                };
                let allowed = verdicts.iter().filter(asked).all(Verdict::allows);
                let told = format!("{} {}: {} but {verdicts:?}\n{unknown:?}\n{}", who.title(), name, said(cell),
                    String::from_utf8_lossy(files.get("own.cedar").unwrap()));
                match cell {
                    Cell::Allow(_) => prop_assert!(allowed, "{}", told),
                    Cell::Deny(_) => prop_assert!(!allowed, "{}", told),
                    Cell::Depends(_) => {}
                }
            }
        }
    }
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
        .matrix(&files, &[], who.collect(), set.callable(false))
        .unwrap();
    eprintln!(
        "{} cells in {:?}",
        matrix.rows.len() * matrix.who.len(),
        start.elapsed()
    );
}
