//! Whether a scope or a stronger login is all that a call lacks.

use std::collections::BTreeSet;

use cedar_policy::{Context, Request};

use super::entities::{StepUp, uid};
use super::evaluate::{Rule, in_scope};
use super::target::Target;
use super::{PolicySet, Question, Verdict};

/// Step-ups that are tried one by one before all are tried together.
const MAX_STEPS: usize = 16;

impl PolicySet {
    /// What the user's token would need for this call to be allowed, if scopes or a stronger login is all that it lacks.
    ///
    /// Only what policies name in `@scope` and `@acr` is tried, fewest first, and only what, when asked again with it, is
    /// allowed for every principal counts.
    #[must_use]
    pub fn step_up(&self, question: &Question<'_>) -> Option<StepUp> {
        let user = question.caller.user.as_ref()?;
        let lacking = |step: &StepUp| StepUp {
            scopes: step
                .scopes
                .iter()
                .filter(|scope| !user.scopes.contains(scope))
                .cloned()
                .collect(),
            acr: step.acr.clone().filter(|acr| user.acr.as_ref() != Some(acr)),
        };
        let mut steps: Vec<StepUp> = self
            .engine
            .rules()
            .filter(|rule| !rule.shadow && lacking(&rule.step) != StepUp::default())
            .filter(|rule| self.fits(question, rule))
            .map(|rule| lacking(&rule.step))
            .collect();
        steps.sort_by_key(|step| {
            (
                step.acr.is_some(),
                step.scopes.len(),
                step.scopes.clone(),
                step.acr.clone(),
            )
        });
        steps.dedup();
        steps.truncate(MAX_STEPS);
        let together = StepUp {
            scopes: steps.iter().flat_map(|step| step.scopes.clone()).collect(),
            acr: steps.iter().find_map(|step| step.acr.clone()),
        };
        let scopes_together = StepUp {
            acr: None,
            ..together.clone()
        };
        steps
            .into_iter()
            .chain([scopes_together, together])
            .find(|step| *step != StepUp::default() && self.allows(question, step))
    }

    /// All the scopes that the user's token lacks, if with them every principal would be allowed.
    #[must_use]
    pub fn missing_scopes(&self, question: &Question<'_>) -> Option<BTreeSet<String>> {
        let step = self.step_up(question)?;
        (step.acr.is_none() && !step.scopes.is_empty()).then_some(step.scopes)
    }

    /// Whether a policy that names this step-up has the call in its scope, for one of its principals.
    fn fits(&self, question: &Question<'_>, rule: &Rule) -> bool {
        let Ok((principals, entities)) = self.principals(question, &StepUp::default()) else {
            return false;
        };
        let action_fits = |target: &Target| {
            let store = self.store(target, &entities).ok()?;
            let action = uid(&self.fixed.types.action, &target.action);
            let fits = principals.iter().any(|(_, id)| {
                let request = Request::new(
                    id.clone(),
                    action.clone(),
                    target.resource.clone(),
                    Context::empty(),
                    None,
                );
                request.is_ok_and(|request| in_scope(&rule.policy, &request, &store))
            });
            Some(fits)
        };
        let targets = self.targets(question).unwrap_or_default();
        targets.iter().any(|target| action_fits(target).unwrap_or(false))
    }

    fn allows(&self, question: &Question<'_>, step: &StepUp) -> bool {
        self.ask_as(question, step)
            .is_ok_and(|verdicts| !verdicts.is_empty() && verdicts.iter().all(Verdict::allows))
    }
}
