//! Whether a scope or a stronger login is all that a call lacks.

use jiff::Timestamp;

use crate::policy::ask::entities::StepUp;
use crate::policy::ask::evaluate::Rule;
use crate::policy::{PolicySet, Question, Verdict};

/// Step-ups that are tried one by one before all are tried together.
const MAX_STEPS: usize = 16;

/// What a call lacks, and what its client must ask for along with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What would do.
    pub step: StepUp,
    /// The scopes of the user's token that policies ask for elsewhere, sorted: clients replace a token by the new one, and would
    /// lose them (MCP 2025-11-25, Scope Challenge Handling).
    pub held: Vec<String>,
}

impl PolicySet {
    /// What is missing, where scopes or a stronger login is all that a call lacks.
    #[must_use]
    pub fn missing(&self, question: &Question<'_>) -> Option<Missing> {
        let step = self.step_up(question)?;
        let user = question.caller.user.as_ref()?;
        let held = user.scopes.iter().filter(|scope| self.engine.asks_for(scope));
        Some(Missing {
            held: held.cloned().collect(),
            step,
        })
    }

    /// What the user's token would need for this call to be allowed, if scopes or a stronger login is all that it lacks.
    ///
    /// Only what policies name in `@scope`, `@acr` and `@max_age` is tried, fewest first, and only what, when asked again with it, is
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
            max_age: step
                .max_age
                .filter(|most| is_older(user.authenticated, *most, question.now)),
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
                step.max_age,
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
            max_age: steps.iter().filter_map(|step| step.max_age).min(),
        };
        let scopes_together = StepUp {
            acr: None,
            max_age: None,
            ..together.clone()
        };
        steps
            .into_iter()
            .chain([scopes_together, together])
            .find(|step| *step != StepUp::default() && self.allows(question, step))
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

/// Whether a login lies further back than so many seconds, or nobody knows when it was.
fn is_older(login: Option<Timestamp>, seconds: u64, now: Timestamp) -> bool {
    let age = login.map(|at| now.as_second().saturating_sub(at.as_second()));
    age.is_none_or(|age| u64::try_from(age).is_ok_and(|age| age > seconds))
}
