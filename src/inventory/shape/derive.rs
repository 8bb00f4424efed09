//! From a JSON Schema to the shape of its values.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::merge::{self, How};
use super::{Attribute, Record, Shape};
use crate::inventory::normal::{BOUNDED, UNCHECKED};
use crate::inventory::place::Place;
use crate::inventory::unseen::{Unseen, Why};

/// Nesting of records, sets and parts, and hops from `$ref` to `$ref`.
pub(super) const MAX_DEPTH: usize = 16;
/// Attributes of one tool, however its references multiply.
const MAX_ATTRIBUTES: usize = 2_000;
/// Schemas looked at for one tool.
const MAX_STEPS: usize = 20_000;

/// What Cedar sees of a tool's arguments, and which declared ones it doesn't.
#[must_use]
pub fn arguments(schema: &Value) -> (Record, Vec<Unseen>) {
    let mut deriving = Deriving {
        root: schema,
        path: Vec::new(),
        unseen: Vec::new(),
        attributes: 0,
        steps: 0,
        bounded: mentions(schema, BOUNDED),
        unchecked: mentions(schema, UNCHECKED),
    };
    let record = deriving.record(schema, 0);
    let mut unseen = deriving.unseen;
    // One alternative may see what another doesn't.
    unseen.retain(|unseen| !record.has(unseen.place.path()));
    unseen.sort_by(|left, right| left.place.cmp(&right.place));
    unseen.dedup_by(|left, right| left.place == right.place);
    (record, unseen)
}

/// What a `$ref` within a document leads to.
pub(crate) fn referred<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    root.pointer(&decoded)
}

/// What a schema allows.
struct Derived {
    shape: Result<Shape, Why>,
    /// `null`, or a value of another type, is allowed as well.
    loose: bool,
}

impl Derived {
    const fn nothing(why: Why) -> Self {
        Self {
            shape: Err(why),
            loose: true,
        }
    }

    const fn certain(shape: Shape) -> Self {
        Self {
            shape: Ok(shape),
            loose: false,
        }
    }

    fn or_other(self, other: bool) -> Self {
        Self {
            loose: self.loose || other,
            ..self
        }
    }
}

/// Whether a mark stands anywhere in a schema.
fn mentions(schema: &Value, mark: &str) -> bool {
    match schema {
        Value::Object(keywords) => {
            keywords.contains_key(mark) || keywords.values().any(|part| mentions(part, mark))
        }
        Value::Array(parts) => parts.iter().any(|part| mentions(part, mark)),
        _ => false,
    }
}

struct Deriving<'a> {
    root: &'a Value,
    path: Vec<Arc<str>>,
    unseen: Vec<Unseen>,
    attributes: usize,
    steps: usize,
    /// Some pattern of the schema is run on short texts only, or not at all. Which places it is about can't be told in general
    /// (parts, references, conditions): so it is taken to be about every text.
    bounded: bool,
    unchecked: bool,
}

