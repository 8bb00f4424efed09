//! What a caller whom policies stopped may be told that they could change.
//!
//! In: a question that was denied, with its verdicts. Out: [`Remedy`]s, in words, about what the caller brings themselves: arguments, how
//! and when they logged in, the time. Left out, wholly: a policy in whose scope the call isn't; one that lacks anything else besides; and
//! what names an entity, another's attribute, or a policy. Bounded in work and in size: an attacker may be denied all day.

use std::cell::Cell;

use cedar_policy::{Effect, Entities, Request};

use crate::policy::ask::evaluate::Rule;
use crate::policy::ask::standing::Standpoint;
use crate::policy::explain::conditions::{Conditions, Said};
use crate::policy::verdict::{Outcome, Verdict};
use crate::policy::{PolicySet, Question};

/// Policies of one principal whose conditions are looked at.
const MAX_POLICIES: usize = 8;
/// Evaluations of conditions and of what they compare, of all policies of all principals together: a policy that takes more than are left is
/// not told of.
const MAX_EVALUATIONS: usize = 128;
/// Remedies that are told.
const MAX_REMEDIES: usize = 3;
/// Sentences of one.
const MAX_SENTENCES: usize = 4;
/// Bytes of a sentence: a longer one is not told, nor what it belongs to.
const MAX_SENTENCE: usize = 256;

/// What would have to be otherwise, each in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy(pub Vec<String>);

impl PolicySet {
    /// What the caller could change so that the policies in whose scope the call is would let it through, as far as they may know
    /// it; one of several is enough. Empty if nothing can be told, whatever the reason.
    #[must_use]
    pub fn remedies(&self, question: &Question<'_>, verdicts: &[Verdict]) -> Vec<Remedy> {
        self.of_each(question, verdicts).unwrap_or_default()
    }

    fn of_each(&self, question: &Question<'_>, verdicts: &[Verdict]) -> Option<Vec<Remedy>> {
        let targets = self.targets(question).ok()?;
        let [target] = targets.as_slice() else {
            return None;
        };
        let standing = self.own_standing(question, target).ok()?;
        let posed = self.pose(question, target, &standing).ok()?;
        let left = Cell::new(MAX_EVALUATIONS);
        let mut each = Vec::new();
        for (standpoint, verdict) in standing.principals.iter().zip(verdicts) {
            if verdict.allows() {
                continue;
            }
            let request = self.request(&standpoint.uid, target, posed.context.clone());
            let asked = Asked {
                set: self,
                request: request.ok()?,
                entities: &posed.entities,
                left: &left,
            };
            // Who may not be told of one principal's policies is not told of another's: the call would still be denied.
            each.push(asked.remedies(standpoint, verdict)?);
        }
        together(each)
    }
}

/// One principal's question.
struct Asked<'a> {
    set: &'a PolicySet,
    request: Request,
    entities: &'a Entities,
    /// How many more evaluations there may be.
    left: &'a Cell<usize>,
}

impl Asked<'_> {
    fn remedies(&self, standpoint: &Standpoint, verdict: &Verdict) -> Option<Vec<Remedy>> {
        let candidates = self.set.engine.ruling(std::iter::once(&*standpoint.candidates));
        let permits = candidates
            .iter()
            .filter(|rule| rule.policy.effect() == Effect::Permit);
        let permits = permits.take(MAX_POLICIES);
        let remedies: Vec<Remedy> = match verdict.outcome {
            Outcome::NoPermit => permits.filter_map(|rule| self.lacking(rule)).collect(),
            // Nothing is said of what forbids to those whom nothing permits.
            Outcome::Forbidden => {
                let mut permits = permits;
                permits.any(|rule| self.applies(rule)).then_some(())?;
                vec![self.lifting(verdict)?]
            }
            Outcome::Allowed | Outcome::ForbidErrored => Vec::new(),
        };
        (!remedies.is_empty()).then_some(remedies)
    }

    /// What a permit lacks.
    fn lacking(&self, rule: &Rule) -> Option<Remedy> {
        let conditions = self.conditions(rule)?;
        let mut lacking: Vec<Said> = Vec::new();
        for part in &conditions.parts {
            if part.holds(&self.request, self.entities) != Ok(true) {
                self.spend(part.telling)?;
                lacking.push(part.needs(&self.request, self.entities).open()?);
            }
        }
        let better = |said: &Said| lacking.iter().any(|other| said.is_said_by(other));
        let sentences = lacking.iter().filter(|said| !better(said)).map(Said::words);
        remedy(sentences.collect::<Option<_>>()?)
    }

    /// What would keep each forbid that applied from applying.
    fn lifting(&self, verdict: &Verdict) -> Option<Remedy> {
        if verdict.fired.len() > MAX_POLICIES {
            return None;
        }
        let lifting = verdict.fired.iter().map(|fired| {
            let conditions = self.conditions(self.set.engine.named(&fired.id)?)?;
            let mut open = Vec::new();
            for part in &conditions.parts {
                self.spend(part.telling)?;
                open.extend(part.lifts(&self.request, self.entities).open());
            }
            Said::Any(open).words()
        });
        remedy(lifting.collect::<Option<_>>()?)
    }

    fn applies(&self, rule: &Rule) -> bool {
        let holds = |conditions: &Conditions| {
            let mut parts = conditions.parts.iter();
            parts.all(|part| part.holds(&self.request, self.entities) == Ok(true))
        };
        self.conditions(rule).is_some_and(|conditions| holds(&conditions))
    }

    /// The conditions of a policy, as long as each may be looked at.
    fn conditions(&self, rule: &Rule) -> Option<std::sync::Arc<Conditions>> {
        let conditions = Conditions::known(&self.set.conditions, rule);
        self.spend(conditions.parts.len())?;
        Some(conditions)
    }

    /// Takes so many evaluations from those that are left; `None`, and none of them, if that is too many.
    fn spend(&self, evaluations: usize) -> Option<()> {
        self.left.set(self.left.get().checked_sub(evaluations)?);
        Some(())
    }
}

fn remedy(mut sentences: Vec<String>) -> Option<Remedy> {
    sentences.dedup();
    let bounded = sentences.len() <= MAX_SENTENCES && sentences.iter().all(|one| one.len() <= MAX_SENTENCE);
    (bounded && !sentences.is_empty()).then_some(Remedy(sentences))
}

/// Of one principal, whatever would do, the shortest first; of several, the shortest of each, together.
fn together(mut each: Vec<Vec<Remedy>>) -> Option<Vec<Remedy>> {
    for remedies in &mut each {
        remedies.sort_by_key(|remedy| remedy.0.len());
        remedies.dedup();
        remedies.truncate(MAX_REMEDIES);
    }
    if let [_] = each.as_slice() {
        return each.pop();
    }
    let first = each.iter().filter_map(|remedies| remedies.first());
    let mut sentences: Vec<String> = Vec::new();
    for sentence in first.flat_map(|remedy| &remedy.0) {
        if !sentences.contains(sentence) {
            sentences.push(sentence.clone());
        }
    }
    remedy(sentences).map(|remedy| vec![remedy])
}
