//! Where policies are found by their scopes, so that a call meets those that can apply and no others.
//!
//! Made when the directory is loaded. What is found may be too much, never too little: who asks looks at each scope
//! again ([`in_scope`]).

use std::collections::HashMap;

use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, Policy, PrincipalConstraint, Request,
    ResourceConstraint,
};

/// Policies by their places in a list.
type Places = Vec<usize>;

/// Policies by the action of their scope, then by its principal.
#[derive(Debug, Default)]
pub(super) struct Index {
    any_action: ByPrincipal,
    actions: HashMap<EntityUid, ByPrincipal>,
}

#[derive(Debug, Default)]
struct ByPrincipal {
    any: Places,
    types: HashMap<EntityTypeName, Places>,
    entities: HashMap<EntityUid, Places>,
}

impl Index {
    /// Puts each policy where its scope says.
    pub(super) fn new<'a>(policies: impl Iterator<Item = &'a Policy>) -> Self {
        let mut index = Self::default();
        for (place, policy) in policies.enumerate() {
            let actions = match policy.action_constraint() {
                ActionConstraint::Any => {
                    index.any_action.put(policy, place);
                    continue;
                }
                ActionConstraint::Eq(action) => vec![action],
                ActionConstraint::In(actions) => actions,
            };
            for action in actions {
                index.actions.entry(action).or_default().put(policy, place);
            }
        }
        index
    }

    /// The places of all policies whose scope may hold this request, in order.
    pub(super) fn find(&self, request: &Request, entities: &Entities) -> Places {
        let (Some(principal), Some(action)) = (request.principal(), request.action()) else {
            return Places::new();
        };
        let groups = entities.ancestors(action).into_iter().flatten();
        let by_action = std::iter::once(action)
            .chain(groups)
            .filter_map(|action| self.actions.get(action));
        let mut found = Places::new();
        for policies in by_action.chain([&self.any_action]) {
            policies.collect(principal, entities, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl ByPrincipal {
    fn put(&mut self, policy: &Policy, place: usize) {
        let places = match policy.principal_constraint() {
            PrincipalConstraint::Any => &mut self.any,
            PrincipalConstraint::Is(type_name) => self.types.entry(type_name).or_default(),
            PrincipalConstraint::Eq(uid)
            | PrincipalConstraint::In(uid)
            | PrincipalConstraint::IsIn(_, uid) => self.entities.entry(uid).or_default(),
        };
        places.push(place);
    }

    fn collect(&self, principal: &EntityUid, entities: &Entities, found: &mut Places) {
        found.extend(&self.any);
        found.extend(self.types.get(principal.type_name()).into_iter().flatten());
        if self.entities.is_empty() {
            return;
        }
        let ancestors = entities.ancestors(principal).into_iter().flatten();
        for uid in std::iter::once(principal).chain(ancestors) {
            found.extend(self.entities.get(uid).into_iter().flatten());
        }
    }
}

/// Whether a request is in the scope of a policy: whether its conditions are looked at.
pub(super) fn in_scope(policy: &Policy, request: &Request, entities: &Entities) -> bool {
    let (Some(principal), Some(action), Some(resource)) =
        (request.principal(), request.action(), request.resource())
    else {
        return true;
    };
    let within = |one: &EntityUid, of: &EntityUid| one == of || entities.is_ancestor_of(of, one);
    let is = |one: &EntityUid, type_name: &EntityTypeName| one.type_name() == type_name;
    let principal_fits = match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Eq(uid) => *principal == uid,
        PrincipalConstraint::In(uid) => within(principal, &uid),
        PrincipalConstraint::Is(type_name) => is(principal, &type_name),
        PrincipalConstraint::IsIn(type_name, uid) => is(principal, &type_name) && within(principal, &uid),
    };
    let action_fits = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => *action == uid,
        ActionConstraint::In(uids) => uids.iter().any(|uid| within(action, uid)),
    };
    let resource_fits = match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Eq(uid) => *resource == uid,
        ResourceConstraint::In(uid) => within(resource, &uid),
        ResourceConstraint::Is(type_name) => is(resource, &type_name),
        ResourceConstraint::IsIn(type_name, uid) => is(resource, &type_name) && within(resource, &uid),
    };
    principal_fits && action_fits && resource_fits
}
