//! Policies that change nothing, since another applies wherever they do.
//!
//! One applies wherever another does if its scope holds the other's and each of its conditions is one of the other's.

use std::collections::{HashMap, HashSet};

use cedar_policy::Effect;

use super::Found;
use crate::inventory::problem::code;
use crate::policy::ask::evaluate::Rule;
use crate::policy::explain::conditions;
use crate::policy::lint::reach::{Reach, World, of_the_same};

/// From so many things on that a policy is about, it isn't filed by each of them.
const BROAD: usize = 64;

/// A policy that rules, with what decides whether it applies.
struct Applies<'a> {
    rule: &'a Rule,
    reach: &'a Reach,
    conditions: HashSet<String>,
}

/// Finds them. Shadow policies decide nothing, so they neither cover nor are covered.
pub(super) fn find(rules: &[&Rule], reaches: &[Reach], world: &World<'_>, found: &mut Found<'_>) {
    let all: Vec<Applies<'_>> = rules
        .iter()
        .zip(reaches)
        .filter(|(rule, _)| !rule.shadow)
        .filter_map(|(rule, reach)| {
            Some(Applies {
                rule,
                reach,
                conditions: conditions::texts(&rule.policy)?,
            })
        })
        .collect();
    let all_wide = Wide::of(&all);
    for narrow in all.iter().filter(|one| !one.reach.is_empty()) {
        let wider = all_wide
            .candidates(narrow)
            .filter(|wide| !std::ptr::eq(*wide, narrow) && wide.applies_wherever(narrow, world));
        if let Some((code, message, help)) = wider.filter_map(|wide| said(wide, narrow, world)).min() {
            found.add(narrow.rule, code, message, help);
        }
    }
}

impl Applies<'_> {
    fn applies_wherever(&self, narrow: &Self, world: &World<'_>) -> bool {
        self.conditions.is_subset(&narrow.conditions)
            && self.reach.holds(narrow.reach)
            && of_the_same(&self.rule.scope, &narrow.rule.scope, world)
    }

    /// Links of one template stand where it does: their ids tell them apart.
    fn place(&self) -> (&str, usize, &str) {
        let (at, id) = (&self.rule.location, &self.rule.shown.id);
        (&at.file, at.line, id)
    }
}

/// What is wrong with a policy of which another applies wherever it does. `None`: the other is a permit, and this one forbids; or
/// they say the same, and the other is the one to be told.
fn said(
    wide: &Applies<'_>,
    narrow: &Applies<'_>,
    world: &World<'_>,
) -> Option<(&'static str, String, String)> {
    let (id, other) = (&narrow.rule.shown.id, &wide.rule.shown.id);
    let (file, line, _) = wide.place();
    let at = format!("`{other}` is in {file}:{line}");
    match (narrow.rule.policy.effect(), wide.rule.policy.effect()) {
        (Effect::Forbid, Effect::Permit) => None,
        (Effect::Permit, Effect::Forbid) => Some((
            code::OVERRIDDEN,
            format!("`{id}` never allows anything: `{other}` forbids all that it permits"),
            at,
        )),
        (effect, _) if narrow.applies_wherever(wide, world) => {
            let later = narrow.place() > wide.place();
            later.then(|| {
                (
                    code::DUPLICATE,
                    format!("`{id}` {effect}s the same as `{other}`"),
                    at,
                )
            })
        }
        (effect, _) => Some((
            code::REDUNDANT,
            format!("`{id}` adds nothing: `{other}` {effect}s all that it {effect}s"),
            at,
        )),
    }
}

/// Policies by the rarest of their conditions, or by what they are about, so that not every two of them are compared.
struct Wide<'a> {
    /// Those without conditions that are about much.
    broad: Vec<&'a Applies<'a>>,
    /// Those without conditions that are about little, by each thing.
    by_spot: HashMap<usize, Vec<&'a Applies<'a>>>,
    by_condition: HashMap<&'a str, Vec<&'a Applies<'a>>>,
}

impl<'a> Wide<'a> {
    fn of(all: &'a [Applies<'a>]) -> Self {
        let mut often: HashMap<&str, usize> = HashMap::new();
        for condition in all.iter().flat_map(|one| &one.conditions) {
            let count = often.entry(condition).or_default();
            *count = count.saturating_add(1);
        }
        let mut wide = Self {
            broad: Vec::new(),
            by_spot: HashMap::new(),
            by_condition: HashMap::new(),
        };
        for one in all {
            let rarest = one
                .conditions
                .iter()
                .min_by_key(|text| (often.get(text.as_str()), *text));
            match rarest {
                None if one.reach.places().len() > BROAD => wide.broad.push(one),
                None => {
                    for spot in one.reach.places() {
                        wide.by_spot.entry(spot).or_default().push(one);
                    }
                }
                Some(condition) => wide.by_condition.entry(condition).or_default().push(one),
            }
        }
        wide
    }

    /// Those whose conditions may all be among those of this one.
    fn candidates<'b>(&'b self, narrow: &'b Applies<'_>) -> impl Iterator<Item = &'a Applies<'a>> + 'b {
        let of = |condition: &String| self.by_condition.get(condition.as_str());
        let conditional = narrow.conditions.iter().filter_map(of).flatten();
        // Whoever holds all of it holds the first.
        let first = narrow.reach.places().next();
        let about = first
            .and_then(|first| self.by_spot.get(&first))
            .into_iter()
            .flatten();
        self.broad.iter().chain(about).chain(conditional).copied()
    }
}
