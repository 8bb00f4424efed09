//! What of a tool's arguments Cedar can see: the Cedar type that a JSON Schema stands for.
//!
//! A shape only says where to look and what to expect there; whether a value really fits is asked of every value when
//! it is converted. So what can't be made out here (a union, a recursion, a schema in another resource) makes
//! policies see less, never something else. `docs/decisions/0101-what-cedar-sees-of-arguments.md` says why what is
//! optional is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::place::Place;

/// Nesting of records and sets, and hops from `$ref` to `$ref`.
const MAX_DEPTH: usize = 16;
/// Attributes of one tool, however its references multiply.
const MAX_ATTRIBUTES: usize = 2_000;

/// Schemas looked at for one tool.
const MAX_STEPS: usize = 20_000;

/// A Cedar type that holds values of a JSON Schema exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// `Bool`
    Bool,
    /// `Long`, of JSON's integers within ±(2^53 − 1).
    Long,
    /// `String`, also of enumerations.
    String,
    /// The extension type `decimal`, of JSON's numbers with up to four places.
    Decimal,
    /// `Set` of an array's items.
    Set(Box<Shape>),
    /// A record.
    Record(Record),
}

/// A record type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    attributes: BTreeMap<Arc<str>, Attribute>,
    names: Arc<[Arc<str>]>,
}

/// An attribute of a record type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub shape: Shape,
    /// Whether every ordinary call has it.
    pub required: bool,
}

impl Record {
    fn new(attributes: BTreeMap<Arc<str>, Attribute>) -> Self {
        let names = attributes.keys().cloned().collect();
        Self { attributes, names }
    }

    /// An attribute with its name.
    pub(crate) fn get(&self, name: &str) -> Option<(&Arc<str>, &Attribute)> {
        self.attributes.get_key_value(name)
    }

    /// The attributes in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.attributes
            .iter()
            .map(|(name, attribute)| (name.as_ref(), attribute))
    }

    /// The names, sorted.
    pub(crate) const fn names(&self) -> &Arc<[Arc<str>]> {
        &self.names
    }

    /// The type in Cedar's JSON schema format.
    #[must_use]
    pub fn to_schema(&self) -> Value {
        let attributes: Map<String, Value> = self
            .iter()
            .map(|(name, attribute)| {
                let mut schema = attribute.shape.to_schema();
                if let Value::Object(members) = &mut schema
                    && !attribute.required
                {
                    members.insert("required".to_owned(), Value::Bool(false));
                }
                (name.to_owned(), schema)
            })
            .collect();
        json!({ "type": "Record", "attributes": attributes })
    }
}

impl Shape {
    /// The type in Cedar's JSON schema format.
    #[must_use]
    pub fn to_schema(&self) -> Value {
        match self {
            Self::Bool => json!({ "type": "Boolean" }),
            Self::Long => json!({ "type": "Long" }),
            Self::String => json!({ "type": "String" }),
            Self::Decimal => json!({ "type": "Extension", "name": "decimal" }),
            Self::Set(element) => json!({ "type": "Set", "element": element.to_schema() }),
            Self::Record(record) => record.to_schema(),
        }
    }

    /// Whether ordinary values always fit. Not a fraction, which has more than four places often enough; nor a set of
    /// records, of which one member that Cedar doesn't see is enough to leave out the whole.
    fn holds_ordinary_values(&self) -> bool {
        match self {
            Self::Bool | Self::Long | Self::String | Self::Record(_) => true,
            Self::Decimal => false,
            Self::Set(element) => !matches!(**element, Self::Record(_)) && element.holds_ordinary_values(),
        }
    }
}

/// What Cedar sees of a tool's arguments, and which declared ones it doesn't.
#[must_use]
pub fn arguments(schema: &Value) -> (Record, Vec<Place>) {
    let mut deriving = Deriving {
        root: schema,
        path: Vec::new(),
        unseen: Vec::new(),
        attributes: 0,
        steps: 0,
    };
    let record = deriving.members(deriving.resolve(schema), 0);
    (record, deriving.unseen)
}

/// What a `$ref` within a document leads to.
pub(crate) fn referred<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    root.pointer(&decoded)
}

/// What a schema allows: a shape (none: Cedar can't hold it), perhaps `null` too.
struct Derived {
    shape: Option<Shape>,
    /// `null`, or a value of another type, is allowed as well.
    loose: bool,
}

impl Derived {
    const NOTHING: Self = Self {
        shape: None,
        loose: true,
    };

    const fn certain(shape: Shape) -> Self {
        Self {
            shape: Some(shape),
            loose: false,
        }
    }
}

struct Deriving<'a> {
    root: &'a Value,
    path: Vec<Arc<str>>,
    unseen: Vec<Place>,
    attributes: usize,
    steps: usize,
}

