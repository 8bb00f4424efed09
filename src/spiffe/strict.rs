//! JSON of credentials, keys and bundles, read so that nobody could read it otherwise: one object, no member twice.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The one object that the bytes are; `None` if they are anything else, or if any object in them has a member
/// twice, also spelt differently (RFC 7519 §4: claim names must be unique; readers differ in which one wins).
#[must_use]
pub fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Strict>(bytes).ok()?.0 {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a member occurs twice"));
            }
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_be_read_in_two_ways() {
        let refused: [&[u8]; 10] = [
            b"",
            b"[]",
            b"\"x\"",
            b"{} {}",
            b"\xef\xbb\xbf{}",
            br#"{"a":1,"a":2}"#,
            br#"{"sub":"a","\u0073ub":"b"}"#,
            br#"{"x":[{"a":1,"a":1}]}"#,
            br#"{"a":"\ud800"}"#,
            b"{\"a\":\"\xff\"}",
        ];
        for bytes in refused {
            assert_eq!(object(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
        assert!(object(&[b"[".repeat(200), b"]".repeat(200)].concat()).is_none());
        let read = object(br#"{"a":[1,-2,2.5,null,true,{"b":"c"}]}"#).unwrap();
        assert_eq!(
            Value::Object(read).to_string(),
            r#"{"a":[1,-2,2.5,null,true,{"b":"c"}]}"#
        );
    }
}
