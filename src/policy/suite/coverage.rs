//! What the tests of a directory never showed: policies that never decided, conditions that were never true or never false, tools that
//! were never decided.
//!
//! In: the questions of tests, one by one. Out: a [`Coverage`]: how often each was seen. It is the union of the tests' traces.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::inventory::{Files, Problem, Server, ServerTools};
use crate::mcp::Operation;
use crate::policy::explain::conditions::{Conditions, Part};
use crate::policy::lint::reach::{Reach, Sides, World};
use crate::policy::load::schema;
use crate::policy::verdict::Verdict;
use crate::policy::{AskError, Condition, Location, Met, PolicySet, Question, Truth};

/// What the tests showed.
#[derive(Debug)]
pub struct Coverage {
    policies: BTreeMap<String, OfPolicy>,
    tools: BTreeMap<String, OfTool>,
}

/// What the tests showed of a policy.
#[derive(Debug, Clone)]
pub struct OfPolicy {
    /// Its `@id`.
    pub id: String,
    /// Where it is written.
    pub location: Location,
    /// How many verdicts it determined; of a `@shadow` policy, how many it would have.
    pub decided: usize,
    /// Its conditions, in the order in which Cedar looks at them.
    pub conditions: Vec<OfCondition>,
}

/// What the tests showed of a condition.
#[derive(Debug, Clone)]
pub struct OfCondition {
    /// As it is written.
    pub condition: Arc<Condition>,
    /// How often what is written was true where it was looked at.
    pub was_true: usize,
    /// How often it was false.
    pub was_false: usize,
    /// Whether a call in the policy's scope can make it true. Where that isn't known before a call, it counts as one that can.
    pub can_be_true: bool,
    /// Whether one can make it false.
    pub can_be_false: bool,
}

impl OfCondition {
    fn of(part: &Part, sides: Sides) -> Self {
        Self {
            condition: Arc::clone(&part.written),
            was_true: 0,
            was_false: 0,
            can_be_true: sides.be_true,
            can_be_false: sides.be_false,
        }
    }

    /// For each side that can be seen, whether it was.
    fn sides(&self) -> impl Iterator<Item = bool> {
        let sides = [
            (self.can_be_true, self.was_true > 0),
            (self.can_be_false, self.was_false > 0),
        ];
        sides
            .into_iter()
            .filter(|(can_be, _)| *can_be)
            .map(|(_, seen)| seen)
    }
}

/// What the tests showed of a tool.
#[derive(Debug, Clone, Default)]
pub struct OfTool {
    /// `<server>/<tool>`
    pub action: String,
    /// How many calls of it the policies allowed.
    pub allowed: usize,
    /// How many they denied. Calls that they weren't asked about, such as ones whose arguments don't fit, don't count.
    pub denied: usize,
}

/// How much was seen, of how much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// What was seen.
    pub seen: usize,
    /// What there is.
    pub of: usize,
}

impl Share {
    fn of(seen: impl Iterator<Item = bool>) -> Self {
        seen.fold(Self { seen: 0, of: 0 }, |sofar, seen| Self {
            seen: sofar.seen.saturating_add(seen.into()),
            of: sofar.of.saturating_add(1),
        })
    }

    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.seen == self.of
    }
}

impl OfPolicy {
    /// Whether it decided.
    #[must_use]
    pub const fn is_seen(&self) -> bool {
        self.decided > 0
    }
}

impl OfTool {
    /// Whether it was decided at all.
    #[must_use]
    pub const fn is_seen(&self) -> bool {
        self.allowed > 0 || self.denied > 0
    }
}