impl<'a> Deriving<'a> {
    /// Follows `$ref` within the document, and an `allOf` of one.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut current = schema;
        for _ in 0..MAX_DEPTH {
            let next = match (current.get("$ref"), current.get("allOf"), current.get("type")) {
                (Some(Value::String(reference)), ..) => referred(self.root, reference),
                (None, Some(Value::Array(parts)), None) if current.get("properties").is_none() => {
                    match parts.as_slice() {
                        [only] => Some(only),
                        _ => None,
                    }
                }
                _ => None,
            };
            match next {
                Some(schema) => current = schema,
                None => break,
            }
        }
        current
    }

    fn members(&mut self, schema: &'a Value, depth: usize) -> Record {
        let Some(Value::Object(properties)) = schema.get("properties") else {
            return Record::default();
        };
        let required: Vec<&str> = match schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut attributes = BTreeMap::new();
        for (name, property) in properties {
            let name: Arc<str> = name.as_str().into();
            self.attributes = self.attributes.saturating_add(1);
            self.path.push(Arc::clone(&name));
            let derived = if self.attributes > MAX_ATTRIBUTES {
                Derived::NOTHING
            } else {
                self.derive(property, depth.saturating_add(1))
            };
            match derived.shape {
                Some(shape) => {
                    let required =
                        !derived.loose && shape.holds_ordinary_values() && required.contains(&name.as_ref());
                    attributes.insert(name, Attribute { shape, required });
                }
                None if property == &Value::Bool(false) => {}
                None => self.unseen.push(Place::at(self.path.iter().cloned())),
            }
            self.path.pop();
        }
        Record::new(attributes)
    }

    fn derive(&mut self, schema: &'a Value, depth: usize) -> Derived {
        let schema = self.resolve(schema);
        self.steps = self.steps.saturating_add(1);
        if depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return Derived::NOTHING;
        }
        match schema.get("type") {
            Some(Value::String(name)) => self.typed(name, schema, depth),
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                let nullable = names.contains(&"null");
                let mut others = names.iter().filter(|name| **name != "null");
                match (others.next(), others.next()) {
                    (Some(only), None) => {
                        let derived = self.typed(only, schema, depth);
                        Derived {
                            loose: derived.loose || nullable,
                            ..derived
                        }
                    }
                    _ => Derived::NOTHING,
                }
            }
            Some(_) => Derived::NOTHING,
            None => self.untyped(schema, depth),
        }
    }

    fn typed(&mut self, name: &str, schema: &'a Value, depth: usize) -> Derived {
        match name {
            "boolean" => Derived::certain(Shape::Bool),
            "integer" => Derived::certain(Shape::Long),
            "number" => Derived::certain(Shape::Decimal),
            "string" => Derived::certain(Shape::String),
            "array" => self.array(schema, depth),
            "object" => self.object(schema, depth),
            _ => Derived::NOTHING,
        }
    }

    fn array(&mut self, schema: &'a Value, depth: usize) -> Derived {
        // A tuple may mix types; an item of `null` has no place in a set.
        if schema.get("prefixItems").is_some() {
            return Derived::NOTHING;
        }
        let Some(items) = schema.get("items") else {
            return Derived::NOTHING;
        };
        // What is left out of an item leaves out the set: only the set itself is worth naming.
        let named = self.unseen.len();
        let item = self.derive(items, depth.saturating_add(1));
        self.unseen.truncate(named);
        match item.shape {
            Some(shape) => Derived {
                shape: Some(Shape::Set(Box::new(shape))),
                loose: item.loose,
            },
            None => Derived::NOTHING,
        }
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Derived {
        let has_members = schema
            .get("properties")
            .and_then(Value::as_object)
            .is_some_and(|members| !members.is_empty());
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        // Without properties it is a map with keys of the caller's own choosing.
        if !has_members && !closed {
            return Derived::NOTHING;
        }
        Derived::certain(Shape::Record(self.members(schema, depth)))
    }

    /// Without `type`: an enumeration says its type by its values, a union by being one of the same thing.
    fn untyped(&mut self, schema: &'a Value, depth: usize) -> Derived {
        if let Some(value) = schema.get("const") {
            return of_values(std::slice::from_ref(value));
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return of_values(values);
        }
        if let Some(Value::Array(choices)) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            return self.union(choices, depth);
        }
        if schema.get("properties").is_some() {
            // JSON Schema lets anything but an object pass here.
            let derived = self.object(schema, depth);
            return Derived {
                loose: true,
                ..derived
            };
        }
        Derived::NOTHING
    }

    fn union(&mut self, choices: &'a [Value], depth: usize) -> Derived {
        let named = self.unseen.len();
        let mut found: Option<Derived> = None;
        let mut nullable = false;
        for choice in choices {
            let choice = self.resolve(choice);
            if choice.get("type").and_then(Value::as_str) == Some("null")
                || choice.get("const") == Some(&Value::Null)
            {
                nullable = true;
                continue;
            }
            let derived = self.derive(choice, depth.saturating_add(1));
            match &mut found {
                None => found = Some(derived),
                Some(first) if first.shape.is_some() && first.shape == derived.shape => {
                    first.loose = first.loose || derived.loose;
                }
                Some(_) => {
                    self.unseen.truncate(named);
                    return Derived::NOTHING;
                }
            }
        }
        let derived = found.unwrap_or(Derived::NOTHING);
        Derived {
            loose: derived.loose || nullable,
            ..derived
        }
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
    let Some(Some(first)) = shapes.next() else {
        return Derived::NOTHING;
    };
    if shapes.any(|shape| shape.as_ref() != Some(&first)) {
        return Derived::NOTHING;
    }
    Derived {
        shape: Some(first),
        loose: values.iter().any(Value::is_null),
    }
}

#[cfg(test)]
mod tests;
