//! What the policies say.

use std::sync::Arc;

/// What the policies say about one principal on one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whom was asked about.
    pub principal: Principal,
    /// Allowed, or why not.
    pub outcome: Outcome,
    /// The policies that determined it, by id, sorted: permits of an allow, forbids of a deny.
    pub fired: Vec<Arc<Fired>>,
}

/// A policy that took part in a verdict.
#[derive(Debug, PartialEq, Eq)]
pub struct Fired {
    /// Its `@id`.
    pub id: String,
    /// Its `@reason`, where it has one.
    pub reason: Option<String>,
}

/// Which kind of principal was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// A person.
    User,
    /// A SPIFFE workload.
    Workload,
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
