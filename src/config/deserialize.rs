//! The tree as a serde data format.
//!
//! Stricter than the usual ones: a section is never a list, unknown keys are faults whether or not the type denies
//! them, a text is never a number. The one lenience: a section or list of which everything is commented out (`null`)
//! is an empty one. What an environment variable holds is read as the type that asks for it.

use serde::de::{
    self, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::fault::{Fault, What};
use super::tree::{Key, Node, Place, Step, Value};

/// A value on the way from the root.
pub(super) struct Reader<'a> {
    node: &'a Node,
    path: Vec<Step>,
}

impl<'a> Reader<'a> {
    pub(super) fn root(node: &'a Node) -> Self {
        Self {
            node,
            path: Vec::new(),
        }
    }

    /// What an environment variable's text means if the type doesn't want the text itself.
    fn read_raw<T>(self, text: &str, read: impl FnOnce(Reader<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let Place::Variable(name) = &self.node.place else {
            return Err(Fault::other("not a value".to_owned()));
        };
        let node = Node::from_variable(text, name).map_err(|cause| {
            Fault::other(format!("not readable as YAML: {cause}")).at(|| self.path.clone())
        })?;
        read(Reader {
            node: &node,
            path: self.path,
        })
    }

    /// What a type hears that can't use the value.
    fn refuse<'de, V: Visitor<'de>>(&self, visitor: &V) -> Fault {
        let found = match &self.node.value {
            Value::Null | Value::Dropped => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Unsigned(number) => Unexpected::Unsigned(*number),
            Value::Signed(number) => Unexpected::Signed(*number),
            Value::Float(number) => Unexpected::Float(*number),
            Value::Text(text) | Value::Raw(text) => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        };
        Fault::invalid_type(found, visitor).at(|| self.path.clone())
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null | Value::Dropped => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(number) => visitor.visit_u64(*number),
            Value::Signed(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(List::new(items, &self.path)),
            Value::Map(entries) => visitor.visit_map(Section::new(entries, &self.path)),
            Value::Raw(text) => {
                return self.read_raw(text, |reader| reader.deserialize_any(visitor));
            }
        }
        .map_err(|fault| fault.at(|| self.path.clone()))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Raw(text) => visitor
                .visit_str(text)
                .map_err(|fault: Fault| fault.at(|| self.path.clone())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null | Value::Dropped => visitor.visit_none(),
            Value::Raw(text) if ["", "null", "~"].contains(&text.trim()) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_seq(List::new(&[], &self.path)),
            Value::List(_) => self.deserialize_any(visitor),
            Value::Raw(text) => self.read_raw(text, |reader| reader.deserialize_seq(visitor)),
            _ => Err(self.refuse(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_map(Section::new(&[], &self.path)),
            Value::Map(_) => self.deserialize_any(visitor),
            Value::Raw(text) => self.read_raw(text, |reader| reader.deserialize_map(visitor)),
            _ => Err(self.refuse(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let Value::Raw(text) = &self.node.value {
            return self.read_raw(text, |reader| reader.deserialize_struct(name, known, visitor));
        }
        if let Value::Map(entries) = &self.node.value {
            let mut present = entries.iter().filter(|(_, node)| !node.is_dropped());
            if let Some((key, _)) = present.find(|(key, _)| !known.contains(&key.name.as_str())) {
                return Err(Fault::new(What::UnknownKey { known }).at(|| below(&self.path, key)));
            }
        }
        let path = self.path.clone();
        self.deserialize_map(visitor).map_err(|fault| fault.at(|| path))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        match &self.node.value {
            Value::Text(word) => visitor.visit_enum(Choice {
                word,
                content: None,
                path: &path,
            }),
            Value::Raw(word) if variants.contains(&word.trim()) => visitor.visit_enum(Choice {
                word: word.trim(),
                content: None,
                path: &path,
            }),
            Value::Raw(text) => {
                self.read_raw(text, |reader| reader.deserialize_enum(name, variants, visitor))
            }
            Value::Map(entries) => match entries.as_slice() {
                [(key, content)] => visitor.visit_enum(Choice {
                    word: &key.name,
                    content: Some(content),
                    path: &path,
                }),
                _ => Err(Fault::other(format!(
                    "expected exactly one of the keys `{}`",
                    variants.join("`, `")
                ))),
            },
            other => Err(Fault::unknown_variant(&shown(other), variants)),
        }
        .map_err(|fault| fault.at(|| path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}

/// A value that is no word, where a word was wanted.
fn shown(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::List(_) => "[…]".to_owned(),
        _ => "null".to_owned(),
    }
}

fn below(path: &[Step], key: &Key) -> Vec<Step> {
    let mut path = path.to_vec();
    path.push(Step::Key(key.name.clone()));
    path
}

/// The items of a list, under the index that they are written at.
struct List<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    path: &'a [Step],
}

impl<'a> List<'a> {
    fn new(items: &'a [Node], path: &'a [Step]) -> Self {
        Self {
            items: items.iter().enumerate(),
            path,
        }
    }
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.items.find(|(_, node)| !node.is_dropped()) else {
            return Ok(None);
        };
        let mut path = self.path.to_vec();
        path.push(Step::Index(index));
        let reader = Reader {
            node,
            path: path.clone(),
        };
        seed.deserialize(reader)
            .map(Some)
            .map_err(|fault| fault.at(|| path))
    }
}

/// The entries of a section.
struct Section<'a> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    current: Option<&'a (Key, Node)>,
    path: &'a [Step],
}

impl<'a> Section<'a> {
    fn new(entries: &'a [(Key, Node)], path: &'a [Step]) -> Self {
        Self {
            entries: entries.iter(),
            current: None,
            path,
        }
    }
}

impl<'de> MapAccess<'de> for Section<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.entries.find(|(_, node)| !node.is_dropped());
        let Some((key, _)) = self.current else {
            return Ok(None);
        };
        seed.deserialize(key.name.as_str().into_deserializer())
            .map(Some)
            .map_err(|fault: Fault| fault.at(|| below(self.path, key)))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some((key, node)) = self.current.take() else {
            return Err(Fault::other("a value without a key".to_owned()));
        };
        let path = below(self.path, key);
        let reader = Reader {
            node,
            path: path.clone(),
        };
        seed.deserialize(reader).map_err(|fault| fault.at(|| path))
    }
}

/// A word out of several, alone or with something: `discovery`, `{file: keys.json}`.
struct Choice<'a> {
    word: &'a str,
    content: Option<&'a Node>,
    path: &'a [Step],
}

impl<'a> Choice<'a> {
    fn reader(&self) -> Result<Reader<'a>, Fault> {
        let node = self
            .content
            .ok_or_else(|| Fault::other(format!("`{}` needs a value: `{{{}: …}}`", self.word, self.word)))?;
        let mut path = self.path.to_vec();
        path.push(Step::Key(self.word.to_owned()));
        Ok(Reader { node, path })
    }
}

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        seed.deserialize(self.word.into_deserializer())
            .map(|variant| (variant, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None
            | Some(Node {
                value: Value::Null, ..
            }) => Ok(()),
            Some(_) => Err(Fault::other(format!("`{}` takes no value", self.word))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.reader()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_seq(self.reader()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_struct(self.reader()?, "", known, visitor)
    }
}
