//! What is said of a denial: to authors all of it, to callers what is theirs.

use super::*;
use crate::policy::explain::conditions::EVALUATIONS;

/// What the one permit for readers lacks.
fn near(condition: &str, given: &str, change: impl Fn(&mut User)) -> (Vec<String>, Vec<Remedy>) {
    let policies = format!(
        "@id(\"p\") permit (principal in Role::\"mcp-viewer\", action == Action::\"workbench/db_read\", resource) {condition};
         @id(\"agents\") permit (principal is Workload, action, resource);"
    );
    let set = load(&only(&policies));
    let server = default_server("workbench").unwrap();
    let mut ada = user("ada", &["mcp-viewer"]);
    change(&mut ada);
    let caller = caller(ada, "/agent/trusted/1");
    let call = tool("db_read", given);
    let question = question(&server, &caller, &call);
    let trace = set.trace(&question).unwrap();
    let near = trace.targets[0].principals[0].near();
    assert_eq!(near.len(), 1, "{condition}");
    let told = near[0].lacking().iter().map(|looked| looked.in_words()).collect();
    (told, set.remedies(&question, &trace.verdicts))
}

/// The conditions of a permit; what an author is told that it lacks when `db_read` is called with these arguments; and whether the
/// caller is told anything.
const LACKING: &[(&str, &[&str], bool)] = &[
    (
        "when { context.arguments.limit <= 5 }",
        &["limit is 8, at most 5 is allowed"],
        true,
    ),
    (
        "when { 5 > context.arguments.limit }",
        &["limit is 8, less than 5 is allowed"],
        true,
    ),
    (
        "unless { context.arguments.limit > 5 || context.arguments.limit < 1 }",
        &["limit is 8, at most 5 is allowed"],
        true,
    ),
    (
        "when { context.arguments.sql == \"select 2\" }",
        &["sql is \"select 1\", \"select 2\" is needed"],
        true,
    ),
    (
        "when { [\"a\", \"b\"].contains(context.arguments.sql) }",
        &["sql is \"select 1\", one of \"a\", \"b\" is needed"],
        true,
    ),
    (
        "unless { context.arguments.sql like \"select*\" }",
        &["sql is \"select 1\", \"select*\" is not allowed"],
        true,
    ),
    (
        "when { principal has acr && principal.acr == \"high\" }",
        &["acr is missing, \"high\" is needed"],
        true,
    ),
    ("when { principal has acr }", &["acr is missing"], true),
    (
        "unless { context.arguments has limit }",
        &["limit is given, and must not be"],
        true,
    ),
    (
        "when { principal.scopes.contains(\"db:read\") }",
        &["scopes is \"openid\", \"db:read\" must be in it"],
        false,
    ),
    (
        "when { principal.username == \"grace\" }",
        &["username is \"ada\", \"grace\" is needed"],
        false,
    ),
    (
        "when { principal in Role::\"mcp-admin\" }",
        &["principal needs to be in Role \"mcp-admin\"; is in Role \"mcp-viewer\""],
        false,
    ),
    (
        "when { context.arguments.limit < 5 && context.user in Role::\"mcp-admin\" }",
        &[
            "limit is 8, less than 5 is allowed",
            "user needs to be in Role \"mcp-admin\"; is in Role \"mcp-viewer\"",
        ],
        false,
    ),
    (
        "when { context.arguments.limit < 5 || context.user in Role::\"mcp-admin\" }",
        &[
            "limit is 8, less than 5 is allowed, or user needs to be in Role \"mcp-admin\"; is in Role \"mcp-viewer\"",
        ],
        true,
    ),
    (
        "when { context.now < datetime(\"2026-02-01\") }",
        &["now is 2026-03-01T10:00:00.000Z, less than 2026-02-01 is allowed"],
        true,
    ),
    (
        "when { context.now.toTime() >= duration(\"12h\") }",
        &["the time of day is 10h, at least 12h is needed"],
        true,
    ),
    (
        "when { context.request has address && context.request.address.isInRange(ip(\"10.0.0.0/8\")) }",
        &["request.address is 192.0.2.7, an address in 10.0.0.0/8 is needed"],
        false,
    ),
    (
        "when { if context.arguments.limit > 5 then false else true }",
        &["`if context.arguments.limit > 5 then false else true` must hold"],
        false,
    ),
    (
        "when { context.arguments.limit * 2 < 10 }",
        &["context.arguments.limit * 2 is 16, less than 10 is allowed"],
        false,
    ),
];

/// `limit` is optional.
fn guarded(condition: &str) -> String {
    if condition.contains("arguments.limit") {
        format!("when {{ context.arguments has limit }} {condition}")
    } else {
        condition.to_owned()
    }
}

#[test]
fn what_a_permit_lacks_is_told_in_words_and_to_callers_only_what_is_theirs() {
    for (condition, expected, open) in LACKING {
        let condition = guarded(condition);
        let (told, remedies) = near(&condition, r#"{"sql": "select 1", "limit": 8}"#, |user| {
            user.scopes = vec!["openid".to_owned()];
        });
        assert_eq!(told, *expected, "{condition}");
        assert_eq!(!remedies.is_empty(), *open, "{condition}: {remedies:?}");
    }
}

