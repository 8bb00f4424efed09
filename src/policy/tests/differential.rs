//! Whatever the policies, the caller and the tool: finding candidates by their scopes, leaving out what nobody reads and
//! remembering what stays the same give the verdicts of plain Cedar over every policy and every entity.

use std::collections::HashSet;
use std::sync::LazyLock;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::plain::everything;
use super::*;
use crate::identity::{Acting, Actor, Agent};
use crate::inventory::Requirement;
use crate::policy::ask::context::{Needs, context};
use cedar_policy::{Authorizer, Decision, Effect, Request};

const PRINCIPALS: [&str; 12] = [
    "principal",
    "principal is User",
    "principal is Workload",
    r#"principal == Workload::"spiffe://mcp-identity.local/agent/trusted/1""#,
    r#"principal in Role::"mcp-admin""#,
    r#"principal in Role::"mcp-developer""#,
    r#"principal is User in Role::"mcp-viewer""#,
    r#"principal in TrustTier::"trusted""#,
    r#"principal is Workload in TrustTier::"untrusted""#,
    "principal is Agent",
    r#"principal == Agent::"https://issuer.example#client:reporter""#,
    r#"principal in OAuthClient::"https://issuer.example#reporter""#,
];
const ACTIONS: [&str; 7] = [
    "action",
    r#"action == Action::"workbench/fs_read""#,
    r#"action in Action::"tools/call""#,
    r#"action in Action::"read""#,
    r#"action in [Action::"read", Action::"write"]"#,
    r#"action in [Action::"workbench/fs_write", Action::"admin"]"#,
    r#"action in Action::"list""#,
];
const RESOURCES: [&str; 6] = [
    "resource",
    "resource is Tool",
    r#"resource == Tool::"workbench/fs_read""#,
    r#"resource in Server::"workbench""#,
    r#"resource in ToolGroup::"filesystem""#,
    r#"resource is Tool in ToolGroup::"database""#,
];
/// Each is well typed behind every scope, and some of them fail.
const CONDITIONS: [&str; 21] = [
    "",
    r#"when { context has session && (context.user in Role::"mcp-admin" || context.request.version like "2025-*") } unless { context has agent || context.now < datetime("2026-02-01") }"#,
    "unless { context has agent && context.agent has clientId } when { !(context has session) && 9223372036854775807 + 1 == 0 }",
    "when { true }",
    "unless { false }",
    r#"when { context.user in Role::"mcp-admin" }"#,
    r#"when { context.workload in TrustTier::"trusted" }"#,
    "when { context has agent }",
    r#"when { context has agent && context.agent has clientId && context.agent.clientId == "reporter" }"#,
    r#"when { context has actingWorkload && context.actingWorkload in TrustTier::"trusted" }"#,
    r#"when { context.user has authenticated && context.now.durationSince(context.user.authenticated) < duration("15m") }"#,
    "when { context has session }",
    r#"when { context has session && context.session in Server::"workbench" }"#,
    r#"when { context.request.version == "2025-11-25" }"#,
    r#"when { context.request has address && context.request.address.isInRange(ip("192.0.2.0/24")) }"#,
    r#"when { context.now < datetime("2026-02-01") }"#,
    "when { 9223372036854775807 + 1 == 0 }",
    r#"when { Tool::"workbench/fs_write".destructive }"#,
    r#"when { Tool::"workbench/fs_read" in ToolGroup::"filesystem" }"#,
    r#"when { context.arguments.path like "/srv/*" }"#,
    r#"when { context.arguments has path && context.arguments.path like "/srv/*" }"#,
];
const ROLES: [&str; 4] = ["mcp-admin", "mcp-developer", "mcp-viewer", "unknown"];
const PATHS: [&str; 4] = [
    "/agent/trusted/1",
    "/agent/semi-trusted/2",
    "/agent/untrusted",
    "/other",
];
const CALLS: [(&str, &str); 5] = [
    ("fs_read", r#"{"path": "/srv/a"}"#),
    ("fs_read", r#"{"path": "/etc/b"}"#),
    ("fs_write", r#"{"path": "/srv/a", "content": "x"}"#),
    ("fs_list", r#"{"path": "/srv"}"#),
    ("shell_list", "{}"),
];

/// A policy as what stands before its scope, and the rest.
fn policy() -> impl Strategy<Value = (String, String)> {
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    let shadow = prop_oneof![5 => Just(""), 1 => Just("@shadow ")];
    let rest = (
        select(&PRINCIPALS),
        select(&ACTIONS),
        select(&RESOURCES),
        select(&CONDITIONS),
    );
    (effect, shadow, rest).prop_map(|(effect, shadow, (principal, action, resource, condition))| {
        (
            format!("{shadow}{effect}"),
            body(principal, action, resource, condition),
        )
    })
}

fn body(principal: &str, action: &str, resource: &str, condition: &str) -> String {
    format!("({principal}, {action}, {resource}) {condition};")
}

/// Those whose scope names a principal as links of templates, every other one.
fn linked(policies: &[String]) -> Files {
    let (mut texts, mut links) = (String::new(), Vec::new());
    for (number, policy) in policies.iter().enumerate() {
        let entity = PRINCIPALS
            .iter()
            .filter_map(|form| form.split_once(" in ").or_else(|| form.split_once(" == ")));
        let entity = entity.map(|(_, entity)| entity).find(|entity| {
            let scope = policy.split_once(", action").map_or("", |(scope, _)| scope);
            number % 2 == 0 && scope.ends_with(entity)
        });
        match entity {
            None => texts.extend([format!("@id(\"p{number:02}\") {policy}\n")]),
            Some(entity) => {
                let template = policy.replacen(entity, "?principal", 1);
                texts.extend([format!("@id(\"t{number:02}\") {template}\n")]);
                links.push(serde_json::json!({
                    "template_id": format!("t{number:02}"), "link_id": format!("p{number:02}"), "args": { "?principal": entity }
                }));
            }
        }
    }
    let files = only(&texts);
    let files = files
        .iter()
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    let links = serde_json::to_vec(&links).unwrap();
    files.chain([("links.json".to_owned(), links)]).collect()
}

fn numbered(policies: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = policies
        .enumerate()
        .map(|(number, policy)| format!("@id(\"p{number:02}\") {policy}\n"))
        .collect();
    lines.concat()
}

/// The policies that the validator takes: a scope that nothing is in, or arguments that a tool doesn't have, are errors.
static SOUND: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut sound = all_bodies();
    loop {
        let numbered = numbered(sound.iter().map(|body| format!("permit {body}")));
        let Err(problems) = PolicySet::load(&only(&numbered), &[]) else {
            assert!(sound.len() > 1000, "{}", sound.len());
            return sound.into_iter().collect();
        };
        let wrong: HashSet<usize> = problems
            .iter()
            .filter_map(|problem| Some(problem.line_column()?.0 - 1))
            .collect();
        assert!(!wrong.is_empty(), "{}", shown(&problems));
        sound = sound
            .into_iter()
            .enumerate()
            .filter(|(line, _)| !wrong.contains(line))
            .map(|(_, policy)| policy)
            .collect();
    }
});

/// Every scope with every condition.
pub(super) fn all_bodies() -> Vec<String> {
    let mut all = Vec::new();
    for principal in PRINCIPALS {
        for action in ACTIONS {
            for resource in RESOURCES {
                all.extend(CONDITIONS.map(|condition| body(principal, action, resource, condition)));
            }
        }
    }
    all
}

/// Who acts for the user, if anybody does.
#[derive(Debug, Clone, Copy)]
enum Acts {
    Nobody,
    Client(&'static str),
    Workload(&'static str),
}

fn acts() -> impl Strategy<Value = Acts> {
    prop_oneof![
        2 => Just(Acts::Nobody),
        2 => select(&["reporter", "other"]).prop_map(Acts::Client),
        2 => select(&PATHS).prop_map(Acts::Workload),
    ]
}

impl Acts {
    fn actor(self) -> Option<Arc<Actor>> {
        let current = match self {
            Self::Nobody => return None,
            Self::Client(id) => Acting::Agent(Agent::client("https://issuer.example", id)),
            Self::Workload(path) => Acting::Workload(Workload {
                spiffe_id: SpiffeId::parse(&format!("spiffe://mcp-identity.local{path}")).unwrap(),
            }),
        };
        Some(Arc::new(Actor {
            current,
            earlier: Vec::new(),
        }))
    }
}

/// Roles, the workload's path, a tool with its arguments, whether in a session, who acts and whether they are asked about, and how
/// many seconds ago the login was.
type Asking = (
    Vec<&'static str>,
    &'static str,
    (&'static str, &'static str),
    bool,
    (Acts, bool),
    Option<i64>,
);

fn call() -> impl Strategy<Value = Asking> {
    (
        subsequence(&ROLES, 0..=2),
        select(&PATHS),
        select(&CALLS),
        any::<bool>(),
        (acts(), any::<bool>()),
        prop::option::of(-60_i64..2000),
    )
}

/// What a verdict says: whether it allows, and the ids that it names.
pub(super) type Said = (bool, Vec<String>, Vec<String>, Vec<String>);

pub(super) fn said(verdict: &Verdict) -> Said {
    let ids = |fired: &[Arc<Fired>]| fired.iter().map(|fired| fired.id.clone()).collect();
    (
        verdict.allows(),
        ids(&verdict.fired),
        ids(&verdict.errored),
        ids(&verdict.shadow),
    )
}

/// The same questions to plain Cedar, with everything in the context.
pub(super) fn plain(set: &PolicySet, question: &Question<'_>) -> Vec<Said> {
    let Operation::ToolsCall { tool, arguments } = &question.call.operation else {
        panic!("a call of a tool")
    };
    let tool = set
        .inventory
        .server(&question.server.name)
        .unwrap()
        .tool(tool)
        .unwrap();
    let everything = everything(set, question);
    let caller = question.caller;
    let principals = [
        set.fixed.user_uid(caller.user.as_ref().unwrap()),
        set.fixed.workload_uid(caller.workload.as_ref().unwrap()),
    ];
    let actor = caller
        .actor
        .as_ref()
        .filter(|_| question.server.require.contains(&Requirement::Actor));
    let actor = actor.map(|actor| set.fixed.actor_uid(actor));
    principals
        .into_iter()
        .chain(actor)
        .map(|principal| {
            let arguments = Some(tool.to_cedar(arguments).record);
            let context = context(
                question,
                caller.user.as_deref(),
                &set.fixed,
                arguments,
                Needs::EVERYTHING,
            )
            .unwrap();
            let target = set.call_of(tool);
            let request = set.request(&principal, &target, context).unwrap();
            one(set, &request, &everything)
        })
        .collect()
}

fn one(set: &PolicySet, request: &Request, everything: &cedar_policy::Entities) -> Said {
    let ask = |shadow: bool, effect: Option<Effect>| {
        let rules = set.engine.rules().filter(|rule| rule.shadow == shadow);
        let rules = rules.filter(|rule| effect.is_none_or(|effect| rule.policy.effect() == effect));
        let policies = cedar_policy::PolicySet::from_policies(rules.map(|rule| rule.policy.clone()));
        let response = Authorizer::new().is_authorized(request, &policies.unwrap(), everything);
        let mut fired: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        fired.sort();
        let errors = response.diagnostics().errors();
        let mut errored: Vec<String> = errors
            .map(|cedar_policy::AuthorizationError::PolicyEvaluationError(error)| {
                error.policy_id().to_string()
            })
            .collect();
        errored.sort();
        (response.decision() == Decision::Allow, fired, errored)
    };
    let (allowed, fired, errored) = ask(false, None);
    let (_, _, forbids_errored) = ask(false, Some(Effect::Forbid));
    let mut shadow = ask(true, Some(Effect::Permit)).1;
    shadow.extend(ask(true, Some(Effect::Forbid)).1);
    shadow.sort();
    // A forbid that can't be evaluated denies, and is what is named unless another forbid applies.
    if !forbids_errored.is_empty() && (allowed || fired.is_empty()) {
        return (false, forbids_errored, errored, shadow);
    }
    (allowed, fired, errored, shadow)
}

/// What is said of each policy, and of its conditions one by one, adds up to the verdict.
fn agrees(trace: &Trace) {
    let principals = trace.targets.iter().flat_map(|target| &target.principals);
    for principal in principals {
        let said = said(&principal.verdict);
        for met in &principal.policies {
            let mut reached = met.conditions.iter().filter(|looked| looked.reached);
            let last = reached.next_back().map(|looked| &looked.truth);
            let expected = match last {
                None | Some(Truth::Holds) => Applied::Yes,
                Some(Truth::Fails) => Applied::No,
                Some(Truth::Unknown(_)) => Applied::Failed,
            };
            assert_eq!(met.applied, expected, "{met:?}");
            assert_eq!(
                met.conditions.iter().all(Looked::holds),
                met.applied == Applied::Yes,
                "{met:?}"
            );
            let id = &met.policy.id;
            match (met.applied, met.shadow) {
                (Applied::Yes, true) => assert!(said.3.contains(id), "{met:?}"),
                (_, true) => assert!(!said.3.contains(id), "{met:?}"),
                (Applied::Failed, false) => assert!(said.2.contains(id), "{met:?}"),
                (Applied::No, false) => assert!(!said.1.contains(id) && !said.2.contains(id), "{met:?}"),
                (Applied::Yes, false) => {
                    let decided = said.0 == (met.effect == Effect::Permit);
                    assert_eq!(said.1.contains(id), decided && !said.2.contains(id), "{met:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_those_of_plain_cedar(
        policies in prop::collection::vec(policy(), 1..12),
        calls in prop::collection::vec(call(), 24),
    ) {
        let policies = policies.into_iter().filter(|(_, body)| SOUND.contains(body));
        let policies: Vec<String> = policies.map(|(effect, body)| format!("{effect} {body}")).collect();
        let set = load(&linked(&policies));
        let server = default_server("workbench").unwrap();
        let mut asking = server.clone();
        asking.require.push(Requirement::Actor);
        // The same user for several callers: only who acts and where they are differs.
        let same = Arc::new(user("same", &["mcp-developer"]));
        for (roles, path, (name, arguments), in_session, (acts, asked), login) in calls {
            // Callers are dropped after each call, so that a later one may lie where an earlier one lay.
            let mut caller = caller(user(&roles.join("-"), &roles), path);
            match login {
                Some(ago) => Arc::get_mut(caller.user.as_mut().unwrap()).unwrap().authenticated =
                    Some(now().checked_sub(SignedDuration::from_secs(ago)).unwrap()),
                None => caller.user = Some(Arc::clone(&same)),
            }
            caller.actor = acts.actor();
            let server = if asked && caller.actor.is_some() { &asking } else { &server };
            let call = tool(name, arguments);
            let question = Question {
                session: in_session.then_some("session-1"),
                ..question(server, &caller, &call)
            };
            let ours: Vec<Said> = set.ask(&question).unwrap().iter().map(said).collect();
            let again: Vec<Said> = set.ask(&question).unwrap().iter().map(said).collect();
            prop_assert_eq!(&ours, &plain(&set, &question), "{} {:?}", name, policies);
            prop_assert_eq!(&ours, &again, "asked again");
            // Three tools of five: traces take as long as all the rest.
            if name != "fs_read" {
                let trace = set.trace(&question).unwrap();
                prop_assert_eq!(&ours, &trace.verdicts.iter().map(said).collect::<Vec<_>>(), "traced");
                agrees(&trace);
            }
        }
    }
}
