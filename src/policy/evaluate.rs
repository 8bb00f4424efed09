//! Asks Cedar, and reads its answer the way that fails closed.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Authorizer, Decision, Effect, Entities, EntityTypeName, EntityUid, Policy, PolicyId,
    PolicySet, PrincipalConstraint, Request, ResourceConstraint,
};

use super::entities::StepUp;
use super::reads::Reads;
use super::verdict::{Fired, Outcome, Principal, Verdict};

/// The policies, ready to be asked.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    authorizer: Authorizer,
    /// Those that decide.
    ruling: PolicySet,
    /// `@shadow` ones, apart by effect: Cedar names the permits of an answer only where no forbid applies.
    shadow: [PolicySet; 2],
    rules: HashMap<PolicyId, Rule>,
}

/// What is known of a policy besides its text.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) policy: Policy,
    pub(super) shown: Arc<Fired>,
    pub(super) reads: Reads,
    /// `@scope` and `@acr`
    pub(super) step: StepUp,
    /// `@shadow`
    pub(super) shadow: bool,
}

impl Engine {
    /// Takes policies whose ids are unique.
    pub(super) fn new(rules: Vec<Rule>) -> Result<Self, cedar_policy::PolicySetError> {
        let mut ruling = PolicySet::new();
        let mut shadow = [PolicySet::new(), PolicySet::new()];
        for rule in &rules {
            let [permits, forbids] = &mut shadow;
            let set = match (rule.shadow, rule.policy.effect()) {
                (false, _) => &mut ruling,
                (true, Effect::Permit) => permits,
                (true, Effect::Forbid) => forbids,
            };
            set.add(rule.policy.clone())?;
        }
        Ok(Self {
            authorizer: Authorizer::new(),
            ruling,
            shadow,
            rules: rules
                .into_iter()
                .map(|rule| (rule.policy.id().clone(), rule))
                .collect(),
        })
    }

    /// All policies.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The policies that decide and whose scope this request is in, by id.
    pub(super) fn candidates(&self, request: &Request, entities: &Entities) -> Vec<&Rule> {
        let mut rules: Vec<_> = self
            .rules()
            .filter(|rule| !rule.shadow && in_scope(&rule.policy, request, entities))
            .collect();
        rules.sort_by(|a, b| a.shown.id.cmp(&b.shown.id));
        rules
    }

    /// Asks about one principal.
    pub(super) fn evaluate(&self, principal: Principal, request: &Request, entities: &Entities) -> Verdict {
        let response = self.authorizer.is_authorized(request, &self.ruling, entities);
        let failed: Vec<&PolicyId> = response
            .diagnostics()
            .errors()
            .map(|cedar_policy::AuthorizationError::PolicyEvaluationError(error)| error.policy_id())
            .collect();
        let fired = self.shown(response.diagnostics().reason());
        let forbids = self.shown(failed.iter().copied().filter(|id| self.forbids(id)));
        let (outcome, fired) = match response.decision() {
            // Cedar skips what it can't evaluate. A forbid might have applied, so it counts.
            _ if !forbids.is_empty() && (response.decision() == Decision::Allow || fired.is_empty()) => {
                (Outcome::ForbidErrored, forbids)
            }
            Decision::Allow => (Outcome::Allowed, fired),
            Decision::Deny if fired.is_empty() => (Outcome::NoPermit, fired),
            Decision::Deny => (Outcome::Forbidden, fired),
        };
        Verdict {
            principal,
            outcome,
            fired,
            errored: self.shown(failed.into_iter()),
            shadow: self.shadows(request, entities),
        }
    }

    fn shadows(&self, request: &Request, entities: &Entities) -> Vec<Arc<Fired>> {
        let mut applied = Vec::new();
        for set in self.shadow.iter().filter(|set| !set.is_empty()) {
            let response = self.authorizer.is_authorized(request, set, entities);
            applied.extend(self.shown(response.diagnostics().reason()));
        }
        applied.sort_by(|a, b| a.id.cmp(&b.id));
        applied
    }

    /// An id that isn't known can't occur; if it did, it would count as a forbid.
    fn forbids(&self, id: &PolicyId) -> bool {
        self.rules
            .get(id)
            .is_none_or(|rule| rule.policy.effect() == Effect::Forbid)
    }

    fn shown<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Vec<Arc<Fired>> {
        let mut shown: Vec<Arc<Fired>> = ids
            .map(|id| match self.rules.get(id) {
                Some(rule) => Arc::clone(&rule.shown),
                None => Arc::new(Fired {
                    id: id.to_string(),
                    ..Fired::default()
                }),
            })
            .collect();
        shown.sort_by(|a, b| a.id.cmp(&b.id));
        shown
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
