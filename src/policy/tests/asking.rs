//! What is said to a call.

use super::*;
use crate::identity::{Acting, Actor, Agent};
use crate::inventory::Requirement;

const READ: &str = r#"{"path":"/srv/work/a"}"#;
const ALL: &str = "@id(\"all\") permit (principal, action, resource);\n";

fn with(policy: &str) -> PolicySet {
    load(&only(&format!("{ALL}{policy}")))
}

#[test]
fn each_identity_is_asked_and_named_with_its_own_policies() {
    let set = load(&files(&[]));
    let verdicts = ask(&set, &admin(), &tool("fs_read", READ)).unwrap();
    let said: Vec<_> = verdicts
        .iter()
        .map(|verdict| (verdict.principal, verdict.outcome, verdict.fired[0].id.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (Principal::User, Outcome::Allowed, "admins-on-workbench"),
            (
                Principal::Workload,
                Outcome::Allowed,
                "trusted-agents-on-workbench"
            ),
        ]
    );
    assert!(
        verdicts[0].fired[0]
            .reason
            .as_deref()
            .unwrap()
            .starts_with("Administrators")
    );
}

#[test]
fn nobody_and_half_of_what_a_server_requires_are_no_verdict() {
    let set = with("");
    let only_user = Caller {
        workload: None,
        ..admin()
    };
    let error = ask(&set, &only_user, &tool("fs_read", READ)).unwrap_err();
    assert_eq!(
        error,
        AskError::MissingIdentity(crate::inventory::Requirement::Workload)
    );
    let mut server = default_server("workbench").unwrap();
    server.require.clear();
    let nobody = Caller::default();
    let call = tool("fs_read", READ);
    assert_eq!(
        set.ask(&question(&server, &nobody, &call)),
        Err(AskError::NoPrincipal)
    );
}

