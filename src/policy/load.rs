//! The files of a policy directory to a [`PolicySet`], or to everything that is wrong with them.

pub(super) mod annotations;
pub(super) mod arguments;
pub(super) mod aside;
pub(super) mod bounds;
pub(super) mod changes;
pub(super) mod declared;
pub(super) mod kept;
pub(super) mod links;
pub(super) mod part;
pub(super) mod rules;
pub(super) mod schema;
pub(super) mod strays;
pub(super) mod validate;

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use cedar_policy::{EntityUid, PolicyId, Schema};

use self::declared::Declared;
use self::kept::Kept;
use self::rules::Rules;
use self::schema::join;
use self::validate::Finding;
use super::PolicySet;
use super::ask::actions;
use super::ask::decisions::Decisions;
use super::ask::entities::{Fixed, ToolEntity};
use super::ask::evaluate::Engine;
use super::ask::peers::Peers;
use super::ask::standing;
use super::explain::conditions;
use super::lint::crowd;
use super::suite::Report;
use crate::inventory::problem::code;
use crate::inventory::{Files, Inventory, Problem, Server};

/// What plain Cedar needs to be asked the same: tests compare with it.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) schema: Schema,
    pub(super) declared: cedar_policy::Entities,
}

/// Loads and validates, without running the tests.
pub(super) fn load(files: &Files, servers: &[Server], kept: &mut Kept) -> Result<PolicySet, Vec<Problem>> {
    kept.begin();
    let loaded = load_with(files, servers, kept);
    kept.end(loaded.is_err());
    loaded
}

fn load_with(files: &Files, servers: &[Server], kept: &mut Kept) -> Result<PolicySet, Vec<Problem>> {
    let inventory = Inventory::from_files(files)?;
    let (schema, parts) =
        join(files, &inventory, servers).map_err(|problem| vec![problem.code(code::BASE_SCHEMA)])?;
    let (declared, rules) = match (Declared::read(files, &schema), Rules::read(files, kept)) {
        (Ok(declared), Ok(rules)) => (declared, rules),
        (declared, rules) => {
            let problems = [declared.err(), rules.err()].into_iter().flatten().flatten();
            return Err(problems.collect());
        }
    };
    let mut warnings = actions::undeclared(&schema);
    warnings.extend(unclassified(&inventory));
    warnings.extend(rules.warnings.iter().cloned());
    let mut problems = declared.check_groups(&inventory);
    problems.extend(rules.check_names(&declared, &inventory));
    let misspelt = arguments::check(files, &rules, &schema, &inventory);
    let found = validate::validate(&schema, parts, &rules, kept);
    problems.extend(told(found, misspelt, &rules, &mut warnings));
    if !problems.is_empty() {
        problems.sort_by(|a, b| (&a.file, a.span, &a.message).cmp(&(&b.file, b.span, &b.message)));
        // What is wrong with a template is wrong with each of its links.
        problems.dedup();
        return Err(problems);
    }
    let internal = |error: &dyn std::fmt::Display| vec![Problem::new(".", error.to_string())];
    let named = rules
        .all
        .iter()
        .flat_map(|rule| rule.reads.looked_up.iter().cloned())
        .collect();
    let fixed = fixed(&schema, &declared, &named, &inventory).map_err(|error| internal(&error))?;
    let engine = Engine::new(rules.all);
    let peers = Peers::new(&fixed.types, engine.rules(), fixed.stores(), &declared.entities);
    warnings.extend(crowd::check(&engine, &fixed, &inventory, &rules.places));
    Ok(PolicySet {
        engine,
        standings: standing::none(),
        peers,
        decisions: Decisions::default(),
        fixed,
        inventory,
        version: version(files),
        warnings,
        report: Report::default(),
        conditions: conditions::none(),
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
fn told(
    mut found: Vec<Finding>,
    misspelt: Vec<(PolicyId, Problem)>,
    rules: &Rules,
    warnings: &mut Vec<Problem>,
) -> Vec<Problem> {
    let ill_typed: BTreeSet<PolicyId> = found
        .iter()
        .filter_map(|finding| match finding {
            Finding::Error(id, _) => Some(id.clone()),
            _ => None,
        })
        .collect();
    // What is wrong with a template is told there, not of each link.
    let template = |id: &PolicyId| rules.linked.get(id).map(PolicyId::new);
    let is_explained = |id: &PolicyId| template(id).is_some_and(|template| ill_typed.contains(&template));
    // Cedar tells of a misspelling, but behind `has` only that the policy is impossible: there, the place is better news.
    let places: Vec<_> = misspelt
        .into_iter()
        .filter(|(id, _)| !ill_typed.contains(id) && !is_explained(id))
        .collect();
    let misspelt: BTreeSet<PolicyId> = places
        .iter()
        .flat_map(|(id, _)| [Some(id.clone()), template(id)])
        .flatten()
        .collect();
    found.retain(|finding| match finding {
        Finding::Impossible(id, _) => !is_explained(id) && !misspelt.contains(id),
        Finding::Error(id, _) => !is_explained(id),
        Finding::Warning(_) => true,
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

/// Tools of which nobody says what they do count as `execute`, which may not be what was meant.
fn unclassified(inventory: &Inventory) -> Vec<Problem> {
    let tools = inventory
        .iter()
        .flat_map(|server| server.iter().map(move |tool| (server, tool)));
    tools
        .filter(|(_, tool)| !tool.classified)
        .map(|(server, tool)| {
            let message = format!("nothing says what `{}` does: it counts as `execute`", tool.action);
            Problem::warning(
                format!("tools/{}.json", server.name),
                code::UNCLASSIFIED_TOOL,
                message,
            )
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
