//! Arguments as the JSON Schema validator reads them: in place, numbers by their spelling.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};

use super::exact;
use crate::mcp::json;

/// The representation of [`json::Value`].
pub(crate) struct Strict;

/// A value of a call, the arguments themselves, or a name of one of them.
#[derive(Clone, Copy)]
pub(crate) enum Instance<'a> {
    Value(&'a json::Value),
    Object(&'a json::Object),
    Text(&'a str),
}

impl Json for Strict {
    type Node<'a> = Instance<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    // An object is a list of members: one pass over it instead of one search for each property.
    const KEYS_PER_LOOKUP: usize = 1 << 20;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Instance<'_>) -> T) -> T {
        f(Instance::Text(string))
    }
}

impl<'a> Node<'a, Strict> for Instance<'a> {
    type Object = &'a json::Object;
    type Array = &'a [json::Value];
    type Number = Spelt<'a>;

    fn as_object(&self) -> Option<&'a json::Object> {
        match *self {
            Self::Object(object) | Self::Value(json::Value::Object(object)) => Some(object),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<&'a [json::Value]> {
        match *self {
            Self::Value(json::Value::Array(items)) => Some(items),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match *self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Value(json::Value::String(text)) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Spelt<'a>> {
        match *self {
            Self::Value(json::Value::Number(number)) => Some(Spelt(number)),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match *self {
            Self::Value(json::Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Value(json::Value::Null))
    }

    fn json_type(&self) -> JsonType {
        match *self {
            Self::Text(_) => JsonType::String,
            Self::Object(_) => JsonType::Object,
            Self::Value(value) => match value {
                json::Value::Null => JsonType::Null,
                json::Value::Bool(_) => JsonType::Boolean,
                json::Value::Number(_) => JsonType::Number,
                json::Value::String(_) => JsonType::String,
                json::Value::Array(_) => JsonType::Array,
                json::Value::Object(_) => JsonType::Object,
            },
        }
    }

    fn equals_value(&self, expected: &serde_json::Value) -> bool {
        match (self.as_string(), expected) {
            (Some(text), serde_json::Value::String(expected)) => text == expected.as_str(),
            (Some(_), _) | (None, serde_json::Value::String(_)) => false,
            _ => jsonschema::json::cmp::equal(&self.to_value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, serde_json::Value> {
        Cow::Owned(match *self {
            Self::Text(text) => text.into(),
            Self::Object(object) => object.to_serde().into(),
            Self::Value(value) => value.to_serde(),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        let address = match *self {
            // Only one name is looked at at a time, and no value lies where its text does.
            Self::Text(text) => return Some(NodeIdentity::tagged(text.as_ptr().addr(), 1)),
            Self::Object(object) | Self::Value(json::Value::Object(object)) => {
                std::ptr::from_ref(object).addr()
            }
            Self::Value(value) => std::ptr::from_ref(value).addr(),
        };
        Some(NodeIdentity::new(address))
    }
}

impl<'a> Object<'a, Strict> for &'a json::Object {
    type Node = Instance<'a>;
    type MemberName = &'a str;
    type MembersIter = Box<dyn Iterator<Item = (&'a str, Instance<'a>)> + 'a>;

    fn len(&self) -> usize {
        json::Object::len(self)
    }

    fn get(&self, key: &String) -> Option<Instance<'a>> {
        json::Object::get(self, key).map(Instance::Value)
    }

    fn members(&self) -> Self::MembersIter {
        Box::new(json::Object::iter(self).map(|(name, value)| (name, Instance::Value(value))))
    }
}

impl<'a> Array<'a, Strict> for &'a [json::Value] {
    type Node = Instance<'a>;
    type ElementsIter =
        std::iter::Map<std::slice::Iter<'a, json::Value>, fn(&'a json::Value) -> Instance<'a>>;

    fn len(&self) -> usize {
        <[json::Value]>::len(self)
    }

    fn elements(&self) -> Self::ElementsIter {
        self.iter().map(Instance::Value)
    }
}

/// A number by its spelling.
pub(crate) struct Spelt<'a>(&'a json::Number);

impl JsonNumber for Spelt<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.as_str().parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.as_i64()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.as_str().parse().ok()
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0.as_str())
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        // The strict reader refuses what a double can't hold (1e400): the fallback is never met.
        Cow::Owned(serde_json::from_str(self.0.as_str()).unwrap_or_else(|_| 0.into()))
    }

    fn is_integer(&self) -> bool {
        exact::is_integer(self.0)
    }

    fn is_written_as_integer(&self) -> bool {
        !self.0.as_str().contains(['.', 'e', 'E'])
    }
}
