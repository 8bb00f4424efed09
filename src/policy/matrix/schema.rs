//! The second schema: contexts hold the identities, and one entity that holds all the rest.
//!
//! In: the base schema and the tools. Out: a schema in which each tool's action has an entity type of its own, with `arguments`
//! and everything else of its context as attributes.

use std::collections::HashMap;

use cedar_policy::{Schema, SchemaFragment};
use serde_json::{Map, Value, json};

use super::rewrite::{CALL, UNKNOWN};
use crate::inventory::{Files, Inventory, Problem, Server};
use crate::policy::load::schema::{BASE, CONTEXT, diagnostic, pieces};

/// What of a context can be known before a call is.
pub(super) const IDENTITIES: [&str; 4] = ["user", "workload", "agent", "actingWorkload"];

/// The second schema, and the types of what is unknown.
#[derive(Debug)]
pub(super) struct Second {
    pub(super) schema: Schema,
    /// By action; the others' is [`CALL`].
    calls: HashMap<String, String>,
}

impl Second {
    /// Makes it from the files that a policy set was loaded from.
    pub(super) fn new(files: &Files, inventory: &Inventory, servers: &[Server]) -> Result<Self, Problem> {
        let pieces = pieces(files, inventory, servers)?;
        let (mut base, mut tools) = (pieces.base_json, pieces.tools_json);
        let context = namespace(&mut base, "commonTypes")
            .and_then(|types| types.get_mut(CONTEXT)?.get_mut("attributes")?.as_object_mut());
        if let Some(context) = context {
            let shape = split(context, CALL);
            declare(&mut base, CALL, &shape);
        }
        let mut calls = HashMap::new();
        let actions: Vec<String> = namespace(&mut tools, "actions")
            .map(|actions| actions.keys().cloned().collect())
            .unwrap_or_default();
        for (number, action) in actions.into_iter().enumerate() {
            let call = format!("{CALL}{number}");
            let context = namespace(&mut tools, "actions").and_then(|actions| {
                actions
                    .get_mut(&action)?
                    .pointer_mut("/appliesTo/context/attributes")?
                    .as_object_mut()
            });
            if let Some(context) = context {
                let shape = split(context, &call);
                declare(&mut tools, &call, &shape);
                calls.insert(action, call);
            }
        }
        let fragment = |value: Value| {
            SchemaFragment::from_json_value(value).map_err(|error| Problem::new(BASE, error.to_string()))
        };
        let schema = Schema::from_schema_fragments([fragment(base)?, fragment(tools)?])
            .map_err(|error| diagnostic(BASE, &pieces.source, &error))?;
        Ok(Self { schema, calls })
    }

    /// The type of what is unknown of a call.
    pub(super) fn call(&self, action: &str) -> &str {
        self.calls.get(action).map_or(CALL, String::as_str)
    }
}

/// A part of the empty namespace.
fn namespace<'a>(fragment: &'a mut Value, part: &str) -> Option<&'a mut Map<String, Value>> {
    fragment.get_mut("")?.get_mut(part)?.as_object_mut()
}

/// Leaves the identities in a context, with the unknown entity beside them; says what that one holds.
fn split(context: &mut Map<String, Value>, call: &str) -> Value {
    let shape = json!({ "shape": { "type": "Record", "attributes": context } });
    context.retain(|name, _| IDENTITIES.contains(&name.as_str()));
    context.insert(UNKNOWN.to_owned(), json!({ "type": "Entity", "name": call }));
    shape
}

fn declare(fragment: &mut Value, call: &str, shape: &Value) {
    if let Some(types) = namespace(fragment, "entityTypes") {
        types.insert(call.to_owned(), shape.clone());
    }
}
