//! How often a validator might look at one value, before it is let near one.
//!
//! Schemas may ask the same thing of a value again and again: a chain in which each link refers to the next one twice
//! doubles the work with each link, and a union that recurses doubles it with each level of nesting. The weight is an
//! upper bound of that, found from the schema alone.

use std::collections::HashMap;

use serde_json::Value;

use super::shape::referred;

/// How deep values are nested at most (the strict reader refuses deeper ones).
const MAX_NESTING: u8 = 64;

/// How often a schema's parts are asked, of one value without what is in it, and of one nested as deep as can be.
pub(crate) fn of(schema: &Value) -> (u64, u64) {
    let mut weighing = Weighing {
        root: schema,
        known: HashMap::new(),
    };
    let flat = every(schema)
        .map(|part| weighing.weigh(part, 0))
        .max()
        .unwrap_or(0);
    (flat, weighing.weigh(schema, MAX_NESTING))
}

/// A value with everything in it.
fn every(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    let inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Object(members) => Box::new(members.values().flat_map(every)),
        Value::Array(items) => Box::new(items.iter().flat_map(every)),
        _ => Box::new(std::iter::empty()),
    };
    Box::new(std::iter::once(value).chain(inner))
}

struct Weighing<'a> {
    root: &'a Value,
    /// By address and nesting; `None` while being weighed, which is where a reference leads back.
    known: HashMap<(usize, u8), Option<u64>>,
}

impl<'a> Weighing<'a> {
    fn weigh(&mut self, schema: &'a Value, nesting: u8) -> u64 {
        let Value::Object(keywords) = schema else {
            return 1;
        };
        let key = (std::ptr::from_ref(schema).addr(), nesting);
        if let Some(known) = self.known.get(&key) {
            return known.unwrap_or(0);
        }
        self.known.insert(key, None);
        let mut weight = 1_u64;
        for (keyword, value) in keywords {
            weight = weight.saturating_add(self.keyword(keyword, value, nesting));
        }
        self.known.insert(key, Some(weight));
        weight
    }

    fn keyword(&mut self, keyword: &str, value: &'a Value, nesting: u8) -> u64 {
        let inner = nesting.checked_sub(1);
        match (keyword, value, inner) {
            // Asked of the value itself (core §10.2).
            ("$ref" | "$dynamicRef", Value::String(reference), _) => {
                referred(self.root, reference).map_or(0, |target| self.weigh(target, nesting))
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts), _) => self.sum(parts.iter(), nesting),
            ("dependentSchemas", Value::Object(parts), _) => self.sum(parts.values(), nesting),
            ("not" | "if" | "then" | "else", part, _) => self.weigh(part, nesting),
            // Asked of what is in it (core §10.3): each member by one of the properties, each item perhaps by several.
            ("properties", Value::Object(parts), Some(inner)) => parts
                .values()
                .map(|part| self.weigh(part, inner))
                .max()
                .unwrap_or(0),
            ("prefixItems", Value::Array(parts), Some(inner)) => parts
                .iter()
                .map(|part| self.weigh(part, inner))
                .max()
                .unwrap_or(0),
            ("patternProperties", Value::Object(parts), Some(inner)) => self.sum(parts.values(), inner),
            ("items", Value::Array(parts), Some(inner)) => self.sum(parts.iter(), inner),
            (
                "items"
                | "contains"
                | "additionalItems"
                | "additionalProperties"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "propertyNames",
                part,
                Some(inner),
            ) => self.weigh(part, inner),
            _ => 0,
        }
    }

    fn sum(&mut self, parts: impl Iterator<Item = &'a Value>, nesting: u8) -> u64 {
        parts.fold(0, |sum: u64, part| sum.saturating_add(self.weigh(part, nesting)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn doubling_is_seen_whether_by_links_or_by_levels() {
        let ordinary = json!({ "type": "object", "properties": { "a": { "type": "string" }, "b": { "items": { "type": "integer" } } } });
        assert_eq!(of(&ordinary), (1, 3));
        let tree = json!({ "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" } } });
        assert!(of(&tree).1 < 200, "{:?}", of(&tree));
        let array = json!({ "items": { "$ref": "#" } });
        let union = json!({ "anyOf": [array, array] });
        assert_eq!(of(&union).1, u64::MAX);
        assert!(of(&union).0 < 10);
        let loops = json!({ "allOf": [{ "$ref": "#" }, { "$ref": "#" }] });
        assert!(of(&loops).0 < 10);
    }
}
