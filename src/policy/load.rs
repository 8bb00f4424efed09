//! The files of a policy directory to a [`PolicySet`], or to everything that is wrong with them.

use std::collections::{BTreeSet, HashMap};

use aws_lc_rs::digest;
use cedar_policy::{EntityUid, PolicyId, Schema, ValidationMode, ValidationWarning, Validator};

use super::PolicySet;
use super::actions;
use super::arguments;
use super::declared::Declared;
use super::entities::{Fixed, ToolEntity};
use super::evaluate::Engine;
use super::rules::{Rules, Written};
use super::schema::{diagnostic, join};
use super::standing;
use super::suite::Report;
use crate::inventory::{Files, Inventory, Problem, Server};

/// What plain Cedar needs to be asked the same: tests compare with it.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) schema: Schema,
    pub(super) declared: cedar_policy::Entities,
}

/// Loads and validates, without running the tests.
pub(super) fn load(files: &Files, servers: &[Server]) -> Result<PolicySet, Vec<Problem>> {
    let inventory = Inventory::from_files(files)?;
    let schema = join(files, &inventory, servers).map_err(|problem| vec![problem])?;
    let (declared, rules) = match (Declared::read(files, &schema), Rules::read(files)) {
        (Ok(declared), Ok(rules)) => (declared, rules),
        (declared, rules) => {
            let problems = [declared.err(), rules.err()].into_iter().flatten().flatten();
            return Err(problems.collect());
        }
    };
    let mut warnings = actions::undeclared(&schema);
    warnings.extend(unclassified(&inventory));
    let mut problems = declared.check_groups(&inventory);
    problems.extend(rules.check_names(&declared, &inventory));
    problems.extend(findings(files, &schema, &rules, &inventory, &mut warnings));
    if !problems.is_empty() {
        problems.sort_by(|a, b| (&a.file, a.span).cmp(&(&b.file, b.span)));
        return Err(problems);
    }
    let internal = |error: &dyn std::fmt::Display| vec![Problem::new(".", error.to_string())];
    let named = rules
        .rules
        .iter()
        .flat_map(|rule| rule.reads.entities.iter().cloned())
        .collect();
    let fixed = fixed(&schema, &declared, &named, &inventory).map_err(|error| internal(&error))?;
    Ok(PolicySet {
        engine: Engine::new(rules.rules),
        standings: standing::none(),
        fixed,
        inventory,
        version: version(files),
        warnings,
        report: Report::default(),
        #[cfg(test)]
        plain: Plain {
            schema,
            declared: declared.entities,
        },
    })
}

fn fixed(
    schema: &Schema,
    declared: &Declared,
    named: &BTreeSet<EntityUid>,
    inventory: &Inventory,
) -> Result<Fixed, super::BuildError> {
    let tools = inventory.iter().flat_map(|server| {
        server.iter().map(move |tool| ToolEntity {
            action: &tool.action,
            server: server.name.as_str(),
            groups: &tool.groups,
            // What is in the directory is what was approved.
            pinned: true,
            destructive: tool.destructive,
            open_world: tool.open_world,
        })
    });
    Fixed::new(schema, &declared.entities, named, tools)
}

/// What the validator and our own look at arguments find, each mistake told once.
fn findings(
    files: &Files,
    schema: &Schema,
    rules: &Rules,
    inventory: &Inventory,
    warnings: &mut Vec<Problem>,
) -> Vec<Problem> {
    let mut found = validate(schema, rules);
    let ill_typed: BTreeSet<PolicyId> = found
        .iter()
        .filter_map(|finding| match finding {
            Finding::Error(id, _) => Some(id.clone()),
            _ => None,
        })
        .collect();
    // Cedar tells of a misspelling, but behind `has` only that the policy is impossible: there, the place is better news.
    let places = arguments::check(files, rules, schema, inventory);
    let places: Vec<_> = places
        .into_iter()
        .filter(|(id, _)| !ill_typed.contains(id))
        .collect();
    found.retain(|finding| match finding {
        Finding::Impossible(id, _) => !places.iter().any(|(explained, _)| explained == id),
        _ => true,
    });
    let mut problems: Vec<Problem> = places.into_iter().map(|(_, problem)| problem).collect();
    for finding in found {
        match finding {
            Finding::Error(_, problem) | Finding::Impossible(_, problem) => problems.push(problem),
            Finding::Warning(problem) => warnings.push(problem),
        }
    }
    problems
}

/// What Cedar's validator finds.
enum Finding {
    Error(PolicyId, Problem),
    /// A policy that never applies: nobody writes one on purpose.
    Impossible(PolicyId, Problem),
    Warning(Problem),
}

fn validate(schema: &Schema, rules: &Rules) -> Vec<Finding> {
    let mut set = cedar_policy::PolicySet::new();
    for rule in &rules.rules {
        if let Err(error) = set.add(rule.policy.clone()) {
            let id = rule.policy.id().clone();
            return vec![Finding::Error(id, Problem::new(".", error.to_string()))];
        }
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let errors = result.validation_errors().map(|error| {
        let id = error.policy_id();
        Finding::Error(id.clone(), located(&rules.places, id, error))
    });
    let warnings = result.validation_warnings().map(|warning| {
        let id = warning.policy_id();
        let problem = located(&rules.places, id, warning);
        match warning {
            ValidationWarning::ImpossiblePolicy(_) => {
                let help = "an attribute behind `has` may be misspelt, or two conditions exclude each other";
                Finding::Impossible(id.clone(), problem.help(help))
            }
            ValidationWarning::InvalidActionApplication(_) => {
                let help = "no action of its scope applies to its principal and its resource";
                Finding::Impossible(id.clone(), problem.help(help))
            }
            ValidationWarning::BidiCharsInString(_) | ValidationWarning::BidiCharsInIdentifier(_) => {
                Finding::Error(id.clone(), problem.help("what is shown is not what is compared"))
            }
            _ => Finding::Warning(problem),
        }
    });
    errors.chain(warnings).collect()
}

fn located(places: &HashMap<PolicyId, Written>, id: &PolicyId, error: &dyn miette::Diagnostic) -> Problem {
    match places.get(id) {
        None => Problem::new(".", error.to_string()),
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

/// Tools of which nobody says what they do count as `execute`, which may not be what was meant.
fn unclassified(inventory: &Inventory) -> Vec<Problem> {
    let tools = inventory
        .iter()
        .flat_map(|server| server.iter().map(move |tool| (server, tool)));
    tools
        .filter(|(_, tool)| !tool.classified)
        .map(|(server, tool)| {
            let message = format!("nothing says what `{}` does: it counts as `execute`", tool.action);
            Problem::new(format!("tools/{}.json", server.name), message)
                .help(format!("say it in tools/{}.overrides.yaml", server.name))
        })
        .collect()
}

/// SHA-256 over every file: the length and bytes of its name, then of its contents.
pub(super) fn version(files: &Files) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for (path, bytes) in files.iter() {
        for part in [path.as_bytes(), bytes] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
    }
    let mut version = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        for nibble in [byte >> 4, byte & 15] {
            version.extend(char::from_digit(nibble.into(), 16));
        }
    }
    version
}
