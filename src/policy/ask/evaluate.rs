//! Asks Cedar, and reads its answer the way that fails closed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use cedar_policy::{
    Authorizer, Decision, Effect, Entities, EntityUid, Policy, PolicyId, PolicySet, PolicySetError, Request,
};
use quick_cache::sync::Cache;

use super::context::Needs;
use super::entities::StepUp;
use super::index::{Crowd, Index};
use super::reads::Reads;
use super::scope::{self, Scope};
use crate::inventory::Selection;
use crate::policy::verdict::{Fired, Outcome, Principal, Verdict};
use crate::policy::written::Location;

/// How many policies the remembered candidates may have, all together: 2.2 kB each.
const REMEMBERED: u64 = 4096;

/// The policies, ready to be asked.
#[derive(Debug)]
pub(in crate::policy) struct Engine {
    authorizer: Authorizer,
    /// By id.
    rules: Vec<Arc<Rule>>,
    places: HashMap<PolicyId, usize>,
    /// Every scope that a policy names in `@scope`.
    asked_for: BTreeSet<String>,
    index: Index,
    /// The policies without their scopes, once they are candidates: what was found was found by its scope.
    bare: Vec<OnceLock<Policy>>,
    /// The candidates of calls that were asked about, by their places: callers of the same roles share them.
    remembered: Cache<Vec<usize>, Arc<Candidates>, InPolicies>,
}

/// What is known of a policy besides its text.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Rule {
    pub(in crate::policy) policy: Policy,
    pub(in crate::policy) scope: Scope,
    pub(in crate::policy) shown: Arc<Fired>,
    pub(in crate::policy) reads: Reads,
    /// `@scope` and `@acr`
    pub(in crate::policy) step: StepUp,
    /// `@shadow`
    pub(in crate::policy) shadow: bool,
    /// Where its text stands.
    pub(in crate::policy) location: Location,
}

/// The policies in whose scope a request is: no other can apply to it. Of these, the conditions are left to be asked about.
#[derive(Debug)]
pub(in crate::policy) struct Candidates {
    places: Vec<usize>,
    /// Those that decide.
    ruling: PolicySet,
    /// `@shadow` ones, apart by effect: Cedar names the permits of an answer only where no forbid applies.
    shadow: [PolicySet; 2],
    /// What of the context they read.
    pub(in crate::policy) needs: Needs,
    /// Entities whose parents or attributes their conditions look up by name.
    pub(in crate::policy) looked_up: BTreeSet<EntityUid>,
    /// Which arguments they read.
    pub(in crate::policy) arguments: Selection,
}

impl Engine {
    /// Takes policies whose ids are unique.
    pub(in crate::policy) fn new(mut rules: Vec<Arc<Rule>>) -> Self {
        rules.sort_by(|a, b| a.shown.id.cmp(&b.shown.id));
        let ids = rules.iter().map(|rule| rule.policy.id().clone());
        Self {
            authorizer: Authorizer::new(),
            places: ids.enumerate().map(|(place, id)| (id, place)).collect(),
            index: Index::new(rules.iter().map(|rule| &rule.scope)),
            asked_for: rules
                .iter()
                .flat_map(|rule| rule.step.scopes.iter().cloned())
                .collect(),
            bare: rules.iter().map(|_| OnceLock::new()).collect(),
            rules,
            remembered: Cache::with_weighter(256, REMEMBERED, InPolicies),
        }
    }

