//! JSON values as the strict reader gives them: nothing is converted, nothing is lost.
//!
//! In: bytes. Out: a [`Value`], or a [`Fault`] that says where and what, never quoting the text. Refused is
//! whatever two parsers could read differently: see `docs/json-profile.md`.

mod convert;
mod number;
mod reader;
mod text;
mod walk;

pub use number::Number;
pub use reader::{Fault, FaultKind, read};
pub use walk::{Walk, walk};

/// The deepest nesting that any configuration can allow: the reader recurses once a level.
pub const NESTING_CEILING: usize = 128;

/// A JSON value (RFC 8259). Numbers keep their spelling; objects keep their order and have no duplicate keys.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as spelt.
    Number(Number),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; keys are unique and in the order of the text.
    Object(Object),
}

/// The members of an object, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object(pub(crate) Vec<(String, Value)>);

impl Object {
    /// The value of a member.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Takes a member's value out; what stays in its place is `null`.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.0
            .iter_mut()
            .find(|(name, _)| name == key)
            .map(|(_, value)| std::mem::replace(value, Value::Null))
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Value {
    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
