//! Why not: the permits that would have applied but for which conditions, or but for who is calling.
//!
//! In: a [`Trace`], or a [`Question`]. Out: policies, nearest first, and what each lacks in words. For authors and operators: what
//! the caller may be told is in `told`.

use std::sync::Arc;

use cedar_policy::{Context, Effect, Entities, EntityUid, Request};

use self::conditions::Value;
use self::trace::{Applied, Looked, Met, OfPrincipal, Trace};
use super::ask::scope::{Actions, Part, Scope};
use super::ask::target::Target;
use super::verdict::{Fired, Principal};
use super::written::Location;
use super::{AskError, PolicySet, Question};

pub(super) mod conditions;
pub(super) mod step_up;
mod told;
pub(super) mod trace;

pub use told::Remedy;

/// Why a call is decided as it is, and who else it would be permitted to.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The verdicts and what they came from.
    pub trace: Trace,
    /// Permits for other principals.
    pub beside: Vec<Beside>,
}

/// A permit that is about the action and the resource, but not about this principal.
#[derive(Debug, Clone)]
pub struct Beside {
    /// Whom it isn't about.
    pub principal: Principal,
    /// Its annotations.
    pub policy: Arc<Fired>,
    /// Where it is written.
    pub location: Location,
    /// What the principal would have to be in.
    pub needs: Value,
    /// What of that kind it is in.
    pub has: Value,
}

impl OfPrincipal {
    /// The permits that would have applied but for conditions: those that lack fewest first.
    #[must_use]
    pub fn near(&self) -> Vec<&Met> {
        let permits = self
            .policies
            .iter()
            .filter(|met| met.effect == Effect::Permit && !met.shadow);
        let mut near: Vec<&Met> = permits.filter(|met| met.applied != Applied::Yes).collect();
        near.sort_by_key(|met| met.lacking().len());
        near
    }
}

impl Met {
    /// The conditions that don't hold, each told once: a `has` that another says better is left out.
    #[must_use]
    pub fn lacking(&self) -> Vec<&Looked> {
        let lacking = || self.conditions.iter().filter(|looked| !looked.holds());
        let better = |looked: &&Looked| lacking().any(|other| looked.needs.is_said_by(&other.needs));
        lacking().filter(|looked| !better(looked)).collect()
    }

    /// Why it applied, as what would lift it: of a forbid.
    #[must_use]
    pub fn lifted_by(&self) -> Vec<&Looked> {
        let better = |looked: &&Looked| {
            let others = self.conditions.iter();
            others.clone().any(|other| looked.lifts.is_said_by(&other.lifts))
        };
        self.conditions.iter().filter(|looked| !better(looked)).collect()
    }
}

impl Looked {
    /// What it needs, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let text = &self.condition.text;
        match self.needs.words() {
            Some(words) => words,
            None if self.condition.unless => format!("`{text}` must not hold"),
            None => format!("`{text}` must hold"),
        }
    }

    /// What would make it fail, in words.
    #[must_use]
    pub fn lifted_in_words(&self) -> String {
        let text = &self.condition.text;
        match self.lifts.words() {
            Some(words) => words,
            None if self.condition.unless => format!("`{text}` would have to hold"),
            None => format!("`{text}` must not hold"),
        }
    }
}

impl Explanation {
    /// Without the `@shadow` policies.
    pub(super) fn without_shadows(mut self) -> Self {
        let targets = self.trace.targets.iter_mut();
        for principal in targets.flat_map(|target| &mut target.principals) {
            principal.policies.retain(|met| !met.shadow);
        }
        self
    }
}

impl PolicySet {
    /// Why a call is decided as it is, and who else it would be permitted to.
    ///
    /// # Errors
    /// Why there is no verdict.
    pub fn explain(&self, question: &Question<'_>) -> Result<Explanation, AskError> {
        Self::identified(question)?;
        self.explain_of(question, &self.targets(question)?)
    }

    pub(super) fn explain_of(
        &self,
        question: &Question<'_>,
        targets: &[Target<'_>],
    ) -> Result<Explanation, AskError> {
        Ok(Explanation {
            trace: self.trace_of(question, targets)?,
            beside: self.beside(question, targets)?,
        })
    }

    /// The permits that are about what is asked for, and about other principals of the same kind.
    fn beside(&self, question: &Question<'_>, targets: &[Target<'_>]) -> Result<Vec<Beside>, AskError> {
        let mut found = Vec::new();
        for target in targets {
            let standing = self.own_standing(question, target)?;
            for standpoint in &standing.principals {
                let request = self.request(&standpoint.uid, target, Context::empty())?;
                let permits = self.engine.rules();
                let permits = permits.filter(|rule| !rule.shadow && rule.policy.effect() == Effect::Permit);
                for rule in permits {
                    let Some(group) = missed(&rule.scope, &request, &standing.entities) else {
                        continue;
                    };
                    found.push(Beside {
                        principal: standpoint.principal,
                        policy: Arc::clone(&rule.shown),
                        location: rule.location.clone(),
                        has: alike(&standpoint.uid, &group, &standing.entities),
                        needs: Value::entity(&group),
                    });
                }
            }
        }
        found.dedup_by(|one, other| one.principal == other.principal && one.policy.id == other.policy.id);
        Ok(found)
    }
}

/// What the principal would have to be in, if that is all that keeps the request out of a scope.
fn missed(scope: &Scope, request: &Request, entities: &Entities) -> Option<EntityUid> {
    let (principal, action, resource) = (request.principal()?, request.action()?, request.resource()?);
    let within = |one: &EntityUid, of: &EntityUid| one == of || entities.is_ancestor_of(of, one);
    let group = match &scope.principal {
        Part::In(group) => group,
        Part::IsIn(kind, group) if kind == principal.type_name() => group,
        _ => return None,
    };
    let about_the_action = match &scope.actions {
        Actions::Any => true,
        Actions::Eq(other) => action == other,
        Actions::In(groups) => groups.iter().any(|group| within(action, group)),
    };
    let about_the_resource = match &scope.resource {
        Part::Any => true,
        Part::Is(kind) => resource.type_name() == kind,
        Part::Eq(other) => resource == other,
        Part::In(group) => within(resource, group),
        Part::IsIn(kind, group) => resource.type_name() == kind && within(resource, group),
    };
    let beside = !within(principal, group) && may_be_in(principal, group);
    (beside && about_the_action && about_the_resource).then(|| group.clone())
}

/// Whether a principal of that kind can be in such a group at all (`base.cedarschema`).
fn may_be_in(principal: &EntityUid, group: &EntityUid) -> bool {
    let groups: &[&str] = match principal.type_name().basename() {
        "User" => &["Role", "Group", "Tenant"],
        "Workload" => &["WorkloadPath", "TrustDomain", "TrustTier"],
        _ => &["OAuthClient", "TrustTier"],
    };
    groups.contains(&group.type_name().basename())
}

/// What the principal is in that is of the kind of another.
fn alike(principal: &EntityUid, group: &EntityUid, entities: &Entities) -> Value {
    let ancestors = entities.ancestors(principal).into_iter().flatten();
    let mut alike: Vec<&EntityUid> = ancestors
        .filter(|ancestor| ancestor.type_name() == group.type_name())
        .collect();
    alike.sort();
    Value::Set(alike.into_iter().map(Value::entity).collect())
}
