//! `*.cedar`: policies with what is known of each, checked beyond what Cedar's parser asks for.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet};
use jiff::SignedDuration;

use super::bounds;
use super::declared::{Declared, is_path, must_be_declared};
use super::entities::StepUp;
use super::evaluate::Rule;
use super::reads::Reads;
use super::schema::diagnostic;
use super::strays;
use super::verdict::Fired;
use crate::inventory::{Files, Inventory, Problem};

/// What may be written over a policy.
const ANNOTATIONS: [&str; 7] = ["id", "reason", "scope", "acr", "max_age", "shadow", "advice"];
/// Policies of one directory.
const MAX_POLICIES: usize = 50_000;
/// Bytes of an `@id`: it travels in a header.
const MAX_ID: usize = 128;

/// All policies, and where each is written.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) places: HashMap<PolicyId, Written>,
}

/// Where a policy is written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) file: Arc<str>,
    pub(super) source: Arc<str>,
    start: usize,
    length: usize,
    line: usize,
}

/// Where a policy, or a condition of one, is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl Written {
    /// A problem where `needle` first stands in the policy, else at its beginning.
    pub(super) fn problem(&self, message: impl Into<String>, needle: &str) -> Problem {
        let end = self.start.saturating_add(self.length);
        let text = self.source.get(self.start..end).unwrap_or_default();
        let found = (!needle.is_empty()).then(|| text.find(needle)).flatten();
        let first = text.find('\n').unwrap_or(text.len());
        let (offset, length) = found.map_or((0, first), |at| (at, needle.len()));
        Problem::new(&*self.file, message).at(&self.source, self.start.saturating_add(offset), length)
    }
}

impl Rules {
    /// Reads every policy file.
    pub(super) fn read(files: &Files) -> Result<Self, Vec<Problem>> {
        let mut rules = Self::default();
        let mut problems = strays::check(files);
        for path in files.under("", ".cedar") {
            match files.text(path) {
                Ok(source) => rules.file(path, &source.unwrap_or_default(), &mut problems),
                Err(problem) => problems.push(problem),
            }
        }
        if rules.rules.len() > MAX_POLICIES {
            problems.push(Problem::new(".", format!("more than {MAX_POLICIES} policies")));
        }
        if problems.is_empty() {
            Ok(rules)
        } else {
            Err(problems)
        }
    }

