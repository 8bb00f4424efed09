//! The scope of a policy: what its head says of principal, action and resource, taken out of Cedar's tree once.

use cedar_policy::{
    ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};

/// The head of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) principal: Part,
    pub(super) actions: Actions,
    pub(super) resource: Part,
}

/// What it says of the principal, or of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Any,
    Is(EntityTypeName),
    Eq(EntityUid),
    In(EntityUid),
    IsIn(EntityTypeName, EntityUid),
}

/// What it says of the action.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Actions {
    Any,
    Eq(EntityUid),
    /// In any of these: groups, or actions themselves.
    In(Vec<EntityUid>),
}

impl Scope {
    /// The scope of a policy, or of a link with what stands in the slots.
    pub(super) fn of(policy: &Policy) -> Self {
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

impl Actions {
    /// What Cedar says that a scope says.
    pub(super) fn of(constraint: ActionConstraint) -> Self {
        match constraint {
            ActionConstraint::Any => Self::Any,
            ActionConstraint::Eq(uid) => Self::Eq(uid),
            ActionConstraint::In(uids) => Self::In(uids),
        }
    }

    /// Whether it holds an action of this id that is in these groups.
    pub(super) fn hold(&self, action: &str, groups: &[String]) -> bool {
        let is = |uid: &EntityUid| uid.id().unescaped() == action;
        let is_group = |uid: &EntityUid| groups.iter().any(|group| uid.id().unescaped() == group);
        match self {
            Self::Any => true,
            Self::Eq(uid) => is(uid),
            Self::In(uids) => uids.iter().any(|uid| is(uid) || is_group(uid)),
        }
    }
}
