//! A tool's schema as servers mean it, where JSON Schema alone would refuse what they take.
//!
//! - `nullable: true` beside a `type` (`OpenAPI` 3.0 §4.7.24.1) is a keyword that JSON Schema doesn't know: `null` is let in.
//! - a `pattern` that looks around or back can't be run in linear time: it is run by backtracking within a budget, on texts of
//!   bounded length; policies don't see longer ones (`docs/decisions/0112-patterns-beyond-the-linear-engine.md`);
//! - a `pattern` that can't be run at all isn't checked, and policies don't see the texts that it stands for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Stands in the schema for a `pattern` that can't be run. A server that writes it itself hides its own argument.
pub(crate) const UNCHECKED: &str = "x-mcp-authz-unchecked-pattern";
/// Stands in the schema for a `pattern` that is run by backtracking.
pub(crate) const BOUNDED: &str = "x-mcp-authz-bounded-pattern";
/// Characters of a text that a pattern is run on by backtracking.
pub(crate) const MAX_BACKTRACKED: usize = 1_024;

/// Which engine runs a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// In time linear in the text.
    Linear,
    /// By backtracking.
    Backtracking,
}

/// A schema that has been gone through.
#[derive(Debug)]
pub(crate) struct Normal {
    /// What arguments are checked against.
    pub(crate) schema: Value,
    /// Patterns that are run by backtracking.
    pub(crate) backtracking: BTreeSet<String>,
    /// Patterns that aren't checked.
    pub(crate) unchecked: BTreeSet<String>,
    /// Patterns of members' names that can't be run in linear time: nothing bounds how long a name is.
    pub(crate) costly_names: BTreeSet<String>,
}

/// Goes through a schema. `engine` says what can run a pattern, if anything can.
pub(crate) fn of(schema: &Value, engine: impl Fn(&str) -> Option<Engine>) -> Normal {
    let mut normal = Normal {
        schema: Value::Null,
        backtracking: BTreeSet::new(),
        unchecked: BTreeSet::new(),
        costly_names: BTreeSet::new(),
    };
    let mut copy = schema.clone();
    walk(&mut copy, &mut |keywords| {
        let_null_in(keywords);
        bound_pattern(keywords, &engine, &mut normal);
        if let Some(Value::Object(parts)) = keywords.get("patternProperties") {
            let costly = parts.keys().filter(|name| engine(name) != Some(Engine::Linear));
            normal.costly_names.extend(costly.cloned());
        }
    });
    normal.schema = copy;
    normal
}

type Keywords = serde_json::Map<String, Value>;

/// Every schema in a schema (JSON Schema 2020-12 core §10, and draft-07's `definitions`, `items` and `dependencies`), and
/// nothing that only looks like one: a property named `pattern`, a `default`.
fn walk(schema: &mut Value, visit: &mut impl FnMut(&mut Keywords)) {
    let Value::Object(keywords) = schema else {
        return;
    };
    for (keyword, value) in keywords.iter_mut() {
        match (keyword.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
                | "dependencies",
                Value::Object(parts),
            ) => {
                for part in parts.values_mut() {
                    walk(part, visit);
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(parts)) => {
                for part in parts {
                    walk(part, visit);
                }
            }
            (
                "items"
                | "additionalItems"
                | "unevaluatedItems"
                | "contains"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "propertyNames"
                | "not"
                | "if"
                | "then"
                | "else",
                part,
            ) => walk(part, visit),
            _ => {}
        }
    }
    // Last: what is put in is not gone through again.
    visit(keywords);
}

fn let_null_in(keywords: &mut Keywords) {
    if keywords.get("nullable") != Some(&Value::Bool(true)) {
        return;
    }
    let named = match keywords.get("type") {
        Some(Value::String(name)) => vec![json!(name)],
        Some(Value::Array(names)) => names.clone(),
        _ => return,
    };
    let names: Vec<Value> = named
        .into_iter()
        .filter(|name| name != "null")
        .chain([json!("null")])
        .collect();
    keywords.insert("type".to_owned(), Value::Array(names));
    if let Some(Value::Array(values)) = keywords.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

fn bound_pattern(keywords: &mut Keywords, engine: &impl Fn(&str) -> Option<Engine>, normal: &mut Normal) {
    let Some(Value::String(pattern)) = keywords.get("pattern") else {
        return;
    };
    let pattern = pattern.clone();
    match engine(&pattern) {
        Some(Engine::Linear) => {}
        Some(Engine::Backtracking) => {
            keywords.remove("pattern");
            let bounded = json!({ "if": { "maxLength": MAX_BACKTRACKED }, "then": { "pattern": pattern } });
            match keywords.get_mut("allOf") {
                Some(Value::Array(parts)) => parts.push(bounded),
                _ => {
                    keywords.insert("allOf".to_owned(), json!([bounded]));
                }
            }
            keywords.insert(BOUNDED.to_owned(), json!(pattern));
            normal.backtracking.insert(pattern);
        }
        None => {
            keywords.remove("pattern");
            keywords.insert(UNCHECKED.to_owned(), json!(pattern));
            normal.unchecked.insert(pattern);
        }
    }
}
