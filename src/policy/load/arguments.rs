//! The arguments that policies read, held against those that the tools of their scope have: what Cedar's types don't see.
//!
//! Refused: an argument behind `has` that no tool has; a text that an enumeration doesn't list (enumerations are
//! `String` in Cedar).

use cedar_policy::{Entities, PolicyId, Schema};
use serde_json::Value;

use super::rules::Rules;
use crate::inventory::problem::code;
use crate::inventory::shape::{Record, Shape};
use crate::inventory::{Files, Inventory, Problem, Tool};
use crate::policy::ask::evaluate::Rule;

/// A tool with its definition as written.
struct Approved<'a> {
    tool: &'a Tool,
    schema: Value,
    /// Its action's groups, and itself.
    groups: Vec<String>,
}

/// Every misspelt place and text, by the policy that has it.
pub(in crate::policy) fn check(
    files: &Files,
    rules: &Rules,
    schema: &Schema,
    inventory: &Inventory,
) -> Vec<(PolicyId, Problem)> {
    let actions = schema.action_entities().unwrap_or_else(|_| Entities::empty());
    let tools = approved(files, inventory, &actions);
    let mut problems = Vec::new();
    for rule in &rules.all {
        let id = rule.policy.id();
        let Some(written) = rules.places.get(id) else {
            continue;
        };
        if rule.reads.arguments().next().is_none() {
            continue;
        }
        let scope: Vec<&Approved<'_>> = tools.iter().filter(|tool| applies(rule, tool)).collect();
        if scope.is_empty() {
            continue;
        }
        for place in rule.reads.arguments().filter(|place| !place.is_empty()) {
            if let Some((code, message, help)) = misspelt(place, &scope) {
                let needle = place.last().map(String::as_str).unwrap_or_default();
                let problem = written.problem(message, needle).code(code);
                problems.push((
                    id.clone(),
                    match help {
                        Some(help) => problem.help(help),
                        None => problem,
                    },
                ));
            }
        }
        for (place, text) in &rule.reads.compared {
            if let Some(listed) = unlisted(place, text, &scope) {
                let message = format!("no tool takes {text:?} for `{}`", place.join("."));
                let problem = written.problem(message, &format!("{text:?}"));
                let problem = problem.code(code::UNLISTED_TEXT);
                let problem = problem.suggest(text, listed.iter().map(String::as_str));
                let problem = match problem.help {
                    Some(_) => problem,
                    None => problem.help(format!("listed are {}", listed.join(", "))),
                };
                problems.push((id.clone(), problem));
            }
        }
    }
    problems
}

fn approved<'a>(files: &Files, inventory: &'a Inventory, actions: &Entities) -> Vec<Approved<'a>> {
    let mut approved = Vec::new();
    for server in inventory.iter() {
        let path = format!("tools/{}.json", server.name);
        let definitions: Value = files
            .get(&path)
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default();
        for (index, tool) in server.iter().enumerate() {
            let schema = definitions
                .pointer(&format!("/tools/{index}/inputSchema"))
                .cloned()
                .unwrap_or_default();
            let action = actions
                .iter()
                .find(|action| action.uid().id().unescaped() == tool.action);
            let ancestors = action.and_then(|action| actions.ancestors(&action.uid()));
            let groups = ancestors
                .into_iter()
                .flatten()
                .map(|group| group.id().unescaped().to_owned());
            approved.push(Approved {
                tool,
                schema,
                groups: groups.chain([tool.action.clone()]).collect(),
            });
        }
    }
    approved
}

fn applies(rule: &Rule, tool: &Approved<'_>) -> bool {
    rule.scope.actions.hold(&tool.tool.action, &tool.groups)
}

/// What to say of a place that no tool of the scope has.
fn misspelt(place: &[String], scope: &[&Approved<'_>]) -> Option<(&'static str, String, Option<String>)> {
    if scope.iter().any(|tool| tool.tool.shape().has(place)) {
        return None;
    }
    let name = place.join(".");
    let mut hidden = scope.iter().flat_map(|tool| {
        let unseen = tool
            .tool
            .unseen()
            .iter()
            .filter(|unseen| unseen.place.is_read_by(place));
        unseen.map(|unseen| (&tool.tool.action, unseen.why))
    });
    if let Some((action, why)) = hidden.next() {
        return Some((
            code::UNSEEN_ARGUMENT,
            format!("no policy can see the argument `{name}` of `{action}`"),
            Some(format!(
                "its schema allows {}, for which Cedar has no type; {}",
                why.cause(),
                why.instead()
            )),
        ));
    }
    let (last, parents) = place.split_last()?;
    let siblings: Vec<&str> = scope
        .iter()
        .flat_map(|tool| members(tool.tool.shape(), parents))
        .collect();
    let message = format!("no tool in this policy's scope has the argument `{name}`");
    let help = crate::inventory::problem::closest(last, siblings.iter().copied());
    let help = help.map(|word| format!("did you mean `{word}`?"));
    Some((code::UNKNOWN_ARGUMENT, message, help))
}

fn members<'a>(record: &'a Record, parents: &[String]) -> Vec<&'a str> {
    match parents.split_first() {
        None => record.iter().map(|(name, _)| name).collect(),
        Some((first, rest)) => match record.get(first).map(|(_, attribute)| &attribute.shape) {
            Some(Shape::Record(inner)) => members(inner, rest),
            _ => Vec::new(),
        },
    }
}

/// What the tools of the scope list at a place, if each of those that have it has a list and none lists this text.
fn unlisted(place: &[String], text: &str, scope: &[&Approved<'_>]) -> Option<Vec<String>> {
    let (first, place) = place.split_first()?;
    if first != "arguments" {
        return None;
    }
    let having = scope.iter().filter(|tool| tool.tool.shape().has(place));
    let lists: Option<Vec<Vec<String>>> = having.map(|tool| listed(&tool.schema, place)).collect();
    let mut all: Vec<String> = lists?.into_iter().flatten().collect();
    all.sort();
    all.dedup();
    (!all.is_empty() && !all.iter().any(|one| one == text)).then_some(all)
}

/// The `enum` of texts at a place, along `properties` and `items` alone.
fn listed(schema: &Value, place: &[String]) -> Option<Vec<String>> {
    let property = place
        .iter()
        .try_fold(schema, |schema, name| schema.get("properties")?.get(name))?;
    let listing = property
        .get("enum")
        .or_else(|| property.get("items")?.get("enum"))?;
    listing
        .as_array()?
        .iter()
        .map(|one| one.as_str().map(str::to_owned))
        .collect()
}
