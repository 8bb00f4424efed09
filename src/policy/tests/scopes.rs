//! Whatever the policies, the hierarchy of entities and the request: what the index finds is what plain Cedar's authorizer would have
//! come to over everything. Policies have every form of scope in all three parts, some are links of templates, some forbid, some
//! fail, some are shadows.
//!
//! `DIFFERENTIAL_CASES=2000000 cargo test --lib scopes` takes as many cases as you like; a case is one request to one set of policies.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use std::collections::HashMap;

use cedar_policy::{Authorizer, Context, Decision, Effect, Entities, Entity, EntityUid, PolicyId, Request};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::differential::{Said, said};
use super::*;
use crate::policy::ask::evaluate::{Engine, Rule};
use crate::policy::load::kept::Kept;
use crate::policy::load::rules::Rules;

/// Cases of a usual run.
const CASES: usize = 100_000;

const PRINCIPALS: [&str; 4] = [
    r#"User::"a""#,
    r#"User::"b""#,
    r#"Workload::"a""#,
    r#"Agent::"x""#,
];
const ACTIONS: [&str; 4] = [
    r#"Action::"s/a""#,
    r#"Action::"s/b""#,
    r#"Action::"s/c""#,
    r#"Action::"ping""#,
];
const RESOURCES: [&str; 4] = [
    r#"Tool::"s/a""#,
    r#"Tool::"s/b""#,
    r#"Server::"s""#,
    r#"Resource::"u""#,
];
/// Each may be in those after it.
const ROLES: [&str; 4] = [r#"Role::"r0""#, r#"Role::"r1""#, r#"Tier::"r2""#, r#"Role::"r3""#];
const GROUPS: [&str; 3] = [r#"Action::"read""#, r#"Action::"tools/call""#, r#"Action::"all""#];
const TOOL_GROUPS: [&str; 3] = [r#"ToolGroup::"g0""#, r#"ToolGroup::"g1""#, r#"Server::"t""#];
const CONTEXTS: [i64; 2] = [0, 5];
const CONDITIONS: [&str; 16] = [
    "",
    "",
    "when { true }",
    "when { false }",
    "unless { context.n > 3 }",
    "when { context.n + 9223372036854775807 > 0 }",
    "unless { context.n + 9223372036854775807 > 0 }",
    "when { principal.missing }",
    "when { resource has pinned && resource.pinned }",
    r#"when { principal in Role::"r3" }"#,
    r#"when { principal in [Role::"r1", Tier::"r2"] } unless { context.n == 5 }"#,
    r#"when { resource in ToolGroup::"g1" }"#,
    r#"when { action in Action::"all" }"#,
    r#"when { Role::"r0" in Role::"r3" }"#,
    r#"when { Tool::"s/b".pinned }"#,
    r#"when { context.n > 3 && (if Action::"s/a" in Action::"all" then Tool::"s/a" else Role::"r1") in Server::"t" }"#,
];

/// What stands in one part of a scope.
#[derive(Debug, Clone)]
enum Form {
    Any,
    Is(&'static str),
    Eq(&'static str),
    In(&'static str),
    IsIn(&'static str, &'static str),
}

impl Form {
    fn text(&self, part: &str, slot: bool) -> String {
        let entity = |entity: &str| {
            if slot {
                format!("?{part}")
            } else {
                entity.to_owned()
            }
        };
        match self {
            Self::Any => part.to_owned(),
            Self::Is(kind) => format!("{part} is {kind}"),
            Self::Eq(of) => format!("{part} == {}", entity(of)),
            Self::In(of) => format!("{part} in {}", entity(of)),
            Self::IsIn(kind, of) => format!("{part} is {kind} in {}", entity(of)),
        }
    }

    fn entity(&self) -> Option<&'static str> {
        match self {
            Self::Any | Self::Is(_) => None,
            Self::Eq(of) | Self::In(of) | Self::IsIn(_, of) => Some(of),
        }
    }
}

fn form(kinds: &'static [&'static str], entities: Vec<&'static str>) -> impl Strategy<Value = Form> {
    let kind = select(kinds);
    let entity = select(entities);
    prop_oneof![
        7 => Just(Form::Any),
        2 => kind.clone().prop_map(Form::Is),
        2 => entity.clone().prop_map(Form::Eq),
        4 => entity.clone().prop_map(Form::In),
        3 => (kind, entity).prop_map(|(kind, entity)| Form::IsIn(kind, entity)),
    ]
}

fn action() -> impl Strategy<Value = String> {
    let entities: Vec<&str> = ACTIONS
        .iter()
        .chain(&GROUPS)
        .chain(&[r#"Action::"nobody""#])
        .copied()
        .collect();
    let one = select(entities.clone());
    prop_oneof![
        4 => Just("action".to_owned()),
        2 => one.clone().prop_map(|one| format!("action == {one}")),
        2 => one.prop_map(|one| format!("action in {one}")),
        3 => prop::collection::vec(select(entities), 0..4).prop_map(|some| format!("action in [{}]", some.join(", "))),
    ]
}

#[derive(Debug, Clone)]
struct Written {
    effect: &'static str,
    shadow: bool,
    principal: Form,
    action: String,
    resource: Form,
    condition: &'static str,
    /// Whether it is the link of a template, as far as there is something for a slot.
    linked: bool,
}

fn policy() -> impl Strategy<Value = Written> {
    let principals = PRINCIPALS
        .iter()
        .chain(&ROLES)
        .chain(&[r#"Role::"nobody""#])
        .copied()
        .collect();
    let resources = RESOURCES
        .iter()
        .chain(&TOOL_GROUPS)
        .chain(&[r#"Tool::"none""#])
        .copied()
        .collect();
    (
        prop_oneof![2 => Just("permit"), 1 => Just("forbid")],
        prop::bool::weighted(0.15),
        form(&["User", "Workload", "Agent", "Role"], principals),
        action(),
        form(&["Tool", "Server", "Resource"], resources),
        select(&CONDITIONS),
        prop::bool::weighted(0.3),
    )
        .prop_map(
            |(effect, shadow, principal, action, resource, condition, linked)| Written {
                effect,
                shadow,
                principal,
                action,
                resource,
                condition,
                linked,
            },
        )
}

/// The policies as files.
fn written(policies: &[Written]) -> Files {
    let (mut cedar, mut links) = (String::new(), Vec::new());
    for (number, policy) in policies.iter().enumerate() {
        let slots: serde_json::Map<String, serde_json::Value> =
            [("?principal", &policy.principal), ("?resource", &policy.resource)]
                .into_iter()
                .filter_map(|(slot, form)| Some((slot.to_owned(), form.entity()?.into())))
                .collect();
        let linked = policy.linked && !slots.is_empty();
        let id = if linked {
            format!("t{number:02}")
        } else {
            format!("p{number:02}")
        };
        let shadow = if policy.shadow { "@shadow " } else { "" };
        cedar.extend([format!(
            "@id({id:?}) {shadow}{} ({}, {}, {}) {};\n",
            policy.effect,
            policy.principal.text("principal", linked),
            policy.action,
            policy.resource.text("resource", linked),
            policy.condition,
        )]);
        if linked {
            links.push(
                serde_json::json!({ "template_id": id, "link_id": format!("p{number:02}"), "args": slots }),
            );
        }
    }
    [
        ("a.cedar".to_owned(), cedar),
        ("links.json".to_owned(), serde_json::to_string(&links).unwrap()),
    ]
    .into_iter()
    .collect()
}

/// What is in what, as bits.
#[derive(Debug, Clone)]
struct Hierarchy {
    principals: [u8; 4],
    roles: [u8; 4],
    actions: [u8; 4],
    groups: [u8; 3],
    resources: [u8; 4],
    tool_groups: [u8; 3],
}

fn hierarchy() -> impl Strategy<Value = Hierarchy> {
    // Half of the bits, and a quarter among the parents.
    (
        any::<[u8; 4]>(),
        any::<[u8; 4]>(),
        any::<[u8; 4]>(),
        any::<[u8; 3]>(),
        any::<[u8; 4]>(),
        any::<[u8; 3]>(),
    )
        .prop_map(
            |(principals, roles, actions, groups, resources, tool_groups)| Hierarchy {
                principals,
                roles: roles.map(|bits| bits & (bits >> 4)),
                actions,
                groups,
                resources,
                tool_groups: tool_groups.map(|bits| bits & (bits >> 4)),
            },
        )
}

fn uid(text: &str) -> EntityUid {
    text.parse().unwrap()
}

impl Hierarchy {
    fn entities(&self) -> Entities {
        let mut all = Vec::new();
        let mut put = |children: &[&str], bits: &[u8], parents: &[&str], later_only: bool| {
            for (at, (child, bits)) in children.iter().zip(bits).enumerate() {
                let parents = parents
                    .iter()
                    .enumerate()
                    .filter(|(number, _)| bits >> number & 1 == 1 && !(later_only && *number <= at));
                let parents = parents.map(|(_, parent)| uid(parent)).collect();
                let pinned = cedar_policy::RestrictedExpression::new_bool(bits % 3 == 0);
                let attributes = if child.starts_with("Tool::") {
                    HashMap::from([("pinned".to_owned(), pinned)])
                } else {
                    HashMap::new()
                };
                all.push(Entity::new(uid(child), attributes, parents).unwrap());
            }
        };
        put(&PRINCIPALS, &self.principals, &ROLES, false);
        put(&ROLES, &self.roles, &ROLES, true);
        put(&ACTIONS, &self.actions, &GROUPS, false);
        put(&GROUPS, &self.groups, &GROUPS, true);
        put(&RESOURCES, &self.resources, &TOOL_GROUPS, false);
        put(&TOOL_GROUPS, &self.tool_groups, &TOOL_GROUPS, true);
        Entities::from_entities(all, None).unwrap()
    }
}

/// Plain Cedar over all policies and entities.
struct Plain {
    authorizer: Authorizer,
    ruling: cedar_policy::PolicySet,
    forbids: cedar_policy::PolicySet,
    shadows: [cedar_policy::PolicySet; 2],
}

impl Plain {
    fn new(rules: &Rules) -> Self {
        let only = |is: &dyn Fn(&Rule) -> bool| {
            let rules = rules.all.iter().filter(|rule| is(rule));
            cedar_policy::PolicySet::from_policies(rules.map(|rule| rule.policy.clone())).unwrap()
        };
        let shadows = [Effect::Permit, Effect::Forbid];
        Self {
            authorizer: Authorizer::new(),
            ruling: only(&|rule| !rule.shadow),
            forbids: only(&|rule| !rule.shadow && rule.policy.effect() == Effect::Forbid),
            shadows: shadows.map(|effect| only(&|rule| rule.shadow && rule.policy.effect() == effect)),
        }
    }

    fn ask(
        &self,
        policies: &cedar_policy::PolicySet,
        request: &Request,
        all: &Entities,
    ) -> (bool, Vec<String>, Vec<String>) {
        let response = self.authorizer.is_authorized(request, policies, all);
        let mut fired: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        let errors = response.diagnostics().errors();
        let id = |error: &cedar_policy::AuthorizationError| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
                PolicyId::to_string(error.policy_id())
            }
        };
        let mut errored: Vec<String> = errors.map(id).collect();
        fired.sort();
        errored.sort();
        (response.decision() == Decision::Allow, fired, errored)
    }

    fn says(&self, request: &Request, all: &Entities) -> Said {
        let (allowed, fired, errored) = self.ask(&self.ruling, request, all);
        let mut shadow: Vec<String> = self
            .shadows
            .iter()
            .flat_map(|policies| self.ask(policies, request, all).1)
            .collect();
        shadow.sort();
        let forbids = if errored.is_empty() {
            Vec::new()
        } else {
            self.ask(&self.forbids, request, all).2
        };
        // A forbid that can't be evaluated denies, and is what is named unless another forbid applies.
        if !forbids.is_empty() && (allowed || fired.is_empty()) {
            return (false, forbids, errored, shadow);
        }
        (allowed, fired, errored, shadow)
    }
}

/// The entities that a call brings: its own three, the action's groups, and what its candidates look up.
fn brought(of: &[&EntityUid; 3], all: &Entities) -> Entities {
    let groups = all.ancestors(of[1]).into_iter().flatten();
    let entities = of.iter().copied().chain(groups).filter_map(|uid| all.get(uid));
    Entities::from_entities(entities.cloned(), None).unwrap()
}

fn looked_up(entities: Entities, uids: &std::collections::BTreeSet<EntityUid>, all: &Entities) -> Entities {
    let more = uids.iter().filter(|uid| entities.get(uid).is_none());
    let more: Vec<Entity> = more.filter_map(|uid| all.get(uid).cloned()).collect();
    entities.add_entities(more, None).unwrap()
}

/// Allowed, forbidden, without a policy; with errors, with shadows.
fn counted([allowed, forbidden, nothing, errors, shadows]: [usize; 5], said: &Said) -> [usize; 5] {
    let (allows, fired, errored, shadow) = said;
    let one = usize::from;
    [
        allowed + one(*allows),
        forbidden + one(!allows && !fired.is_empty()),
        nothing + one(fired.is_empty()),
        errors + one(!errored.is_empty()),
        shadows + one(!shadow.is_empty()),
    ]
}

#[test]
fn what_the_index_finds_says_what_plain_cedar_says_over_every_policy_and_entity() {
    let per_set = PRINCIPALS.len() * ACTIONS.len() * RESOURCES.len() * CONTEXTS.len();
    let cases = std::env::var("DIFFERENTIAL_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let config = Config {
        cases: u32::try_from(cases.div_ceil(per_set)).unwrap(),
        failure_persistence: None,
        ..Config::default()
    };
    let names = |list: [&str; 4]| list.map(uid);
    let (principals, actions, resources) = (names(PRINCIPALS), names(ACTIONS), names(RESOURCES));
    let contexts = CONTEXTS.map(|n| {
        let n = cedar_policy::RestrictedExpression::new_long(n);
        Context::from_pairs([("n".to_owned(), n)]).unwrap()
    });
    let tally = std::cell::Cell::new([0_usize; 5]);
    let sets = (prop::collection::vec(policy(), 1..24), hierarchy());
    let outcome = TestRunner::new(config).run(&sets, |(policies, hierarchy)| {
        let rules = Rules::read(&written(&policies), &mut Kept::default())
            .unwrap_or_else(|problems| panic!("{}", shown(&problems)));
        let (all, plain, engine) = (hierarchy.entities(), Plain::new(&rules), Engine::new(rules.all));
        for (principal, action, resource) in principals.iter().flat_map(|principal| {
            let resources = &resources;
            actions.iter().flat_map(move |action| {
                resources
                    .iter()
                    .map(move |resource| (principal, action, resource))
            })
        }) {
            let brought = brought(&[principal, action, resource], &all);
            for context in &contexts {
                let request = Request::new(
                    principal.clone(),
                    action.clone(),
                    resource.clone(),
                    context.clone(),
                    None,
                )
                .unwrap();
                let candidates = engine.candidates(&request, &brought).unwrap();
                let entities = looked_up(brought.clone(), &candidates.looked_up, &all);
                let ours = said(&engine.evaluate(Principal::User, &request, &entities, &candidates));
                let theirs = plain.says(&request, &all);
                prop_assert_eq!(&ours, &theirs, "{} in {:?}", request, policies);
                tally.set(counted(tally.get(), &ours));
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let [allowed, forbidden, nothing, errors, shadows] = tally.get();
    let all = allowed + forbidden + nothing;
    println!(
        "{all} cases: {allowed} allowed, {forbidden} forbidden, {nothing} without a policy; {errors} with errors, {shadows} with shadows"
    );
    assert!(all >= cases, "{all}");
    // The cases are about something.
    for share in [allowed, forbidden, nothing, errors, shadows] {
        assert!(share > all / 50, "{:?}", tally.get());
    }
}
