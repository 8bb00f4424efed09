//! Whatever the policies: no call is denied in an allowed cell, and none is allowed in a denied one.

use super::*;

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
