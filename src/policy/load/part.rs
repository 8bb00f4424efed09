//! The part of the schema that a policy can reach: Cedar's validator holds a policy against each kind of request that its schema
//! knows, and for most of them nothing comes of it but that they are out of the policy's scope.
//!
//! In: the schema as JSON. Out: for a scope and what is read under it, a smaller schema with the same findings. It has every entity type,
//! the actions that the policy names, and of those that its scope holds one of each kind: two actions are of a kind for a policy
//! if they apply to the same types in the same context, but for arguments that it doesn't read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_lc_rs::digest;
use cedar_policy::{EntityUid, Schema};
use serde_json::{Map, Value};

use super::kept::Digest;
use crate::inventory::schema::ARGUMENTS;
use crate::policy::ask::reads::Reads;
use crate::policy::ask::scope::Actions;

/// The type of actions outside of namespaces.
const ACTION: &str = "Action";

/// A schema that can be had in parts.
#[derive(Debug)]
pub(in crate::policy) struct Parts {
    /// Everything but the actions.
    frame: Value,
    actions: BTreeMap<String, Action>,
    /// For a place in the arguments, the kind of each action there.
    kinds: HashMap<Vec<String>, BTreeMap<String, usize>>,
    /// For a scope and what is read, the number of the part.
    known: HashMap<Asked, Option<BTreeSet<String>>>,
}

#[derive(Debug)]
struct Action {
    declaration: Value,
    /// All of them, not only the nearest.
    groups: BTreeSet<String>,
    /// What it applies to, but for its arguments; nothing if it is only a group.
    applies: Option<String>,
}

/// What a part depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Asked {
    actions: Actions,
    /// Places in the arguments.
    read: Vec<Vec<String>>,
    /// Whether conditions look at the action.
    action: bool,
    /// Actions that conditions name.
    named: Vec<EntityUid>,
}

impl Asked {
    pub(in crate::policy) fn new(actions: &Actions, reads: &Reads) -> Self {
        let mut read: Vec<Vec<String>> = reads.arguments().map(<[String]>::to_vec).collect();
        read.sort();
        let named = reads
            .entities
            .iter()
            .filter(|uid| uid.type_name().basename() == ACTION);
        Self {
            actions: actions.clone(),
            read,
            action: reads.action,
            named: named.cloned().collect(),
        }
    }
}

impl Parts {
    /// Of a schema in two pieces: the base, and the tools' actions. Nothing if it can't be taken apart.
    pub(in crate::policy) fn of(mut base: Value, mut tools: Value) -> Option<Self> {
        let mut declarations = actions_of(&mut base)?;
        declarations.extend(actions_of(&mut tools)?);
        let mut nearest = BTreeMap::new();
        for (name, declaration) in &declarations {
            nearest.insert(name.as_str(), groups(declaration)?);
        }
        let mut actions = BTreeMap::new();
        for (name, declaration) in &declarations {
            let mut all = BTreeSet::new();
            let mut open = nearest.get(name.as_str())?.clone();
            while let Some(group) = open.pop() {
                if let Some(more) = nearest.get(group.as_str()).filter(|_| all.insert(group.clone())) {
                    open.extend(more.iter().cloned());
                }
            }
            let action = Action {
                declaration: declaration.clone(),
                groups: all,
                applies: applies(declaration),
            };
            actions.insert(name.clone(), action);
        }
        Some(Self {
            frame: base,
            actions,
            kinds: HashMap::new(),
            known: HashMap::new(),
        })
    }

    /// The actions of the part that holds whatever this can reach. Nothing: it takes the whole schema.
    pub(in crate::policy) fn reached(&mut self, asked: &Asked) -> Option<BTreeSet<String>> {
        if let Some(known) = self.known.get(asked) {
            return known.clone();
        }
        let reached = self.reach(asked);
        self.known.insert(asked.clone(), reached.clone());
        reached
    }

