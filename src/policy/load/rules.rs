//! `*.cedar` and `links.json`: policies with what is known of each, checked beyond what Cedar's parser asks for.
//!
//! A file is read by itself and kept with its content: a reload reads only what changed. The link of a template is a policy
//! like any other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet, Template};

use super::annotations;
use super::bounds;
use super::declared::{Declared, is_path, must_be_declared};
use super::kept::Kept;
use super::links::{self, Linkable};
use super::schema::diagnostic;
use super::strays;
use crate::inventory::problem::code;
use crate::inventory::{Files, Inventory, Problem};
use crate::policy::ask::evaluate::Rule;
use crate::policy::ask::reads::Reads;
use crate::policy::ask::scope::Scope;
use crate::policy::written::Written;

/// Policies of one directory.
const MAX_POLICIES: usize = 50_000;

/// All policies, and where each is written.
#[derive(Debug, Default)]
pub(in crate::policy) struct Rules {
    pub(in crate::policy) all: Vec<Arc<Rule>>,
    pub(in crate::policy) places: HashMap<PolicyId, Written>,
    /// By their ids.
    pub(in crate::policy) templates: BTreeMap<String, Arc<Linkable>>,
    /// The templates of links.
    pub(in crate::policy) linked: HashMap<PolicyId, String>,
    /// What an author should look at.
    pub(in crate::policy) warnings: Vec<Problem>,
}

/// What one file holds, or what is wrong with it.
#[derive(Debug, Default)]
pub(in crate::policy) struct PolicyFile {
    rules: Vec<(Arc<Rule>, Written)>,
    templates: Vec<Arc<Linkable>>,
    problems: Vec<Problem>,
}

impl Rules {
    /// Reads every policy file that isn't kept from an earlier reading.
    pub(in crate::policy) fn read(files: &Files, kept: &mut Kept) -> Result<Self, Vec<Problem>> {
        let mut rules = Self::default();
        let mut problems = strays::check(files);
        for path in files.under("", ".cedar") {
            match files.text(path) {
                Ok(source) => {
                    let source = source.unwrap_or_default();
                    let file = kept.file(path, &source, || PolicyFile::read(path, &source));
                    rules.add(&file, &mut problems);
                }
                Err(problem) => problems.push(problem),
            }
        }
        links::read(files, &mut rules, &mut problems);
        if rules.all.len() > MAX_POLICIES {
            problems.push(Problem::new(".", format!("more than {MAX_POLICIES} policies")));
        }
        if problems.is_empty() {
            Ok(rules)
        } else {
            Err(problems)
        }
    }

    fn add(&mut self, file: &PolicyFile, problems: &mut Vec<Problem>) {
        problems.extend(file.problems.iter().cloned());
        for template in &file.templates {
            match self.is_taken(template.id(), &template.written, "@id") {
                Some(taken) => problems.push(taken),
                None => drop(
                    self.templates
                        .insert(template.id().to_owned(), Arc::clone(template)),
                ),
            }
        }
        for (rule, written) in &file.rules {
            if let Some(taken) = self.rule(rule, written, "@id") {
                problems.push(taken);
            }
        }
    }

    /// Takes a policy in, unless its id is taken.
    pub(in crate::policy) fn rule(
        &mut self,
        rule: &Arc<Rule>,
        written: &Written,
        needle: &str,
    ) -> Option<Problem> {
        let taken = self.is_taken(&rule.shown.id, written, needle);
        if taken.is_none() {
            self.places.insert(rule.policy.id().clone(), written.clone());
            self.all.push(Arc::clone(rule));
        }
        taken
    }

    fn is_taken(&self, id: &str, written: &Written, needle: &str) -> Option<Problem> {
        let template = self.templates.get(id).map(|template| &*template.written);
        let first = self.places.get(&PolicyId::new(id)).or(template)?;
        let at = first.problem("", "@id").line_column().map_or(0, |(line, _)| line);
        let problem = written
            .problem(format!("the `@id` `{id}` is taken"), needle)
            .code(code::TAKEN_ID);
        Some(problem.help(format!("{}:{at} has it already", first.file)))
    }

    /// Entities that policies name and nobody declared.
    pub(in crate::policy) fn check_names(&self, declared: &Declared, inventory: &Inventory) -> Vec<Problem> {
        let known = Known {
            declared,
            servers: inventory.iter().map(|server| server.name.as_str()).collect(),
            tools: inventory
                .iter()
                .flat_map(|server| server.iter().map(|tool| tool.action.as_str()))
                .collect(),
        };
        let mut problems = Vec::new();
        for rule in &self.all {
            let Some(written) = self.places.get(rule.policy.id()) else {
                continue;
            };
            let mut named = rule.policy.entity_literals();
            named.sort();
            named.dedup();
            problems.extend(named.iter().filter_map(|uid| known.lacks(uid, written)));
        }
        problems
    }
}

