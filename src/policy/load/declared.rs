//! `entities.json`: the roles, tiers and groups that policies may name, in Cedar's own entity format.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{Entities, EntityUid, Schema};
use serde_json::Value;

use crate::inventory::problem::code;
use crate::inventory::{Files, Inventory, Problem};
use crate::spiffe::SpiffeId;

/// Where they are.
const FILE: &str = "entities.json";
/// Types that may be declared. The others come with each call.
const DECLARABLE: [&str; 8] = [
    "Role",
    "Group",
    "Tenant",
    "TrustTier",
    "TrustDomain",
    "WorkloadPath",
    "OAuthClient",
    "ToolGroup",
];
/// Types of which policies may name declared ones only.
const NAMED: [&str; 5] = ["Role", "Group", "Tenant", "TrustTier", "ToolGroup"];
/// Entities of one file.
const MAX_ENTITIES: usize = 50_000;

/// The declared entities, their ancestors worked out.
#[derive(Debug)]
pub(in crate::policy) struct Declared {
    pub(in crate::policy) entities: Entities,
    ids: BTreeMap<String, Vec<String>>,
}

/// Whether policies may name declared entities of this type only.
pub(in crate::policy) fn must_be_declared(type_name: &str) -> bool {
    NAMED.contains(&type_name)
}

impl Declared {
    /// The declared ids of a type.
    pub(in crate::policy) fn ids(&self, type_name: &str) -> impl Iterator<Item = &str> {
        self.ids.get(type_name).into_iter().flatten().map(String::as_str)
    }

    /// Whether an entity is declared.
    pub(in crate::policy) fn has(&self, uid: &EntityUid) -> bool {
        self.entities.get(uid).is_some()
    }

    /// Reads and checks the file; a directory without one declares nothing.
    pub(in crate::policy) fn read(files: &Files, schema: &Schema) -> Result<Self, Vec<Problem>> {
        Self::parse(files, schema).map_err(|problems| Problem::coded(problems, code::ENTITIES))
    }

    fn parse(files: &Files, schema: &Schema) -> Result<Self, Vec<Problem>> {
        let one = |problem: Problem| vec![problem];
        let Some(source) = files.text(FILE).map_err(one)? else {
            return Ok(Self {
                entities: Entities::empty(),
                ids: BTreeMap::new(),
            });
        };
        let value: Value = serde_json::from_str(&source).map_err(|error| {
            one(Problem::new(FILE, error.to_string()).at_line(&source, error.line(), error.column()))
        })?;
        let list = value
            .as_array()
            .filter(|list| list.len() <= MAX_ENTITIES)
            .ok_or_else(|| {
                one(Problem::new(
                    FILE,
                    format!("not a list of at most {MAX_ENTITIES} entities"),
                ))
            })?;
        let mut checking = Checking {
            source: &source,
            problems: Vec::new(),
        };
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entity in list {
            if let Some((type_name, id)) = checking.entity(entity) {
                ids.entry(type_name.to_owned()).or_default().push(id.to_owned());
            }
        }
        for entity in list {
            checking.parents(entity, &ids);
        }
        if !checking.problems.is_empty() {
            return Err(checking.problems);
        }
        let entities = Entities::from_json_value(value.clone(), Some(schema))
            .map_err(|error| one(located(&source, &error)))?;
        Ok(Self { entities, ids })
    }

    /// Groups that overrides put tools in and nobody declared.
    pub(in crate::policy) fn check_groups(&self, inventory: &Inventory) -> Vec<Problem> {
        let tools = inventory
            .iter()
            .flat_map(|server| server.iter().map(move |tool| (server, tool)));
        let mut problems: Vec<Problem> = Vec::new();
        for (server, tool) in tools {
            for group in &tool.groups {
                let message = format!(
                    "`{}` is in the group `{group}`, which entities.json doesn't declare",
                    tool.action
                );
                if !self.ids("ToolGroup").any(|declared| declared == group) {
                    let file = format!("tools/{}.overrides.yaml", server.name);
                    let problem = Problem::new(file, message).code(code::UNKNOWN_NAME);
                    problems.push(problem.suggest(group, self.ids("ToolGroup")));
                }
            }
        }
        problems
    }
}

/// What Cedar says of the file, at the entity that it names where it does.
fn located(source: &Arc<str>, error: &dyn std::error::Error) -> Problem {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    let quoted = message.split('"').nth(1).map(|id| format!("\"{id}\""));
    let problem = Problem::new(FILE, message);
    match quoted {
        Some(id) => problem.at_text(source, &id),
        None => problem,
    }
}

struct Checking<'a> {
    source: &'a Arc<str>,
    problems: Vec<Problem>,
}

impl Checking<'_> {
    fn refuse(&mut self, id: &str, message: String, advise: impl FnOnce(Problem) -> Problem) {
        let problem = Problem::new(FILE, message).at_text(self.source, &Value::from(id).to_string());
        self.problems.push(advise(problem));
    }

    /// Type and id of an entity that may be declared.
    fn entity<'v>(&mut self, entity: &'v Value) -> Option<(&'v str, &'v str)> {
        let Some((type_name, id)) = entity.get("uid").and_then(names) else {
            self.problems.push(
                Problem::new(FILE, "an entity without a `uid`")
                    .help("write \"uid\": { \"type\": \"Role\", \"id\": \"mcp-admin\" }"),
            );
            return None;
        };
        if !DECLARABLE.contains(&type_name) {
            let message = format!("`{type_name}` can't be declared: it comes with each call");
            self.refuse(id, message, |problem| {
                problem.help(format!("declare {}", DECLARABLE.join(", ")))
            });
            return None;
        }
        if type_name == "WorkloadPath" && !is_path(id) {
            self.refuse(id, format!("`{id}` is no prefix of a SPIFFE ID"), |problem| {
                problem.help("write `spiffe://<trust domain>/<segment>…` without a slash at the end")
            });
            return None;
        }
        Some((type_name, id))
    }

    /// A parent that nobody declared is a misspelling.
    fn parents(&mut self, entity: &Value, ids: &BTreeMap<String, Vec<String>>) {
        let parents = entity.get("parents").and_then(Value::as_array);
        for (type_name, id) in parents.into_iter().flatten().filter_map(names) {
            let known = ids.get(type_name).map(Vec::as_slice).unwrap_or_default();
            if !known.iter().any(|declared| declared == id) {
                let message = format!("the parent {type_name}::{id:?} is not declared");
                self.refuse(id, message, |problem| {
                    problem.suggest(id, known.iter().map(String::as_str))
                });
            }
        }
    }
}

/// `{ "type": …, "id": … }`, also within `__entity`.
fn names(uid: &Value) -> Option<(&str, &str)> {
    let uid = uid.get("__entity").unwrap_or(uid);
    Some((uid.get("type")?.as_str()?, uid.get("id")?.as_str()?))
}

/// Whether a text is a prefix of SPIFFE IDs: itself one, with a path.
pub(in crate::policy) fn is_path(text: &str) -> bool {
    SpiffeId::parse(text).is_ok_and(|id| !id.path().is_empty())
}