impl<'a> Deriving<'a> {
    /// Follows `$ref` within the document as long as nothing stands beside it that says more.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut current = schema;
        for _ in 0..MAX_DEPTH {
            let Some(Value::String(reference)) = current.get("$ref") else {
                break;
            };
            match referred(self.root, reference) {
                Some(target) if current.get("properties").is_none() => current = target,
                _ => break,
            }
        }
        current
    }

    /// What an object has by its `properties`, and by the parts and alternatives that it is made of.
    fn record(&mut self, schema: &'a Value, depth: usize) -> Record {
        self.steps = self.steps.saturating_add(1);
        if depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return Record::default();
        }
        let schema = self.resolve(schema);
        let inner = depth.saturating_add(1);
        let mut all = vec![self.members(schema, depth)];
        if let Some(Value::String(reference)) = schema.get("$ref")
            && let Some(target) = referred(self.root, reference)
        {
            all.push(self.record(target, inner));
        }
        for part in list(schema, "allOf") {
            all.push(self.record(part, inner));
        }
        for keyword in ["anyOf", "oneOf"] {
            let any: Vec<&Value> = list(schema, keyword)
                .filter(|part| may_be_object(self.resolve(part)))
                .collect();
            let any: Vec<Record> = any.into_iter().map(|part| self.record(part, inner)).collect();
            if !any.is_empty() {
                all.push(self.merge(any, How::Any));
            }
        }
        // What holds under a condition may be missing.
        let conditional = ["then", "else"]
            .into_iter()
            .filter_map(|keyword| schema.get(keyword));
        let dependent = schema.get("dependentSchemas").and_then(Value::as_object);
        for part in conditional.chain(dependent.into_iter().flat_map(|parts| parts.values())) {
            let record = self.record(part, inner);
            all.push(self.merge(vec![record, Record::default()], How::Any));
        }
        self.merge(all, How::All)
    }

    fn merge(&mut self, records: Vec<Record>, how: How) -> Record {
        let (path, unseen) = (&self.path, &mut self.unseen);
        merge::records(records, how, &mut |below| {
            unseen.push(Unseen {
                place: Place::at(path.iter().chain(below).cloned()),
                why: Why::Union,
            });
        })
    }

    fn members(&mut self, schema: &'a Value, depth: usize) -> Record {
        let Some(Value::Object(properties)) = schema.get("properties") else {
            return Record::default();
        };
        let required: Vec<&str> = list(schema, "required").filter_map(Value::as_str).collect();
        let mut attributes = BTreeMap::new();
        for (name, property) in properties {
            let name: Arc<str> = name.as_str().into();
            self.attributes = self.attributes.saturating_add(1);
            self.path.push(Arc::clone(&name));
            let derived = if self.attributes > MAX_ATTRIBUTES {
                Derived::nothing(Why::Deep)
            } else {
                self.derive(property, depth.saturating_add(1))
            };
            match derived.shape {
                Ok(shape) => {
                    let required =
                        !derived.loose && shape.holds_ordinary_values() && required.contains(&name.as_ref());
                    attributes.insert(name, Attribute { shape, required });
                }
                Err(_) if property == &Value::Bool(false) => {}
                Err(why) => self.unseen.push(Unseen {
                    place: Place::at(self.path.iter().cloned()),
                    why,
                }),
            }
            self.path.pop();
        }
        Record::new(attributes)
    }

    fn derive(&mut self, schema: &'a Value, depth: usize) -> Derived {
        let schema = self.resolve(schema);
        self.steps = self.steps.saturating_add(1);
        if depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return Derived::nothing(Why::Deep);
        }
        match schema.get("type") {
            Some(Value::String(name)) => self.typed(name, schema, depth),
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                let nullable = names.contains(&"null");
                let mut others = names.iter().filter(|name| **name != "null");
                match (others.next(), others.next()) {
                    (Some(only), None) => self.typed(only, schema, depth).or_other(nullable),
                    (None, _) => Derived::nothing(Why::Null),
                    _ => Derived::nothing(Why::Union),
                }
            }
            Some(_) => Derived::nothing(Why::Untyped),
            None => self.untyped(schema, depth),
        }
    }

    fn typed(&mut self, name: &str, schema: &'a Value, depth: usize) -> Derived {
        match name {
            "boolean" => Derived::certain(Shape::Bool),
            "integer" => Derived::certain(Shape::Long),
            "number" => Derived::certain(Shape::Decimal),
            "string" if self.unchecked => Derived::nothing(Why::Pattern),
            "string" if self.bounded => Derived::certain(Shape::ShortString),
            "string" => Derived::certain(Shape::String),
            "array" => self.array(schema, depth),
            "object" => self.object(schema, depth),
            "null" => Derived::nothing(Why::Null),
            _ => Derived::nothing(Why::Untyped),
        }
    }

    fn array(&mut self, schema: &'a Value, depth: usize) -> Derived {
        // A tuple may mix types; an item of `null` has no place in a set.
        let items = match (schema.get("items"), schema.get("prefixItems")) {
            (Some(items), None) if !items.is_array() => items,
            _ => return Derived::nothing(Why::Items),
        };
        // What is left out of an item leaves out the set: only the set itself is worth naming.
        let named = self.unseen.len();
        let item = self.derive(items, depth.saturating_add(1));
        self.unseen.truncate(named);
        match item.shape {
            Ok(shape) => Derived {
                shape: Ok(Shape::Set(Box::new(shape))),
                loose: item.loose,
            },
            Err(why @ (Why::Deep | Why::Pattern)) => Derived::nothing(why),
            Err(_) => Derived::nothing(Why::Items),
        }
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Derived {
        let record = self.record(schema, depth);
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let declares = schema
            .get("properties")
            .and_then(Value::as_object)
            .is_some_and(|members| !members.is_empty());
        // Without properties it is a map with keys of the caller's own choosing.
        if record.is_empty() && !closed && !declares {
            return Derived::nothing(Why::Map);
        }
        Derived::certain(Shape::Record(record))
    }

    /// Without `type`: an enumeration says its type by its values, parts and alternatives by being of one.
    fn untyped(&mut self, schema: &'a Value, depth: usize) -> Derived {
        if let Some(value) = schema.get("const") {
            return of_values(std::slice::from_ref(value));
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return of_values(values);
        }
        if schema.get("properties").is_some() {
            // JSON Schema lets anything but an object pass here.
            return self.object(schema, depth).or_other(true);
        }
        for keyword in ["anyOf", "oneOf"] {
            if schema.get(keyword).is_some() {
                let choices: Vec<&Value> = list(schema, keyword).collect();
                return self.union(&choices, schema, depth);
            }
        }
        if schema.get("allOf").is_some() {
            return self.parts(schema, depth);
        }
        Derived::nothing(Why::Untyped)
    }

    /// All of several: each that says a type says the same one.
    fn parts(&mut self, schema: &'a Value, depth: usize) -> Derived {
        let parts: Vec<Derived> = list(schema, "allOf")
            .map(|part| self.probe(part, depth))
            .collect();
        let loose = parts.iter().all(|part| part.loose);
        let mut said = parts.into_iter().filter_map(|part| part.shape.ok());
        let Some(first) = said.next() else {
            return Derived::nothing(Why::Untyped);
        };
        let others: Vec<Shape> = said.filter(|shape| *shape != first).collect();
        if matches!(first, Shape::Record(_)) && others.iter().all(|it| matches!(it, Shape::Record(_))) {
            let record = self.record(schema, depth);
            return Derived::certain(Shape::Record(record)).or_other(loose);
        }
        if others.is_empty() {
            return Derived::certain(first).or_other(loose);
        }
        Derived::nothing(Why::Union)
    }

    /// One of several: all of the same type, or objects laid over one another. A place that may hold an object or
    /// something else (its text, for instance) is seen as the object, and not at all where it holds the other.
    fn union(&mut self, choices: &[&'a Value], schema: &'a Value, depth: usize) -> Derived {
        let mut nullable = false;
        let mut found: Vec<Derived> = Vec::with_capacity(choices.len());
        for choice in choices {
            let derived = self.probe(choice, depth);
            match derived.shape {
                Err(Why::Null) => nullable = true,
                _ => found.push(derived),
            }
        }
        let loose = nullable || found.iter().any(|derived| derived.loose);
        let first = match found.first().map(|derived| &derived.shape) {
            None => return Derived::nothing(Why::Null),
            Some(first) => first.clone(),
        };
        if found.iter().any(|it| matches!(&it.shape, Ok(Shape::Record(_)))) {
            let only_records = found.iter().all(|it| matches!(it.shape, Ok(Shape::Record(_))));
            let record = self.record(schema, depth);
            return Derived::certain(Shape::Record(record)).or_other(loose || !only_records);
        }
        match first {
            Ok(shape) if found.iter().all(|it| it.shape.as_ref() == Ok(&shape)) => {
                Derived::certain(shape).or_other(loose)
            }
            Err(why) if found.iter().all(|it| it.shape == Err(why)) => Derived::nothing(why),
            _ => Derived::nothing(Why::Union),
        }
    }

    /// What a part is, without a word on what isn't seen of it.
    fn probe(&mut self, part: &'a Value, depth: usize) -> Derived {
        let (named, attributes) = (self.unseen.len(), self.attributes);
        let derived = self.derive(part, depth.saturating_add(1));
        self.unseen.truncate(named);
        self.attributes = attributes;
        derived
    }
}

fn list<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Whether an alternative is one for objects: of a value of another type the record isn't seen at all.
fn may_be_object(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => schema.get("const").is_none() && schema.get("enum").is_none(),
    }
}

/// The one type of some values, beside `null`.
fn of_values(values: &[Value]) -> Derived {
    let mut shapes = values
        .iter()
        .filter(|value| !value.is_null())
        .map(|value| match value {
            Value::Bool(_) => Some(Shape::Bool),
            Value::String(_) => Some(Shape::String),
            Value::Number(number) if number.is_i64() => Some(Shape::Long),
            _ => None,
        });
    let first = match shapes.next() {
        None => return Derived::nothing(Why::Null),
        Some(None) => return Derived::nothing(Why::Union),
        Some(Some(first)) => first,
    };
    if shapes.any(|shape| shape.as_ref() != Some(&first)) {
        return Derived::nothing(Why::Union);
    }
    Derived::certain(first).or_other(values.iter().any(Value::is_null))
}
