//! What became of `entities.json`: which entities came and went, and who is newly in what.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::EntityChange;
use crate::inventory::changes::Fate;
use crate::inventory::{Files, Problem};

const FILE: &str = "entities.json";

/// What of an entity is a value: its key in the file, and in words.
const VALUES: [(&str, &str); 2] = [("attrs", "attributes"), ("tags", "tags")];

/// An entity as written.
#[derive(Default, PartialEq)]
struct Entity {
    parents: BTreeSet<String>,
    /// As [`VALUES`] names them.
    values: [Value; 2],
}

/// Every entity that isn't the same.
pub(super) fn between(old: &Files, new: &Files) -> Result<Vec<EntityChange>, Problem> {
    let (before, after) = (read(old)?, read(new)?);
    let mut changes = Vec::new();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (fate, words) = match (before.get(name), after.get(name)) {
            (Some(was), Some(is)) => (Fate::Changed, changed(was, is)),
            (None, Some(is)) => (
                Fate::Added,
                is.parents.iter().map(|parent| format!("in {parent}")).collect(),
            ),
            (Some(was), None) => (
                Fate::Removed,
                was.parents
                    .iter()
                    .map(|parent| format!("was in {parent}"))
                    .collect(),
            ),
            (None, None) => continue,
        };
        if fate != Fate::Changed || !words.is_empty() {
            changes.push(EntityChange {
                entity: name.clone(),
                fate,
                words,
            });
        }
    }
    Ok(changes)
}

fn changed(was: &Entity, is: &Entity) -> Vec<String> {
    let newly = is.parents.difference(&was.parents);
    let mut words: Vec<String> = newly.map(|parent| format!("newly in {parent}")).collect();
    let gone = was.parents.difference(&is.parents);
    words.extend(gone.map(|parent| format!("no longer in {parent}")));
    for (kind, (was, is)) in VALUES.iter().zip(was.values.iter().zip(&is.values)) {
        if was != is {
            words.push(format!("{} {was} → {is}", kind.1));
        }
    }
    words
}

/// The entities by their names as policies write them. What isn't of Cedar's form was refused before.
fn read(files: &Files) -> Result<BTreeMap<String, Entity>, Problem> {
    let Some(source) = files.text(FILE)? else {
        return Ok(BTreeMap::new());
    };
    let list: Vec<Value> =
        serde_json::from_str(&source).map_err(|error| Problem::new(FILE, error.to_string()))?;
    let entities = list.iter().filter_map(|entity| {
        let parents = entity.get("parents").and_then(Value::as_array);
        let parents = parents.into_iter().flatten().filter_map(name);
        let read = Entity {
            parents: parents.collect(),
            values: VALUES.map(|(key, _)| entity.get(key).cloned().unwrap_or_default()),
        };
        Some((name(entity.get("uid")?)?, read))
    });
    Ok(entities.collect())
}

/// `Role::"admin"`, of `{ "type": …, "id": … }`, with or without `__entity` around it.
fn name(uid: &Value) -> Option<String> {
    let uid = uid.get("__entity").unwrap_or(uid);
    let (kind, id) = (uid.get("type")?.as_str()?, uid.get("id")?.as_str()?);
    Some(format!("{kind}::{id:?}"))
}
