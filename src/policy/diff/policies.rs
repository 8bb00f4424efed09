//! What became of policies, in words.

use std::collections::BTreeMap;

use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

use super::PolicyChange;
use crate::inventory::changes::Fate;
use crate::policy::PolicySet;
use crate::policy::ask::evaluate::Rule;
use crate::policy::explain::conditions::Conditions;

/// Every policy that isn't the same, by id.
pub(super) fn between(old: &PolicySet, new: &PolicySet) -> Vec<PolicyChange> {
    let by_id = |set: &PolicySet| -> BTreeMap<String, Rule> {
        let rules = set.engine.rules();
        rules.map(|rule| (rule.shown.id.clone(), rule.clone())).collect()
    };
    let (before, after) = (by_id(old), by_id(new));
    let mut changes = Vec::new();
    for (id, was) in &before {
        match after.get(id) {
            None => changes.push(change(was, Fate::Removed, says(was))),
            Some(is) => {
                let words = changed(was, is);
                if !words.is_empty() {
                    changes.push(change(is, Fate::Changed, words));
                }
            }
        }
    }
    let added = after.iter().filter(|(id, _)| !before.contains_key(*id));
    changes.extend(added.map(|(_, is)| change(is, Fate::Added, says(is))));
    changes.sort_by(|a, b| a.id.cmp(&b.id));
    changes
}

fn change(rule: &Rule, fate: Fate, words: Vec<String>) -> PolicyChange {
    PolicyChange {
        id: rule.shown.id.clone(),
        fate,
        file: rule.location.file.to_string(),
        line: rule.location.line,
        words,
    }
}

/// All that a policy says.
fn says(rule: &Rule) -> Vec<String> {
    let policy = &rule.policy;
    let shadow = if rule.shadow { "@shadow " } else { "" };
    let mut words = vec![
        format!("{shadow}{}", effect(policy)),
        principal(policy),
        action(policy),
        resource(policy),
    ];
    words.extend(conditions(rule));
    let said = annotations(rule).into_iter();
    words.extend(said.filter_map(|(name, said)| Some(format!("@{name} {:?}", said?))));
    words
}

fn changed(was: &Rule, is: &Rule) -> Vec<String> {
    let (old, new) = (&was.policy, &is.policy);
    let mut words = Vec::new();
    match (was.shadow, is.shadow) {
        (true, false) => words.push("decides now: it is `@shadow` no more".to_owned()),
        (false, true) => words.push("decides nothing any more: it is `@shadow` now".to_owned()),
        _ => {}
    }
    if effect(old) != effect(new) {
        words.push(format!("`{}` → `{}`", effect(old), effect(new)));
    }
    if principal(old) != principal(new) {
        words.push(format!("{} → {}", principal(old), principal(new)));
    }
    words.extend(actions(old, new));
    if resource(old) != resource(new) {
        words.push(format!("{} → {}", resource(old), resource(new)));
    }
    let (before, after) = (conditions(was), conditions(is));
    let went = before.iter().filter(|one| !after.contains(one));
    words.extend(went.map(|one| format!("went: {one}")));
    let came = after.iter().filter(|one| !before.contains(one));
    words.extend(came.map(|one| format!("came: {one}")));
    if words.is_empty() && meaning(old) != meaning(new) {
        words.push("its conditions stand in another order, or are put together in another way".to_owned());
    }
    for ((name, before), (_, after)) in annotations(was).into_iter().zip(annotations(is)) {
        if before != after {
            words.push(match (before, after) {
                (Some(before), Some(after)) => format!("@{name} {before:?} → {after:?}"),
                (None, Some(after)) => format!("@{name} came: {after:?}"),
                (Some(before), None) => format!("@{name} went: {before:?}"),
                (None, None) => continue,
            });
        }
    }
    words
}

/// Annotations that change what a caller is told. `@id` names the policy, `@shadow` has words of its own.
fn annotations(rule: &Rule) -> [(&'static str, Option<String>); 5] {
    let scopes: Vec<&str> = rule.step.scopes.iter().map(String::as_str).collect();
    [
        ("reason", rule.shown.reason.clone()),
        ("advice", rule.shown.advice.clone()),
        ("scope", (!scopes.is_empty()).then(|| scopes.join(" "))),
        ("acr", rule.step.acr.clone()),
        ("max_age", rule.step.max_age.map(|seconds| format!("{seconds}s"))),
    ]
}

/// What a policy decides by, without its annotations; `None` if Cedar can't say it.
fn meaning(policy: &Policy) -> Option<serde_json::Value> {
    let mut tree = policy.to_json().ok()?;
    if let Some(members) = tree.as_object_mut() {
        members.remove("annotations");
    }
    Some(tree)
}

fn conditions(rule: &Rule) -> Vec<String> {
    let conditions = Conditions::of(&rule.policy, &rule.location);
    let parts = conditions.parts.iter().map(|part| {
        let word = if part.written.unless { "unless" } else { "when" };
        format!("{word} {}", part.written.text)
    });
    parts.collect()
}

fn effect(policy: &Policy) -> &'static str {
    match policy.effect() {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    }
}

fn principal(policy: &Policy) -> String {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => "any principal".to_owned(),
        PrincipalConstraint::Is(kind) => format!("principal is {kind}"),
        PrincipalConstraint::Eq(one) => format!("principal == {one}"),
        PrincipalConstraint::In(one) => format!("principal in {one}"),
        PrincipalConstraint::IsIn(kind, one) => format!("principal is {kind} in {one}"),
    }
}

fn resource(policy: &Policy) -> String {
    match policy.resource_constraint() {
        ResourceConstraint::Any => "any resource".to_owned(),
        ResourceConstraint::Is(kind) => format!("resource is {kind}"),
        ResourceConstraint::Eq(one) => format!("resource == {one}"),
        ResourceConstraint::In(one) => format!("resource in {one}"),
        ResourceConstraint::IsIn(kind, one) => format!("resource is {kind} in {one}"),
    }
}

fn action(policy: &Policy) -> String {
    match policy.action_constraint() {
        ActionConstraint::Any => "any action".to_owned(),
        ActionConstraint::Eq(one) => format!("action == {one}"),
        ActionConstraint::In(several) => format!("action in {}", list(&several)),
    }
}

fn list(several: &[EntityUid]) -> String {
    let each: Vec<String> = several.iter().map(ToString::to_string).collect();
    match each.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", each.join(", ")),
    }
}

/// Of two lists of actions, those that came and went.
fn actions(old: &Policy, new: &Policy) -> Vec<String> {
    match (old.action_constraint(), new.action_constraint()) {
        (ActionConstraint::In(before), ActionConstraint::In(after)) => {
            let only = |these: &[EntityUid], those: &[EntityUid]| -> Vec<EntityUid> {
                these.iter().filter(|one| !those.contains(one)).cloned().collect()
            };
            let (went, came) = (only(&before, &after), only(&after, &before));
            let mut words = Vec::new();
            if !came.is_empty() {
                words.push(format!("action also in {}", list(&came)));
            }
            if !went.is_empty() {
                words.push(format!("action no longer in {}", list(&went)));
            }
            words
        }
        (before, after) if before == after => Vec::new(),
        _ => vec![format!("{} → {}", action(old), action(new))],
    }
}