    fn file(&mut self, path: &str, source: &Arc<str>, problems: &mut Vec<Problem>) {
        if let Err(problem) = bounds::check(path, source) {
            problems.push(problem);
            return;
        }
        let set = match PolicySet::from_str(source) {
            Ok(set) => set,
            Err(errors) => {
                problems.extend(errors.iter().map(|error| diagnostic(path, source, error)));
                return;
            }
        };
        let file: Arc<str> = path.into();
        if let Some(template) = set.templates().next() {
            let slot = if template.to_string().contains("?principal") {
                "?principal"
            } else {
                "?resource"
            };
            problems.push(
                Problem::new(
                    path,
                    "policy templates are not supported: nothing here links them",
                )
                .at_text(source, slot)
                .help("write the entity in the slot's place, one policy for each"),
            );
            return;
        }
        // `policy0`, `policy1` … in the order of the text.
        let mut policies: Vec<&Policy> = set.policies().collect();
        policies.sort_by_key(|policy| number(policy.id()));
        let (mut cursor, mut line) = (0_usize, 1_usize);
        for policy in policies {
            let text = policy.to_cedar().unwrap_or_default();
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
            };
            cursor = start.saturating_add(text.len());
            line = line.saturating_add(lines(Some(&text)));
            match self.rule(policy, &written) {
                Ok(rule) => {
                    self.places.insert(rule.policy.id().clone(), written);
                    self.rules.push(rule);
                }
                Err(found) => problems.extend(found),
            }
        }
    }

    fn rule(&self, policy: &Policy, written: &Written) -> Result<Rule, Vec<Problem>> {
        let mut problems: Vec<Problem> = policy
            .annotations()
            .filter(|(name, _)| !ANNOTATIONS.contains(name))
            .map(|(name, _)| {
                let problem = written.problem(format!("unknown annotation `@{name}`"), &format!("@{name}"));
                let known = ANNOTATIONS.join(", @");
                let suggested = problem.suggest(name, ANNOTATIONS);
                if suggested.help.is_some() {
                    suggested
                } else {
                    suggested.help(format!("known are @{known}"))
                }
            })
            .collect();
        let id = policy.annotation("id").unwrap_or_default();
        if let Err(problem) = self.check_id(policy, id, written) {
            problems.push(problem);
        }
        let max_age = policy.annotation("max_age").map(seconds);
        let step = StepUp {
            scopes: words(policy.annotation("scope")).map(str::to_owned).collect(),
            acr: policy.annotation("acr").map(str::to_owned),
            max_age: max_age.flatten(),
        };
        if max_age == Some(None) {
            let problem = written.problem("`@max_age` is no time of at least a second", "@max_age");
            problems.push(problem.help("write it like \"15m\", \"1h\" or \"90s\""));
        }
        if policy.annotation("scope").is_some() && step.scopes.is_empty() {
            problems.push(written.problem("`@scope` names no scope", "@scope"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let owned = |name: &str| policy.annotation(name).map(str::to_owned);
        Ok(Rule {
            policy: policy.new_id(PolicyId::new(id)),
            shown: Arc::new(Fired {
                id: id.to_owned(),
                reason: owned("reason"),
                advice: owned("advice"),
            }),
            reads: Reads::of(policy),
            step,
            shadow: policy.annotation("shadow").is_some(),
            location: Location {
                file: Arc::clone(&written.file),
                line: written.line,
            },
        })
    }

    fn check_id(&self, policy: &Policy, id: &str, written: &Written) -> Result<(), Problem> {
        if policy.annotation("id").is_none() {
            let problem = written.problem("a policy without an `@id`", "");
            return Err(problem.help("name it in the line before: @id(\"who-may-do-what\")"));
        }
        if id.is_empty() || id.len() > MAX_ID || id.chars().any(|one| one.is_control() || one == ',') {
            let message = format!("an `@id` has 1 to {MAX_ID} bytes, without control characters and commas");
            return Err(written.problem(message, "@id"));
        }
        match self.places.get(&PolicyId::new(id)) {
            None => Ok(()),
            Some(first) => {
                let at = first.problem("", "@id").line_column().map_or(0, |(line, _)| line);
                let problem = written.problem(format!("the `@id` `{id}` is taken"), "@id");
                Err(problem.help(format!("{}:{at} has it already", first.file)))
            }
        }
    }

    /// Entities that policies name and nobody declared.
    pub(super) fn check_names(&self, declared: &Declared, inventory: &Inventory) -> Vec<Problem> {
        let mut problems = Vec::new();
        for rule in &self.rules {
            let Some(written) = self.places.get(rule.policy.id()) else {
                continue;
            };
            let mut named = rule.policy.entity_literals();
            named.sort();
            named.dedup();
            problems.extend(
                named
                    .iter()
                    .filter_map(|uid| unknown(uid, written, declared, inventory)),
            );
        }
        problems
    }
}

fn unknown(
    uid: &EntityUid,
    written: &Written,
    declared: &Declared,
    inventory: &Inventory,
) -> Option<Problem> {
    let type_name = uid.type_name().to_string();
    let id = uid.id().unescaped();
    let problem = |message: String| written.problem(message, &uid.to_string());
    match type_name.as_str() {
        "WorkloadPath" if !is_path(id) => Some(problem(format!("`{id}` is no prefix of a SPIFFE ID"))),
        "Server" => {
            let known: Vec<&str> = inventory.iter().map(|server| server.name.as_str()).collect();
            (!known.contains(&id))
                .then(|| problem(format!("{uid}: there is no such server in tools/")).suggest(id, known))
        }
        "Tool" => {
            let known: Vec<&str> = inventory
                .iter()
                .flat_map(|server| server.iter().map(|tool| tool.action.as_str()))
                .collect();
            (!known.contains(&id))
                .then(|| problem(format!("{uid}: there is no such tool in tools/")).suggest(id, known))
        }
        name if must_be_declared(name) && !declared.has(uid) => {
            let problem =
                problem(format!("{uid} is not declared in entities.json")).suggest(id, declared.ids(name));
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

fn number(id: &PolicyId) -> usize {
    let text: &str = id.as_ref();
    text.trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}

/// A time such as `15m`, in whole seconds.
fn seconds(text: &str) -> Option<u64> {
    let time: SignedDuration = text.parse().ok()?;
    u64::try_from(time.as_secs()).ok().filter(|seconds| *seconds > 0)
}

/// Scopes are separated by spaces (RFC 6749 §3.3).
fn words(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split_ascii_whitespace()
}
