//! Policies that select badly by their heads: a call that meets a thousand of them is dear, however few there are in all.
//!
//! In: the policies of a directory, and what calls ask for. Out: warnings, one for each head that crowds.

use std::collections::{HashMap, HashSet};

use cedar_policy::PolicyId;

use crate::inventory::problem::code;
use crate::inventory::{Inventory, Problem};
use crate::policy::ask::actions;
use crate::policy::ask::entities::{Fixed, uid};
use crate::policy::ask::evaluate::Engine;
use crate::policy::written::Written;

/// Policies that a call may meet without a warning.
const MOST: usize = 1_000;

/// A warning for each head that so many policies have that calls meet too many.
pub(in crate::policy) fn check(
    engine: &Engine,
    fixed: &Fixed,
    inventory: &Inventory,
    places: &HashMap<PolicyId, Written>,
) -> Vec<Problem> {
    let tools = inventory.iter().flat_map(crate::inventory::ServerTools::iter);
    let tools = tools.map(|tool| (tool.action.as_str(), uid(&fixed.types.tool, &tool.action)));
    let servers = inventory.iter().next().map(|server| server.name.as_str());
    let server = uid(&fixed.types.server, servers.unwrap_or_default());
    let others = actions::asked().map(|(action, _)| (action, server.clone()));
    let mut told = HashSet::new();
    let mut warnings = Vec::new();
    for (action, resource) in tools.chain(others) {
        let Some(store) = fixed.store(action) else {
            continue;
        };
        let action_uid = uid(&fixed.types.action, action);
        let Some((crowd, rule)) = engine.crowd(&action_uid, &resource, store, MOST) else {
            continue;
        };
        let head = rule.scope.to_string();
        let Some(written) = places.get(rule.policy.id()).filter(|_| told.insert(head.clone())) else {
            continue;
        };
        let message = format!(
            "a call of `{action}` may meet {} policies, {} of them with the head `({head})`: each is evaluated",
            crowd.policies, crowd.alike
        );
        let help = "name the tool, the group or the role in the head rather than in conditions, or make one policy of many";
        warnings.push(written.problem(message, "").warn().code(code::CROWDED).help(help));
    }
    warnings
}
