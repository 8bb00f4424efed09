//! The scope of a policy: what its head says of principal, action and resource, taken out of Cedar's tree once.

use std::fmt;

use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, Policy, PrincipalConstraint, Request,
    ResourceConstraint, pst,
};

/// The head of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Scope {
    pub(in crate::policy) principal: Part,
    pub(in crate::policy) actions: Actions,
    pub(in crate::policy) resource: Part,
}

/// What it says of the principal, or of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Part {
    Any,
    Is(EntityTypeName),
    Eq(EntityUid),
    In(EntityUid),
    IsIn(EntityTypeName, EntityUid),
}

/// What it says of the action.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::policy) enum Actions {
    Any,
    Eq(EntityUid),
    /// In any of these: groups, or actions themselves.
    In(Vec<EntityUid>),
}

impl Scope {
    /// The scope of a policy, or of a link with what stands in the slots.
    pub(in crate::policy) fn of(policy: &Policy) -> Self {
        Self {
            principal: match policy.principal_constraint() {
                PrincipalConstraint::Any => Part::Any,
                PrincipalConstraint::Is(type_name) => Part::Is(type_name),
                PrincipalConstraint::Eq(uid) => Part::Eq(uid),
                PrincipalConstraint::In(uid) => Part::In(uid),
                PrincipalConstraint::IsIn(type_name, uid) => Part::IsIn(type_name, uid),
            },
            actions: Actions::of(policy.action_constraint()),
            resource: match policy.resource_constraint() {
                ResourceConstraint::Any => Part::Any,
                ResourceConstraint::Is(type_name) => Part::Is(type_name),
                ResourceConstraint::Eq(uid) => Part::Eq(uid),
                ResourceConstraint::In(uid) => Part::In(uid),
                ResourceConstraint::IsIn(type_name, uid) => Part::IsIn(type_name, uid),
            },
        }
    }
}

/// As Cedar writes it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            principal,
            actions,
            resource,
        } = self;
        write!(f, "principal{principal}, action{actions}, resource{resource}")
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Is(type_name) => write!(f, " is {type_name}"),
            Self::Eq(uid) => write!(f, " == {uid}"),
            Self::In(uid) => write!(f, " in {uid}"),
            Self::IsIn(type_name, uid) => write!(f, " is {type_name} in {uid}"),
        }
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Eq(uid) => write!(f, " == {uid}"),
            Self::In(uids) => match uids.as_slice() {
                [uid] => write!(f, " in {uid}"),
                uids => {
                    let uids: Vec<String> = uids.iter().map(ToString::to_string).collect();
                    write!(f, " in [{}]", uids.join(", "))
                }
            },
        }
    }
}

impl Scope {
    /// Whether a request is in it. One that lacks a part is in none.
    pub(in crate::policy) fn holds(&self, request: &Request, entities: &Entities) -> bool {
        let (Some(principal), Some(action), Some(resource)) =
            (request.principal(), request.action(), request.resource())
        else {
            return false;
        };
        let action_fits = match &self.actions {
            Actions::Any => true,
            Actions::Eq(uid) => action == uid,
            Actions::In(uids) => uids.iter().any(|uid| within(action, uid, entities)),
        };
        action_fits && self.principal.holds(principal, entities) && self.resource.holds(resource, entities)
    }
}

impl Part {
    fn holds(&self, uid: &EntityUid, entities: &Entities) -> bool {
        match self {
            Self::Any => true,
            Self::Is(type_name) => uid.type_name() == type_name,
            Self::Eq(named) => uid == named,
            Self::In(group) => within(uid, group, entities),
            Self::IsIn(type_name, group) => uid.type_name() == type_name && within(uid, group, entities),
        }
    }
}

fn within(uid: &EntityUid, group: &EntityUid, entities: &Entities) -> bool {
    uid == group || entities.is_ancestor_of(group, uid)
}

/// The same policy with a scope that holds everything, for requests of which it is known that they are in its own. `None` if Cedar can't take it
/// apart.
pub(in crate::policy) fn without(policy: &Policy) -> Option<Policy> {
    let tree = policy.to_pst().ok()?;
    let body = tree.body();
    let bare = pst::Template::new(
        AsRef::<str>::as_ref(policy.id()),
        body.effect,
        pst::PrincipalConstraint::Any,
        pst::ActionConstraint::Any,
        pst::ResourceConstraint::Any,
    );
    let bare = bare.try_with_clauses(body.clauses().iter().cloned()).ok()?;
    let bare = pst::StaticPolicy::try_from(bare).ok()?;
    Policy::from_pst(pst::Policy::Static(bare)).ok()
}

impl Actions {
    /// What Cedar says that a scope says.
    pub(in crate::policy) fn of(constraint: ActionConstraint) -> Self {
        match constraint {
            ActionConstraint::Any => Self::Any,
            ActionConstraint::Eq(uid) => Self::Eq(uid),
            ActionConstraint::In(uids) => Self::In(uids),
        }
    }

    /// Whether it holds an action of this id that is in these groups.
    pub(in crate::policy) fn hold(&self, action: &str, groups: &[String]) -> bool {
        let is = |uid: &EntityUid| uid.id().unescaped() == action;
        let is_group = |uid: &EntityUid| groups.iter().any(|group| uid.id().unescaped() == group);
        match self {
            Self::Any => true,
            Self::Eq(uid) => is(uid),
            Self::In(uids) => uids.iter().any(|uid| is(uid) || is_group(uid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_scope_a_policy_says_what_it_said() {
        let scopes = [
            "principal, action, resource",
            r#"principal == User::"u", action == Action::"a", resource == Tool::"t""#,
            r#"principal in Role::"r", action in Action::"g", resource in ToolGroup::"g""#,
            r#"principal is User in Role::"r", action in [Action::"a", Action::"b"], resource is Tool"#,
        ];
        let bodies = [
            "",
            "when { context.a == 1 }",
            "when { context.a == 1 } unless { principal has x } when { 1 + 1 == 2 }",
        ];
        for effect in ["permit", "forbid"] {
            for scope in scopes {
                for body in bodies {
                    let parse = |scope: &str| {
                        let text = format!("@reason(\"r\") {effect} ({scope}) {body};");
                        Policy::parse(Some("odd \"id\"".parse().unwrap()), text).unwrap()
                    };
                    let bare = without(&parse(scope)).unwrap();
                    let plain = parse("principal, action, resource");
                    assert_eq!((bare.id(), bare.effect()), (plain.id(), plain.effect()));
                    let clauses = |policy: &Policy| policy.to_pst().unwrap().body().clauses().clone();
                    assert_eq!(clauses(&bare), clauses(&plain), "{scope} {body}");
                    assert_eq!(Scope::of(&bare), Scope::of(&plain), "{scope} {body}");
                }
            }
        }
    }
}