impl PolicyFile {
    fn read(path: &str, source: &Arc<str>) -> Self {
        let mut file = Self::default();
        if let Err(problem) = bounds::check(path, source) {
            file.problems.push(problem.code(code::SYNTAX));
            return file;
        }
        match PolicySet::from_str(source) {
            Ok(set) => file.statements(path, source, &set),
            Err(errors) => {
                let told = errors
                    .iter()
                    .map(|error| diagnostic(path, source, error).code(code::SYNTAX));
                file.problems.extend(told);
            }
        }
        file
    }

    fn statements(&mut self, path: &str, source: &Arc<str>, set: &PolicySet) {
        // `policy0`, `policy1` … in the order of the text.
        let policies = set
            .policies()
            .map(|policy| (number(policy.id()), Statement::Policy(policy)));
        let templates = set
            .templates()
            .map(|template| (number(template.id()), Statement::Template(template)));
        let mut statements: Vec<(usize, Statement<'_>)> = policies.chain(templates).collect();
        statements.sort_by_key(|(number, _)| *number);
        let file: Arc<str> = path.into();
        let (mut cursor, mut line) = (0_usize, 1_usize);
        for (_, statement) in statements {
            let text = statement.text();
            let rest = source.get(cursor..).unwrap_or_default();
            let start = cursor.saturating_add(rest.find(&text).unwrap_or_default());
            let lines = |text: Option<&str>| text.unwrap_or_default().matches('\n').count();
            line = line.saturating_add(lines(source.get(cursor..start)));
            let written = Written {
                file: Arc::clone(&file),
                source: Arc::clone(source),
                start,
                length: text.len(),
                line,
                template: None,
            };
            cursor = start.saturating_add(text.len());
            line = line.saturating_add(lines(Some(&text)));
            let read = match statement {
                Statement::Policy(policy) => {
                    rule(policy, &written).map(|rule| self.rules.push((rule, written)))
                }
                Statement::Template(template) => Linkable::read(template, text, written)
                    .map(|template| self.templates.push(Arc::new(template))),
            };
            if let Err(problems) = read {
                self.problems.extend(problems);
            }
        }
    }
}

/// What a file is made of.
enum Statement<'a> {
    Policy(&'a Policy),
    Template(&'a Template),
}

impl Statement<'_> {
    fn text(&self) -> String {
        match self {
            Self::Policy(policy) => policy.to_cedar().unwrap_or_default(),
            Self::Template(template) => template.to_cedar(),
        }
    }
}

fn rule(policy: &Policy, written: &Written) -> Result<Arc<Rule>, Vec<Problem>> {
    let notes = annotations::read(policy.annotations(), written)?;
    Ok(Arc::new(Rule {
        policy: policy.new_id(PolicyId::new(&notes.shown.id)),
        scope: Scope::of(policy),
        shown: notes.shown(),
        reads: Reads::of(policy),
        step: notes.step,
        shadow: notes.shadow,
        location: written.location(),
    }))
}

/// What policies may name.
struct Known<'a> {
    declared: &'a Declared,
    servers: HashSet<&'a str>,
    tools: HashSet<&'a str>,
}

impl Known<'_> {
    /// What is wrong with naming this entity, if anything is.
    fn lacks(&self, uid: &EntityUid, written: &Written) -> Option<Problem> {
        let type_name = uid.type_name().to_string();
        let id = uid.id().unescaped();
        let problem = |message: String| {
            let needle = uid.to_string();
            // In links.json an entity stands within a JSON text.
            let needle = if written.template.is_some() && !written.text().contains(&needle) {
                links::as_json(&needle)
            } else {
                needle
            };
            written.problem(message, &needle).code(code::UNKNOWN_NAME)
        };
        match type_name.as_str() {
            "WorkloadPath" if !is_path(id) => Some(problem(format!("`{id}` is no prefix of a SPIFFE ID"))),
            "Server" if !self.servers.contains(id) => {
                let problem = problem(format!("{uid}: there is no such server in tools/"));
                Some(problem.suggest(id, self.servers.iter().copied()))
            }
            "Tool" if !self.tools.contains(id) => {
                let problem = problem(format!("{uid}: there is no such tool in tools/"));
                Some(problem.suggest(id, self.tools.iter().copied()))
            }
            name if must_be_declared(name) && !self.declared.has(uid) => {
                let problem = problem(format!("{uid} is not declared in entities.json"))
                    .suggest(id, self.declared.ids(name));
                Some(match problem.help {
                    Some(_) => problem,
                    None => problem.help(format!(
                        "declare it: {{ \"uid\": {{ \"type\": \"{name}\", \"id\": … }}, … }}"
                    )),
                })
            }
            _ => None,
        }
    }
}

fn number(id: &PolicyId) -> usize {
    let text: &str = id.as_ref();
    text.trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}
