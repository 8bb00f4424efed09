//! What the policies say.

use std::sync::Arc;

use super::code;

/// What the policies say about one principal on one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whom was asked about.
    pub principal: Principal,
    /// Allowed, or why not.
    pub outcome: Outcome,
    /// The policies that determined it, by id, sorted: permits of an allow, forbids of a deny.
    pub fired: Vec<Arc<Fired>>,
    /// The policies whose evaluation failed, sorted: such a forbid denies, such a permit doesn't apply.
    pub errored: Vec<Arc<Fired>>,
    /// The `@shadow` policies that would have applied, sorted. They decide nothing.
    pub shadow: Vec<Arc<Fired>>,
    /// The outcome if the `@shadow` policies counted; `None` where none of them applies or errs.
    pub would: Option<Outcome>,
}

/// A policy that took part in a verdict.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Its `@id`.
    pub id: String,
    /// Its `@reason`, where it has one.
    pub reason: Option<String>,
    /// Its `@advice`, where it has one: what a caller could do instead.
    pub advice: Option<String>,
}

/// Which kind of principal was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// A person.
    User,
    /// A SPIFFE workload.
    Workload,
    /// Who acts for the person.
    Actor,
}

/// The outcome for one principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A permit applied and no forbid did.
    Allowed,
    /// No permit applied.
    NoPermit,
    /// A forbid applied.
    Forbidden,
    /// A forbid could not be evaluated: it might have applied, so it counts.
    ForbidErrored,
}

impl Verdict {
    /// A verdict without errors and shadows.
    #[must_use]
    pub fn new(principal: Principal, outcome: Outcome, fired: Vec<Arc<Fired>>) -> Self {
        Self {
            principal,
            outcome,
            fired,
            errored: Vec::new(),
            shadow: Vec::new(),
            would: None,
        }
    }

    /// Takes in what is said of the same principal on another thing that the same call asks for: both must be allowed.
    pub(super) fn also(&mut self, mut other: Self) {
        if self.would.is_some() || other.would.is_some() {
            let (own, others) = (
                self.would.unwrap_or(self.outcome),
                other.would.unwrap_or(other.outcome),
            );
            self.would = Some(if own == Outcome::Allowed { others } else { own });
        }
        let lists = [
            (&mut self.errored, &mut other.errored),
            (&mut self.shadow, &mut other.shadow),
        ];
        for (own, others) in lists {
            merge(own, std::mem::take(others));
        }
        match (self.allows(), other.allows()) {
            (true, true) => merge(&mut self.fired, other.fired),
            (true, false) => (self.outcome, self.fired) = (other.outcome, other.fired),
            (false, _) => {}
        }
    }

    /// Whether this principal may.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.outcome == Outcome::Allowed
    }
}

impl Principal {
    /// The name, as audit and tests write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Workload => "workload",
            Self::Actor => "actor",
        }
    }
}

impl Outcome {
    /// The code of its reason, as policy tests and tables write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => code::ALLOWED,
            Self::NoPermit => code::NO_PERMIT,
            Self::Forbidden => code::FORBIDDEN,
            Self::ForbidErrored => code::POLICY_ERROR,
        }
    }
}

fn merge(own: &mut Vec<Arc<Fired>>, others: Vec<Arc<Fired>>) {
    own.extend(others);
    own.sort_by(|a, b| a.id.cmp(&b.id));
    own.dedup();
}
