//! What of a tool's arguments Cedar can see: the Cedar type that a JSON Schema stands for.
//!
//! A shape only says where to look and what to expect there; whether a value really fits is asked of every value when
//! it is converted. So what can't be made out here (a union of scalars, a recursion, a free-form map) makes policies see
//! less, never something else. `docs/decisions/0101-what-cedar-sees-of-arguments.md` says why what is
//! optional is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

mod derive;
mod merge;

pub use derive::arguments;
pub(crate) use derive::referred;

/// A Cedar type that holds values of a JSON Schema exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// `Bool`
    Bool,
    /// `Long`, of JSON's integers within ±(2^53 − 1).
    Long,
    /// `String`, also of enumerations.
    String,
    /// `String`, of texts short enough for their pattern to be checked.
    ShortString,
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

    /// Whether the record has something at a path of member names.
    #[must_use]
    pub fn has<S: AsRef<str>>(&self, path: &[S]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return true;
        };
        match self.attributes.get(first.as_ref()).map(|found| &found.shape) {
            None => false,
            Some(Shape::Record(inner)) => inner.has(rest),
            Some(_) => rest.is_empty(),
        }
    }

    /// The names, sorted.
    pub(crate) const fn names(&self) -> &Arc<[Arc<str>]> {
        &self.names
    }

    /// Whether it has no attribute.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
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
            Self::String | Self::ShortString => json!({ "type": "String" }),
            Self::Decimal => json!({ "type": "Extension", "name": "decimal" }),
            Self::Set(element) => json!({ "type": "Set", "element": element.to_schema() }),
            Self::Record(record) => record.to_schema(),
        }
    }

    /// Whether ordinary values always fit. Not a fraction, which has more than four places often enough; nor a set of
    /// records, of which one member that Cedar doesn't see is enough to leave out the whole.
    fn holds_ordinary_values(&self) -> bool {
        match self {
            Self::Bool | Self::Long | Self::String | Self::ShortString | Self::Record(_) => true,
            Self::Decimal => false,
            Self::Set(element) => !matches!(**element, Self::Record(_)) && element.holds_ordinary_values(),
        }
    }
}

#[cfg(test)]
mod tests;
