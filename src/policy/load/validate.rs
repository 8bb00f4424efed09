//! What Cedar's validator finds, strictly: each policy held against the part of the schema that it can reach.
//!
//! In: policies and templates. Out: findings, located. Not asked again: what was found sound before, as long as neither the policy nor its part
//! of the schema changed. One thread, which lets others go first again and again.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{
    Policy, PolicyId, PolicySet, Schema, Template, ValidationMode, ValidationResult, ValidationWarning,
    Validator,
};

use super::kept::{Digest, Kept};
use super::part::{Asked, Parts, sha256};
use super::rules::Rules;
use super::schema::diagnostic;
use crate::inventory::Problem;
use crate::inventory::problem::code;
use crate::policy::ask::scope::Actions;
use crate::policy::written::Written;

/// Policies that are validated in one go.
const AT_ONCE: usize = 8;

/// What the validator finds.
#[derive(Debug)]
pub(in crate::policy) enum Finding {
    /// It can't rule.
    Error(PolicyId, Problem),
    /// A policy that never applies: nobody writes one on purpose.
    Impossible(PolicyId, Problem),
    /// It may not say what is meant.
    Warning(Problem),
}

/// Holds all policies and templates against a schema.
pub(in crate::policy) fn validate(
    whole: &Schema,
    parts: Option<Parts>,
    rules: &Rules,
    kept: &mut Kept,
) -> Vec<Finding> {
    let Some(mut parts) = parts else {
        return all(whole, rules);
    };
    let mut by_part: HashMap<Option<BTreeSet<String>>, Vec<Subject<'_>>> = HashMap::new();
    for subject in subjects(rules) {
        let reached = parts.reached(&subject.asked());
        by_part.entry(reached).or_default().push(subject);
    }
    let mut findings = Vec::new();
    for (names, subjects) in by_part {
        let part = parts.digest(names.as_ref());
        let mut open: Vec<(Digest, Subject<'_>)> = Vec::new();
        for subject in subjects {
            let digest = sha256(&[&part, subject.text().as_bytes()]);
            if !kept.is_sound(&digest) {
                open.push((digest, subject));
            }
        }
        if open.is_empty() {
            continue;
        }
        let schema = names.and_then(|names| parts.schema(Some(&names)));
        let validator = Validator::new(schema.unwrap_or_else(|| whole.clone()));
        for some in open.chunks(AT_ONCE) {
            kept.work.validated = kept.work.validated.saturating_add(some.len());
            let found = some_of(&validator, some.iter().map(|(_, subject)| *subject), rules);
            let sound = some
                .iter()
                .filter(|(_, subject)| !found.iter().any(|(id, _)| id == subject.id()));
            for (digest, _) in sound {
                kept.found_sound(*digest);
            }
            findings.extend(found.into_iter().map(|(_, finding)| finding));
            // Whoever decides calls on this core goes first.
            std::thread::yield_now();
        }
    }
    findings
}

/// Holds all of them against the whole schema.
pub(in crate::policy) fn all(whole: &Schema, rules: &Rules) -> Vec<Finding> {
    let found = some_of(&Validator::new(whole.clone()), subjects(rules), rules);
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// A policy, or a template.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Policy(&'a crate::policy::ask::evaluate::Rule),
    Template(&'a super::links::Linkable),
}

fn subjects(rules: &Rules) -> impl Iterator<Item = Subject<'_>> {
    let policies = rules.all.iter().map(|rule| Subject::Policy(rule));
    policies.chain(
        rules
            .templates
            .values()
            .map(|template| Subject::Template(template)),
    )
}

impl Subject<'_> {
    fn id(&self) -> &PolicyId {
        match self {
            Self::Policy(rule) => rule.policy.id(),
            Self::Template(template) => template.template.id(),
        }
    }

    fn asked(&self) -> Asked {
        match self {
            Self::Policy(rule) => Asked::new(&rule.scope.actions, &rule.reads),
            Self::Template(template) => Asked::new(
                &Actions::of(template.template.action_constraint()),
                &template.reads,
            ),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Policy(rule) => Policy::to_cedar(&rule.policy).unwrap_or_else(|| rule.policy.to_string()),
            Self::Template(template) => Template::to_cedar(&template.template),
        }
    }
}

fn some_of<'a>(
    validator: &Validator,
    subjects: impl Iterator<Item = Subject<'a>>,
    rules: &Rules,
) -> Vec<(PolicyId, Finding)> {
    let mut set = PolicySet::new();
    let mut found = Vec::new();
    for subject in subjects {
        let added = match subject {
            Subject::Policy(rule) => set.add(rule.policy.clone()),
            Subject::Template(template) => set.add_template(template.template.clone()),
        };
        if let Err(error) = added {
            let id = subject.id().clone();
            let problem = Problem::new(".", error.to_string());
            found.push((id.clone(), Finding::Error(id, problem)));
        }
    }
    found.extend(findings(&validator.validate(&set, ValidationMode::Strict), rules));
    found
}

fn findings(result: &ValidationResult, rules: &Rules) -> Vec<(PolicyId, Finding)> {
    let errors = result.validation_errors().map(|error| {
        let id = error.policy_id();
        let problem = located(rules, id, error).code(code::TYPE);
        (id.clone(), Finding::Error(id.clone(), problem))
    });
    let warnings = result.validation_warnings().map(|warning| {
        let id = warning.policy_id();
        let problem = located(rules, id, warning);
        let finding = match warning {
            ValidationWarning::ImpossiblePolicy(_) => {
                let help = "an attribute behind `has` may be misspelt, or two conditions exclude each other";
                Finding::Impossible(id.clone(), problem.help(help).code(code::IMPOSSIBLE))
            }
            ValidationWarning::InvalidActionApplication(_) => {
                let help = "no action of its scope applies to its principal and its resource";
                Finding::Impossible(id.clone(), problem.help(help).code(code::IMPOSSIBLE))
            }
            ValidationWarning::BidiCharsInString(_) | ValidationWarning::BidiCharsInIdentifier(_) => {
                let problem = problem.code(code::MISLEADING_TEXT);
                Finding::Error(id.clone(), problem.help("what is shown is not what is compared"))
            }
            _ => Finding::Warning(problem.warn().code(code::VALIDATOR)),
        };
        (id.clone(), finding)
    });
    errors.chain(warnings).collect()
}

fn located(rules: &Rules, id: &PolicyId, error: &dyn miette::Diagnostic) -> Problem {
    let of_template = || Some(&*rules.templates.get(AsRef::<str>::as_ref(id))?.written);
    match rules.places.get(id).or_else(of_template) {
        None => Problem::new(".", error.to_string()),
        Some(written) if written.template.is_some() => of_link(written, error),
        Some(written) => {
            let problem = diagnostic(&written.file, &written.source, error);
            if problem.span.is_some() {
                return problem;
            }
            Problem {
                span: written.problem("", "").span,
                source: Some(written.source.clone()),
                ..problem
            }
        }
    }
}

/// What is found in a link is told where the link is written: its text stands nowhere.
fn of_link(written: &Written, error: &dyn miette::Diagnostic) -> Problem {
    let problem = written.problem(error.to_string(), "");
    match error.help() {
        Some(help) => problem.help(help.to_string()),
        None => problem,
    }
}