#[test]
fn a_forbid_that_errors_denies_and_a_permit_that_errors_does_not_apply() {
    // i64 overflow: it type-checks and fails at evaluation.
    let overflow = "when { context.arguments.limit * 9223372036854775807 > 0 }";
    let scope = "(principal is User, action == Action::\"workbench/db_read\", resource)";
    let guard = "when { context.arguments has limit }";
    let call = tool("db_read", r#"{"sql":"select 1","limit":7}"#);

    let set = with(&format!("@id(\"broken\") forbid {scope} {guard} {overflow};"));
    let verdicts = ask(&set, &admin(), &call).unwrap();
    assert_eq!(verdicts[0].outcome, Outcome::ForbidErrored);
    assert_eq!(verdicts[0].fired[0].id, "broken");
    assert_eq!(verdicts[1].outcome, Outcome::Allowed, "the forbid is about users");

    let set = load(&only(&format!(
        "@id(\"broken\") permit {scope} {guard} {overflow};"
    )));
    let verdicts = ask(&set, &admin(), &call).unwrap();
    assert_eq!(
        (verdicts[0].outcome, verdicts[0].fired.len()),
        (Outcome::NoPermit, 0)
    );
    assert_eq!(verdicts[0].errored[0].id, "broken");

    // A forbid that applies is the better reason.
    let set = with(&format!(
        "@id(\"broken\") forbid {scope} {guard} {overflow};\n@id(\"never\") forbid {scope};"
    ));
    let (outcome, ids) = for_user(&set, &admin(), &call);
    assert_eq!((outcome, ids), (Outcome::Forbidden, vec!["never".to_owned()]));

    // Nor does it become «no permit» where nothing permits.
    let set = load(&only(&format!(
        "@id(\"broken\") forbid {scope} {guard} {overflow};"
    )));
    assert_eq!(for_user(&set, &admin(), &call).0, Outcome::ForbidErrored);
}

#[test]
fn forbids_match_by_group_of_actions_tools_and_paths() {
    let forbids = [
        ("action in Action::\"tools/call\", resource", true),
        ("action in Action::\"read\", resource", true),
        ("action in [Action::\"write\", Action::\"read\"], resource", true),
        ("action in Action::\"write\", resource", false),
        ("action, resource in ToolGroup::\"filesystem\"", true),
        ("action, resource in ToolGroup::\"shell\"", false),
        ("action, resource in Server::\"workbench\"", true),
        ("action, resource in Server::\"info\"", false),
        (
            "action == Action::\"workbench/fs_read\", resource == Tool::\"workbench/fs_read\"",
            true,
        ),
    ];
    for (scope, matches) in forbids {
        let set = with(&format!("@id(\"no\") forbid (principal, {scope});"));
        let expected = if matches {
            Outcome::Forbidden
        } else {
            Outcome::Allowed
        };
        assert_eq!(
            for_user(&set, &admin(), &tool("fs_read", READ)).0,
            expected,
            "{scope}"
        );
    }
    let workloads = [
        (
            "principal in WorkloadPath::\"spiffe://mcp-identity.local/agent\"",
            true,
        ),
        (
            "principal in WorkloadPath::\"spiffe://mcp-identity.local/agent/trusted/1\"",
            true,
        ),
        (
            "principal in WorkloadPath::\"spiffe://mcp-identity.local/agent/trust\"",
            false,
        ),
        ("principal in TrustDomain::\"mcp-identity.local\"", true),
        ("principal in TrustTier::\"trusted\"", true),
        ("principal in TrustTier::\"untrusted\"", false),
        (
            "principal == Workload::\"spiffe://mcp-identity.local/agent/trusted/1\"",
            true,
        ),
    ];
    for (scope, matches) in workloads {
        let set = with(&format!("@id(\"no\") forbid ({scope}, action, resource);"));
        let verdicts = ask(&set, &admin(), &tool("fs_read", READ)).unwrap();
        let expected = if matches {
            Outcome::Forbidden
        } else {
            Outcome::Allowed
        };
        assert_eq!(verdicts[1].outcome, expected, "{scope}");
    }
}

#[test]
fn what_is_known_of_the_call_can_be_decided_on() {
    let conditions = [
        ("context.user.username == \"ada\"", true),
        ("context.workload in TrustTier::\"trusted\"", true),
        ("context.workload.path like \"/agent/trusted/*\"", true),
        ("context.user in Role::\"mcp-viewer\"", false),
        (
            "context has session && context.session == Session::\"session-1\"",
            true,
        ),
        (
            "context.request has address && context.request.address.isInRange(ip(\"192.0.2.0/24\"))",
            true,
        ),
        // Read by way of the whole record.
        (
            "(if context.user.username == \"ada\" then context.request else context.request) has address",
            true,
        ),
        ("context.request.version == \"2025-11-25\"", true),
        (
            "context.now < datetime(\"2026-03-01T10:00:01Z\") && context.now >= datetime(\"2026-03-01\")",
            true,
        ),
        ("context.arguments.path like \"/srv/work/*\"", true),
        ("context.arguments has max_bytes", false),
        (
            "resource.pinned && !resource.destructive && !resource.openWorld",
            true,
        ),
        ("Tool::\"workbench/fs_write\".destructive", true),
    ];
    for (condition, holds) in conditions {
        let scope = "(principal is User, action == Action::\"workbench/fs_read\", resource)";
        let set = load(&only(&format!(
            "@id(\"it\") permit {scope} when {{ {condition} }};"
        )));
        let expected = if holds {
            Outcome::Allowed
        } else {
            Outcome::NoPermit
        };
        assert_eq!(
            for_user(&set, &admin(), &tool("fs_read", READ)).0,
            expected,
            "{condition}"
        );
    }
}

#[test]
fn a_value_that_cedar_cannot_hold_denies_only_where_a_policy_reads_that_place() {
    let body = r#"{"url":"https://a.example","record":{"name":"x","amount":48.858370001}}"#;
    let call = tool("api_write", body);
    let cases = [
        (
            "action == Action::\"workbench/api_write\", resource) when { context.arguments.url like \"*\" };",
            None,
        ),
        (
            "action == Action::\"workbench/api_write\", resource) when { context.arguments.record.name == \"y\" };",
            None,
        ),
        (
            "action == Action::\"workbench/api_write\", resource) when { context.arguments.record has amount };",
            Some("record.amount"),
        ),
        (
            "action == Action::\"workbench/api_write\", resource) when { context.arguments.record == context.arguments.record };",
            Some("record.amount"),
        ),
        // In another tool's scope.
        (
            "action == Action::\"workbench/db_read\", resource) when { context.arguments has limit };",
            None,
        ),
    ];
    for (rest, place) in cases {
        let set = with(&format!("@id(\"own\") permit (principal, {rest}"));
        let answer = ask(&set, &admin(), &call);
        match place {
            None => assert!(answer.is_ok(), "{rest}: {answer:?}"),
            Some(place) => {
                let expected = AskError::UnrepresentableArgument {
                    place: place.to_owned(),
                };
                assert_eq!(answer, Err(expected), "{rest}");
            }
        }
    }
    // A policy about other principals doesn't look.
    let set = with(
        "@id(\"own\") forbid (principal in Role::\"mcp-viewer\", action == Action::\"workbench/api_write\", resource) \
         when { context.arguments.record has amount };",
    );
    assert_eq!(for_user(&set, &admin(), &call).0, Outcome::Allowed);
    // What a shadow policy reads decides nothing either.
    let set = with(
        "@shadow @id(\"own\") forbid (principal, action == Action::\"workbench/api_write\", resource) \
         when { context.arguments.record has amount };",
    );
    assert_eq!(for_user(&set, &admin(), &call).0, Outcome::Allowed);
}

#[test]
fn shadow_policies_are_told_and_decide_nothing() {
    let set = with(
        "@id(\"trial\") @shadow forbid (principal is User, action in Action::\"read\", resource);\n\
         @id(\"trial-permit\") @shadow permit (principal is User, action in Action::\"read\", resource);",
    );
    let verdicts = ask(&set, &admin(), &tool("fs_read", READ)).unwrap();
    let ids: Vec<&str> = verdicts[0].shadow.iter().map(|fired| fired.id.as_str()).collect();
    assert_eq!(
        (verdicts[0].outcome, ids),
        (Outcome::Allowed, vec!["trial", "trial-permit"])
    );
    assert!(verdicts[1].shadow.is_empty());
    // A shadow permit alone lets nothing through.
    let set = load(&only(
        "@id(\"trial\") @shadow permit (principal, action, resource);",
    ));
    assert_eq!(
        for_user(&set, &admin(), &tool("fs_read", READ)).0,
        Outcome::NoPermit
    );
}

#[test]
fn a_step_up_is_named_only_if_it_would_do() {
    let scoped = "(principal is User, action == Action::\"workbench/fs_read\", resource)";
    let reading = "when { principal.scopes.contains(\"files:read\") }";
    let strong = "when { principal has acr && principal.acr == \"gold\" }";
    let workload = "@id(\"w\") permit (principal is Workload, action, resource);";
    let server = default_server("workbench").unwrap();
    let caller = admin();
    let call = tool("fs_read", READ);
    let step = |policies: &str| load(&only(policies)).step_up(&question(&server, &caller, &call));
    let scopes = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect();

    let policy = format!("@id(\"s\") @scope(\"files:read\") permit {scoped} {reading};");
    let found = step(&format!("{workload}{policy}")).unwrap();
    assert_eq!(
        found,
        StepUp {
            scopes: scopes(&["files:read"]),
            ..StepUp::default()
        }
    );
    assert_eq!(step(&policy), None, "the workload may not, whatever the scopes");
    let forbidden = format!("{workload}{policy}@id(\"no\") forbid {scoped};");
    assert_eq!(step(&forbidden), None);

    let policy = format!("@id(\"s\") @acr(\"gold\") permit {scoped} {strong};");
    let found = step(&format!("{workload}{policy}")).unwrap();
    assert_eq!(
        found,
        StepUp {
            acr: Some("gold".to_owned()),
            ..StepUp::default()
        }
    );

    // All at once: a permit that needs one, a forbid that needs the other.
    let both = format!(
        "{workload}@id(\"s\") @scope(\"files:read\") permit {scoped} {reading};\
         @id(\"t\") @scope(\"extra\") forbid {scoped} unless {{ principal.scopes.contains(\"extra\") }};"
    );
    assert_eq!(step(&both).unwrap().scopes, scopes(&["extra", "files:read"]));

    // What another tool's policy names isn't tried; one that names the wrong scope doesn't help.
    let other = "@id(\"s\") @scope(\"files:read\") permit (principal is User, action == Action::\"workbench/fs_list\", resource);";
    assert_eq!(step(&format!("{workload}{other}")), None);
    let wrong = format!("{workload}@id(\"s\") @scope(\"files:write\") permit {scoped} {reading};");
    assert_eq!(step(&wrong), None);
}

#[test]
fn listening_asks_about_every_resource_that_it_names() {
    let set = load(&only(
        "@id(\"listen\") permit (principal, action == Action::\"subscriptions/listen\", resource);\n\
         @id(\"docs\") permit (principal, action == Action::\"resources/subscribe\", resource) \
         when { resource.uri like \"docs://*\" };",
    ));
    let listen = |uris: &[&str]| Call {
        id: Some(Id::Number(1)),
        operation: Operation::Listen {
            uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
        },
    };
    let (outcome, ids) = for_user(&set, &admin(), &listen(&["docs://a", "docs://b"]));
    assert_eq!(
        (outcome, ids),
        (Outcome::Allowed, vec!["docs".to_owned(), "listen".to_owned()])
    );
    let (outcome, ids) = for_user(&set, &admin(), &listen(&["docs://a", "file:///etc/passwd"]));
    assert_eq!((outcome, ids), (Outcome::NoPermit, vec![]));
    let many: Vec<String> = (0..300).map(|number| format!("docs://{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        ask(&set, &admin(), &listen(&many)),
        Err(AskError::TooManyResources)
    );
}

#[test]
fn ids_are_ids_whatever_their_characters() {
    let odd = "o\"dd\\ \u{202e}`);permit(principal,action,resource);\n";
    let set = load(&only(
        "@id(\"admins\") permit (principal in Role::\"mcp-admin\", action, resource);",
    ));
    let mut caller = admin();
    let mut person = user(odd, &["Role::\"mcp-admin\"", odd]);
    person.scopes = vec![odd.to_owned()];
    caller.user = Some(Arc::new(person));
    assert_eq!(
        for_user(&set, &caller, &tool("fs_read", READ)).0,
        Outcome::NoPermit
    );
    let call = Call {
        id: None,
        operation: Operation::Resource {
            method: "resources/read",
            uri: odd.to_owned(),
        },
    };
    assert_eq!(for_user(&set, &admin(), &call).0, Outcome::Allowed);
    let call = Call {
        id: None,
        operation: Operation::Unknown {
            method: "tools/call".to_owned(),
        },
    };
    assert_eq!(for_user(&set, &caller, &call).0, Outcome::NoPermit);
    assert_eq!(ask(&set, &admin(), &tool(odd, "{}")), Err(AskError::UnknownTool));
}

#[test]
fn a_user_with_a_thousand_roles_is_asked_about_like_any_other() {
    let roles: Vec<String> = (0..1000).map(|number| format!("role-{number}")).collect();
    let mut roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let set = load(&files(&[]));
    let many = caller(user("ada", &roles), "/agent/trusted/1");
    assert_eq!(for_user(&set, &many, &tool("fs_read", READ)).0, Outcome::NoPermit);
    roles.push("mcp-viewer");
    let many = caller(user("ada", &roles), "/agent/trusted/1");
    assert_eq!(for_user(&set, &many, &tool("fs_read", READ)).0, Outcome::Allowed);
}

#[test]
fn an_actor_must_be_permitted_too_where_the_server_requires_one() {
    let policies = "@id(\"u\") permit (principal is User, action, resource);\
        @id(\"w\") permit (principal is Workload in TrustTier::\"trusted\", action, resource);\
        @id(\"a\") permit (principal is Agent, action, resource) when { principal has clientId && principal.clientId == \"reporter\" };";
    let set = load(&only(policies));
    let plain = default_server("workbench").unwrap();
    let mut asking = plain.clone();
    asking.require.push(Requirement::Actor);
    let call = tool("fs_read", READ);
    let workload =
        |path: &str| Acting::Workload((**caller(user("x", &[]), path).workload.as_ref().unwrap()).clone());
    let client = |id: &str| Acting::Agent(Agent::client("https://issuer.example", id));
    let cases = [
        (client("reporter"), true),
        (client("other"), false),
        (
            Acting::Agent(Agent::subject("https://issuer.example", "reporter", None)),
            false,
        ),
        (workload("/agent/trusted/1"), true),
        (workload("/agent/trusted/2"), true),
        (workload("/agent/untrusted"), false),
    ];
    for (current, expected) in cases {
        let caller = Caller {
            actor: Some(Arc::new(Actor {
                current,
                earlier: Vec::new(),
            })),
            ..admin()
        };
        let asked = |server| {
            let verdicts = set.ask(&question(server, &caller, &call)).unwrap();
            assert_eq!(verdicts.len(), caller.principals(server));
            verdicts.iter().all(Verdict::allows)
        };
        // Each way round: what was remembered for one server is not told of the other.
        assert_eq!(
            (asked(&asking), asked(&plain), asked(&asking)),
            (expected, true, expected),
            "{caller:?}"
        );
    }
    assert_eq!(
        set.ask(&question(&asking, &admin(), &call)),
        Err(AskError::MissingIdentity(Requirement::Actor))
    );
}

#[test]
fn a_fresh_login_is_named_only_if_it_would_do() {
    let workload = "@id(\"w\") permit (principal is Workload, action, resource);";
    let fresh = "@id(\"f\") @max_age(\"15m\") permit (principal is User, action, resource) when { principal has authenticated \
        && context.now.durationSince(principal.authenticated) <= duration(\"15m\") };";
    let set = load(&only(&format!("{workload}{fresh}")));
    let server = default_server("workbench").unwrap();
    let call = tool("fs_read", READ);
    let after = |ago: Option<i64>| {
        let mut user = user("ada", &[]);
        user.authenticated = ago.map(|ago| now().checked_sub(jiff::SignedDuration::from_secs(ago)).unwrap());
        let caller = caller(user, "/agent/trusted/1");
        let question = question(&server, &caller, &call);
        let allowed = set.ask(&question).unwrap().iter().all(Verdict::allows);
        (allowed, set.step_up(&question).and_then(|step| step.max_age))
    };
    assert!(after(Some(899)).0);
    assert_eq!(after(Some(901)), (false, Some(900)));
    assert_eq!(after(None), (false, Some(900)));
    for wrong in ["", "0s", "-15m", "soon", "500ms"] {
        let policy = format!("@id(\"f\") @max_age(\"{wrong}\") permit (principal, action, resource);");
        let problems = PolicySet::load(&only(&policy), &[]).unwrap_err();
        assert!(
            shown(&problems).contains("@max_age"),
            "{wrong}: {}",
            shown(&problems)
        );
    }
}
