//! Why a call of a test was denied, for its author: what forbids it, and the permits that would have allowed it but for what.

use cedar_policy::Effect;

use crate::policy::{Applied, Beside, Explanation, Looked, Met, OfPrincipal, PolicySet, Question};

/// Policies that are named of each principal: the nearest.
const MOST: usize = 3;

/// A line for each policy that an author should look at. Nothing of an allowed call, or of one that no policy is asked about.
pub(super) fn why(set: &PolicySet, question: &Question<'_>) -> Vec<String> {
    let Ok(Explanation { trace, beside }) = set.explain(question) else {
        return Vec::new();
    };
    let principals = trace.targets.iter().flat_map(|target| &target.principals);
    let mut lines: Vec<String> = principals
        .filter(|of| !of.verdict.allows())
        .flat_map(|of| of_principal(of, &beside))
        .collect();
    lines.dedup();
    lines
}

fn of_principal(of: &OfPrincipal, beside: &[Beside]) -> Vec<String> {
    let principal = of.verdict.principal;
    let stops = |met: &&Met| met.effect == Effect::Forbid && met.applied != Applied::No && !met.shadow;
    let forbids = of.policies.iter().filter(stops);
    let forbids: Vec<String> = forbids.map(|met| line(met, "forbids it", &lifted(met))).collect();
    if !forbids.is_empty() {
        return forbids;
    }
    let permits = |met: &&Met| {
        line(
            met,
            &format!("would permit the {}", principal.as_str()),
            &lacking(met),
        )
    };
    let near: Vec<String> = of.near().iter().take(MOST).map(permits).collect();
    if !near.is_empty() {
        return near;
    }
    let beside = beside.iter().filter(|beside| beside.principal == principal);
    let beside = beside.take(MOST).map(|beside| {
        let (id, at) = (&beside.policy.id, &beside.location);
        format!("`{id}` ({}:{}) is for {}", at.file, at.line, beside.needs)
    });
    beside.collect()
}

fn line(met: &Met, does: &str, words: &[String]) -> String {
    let (id, at) = (&met.policy.id, &met.location);
    let place = format!("`{id}` ({}:{}) {does}", at.file, at.line);
    if words.is_empty() {
        place
    } else {
        format!("{place}: {}", words.join("; "))
    }
}

fn lacking(met: &Met) -> Vec<String> {
    met.lacking().into_iter().map(Looked::in_words).collect()
}

fn lifted(met: &Met) -> Vec<String> {
    met.lifted_by().into_iter().map(Looked::lifted_in_words).collect()
}
