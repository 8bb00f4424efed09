//! What rules but may not say what was meant: for authors, found by `policy validate` alone.
//!
//! In: a [`PolicySet`] and the files that it was loaded from. Out: a warning for each policy that no call can reach, that says the
//! same as another or less, that is always overridden, or that stops callers without a reason. What Cedar itself can tell, a policy that is
//! impossible by its types, is an error of the load already.

use std::sync::Arc;

use cedar_policy::Effect;

use self::reach::{Reach, Sides, World};
use super::ask::evaluate::Rule;
use super::explain::conditions::Conditions;
use super::load::schema;
use super::{BuildError, PolicySet};
use crate::inventory::problem::code;
use crate::inventory::{Files, Problem, Server};

mod covered;
pub(super) mod crowd;
pub(super) mod reach;

#[cfg(test)]
mod tests;

impl PolicySet {
    /// What an author should look at beyond [`PolicySet::warnings`], in the order of the text. `files` and `servers` are those that
    /// this set was loaded from.
    ///
    /// # Errors
    /// The files are others.
    pub fn lint(&self, files: &Files, servers: &[Server]) -> Result<Vec<Problem>, Vec<Problem>> {
        let (schema, _) = schema::join(files, &self.inventory, servers).map_err(|problem| vec![problem])?;
        let internal = |error: BuildError| vec![Problem::new(".", error.to_string())];
        let world = World::new(&schema, &self.fixed, &self.inventory).map_err(internal)?;
        let rules: Vec<&Rule> = self.engine.rules().collect();
        let mut found = Found {
            files,
            problems: Vec::new(),
        };
        let reaches: Vec<Reach> = rules.iter().map(|rule| Reach::of(rule, &world)).collect();
        for (rule, reach) in rules.iter().zip(&reaches) {
            found.reason(rule);
            found.unreachable(rule, reach, &world);
        }
        covered::find(&rules, &reaches, &world, &mut found);
        let mut problems = found.problems;
        problems.sort_by(|a, b| (&a.file, a.span, &a.message).cmp(&(&b.file, b.span, &b.message)));
        // The links of one template stand where it does, and its reason is theirs.
        problems.dedup_by(|a, b| {
            a.code == code::MISSING_REASON && b.code == a.code && (&a.file, a.span) == (&b.file, b.span)
        });
        Ok(problems)
    }
}

/// What was found, each with its place.
struct Found<'a> {
    files: &'a Files,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, rule: &Rule, code: &'static str, message: String, help: String) {
        self.add_at(rule, rule.location.line, code, message, help);
    }

    fn add_at(&mut self, rule: &Rule, line: usize, code: &'static str, message: String, help: String) {
        let file = &rule.location.file;
        let problem = Problem::warning(&**file, code, message).help(help);
        let source = self.files.text(file).ok().flatten();
        self.problems.push(match source {
            Some(source) => whole_line(problem, &source, line),
            None => problem,
        });
    }

    /// A scope that no call is in, or a condition that none fulfils.
    fn unreachable(&mut self, rule: &Rule, reach: &Reach, world: &World<'_>) {
        if let Some((message, help)) = reach.unreachable(rule, world) {
            return self.add(rule, code::UNREACHABLE, message, help);
        }
        for part in &Conditions::of(&rule.policy, &rule.location).parts {
            let sides = Sides::of(part, reach, world);
            let (can_hold, is) = if part.written.unless {
                (sides.be_false, "true")
            } else {
                (sides.be_true, "false")
            };
            if !can_hold {
                let message = format!(
                    "`{}` never applies: this is {is} for every call in its scope",
                    rule.shown.id
                );
                let help = "its scope and this condition exclude each other";
                self.add_at(
                    rule,
                    part.written.line,
                    code::UNREACHABLE,
                    message,
                    help.to_owned(),
                );
            }
        }
    }

    /// Who is stopped should be told why: by a forbid, or by a condition of the permit that would have done.
    fn reason(&mut self, rule: &Rule) {
        if rule.shadow || rule.shown.reason.is_some() {
            return;
        }
        let id = &rule.shown.id;
        let message = match rule.policy.effect() {
            Effect::Forbid => format!("`{id}` forbids and doesn't say why"),
            Effect::Permit if rule.policy.has_non_scope_constraint() => {
                format!("`{id}` permits under conditions and doesn't say which, in words")
            }
            Effect::Permit => return,
        };
        let help = "say it in a line before, for whoever is stopped: @reason(\"…\")";
        self.add(rule, code::MISSING_REASON, message, help.to_owned());
    }
}

/// The problem at the whole of a line.
fn whole_line(problem: Problem, source: &Arc<str>, line: usize) -> Problem {
    let problem = problem.at_line(source, line, 1);
    let Some((start, _)) = problem.span else {
        return problem;
    };
    let length = source
        .get(start..)
        .and_then(|rest| rest.lines().next())
        .map_or(0, str::len);
    problem.at(source, start, length)
}