impl Coverage {
    /// Of no tests. `files` and `servers` are those that the set was loaded from.
    ///
    /// # Errors
    /// The files are others.
    pub fn none(set: &PolicySet, files: &Files, servers: &[Server]) -> Result<Self, Vec<Problem>> {
        let (schema, _) = schema::join(files, &set.inventory, servers).map_err(|problem| vec![problem])?;
        let world = World::new(&schema, &set.fixed, &set.inventory)
            .map_err(|error| vec![Problem::new(".", error.to_string())])?;
        let policies = set.engine.rules().map(|rule| {
            let (parts, reach) = (
                Conditions::of(&rule.policy, &rule.location).parts,
                Reach::of(rule, &world),
            );
            let conditions = parts
                .iter()
                .map(|part| OfCondition::of(part, Sides::of(part, &reach, &world)));
            OfPolicy {
                id: rule.shown.id.clone(),
                location: rule.location.clone(),
                decided: 0,
                conditions: conditions.collect(),
            }
        });
        let tools = set.inventory().iter().flat_map(ServerTools::iter);
        Ok(Self {
            policies: policies.map(|policy| (policy.id.clone(), policy)).collect(),
            tools: tools
                .map(|tool| OfTool {
                    action: tool.action.clone(),
                    ..OfTool::default()
                })
                .map(|tool| (tool.action.clone(), tool))
                .collect(),
        })
    }

    /// Adds a test: what was asked of this set, and what it said. What no policy was asked about shows nothing.
    pub fn add(&mut self, set: &PolicySet, question: &Question<'_>, said: &Result<Vec<Verdict>, AskError>) {
        let (Ok(verdicts), Ok(trace)) = (said, set.trace(question)) else {
            return;
        };
        if let Operation::ToolsCall { tool, .. } = &question.call.operation
            && let Some(tool) = self.tools.get_mut(&format!("{}/{tool}", question.server.name))
        {
            let count = if verdicts.iter().all(Verdict::allows) {
                &mut tool.allowed
            } else {
                &mut tool.denied
            };
            *count = count.saturating_add(1);
        }
        for principal in trace.targets.iter().flat_map(|target| &target.principals) {
            let verdict = &principal.verdict;
            for fired in verdict.fired.iter().chain(&verdict.shadow) {
                if let Some(policy) = self.policies.get_mut(&fired.id) {
                    policy.decided = policy.decided.saturating_add(1);
                }
            }
            principal.policies.iter().for_each(|met| self.conditions(met));
        }
    }

    fn conditions(&mut self, met: &Met) {
        let Some(policy) = self.policies.get_mut(&met.policy.id) else {
            return;
        };
        for (seen, looked) in policy.conditions.iter_mut().zip(&met.conditions) {
            let unless = looked.condition.unless;
            let count = match looked.truth {
                _ if !looked.reached => continue,
                Truth::Holds if unless => &mut seen.was_false,
                Truth::Fails if unless => &mut seen.was_true,
                Truth::Holds => &mut seen.was_true,
                Truth::Fails => &mut seen.was_false,
                Truth::Unknown(_) => continue,
            };
            *count = count.saturating_add(1);
        }
    }

    /// All policies, by id.
    pub fn policies(&self) -> impl Iterator<Item = &OfPolicy> {
        self.policies.values()
    }

    /// All tools, by their actions.
    pub fn tools(&self) -> impl Iterator<Item = &OfTool> {
        self.tools.values()
    }

    /// How many policies decided.
    #[must_use]
    pub fn of_policies(&self) -> Share {
        Share::of(self.policies().map(OfPolicy::is_seen))
    }

    /// How many sides of conditions were seen: most have two.
    #[must_use]
    pub fn of_conditions(&self) -> Share {
        let conditions = self.policies().flat_map(|policy| &policy.conditions);
        Share::of(conditions.flat_map(OfCondition::sides))
    }

    /// How many tools were decided.
    #[must_use]
    pub fn of_tools(&self) -> Share {
        Share::of(self.tools().map(OfTool::is_seen))
    }

    /// Whether the tests showed everything.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let shares = [self.of_policies(), self.of_conditions(), self.of_tools()];
        shares.into_iter().all(Share::is_whole)
    }
}