#[test]
fn a_caller_is_told_of_an_alternative_only_what_they_can_change() {
    let condition = guarded("when { context.arguments.limit < 5 || context.user in Role::\"mcp-admin\" }");
    let (_, remedies) = near(&condition, r#"{"sql": "select 1", "limit": 8}"#, |_| ());
    assert_eq!(
        remedies,
        [Remedy(vec!["limit is 8, less than 5 is allowed".to_owned()])]
    );
    // Nothing that one of the others would do as well.
    let (told, remedies) = near(&condition, r#"{"sql": "select 1"}"#, |_| ());
    assert_eq!(told[0], "limit is missing");
    assert_eq!(remedies[0].0[0], "limit is missing");
}

/// What the caller is told when these policies rule `db_read`.
fn remedies(policies: &str, roles: &[&str], given: &str) -> Vec<Vec<String>> {
    let set = load(&only(policies));
    let server = default_server("workbench").unwrap();
    let caller = caller(user("ada", roles), "/agent/trusted/1");
    let call = tool("db_read", given);
    let question = question(&server, &caller, &call);
    let verdicts = set.ask(&question).unwrap();
    let remedies = set.remedies(&question, &verdicts);
    remedies.into_iter().map(|remedy| remedy.0).collect()
}

const AGENTS: &str = "@id(\"agents\") permit (principal is Workload, action, resource);";
const LARGE: &str = r#"{"sql": "select 1", "limit": 101}"#;

#[test]
fn a_forbid_is_told_only_to_who_is_permitted_otherwise() {
    let forbid = r#"@id("large") forbid (principal is User, action == Action::"workbench/db_read", resource)
        when { context.arguments has limit && context.arguments.limit > 100 } unless { principal in Role::"mcp-admin" };"#;
    let permit = r#"@id("viewers") permit (principal in Role::"mcp-viewer", action, resource);"#;
    let all = format!("{AGENTS} {forbid} {permit}");
    let told = remedies(&all, &["mcp-viewer"], LARGE);
    assert_eq!(told, [["limit is 101, at most 100 is allowed"]]);
    assert_eq!(remedies(&all, &["mcp-developer"], LARGE), [[""; 0]; 0]);
    // A second one that can't be told of: neither is.
    let other =
        r#"@id("other") forbid (principal is User, action, resource) when { principal.username == "ada" };"#;
    assert_eq!(
        remedies(&format!("{all} {other}"), &["mcp-viewer"], LARGE),
        [[""; 0]; 0]
    );
}

#[test]
fn the_policies_of_others_are_not_told_of() {
    let policies = format!(
        r#"{AGENTS}
        @id("admins") permit (principal in Role::"mcp-admin", action, resource)
          when {{ context has session && context.request.version == "2025-06-18" }};
        @id("acme") permit (principal is User, action == Action::"workbench/db_read", resource)
          when {{ principal in Role::"mcp-developer" && context.arguments.sql == "select acme" }};
        @id("hidden") @shadow permit (principal is User, action == Action::"workbench/db_read", resource)
          when {{ context.arguments.sql == "select shadow" }};"#
    );
    assert_eq!(remedies(&policies, &["mcp-viewer"], LARGE), [[""; 0]; 0]);
    // To whom it is open, it is told.
    let told = remedies(&policies, &["mcp-developer"], LARGE);
    assert_eq!(told, [["sql is \"select 1\", \"select acme\" is needed"]]);
}

#[test]
fn of_two_principals_both_must_be_told_or_neither_is() {
    let user = r#"@id("user") permit (principal is User, action == Action::"workbench/db_read", resource)
        when { context.arguments has limit && context.arguments.limit <= 5 };"#;
    let agent = |condition: &str| {
        format!(
            r#"{user} @id("agent") permit (principal is Workload, action == Action::"workbench/db_read", resource) {condition};"#
        )
    };
    let both = remedies(
        &agent("when { context.arguments.sql like \"explain*\" }"),
        &[],
        LARGE,
    );
    let expected = [
        "limit is 101, at most 5 is allowed",
        "sql is \"select 1\", \"explain*\" is needed",
    ];
    assert_eq!(both, [expected]);
    let one = agent("when { principal in TrustTier::\"untrusted\" }");
    assert_eq!(remedies(&one, &[], LARGE), [[""; 0]; 0]);
}

#[test]
fn what_is_told_is_bounded_whatever_the_policies_and_the_arguments() {
    let permit = |number: usize| {
        let long = "x".repeat(1000);
        format!(
            r#"@id("p{number}") permit (principal is User, action == Action::"workbench/db_read", resource)
               when {{ context.arguments.sql == "{number}{long}" }};"#
        )
    };
    let policies: String = (10..60).map(permit).collect();
    let sql = "s".repeat(10_000);
    let told = remedies(
        &format!("{AGENTS} {policies}"),
        &[],
        &format!(r#"{{"sql": "{sql}"}}"#),
    );
    assert_eq!(told.len(), 3);
    assert!(
        told.iter().flatten().all(|sentence| sentence.len() < 256),
        "{told:?}"
    );
    // A policy of very many conditions is looked at by nobody whom it denies.
    let many: Vec<String> = (0..140)
        .map(|number| format!("context.arguments.sql != \"{number}\""))
        .collect();
    let many = format!(
        r#"{AGENTS} @id("many") permit (principal is User, action == Action::"workbench/db_read", resource)
           when {{ {} && context.arguments.sql == "a" }};"#,
        many.join(" && ")
    );
    assert_eq!(remedies(&many, &[], LARGE), [[""; 0]; 0]);
}

/// A permit of `db_read` that needs more.
fn permit(number: usize, principal: &str, condition: &str) -> String {
    format!(
        "@id(\"{principal}{number}\") permit (principal is {principal}, action == Action::\"workbench/db_read\", resource) \
         when {{ {condition} }};\n"
    )
}

fn hundreds(principal: &str, condition: &str) -> String {
    let permits = (0..300).map(|number| permit(number, principal, condition));
    permits.collect()
}

fn alternatives(many: usize) -> String {
    let each = (0..many).map(|number| format!("context.arguments.sql == \"{number}\""));
    each.collect::<Vec<_>>().join(" || ")
}

/// One that applies, and would not if one of many texts were given.
fn forbid(many: usize) -> String {
    let differs = alternatives(many).replace("==", "!=");
    format!(
        "@id(\"forbid{many}\") forbid (principal is User, action == Action::\"workbench/db_read\", resource) \
         when {{ context.arguments has limit && ({differs}) }};\n"
    )
}

const PLAIN: &str =
    "context.arguments.sql != \"\" && context.arguments has limit && context.arguments.limit <= 5";

/// Policies of which much could be told, and whether anything is.
fn near_misses() -> [(&'static str, String, bool); 7] {
    let everybody = r#"@id("all") permit (principal is User, action, resource);"#;
    let long = format!(
        "{PLAIN} && {}",
        vec!["context.arguments.sql != \"\""; 80].join(" && ")
    );
    let others = permit(0, "User", &alternatives(50)) + &permit(1, "User", PLAIN);
    let forbids: String = (10..18).map(forbid).collect();
    [
        (
            "hundreds of three conditions",
            format!("{AGENTS} {}", hundreds("User", PLAIN)),
            true,
        ),
        (
            "of both principals",
            hundreds("User", PLAIN) + &hundreds("Workload", PLAIN),
            true,
        ),
        // Each alternative is three evaluations: not even one of these is told of.
        (
            "hundreds of fifty alternatives",
            format!("{AGENTS} {}", hundreds("User", &alternatives(50))),
            false,
        ),
        // The first one takes more than half, then what is left is too little for another.
        (
            "hundreds of 83 conditions",
            format!("{AGENTS} {}", hundreds("User", &long)),
            true,
        ),
        // What is too long by itself keeps nothing from those behind it.
        (
            "one of fifty alternatives before another",
            format!("{AGENTS} {others}"),
            true,
        ),
        (
            "a forbid of fifty alternatives",
            format!("{AGENTS} {everybody} {}", forbid(50)),
            false,
        ),
        (
            "eight forbids of ten alternatives and more",
            format!("{AGENTS} {everybody} {forbids}"),
            false,
        ),
    ]
}

#[test]
fn what_to_change_is_told_after_128_evaluations_at_most() {
    for (what, policies, is_told) in near_misses() {
        let set = load(&only(&policies));
        let server = default_server("workbench").unwrap();
        let caller = caller(user("ada", &[]), "/agent/trusted/1");
        let call = tool("db_read", LARGE);
        let question = question(&server, &caller, &call);
        let verdicts = set.ask(&question).unwrap();
        let before = EVALUATIONS.get();
        let told = set.remedies(&question, &verdicts);
        let evaluations = EVALUATIONS.get() - before;
        assert!((1..=128).contains(&evaluations), "{what}: {evaluations}");
        let told: Vec<&str> = told
            .iter()
            .flat_map(|remedy| &remedy.0)
            .map(String::as_str)
            .collect();
        let expected: &[&str] = if is_told {
            &["limit is 101, at most 5 is allowed"]
        } else {
            &[]
        };
        assert_eq!(told, expected, "{what}");
    }
}

#[test]
fn a_permit_for_others_is_told_to_authors_with_what_its_principal_is_in() {
    let policies = format!(
        r#"{AGENTS} @id("admins") permit (principal is User in Role::"mcp-admin", action, resource);
        @id("elsewhere") permit (principal in Role::"mcp-admin", action, resource in Server::"info");
        @id("tier") permit (principal in TrustTier::"untrusted", action in Action::"read", resource);"#
    );
    let set = load(&only(&policies));
    let server = default_server("workbench").unwrap();
    let caller = caller(user("ada", &["mcp-viewer"]), "/agent/trusted/1");
    let call = tool("db_read", LARGE);
    let explanation = set.explain(&question(&server, &caller, &call)).unwrap();
    let told: Vec<String> = explanation
        .beside
        .iter()
        .map(|one| {
            format!(
                "{} {}: {}, not {}",
                one.principal.as_str(),
                one.policy.id,
                one.needs,
                one.has
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"user admins: Role "mcp-admin", not Role "mcp-viewer""#,
            r#"workload tier: TrustTier "untrusted", not TrustTier "trusted""#,
        ]
    );
}