    fn reach(&mut self, asked: &Asked) -> Option<BTreeSet<String>> {
        let in_scope: &[EntityUid] = match &asked.actions {
            Actions::Any => &[],
            Actions::Eq(action) => std::slice::from_ref(action),
            Actions::In(actions) => actions,
        };
        let mut reached = BTreeSet::new();
        for named in in_scope.iter().chain(&asked.named) {
            let name = named.id().unescaped();
            // What the schema doesn't know is a finding, with advice out of the whole schema.
            let known = named.type_name().to_string() == ACTION && self.actions.contains_key(name);
            reached.extend(known.then(|| name.to_owned()));
            if !known {
                return None;
            }
        }
        for place in &asked.read {
            self.tell_apart(place);
        }
        let mut kinds = BTreeSet::new();
        let ids: Vec<&str> = in_scope.iter().map(|uid| uid.id().unescaped()).collect();
        for (name, action) in &self.actions {
            let Some(applies) = &action.applies else { continue };
            let holds = match &asked.actions {
                Actions::Any => true,
                Actions::Eq(_) => ids.contains(&name.as_str()),
                Actions::In(_) => ids.iter().any(|id| *id == name || action.groups.contains(*id)),
            };
            if !holds {
                continue;
            }
            let read = asked.read.iter();
            let kind: Vec<Option<usize>> = read
                .map(|place| self.kinds.get(place)?.get(name).copied())
                .collect();
            if asked.action || kinds.insert((applies.as_str(), kind)) {
                reached.insert(name.clone());
            }
        }
        let groups = reached.iter().filter_map(|name| self.actions.get(name));
        let groups: Vec<String> = groups.flat_map(|action| action.groups.iter().cloned()).collect();
        reached.extend(groups);
        Some(reached)
    }

    /// Numbers the actions by the type that they have at a place in the arguments.
    fn tell_apart(&mut self, place: &[String]) {
        if self.kinds.contains_key(place) {
            return;
        }
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut kinds = BTreeMap::new();
        for (name, action) in &self.actions {
            if let Some(arguments) = action.declaration.pointer("/appliesTo/context/attributes") {
                let next = numbers.len();
                let number = numbers
                    .entry(type_at(arguments.get(ARGUMENTS), place))
                    .or_insert(next);
                kinds.insert(name.clone(), *number);
            }
        }
        self.kinds.insert(place.to_vec(), kinds);
    }

    /// A schema of these actions, or of all.
    pub(in crate::policy) fn schema(&self, names: Option<&BTreeSet<String>>) -> Option<Schema> {
        let mut schema = self.frame.clone();
        let actions = schema.get_mut("")?.get_mut("actions")?;
        *actions = Value::Object(self.declarations(names));
        Schema::from_json_value(schema).ok()
    }

    /// The content of such a schema.
    pub(in crate::policy) fn digest(&self, names: Option<&BTreeSet<String>>) -> Digest {
        let content = (&self.frame, self.declarations(names));
        sha256(&[serde_json::to_string(&content).unwrap_or_default().as_bytes()])
    }

    fn declarations(&self, names: Option<&BTreeSet<String>>) -> Map<String, Value> {
        let actions = self
            .actions
            .iter()
            .filter(|(name, _)| names.is_none_or(|names| names.contains(*name)));
        actions
            .map(|(name, action)| (name.clone(), action.declaration.clone()))
            .collect()
    }
}

/// SHA-256 of texts, each after its length.
pub(in crate::policy) fn sha256(texts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        context.update(&text.len().to_be_bytes());
        context.update(text);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Takes the actions outside of namespaces out of a schema.
fn actions_of(schema: &mut Value) -> Option<Map<String, Value>> {
    match schema.get_mut("")?.get_mut("actions")?.take() {
        Value::Object(actions) => Some(actions),
        _ => None,
    }
}

/// The groups that an action is right in; nothing, if one is of a namespace.
fn groups(declaration: &Value) -> Option<Vec<String>> {
    let Some(groups) = declaration.get("memberOf").filter(|groups| !groups.is_null()) else {
        return Some(Vec::new());
    };
    let id = |group: &Value| {
        let plain = group
            .get("type")
            .is_none_or(|name| name.is_null() || name.as_str() == Some(ACTION));
        group
            .get("id")
            .and_then(Value::as_str)
            .filter(|_| plain)
            .map(str::to_owned)
    };
    groups.as_array()?.iter().map(id).collect()
}

/// What an action applies to and in what context, but for its arguments.
fn applies(declaration: &Value) -> Option<String> {
    let mut applies = declaration
        .get("appliesTo")
        .filter(|applies| !applies.is_null())?
        .clone();
    if let Some(Value::Object(attributes)) = applies.pointer_mut("/context/attributes") {
        // Whether there are any is part of their kind.
        attributes.remove(ARGUMENTS);
    }
    Some(applies.to_string())
}

/// The type that stands at a place, with what lies on the way there.
fn type_at(attribute: Option<&Value>, place: &[String]) -> String {
    let Some(attribute) = attribute else {
        return "-".to_owned();
    };
    let inner = place.split_first().and_then(|(first, rest)| {
        let attributes = attribute.get("attributes")?.as_object()?;
        Some((attributes.get(first), rest))
    });
    match inner {
        None => attribute.to_string(),
        Some((inner, rest)) => {
            let required = attribute.get("required").and_then(Value::as_bool).unwrap_or(true);
            let more = attribute.get("additionalAttributes");
            format!("{required} {more:?} {}", type_at(inner, rest))
        }
    }
}
