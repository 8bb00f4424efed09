//! Whether a scope or a stronger login is all that a call lacks.

use std::collections::BTreeSet;

use super::entities::StepUp;
use super::evaluate::Rule;
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
            .in_whose_scope(question)
            .into_iter()
            .map(|rule| lacking(&rule.step))
            .filter(|step| *step != StepUp::default())
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

    /// The policies whose scope the call is in, for one of its principals.
    fn in_whose_scope(&self, question: &Question<'_>) -> Vec<&Rule> {
        let targets = self.targets(question).unwrap_or_default();
        let standings: Vec<_> = targets
            .iter()
            .filter_map(|target| self.standing(question, target, &StepUp::default()).ok())
            .collect();
        let standpoints = standings.iter().flat_map(|standing| &standing.principals);
        self.engine
            .ruling(standpoints.map(|standpoint| &*standpoint.candidates))
    }

    fn allows(&self, question: &Question<'_>, step: &StepUp) -> bool {
        self.ask_as(question, step)
            .is_ok_and(|verdicts| !verdicts.is_empty() && verdicts.iter().all(Verdict::allows))
    }
}
