//! The configuration as a tree in which every value knows where it was written.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::de::{self, Deserialize, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::problem::Problem;

/// Where something was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// In the file.
    File {
        /// From 1.
        line: u64,
        /// From 1, in characters.
        column: u64,
        /// Where it begins, in bytes, and how long it is.
        span: (usize, usize),
    },
    /// In the environment variable of this name.
    Variable(Arc<str>),
    /// Nowhere: the root of an empty configuration.
    #[default]
    Nowhere,
}

impl Place {
    fn from_location(location: Location) -> Self {
        let offset = location.span().byte_offset().unwrap_or_default();
        let length = location.span().byte_len().unwrap_or_default();
        Self::File {
            line: location.line(),
            column: location.column(),
            span: (
                usize::try_from(offset).unwrap_or_default(),
                usize::try_from(length).unwrap_or_default(),
            ),
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A key of a map and its place.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: Place,
}

/// What YAML can say, and what only the environment does.
#[derive(Debug, Clone, Default)]
pub(super) enum Value {
    #[default]
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// The text of an environment variable: what it means depends on the type that asks for it.
    Raw(String),
    /// A value already reported as wrong: reading goes on without it, to find the next problem.
    Dropped,
}

/// One step on the way from the root to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// How a path is written in messages: `servers[0].resource`.
pub(super) fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(name) if text.is_empty() => text.push_str(name),
            Step::Key(name) => {
                text.push('.');
                text.push_str(name);
            }
            Step::Index(index) => {
                let _ = write!(text, "[{index}]");
            }
        }
    }
    text
}

impl Node {
    /// Reads YAML. Duplicate keys, tags and aliases to nowhere are errors.
    pub(super) fn from_yaml(text: &str) -> Result<Self, Box<Problem>> {
        // YAML 1.1 takes `no` and `on` for booleans: nobody expects that of a country or a switch position.
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options)
            .map(Self::from)
            .map_err(|error| {
                let place = error.location().map(Place::from_location).unwrap_or_default();
                Box::new(Problem::at(
                    place,
                    format!("not readable as YAML: {}", cause(&error)),
                ))
            })
    }

    /// Reads what an environment variable holds for a list, a map or an unknown type: YAML, so JSON too.
    pub(super) fn from_variable(text: &str, name: &Arc<str>) -> Result<Self, String> {
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options)
            .map(|value| Self::from(value).moved_to(&Place::Variable(Arc::clone(name))))
            .map_err(|error| cause(&error))
    }

    /// Every place in it is now this one.
    fn moved_to(mut self, place: &Place) -> Self {
        self.place = place.clone();
        self.value = match self.value {
            Value::List(items) => Value::List(items.into_iter().map(|item| item.moved_to(place)).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, node)| {
                        (
                            Key {
                                place: place.clone(),
                                ..key
                            },
                            node.moved_to(place),
                        )
                    })
                    .collect(),
            ),
            other => other,
        };
        self
    }

    /// The value at the end of a path.
    pub(super) fn get(&self, path: &[Step]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, step| match (&node.value, step) {
                (Value::Map(entries), Step::Key(name)) => entries
                    .iter()
                    .find(|(key, _)| key.name == *name)
                    .map(|(_, node)| node),
                (Value::List(items), Step::Index(index)) => items.get(*index),
                _ => None,
            })
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, path: &[Step]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |node, step| match (&mut node.value, step) {
                (Value::Map(entries), Step::Key(name)) => entries
                    .iter_mut()
                    .find(|(key, _)| key.name == *name)
                    .map(|(_, node)| node),
                (Value::List(items), Step::Index(index)) => items.get_mut(*index),
                _ => None,
            })
    }

    /// Whether it was left out as wrong.
    pub(super) fn is_dropped(&self) -> bool {
        matches!(self.value, Value::Dropped)
    }

    /// Leaves out the value at the end of a path: false if there is none, or if it is everything.
    pub(super) fn drop_value(&mut self, path: &[Step]) -> bool {
        match self.get_mut(path) {
            Some(node) if !path.is_empty() && !node.is_dropped() => {
                node.value = Value::Dropped;
                true
            }
            _ => false,
        }
    }

    /// Makes the texts of variables on the way to a value into what they mean.
    pub(super) fn open(&mut self, path: &[Step]) {
        for length in 0..path.len() {
            let Some(node) = path.get(..length).and_then(|path| self.get_mut(path)) else {
                return;
            };
            if let (Value::Raw(text), Place::Variable(name)) = (&node.value, &node.place)
                && let Ok(read) = Self::from_variable(text, name)
            {
                *node = read;
            }
        }
    }

    /// Where a key is written, rather than its value.
    pub(super) fn place_of_key(&self, path: &[Step]) -> Place {
        let key = match path.split_last() {
            Some((Step::Key(name), parent)) => self.get(parent).and_then(|node| match &node.value {
                Value::Map(entries) => entries.iter().map(|(key, _)| key).find(|key| key.name == *name),
                _ => None,
            }),
            _ => None,
        };
        key.map_or_else(|| self.place_of(path), |key| key.place.clone())
    }

    /// The place to point at for a path: of the value if it exists, else of what should hold it.
    pub(super) fn place_of(&self, path: &[Step]) -> Place {
        let mut path = path;
        loop {
            match (self.get(path), path.split_last()) {
                (Some(node), _) => return node.place.clone(),
                (None, Some((_, parent))) => path = parent,
                (None, None) => return self.place.clone(),
            }
        }
    }
}

/// The message of a YAML error without its position: we say that ourselves.
fn cause(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    text.split(" at line ")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self {
            value: spanned.value,
            place: Place::from_location(spanned.referenced),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Yaml)
    }
}

struct Yaml;

impl<'de> Visitor<'de> for Yaml {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Signed(value), Value::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let key = Key {
                name: name.value,
                place: Place::from_location(name.referenced),
            };
            entries.push((key, map.next_value::<Spanned<Value>>()?.into()));
        }
        Ok(Value::Map(entries))
    }
}
