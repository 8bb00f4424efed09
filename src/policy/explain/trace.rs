//! Why a call is decided as it is: every policy in whose scope it is, with each of its conditions.
//!
//! In: a [`Question`]. Out: a [`Trace`]: the verdicts of [`PolicySet::ask`], and what they came from. Refused: what `ask` refuses.
//! Nothing of this is done while calls are only decided.

use std::sync::Arc;

use cedar_policy::{Authorizer, Effect, Entities, PolicySet as Policies, Request};

use super::conditions::{Condition, Conditions, Known, Part, Said};
use crate::policy::ask::entities::{StepUp, build};
use crate::policy::ask::evaluate::Rule;
use crate::policy::ask::standing::Standpoint;
use crate::policy::ask::target::Target;
use crate::policy::verdict::{Fired, Verdict};
use crate::policy::written::Location;
use crate::policy::{AskError, PolicySet, Question};

/// Why a call is decided as it is.
#[derive(Debug, Clone)]
pub struct Trace {
    /// What is decided, for each principal: as [`PolicySet::ask`] says.
    pub verdicts: Vec<Verdict>,
    /// What the call asks for: one thing, but for `subscriptions/listen`.
    pub targets: Vec<OfTarget>,
}

/// One thing that a call asks for.
#[derive(Debug, Clone)]
pub struct OfTarget {
    /// The id of the action.
    pub action: String,
    /// The resource, as Cedar writes it.
    pub resource: String,
    /// What the policies say of each principal.
    pub principals: Vec<OfPrincipal>,
}

/// One principal before one thing.
#[derive(Debug, Clone)]
pub struct OfPrincipal {
    /// The principal, as Cedar writes it.
    pub id: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// The policies in whose scope the call is, by id.
    pub policies: Vec<Met>,
}

/// A policy in whose scope a call is.
#[derive(Debug, Clone)]
pub struct Met {
    /// Its annotations.
    pub policy: Arc<Fired>,
    /// `permit` or `forbid`.
    pub effect: Effect,
    /// Whether it is `@shadow`: then it decides nothing.
    pub shadow: bool,
    /// Where it is written.
    pub location: Location,
    /// Whether it applied.
    pub applied: Applied,
    /// Its conditions, in the order in which Cedar looks at them.
    pub conditions: Vec<Looked>,
}

/// Whether a policy applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// All its conditions hold.
    Yes,
    /// One doesn't.
    No,
    /// One can't be evaluated: such a forbid denies, such a permit doesn't apply.
    Failed,
}

/// A condition, and what came of it.
#[derive(Debug, Clone)]
pub struct Looked {
    /// As it is written.
    pub condition: Arc<Condition>,
    /// Whether Cedar looks at it: it stops at the first that doesn't hold.
    pub reached: bool,
    /// Whether it holds: of an `unless`, whether what is written there is false.
    pub truth: Truth,
    /// What it needs to hold, with the values met.
    pub needs: Said,
    /// What it would take for it not to hold.
    pub lifts: Said,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    Holds,
    /// It doesn't.
    Fails,
    /// Cedar can't tell, and why. Of a condition that isn't reached this may be just because of the ones before.
    Unknown(String),
}

impl Looked {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.truth == Truth::Holds
    }
}

impl PolicySet {
    /// Why a call is decided as it is.
    ///
    /// # Errors
    /// Why there is no verdict.
    pub fn trace(&self, question: &Question<'_>) -> Result<Trace, AskError> {
        Self::identified(question)?;
        self.trace_of(question, &self.targets(question)?)
    }

    /// Why what is asked for of these targets is decided as it is.
    pub(in crate::policy) fn trace_of(
        &self,
        question: &Question<'_>,
        targets: &[Target<'_>],
    ) -> Result<Trace, AskError> {
        let verdicts = self.ask_of(question, targets, &StepUp::default())?;
        let targets = targets.iter().map(|target| self.trace_target(question, target));
        Ok(Trace {
            verdicts,
            targets: targets.collect::<Result<_, AskError>>()?,
        })
    }

    /// Where a policy is written.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<&Location> {
        self.engine.named(id).map(|rule| &rule.location)
    }

    /// The conditions of a policy, in the order in which Cedar looks at them.
    #[must_use]
    pub fn conditions(&self, id: &str) -> Vec<Arc<Condition>> {
        let rule = self.engine.named(id);
        let known = rule.map(|rule| Conditions::known(&self.conditions, rule));
        let parts = known.iter().flat_map(|conditions| &conditions.parts);
        parts.map(|part| Arc::clone(&part.written)).collect()
    }

    fn trace_target(&self, question: &Question<'_>, target: &Target<'_>) -> Result<OfTarget, AskError> {
        let standing = self.own_standing(question, target)?;
        let posed = self.pose(question, target, &standing)?;
        let mut principals = Vec::with_capacity(standing.principals.len());
        for standpoint in &standing.principals {
            let request = self.request(&standpoint.uid, target, posed.context.clone())?;
            principals.push(self.trace_principal(standpoint, &request, &posed.entities)?);
        }
        Ok(OfTarget {
            action: target.action.clone(),
            resource: target.resource.to_string(),
            principals,
        })
    }

    fn trace_principal(
        &self,
        standpoint: &Standpoint,
        request: &Request,
        entities: &Entities,
    ) -> Result<OfPrincipal, AskError> {
        let (principal, candidates) = (standpoint.principal, &standpoint.candidates);
        let met = self.engine.met(candidates);
        let policies = met.map(|rule| looked_at(&self.conditions, rule, request, entities));
        Ok(OfPrincipal {
            id: standpoint.uid.to_string(),
            verdict: self.engine.evaluate(principal, request, entities, candidates),
            policies: policies.collect::<Result<_, AskError>>()?,
        })
    }
}

fn looked_at(known: &Known, rule: &Rule, request: &Request, entities: &Entities) -> Result<Met, AskError> {
    let conditions = Conditions::known(known, rule);
    Ok(Met {
        policy: Arc::clone(&rule.shown),
        effect: rule.policy.effect(),
        shadow: rule.shadow,
        location: rule.location.clone(),
        applied: applied(rule, request, entities)?,
        conditions: looked(&conditions.parts, request, entities),
    })
}

/// Asked of Cedar, rather than of the conditions: that both agree is tested.
fn applied(rule: &Rule, request: &Request, entities: &Entities) -> Result<Applied, AskError> {
    let alone = Policies::from_policies([rule.policy.clone()]).map_err(build)?;
    let response = Authorizer::new().is_authorized(request, &alone, entities);
    let diagnostics = response.diagnostics();
    Ok(if diagnostics.errors().next().is_some() {
        Applied::Failed
    } else if diagnostics.reason().next().is_some() {
        Applied::Yes
    } else {
        Applied::No
    })
}

fn looked(parts: &[Part], request: &Request, entities: &Entities) -> Vec<Looked> {
    let mut reached = true;
    let mut looked = Vec::with_capacity(parts.len());
    for part in parts {
        let truth = match part.holds(request, entities) {
            Ok(true) => Truth::Holds,
            Ok(false) => Truth::Fails,
            Err(why) => Truth::Unknown(why),
        };
        let holds = truth == Truth::Holds;
        looked.push(Looked {
            condition: Arc::clone(&part.written),
            reached,
            truth,
            needs: part.needs(request, entities),
            lifts: part.lifts(request, entities),
        });
        reached = reached && holds;
    }
    looked
}