    /// All policies, by id.
    pub(in crate::policy) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|rule| &**rule)
    }

    /// Whether a policy names this scope in `@scope`.
    pub(in crate::policy) fn asks_for(&self, scope: &str) -> bool {
        self.asked_for.contains(scope)
    }

    /// Whether requests for this may meet more policies than `most`: how many, and how many of them have the scope of that one.
    pub(in crate::policy) fn crowd(
        &self,
        action: &EntityUid,
        resource: &EntityUid,
        entities: &Entities,
        most: usize,
    ) -> Option<(Crowd, &Rule)> {
        let crowd = self.index.crowd(action, resource, entities, most)?;
        Some((crowd, self.rules.get(crowd.one)?))
    }

    /// The policies that decide and whose scope this request is in, by id: not to be asked, and so without what that takes.
    pub(in crate::policy) fn in_scope(&self, request: &Request, entities: &Entities) -> Vec<&Rule> {
        self.deciding(self.places(request, entities))
    }

    /// Where the policies are whose scope this request is in.
    fn places(&self, request: &Request, entities: &Entities) -> Vec<usize> {
        let mut places = self.index.find(request, entities);
        // Cedar won't ask again whether the request is in scope.
        places.retain(|place| {
            let rule = self.rules.get(*place);
            rule.is_some_and(|rule| rule.scope.holds(request, entities))
        });
        places
    }

    fn deciding(&self, places: Vec<usize>) -> Vec<&Rule> {
        let rules = places.into_iter().filter_map(|place| self.rules.get(place));
        rules.map(|rule| &**rule).filter(|rule| !rule.shadow).collect()
    }

    /// The policies whose scope this request is in.
    pub(in crate::policy) fn candidates(
        &self,
        request: &Request,
        entities: &Entities,
    ) -> Result<Arc<Candidates>, PolicySetError> {
        let places = self.places(request, entities);
        if let Some(known) = self.remembered.get(&places) {
            return Ok(known);
        }
        let candidates = Arc::new(self.gather(places)?);
        self.remembered
            .insert(candidates.places.clone(), Arc::clone(&candidates));
        Ok(candidates)
    }

    fn gather(&self, places: Vec<usize>) -> Result<Candidates, PolicySetError> {
        let mut ruling = PolicySet::new();
        let mut shadow = [PolicySet::new(), PolicySet::new()];
        let rules = || places.iter().filter_map(|place| self.rules.get(*place));
        for place in &places {
            let Some((rule, bare)) = self.rules.get(*place).zip(self.bare.get(*place)) else {
                continue;
            };
            let [permits, forbids] = &mut shadow;
            let set = match (rule.shadow, rule.policy.effect()) {
                (false, _) => &mut ruling,
                (true, Effect::Permit) => permits,
                (true, Effect::Forbid) => forbids,
            };
            let bare =
                bare.get_or_init(|| scope::without(&rule.policy).unwrap_or_else(|| rule.policy.clone()));
            set.add(bare.clone())?;
        }
        let mut arguments = Selection::default();
        for path in rules().flat_map(|rule| rule.reads.arguments()) {
            arguments.add(path);
        }
        Ok(Candidates {
            arguments,
            needs: Needs::of(&rules().map(|rule| &rule.reads)),
            looked_up: rules()
                .flat_map(|rule| rule.reads.looked_up.iter().cloned())
                .collect(),
            places,
            ruling,
            shadow,
        })
    }

    /// Those of the candidates that decide, by id, each once.
    pub(in crate::policy) fn ruling<'a>(
        &self,
        candidates: impl Iterator<Item = &'a Candidates>,
    ) -> Vec<&Rule> {
        let mut places: Vec<usize> = candidates
            .flat_map(|candidates| candidates.places.iter().copied())
            .collect();
        places.sort_unstable();
        places.dedup();
        self.deciding(places)
    }

    /// The candidates, shadow ones included, by id.
    pub(in crate::policy) fn met<'a>(&'a self, candidates: &'a Candidates) -> impl Iterator<Item = &'a Rule> {
        let rules = candidates
            .places
            .iter()
            .filter_map(|place| self.rules.get(*place));
        rules.map(|rule| &**rule)
    }

    /// The policy of that id.
    pub(in crate::policy) fn named(&self, id: &str) -> Option<&Rule> {
        self.rule(&PolicyId::new(id))
    }

    /// Asks about one principal.
    pub(in crate::policy) fn evaluate(
        &self,
        principal: Principal,
        request: &Request,
        entities: &Entities,
        candidates: &Candidates,
    ) -> Verdict {
        let response = self
            .authorizer
            .is_authorized(request, &candidates.ruling, entities);
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
        let (shadow, would) = self.shadows(request, entities, candidates, outcome);
        Verdict {
            principal,
            outcome,
            fired,
            errored: self.shown(failed.into_iter()),
            shadow,
            would,
        }
    }

    /// The `@shadow` policies that apply, and the outcome if they counted.
    fn shadows(
        &self,
        request: &Request,
        entities: &Entities,
        candidates: &Candidates,
        ruling: Outcome,
    ) -> (Vec<Arc<Fired>>, Option<Outcome>) {
        let mut applied = Vec::new();
        let mut would = None;
        for (effect, set) in [Effect::Permit, Effect::Forbid]
            .into_iter()
            .zip(&candidates.shadow)
        {
            if set.is_empty() {
                continue;
            }
            let response = self.authorizer.is_authorized(request, set, entities);
            let fired = self.shown(response.diagnostics().reason());
            let errs = response.diagnostics().errors().next().is_some();
            let sofar = would.unwrap_or(ruling);
            match (effect, sofar) {
                (Effect::Permit, _) if fired.is_empty() => {}
                (Effect::Permit, Outcome::NoPermit) => would = Some(Outcome::Allowed),
                (Effect::Forbid, _) if fired.is_empty() && !errs => {}
                (Effect::Forbid, Outcome::Allowed | Outcome::NoPermit) if fired.is_empty() => {
                    would = Some(Outcome::ForbidErrored);
                }
                (Effect::Forbid, Outcome::Allowed | Outcome::NoPermit) => would = Some(Outcome::Forbidden),
                _ => would = Some(sofar),
            }
            applied.extend(fired);
        }
        applied.sort_by(|a, b| a.id.cmp(&b.id));
        (applied, would)
    }

    fn rule(&self, id: &PolicyId) -> Option<&Rule> {
        self.rules.get(*self.places.get(id)?).map(|rule| &**rule)
    }

    /// An id that isn't known can't occur; if it did, it would count as a forbid.
    fn forbids(&self, id: &PolicyId) -> bool {
        self.rule(id)
            .is_none_or(|rule| rule.policy.effect() == Effect::Forbid)
    }

    fn shown<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Vec<Arc<Fired>> {
        let mut shown: Vec<Arc<Fired>> = ids
            .map(|id| match self.rule(id) {
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

#[derive(Debug, Clone)]
struct InPolicies;

impl quick_cache::Weighter<Vec<usize>, Arc<Candidates>> for InPolicies {
    fn weight(&self, places: &Vec<usize>, _: &Arc<Candidates>) -> u64 {
        u64::try_from(places.len()).map_or(u64::MAX, |policies| policies.saturating_add(1))
    }
}
